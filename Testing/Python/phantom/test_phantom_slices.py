"""Random training slices: the same for the same seed, in range, exactly labelled, and of every kind and plane."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib import phantom
from SIFALib.imaging import Geometry, Volume
from SIFALib.imaging.slices import PLANES, choose_plane
from SIFALib.phantom.slices import appearance, artefacts, bodies, planes
from SIFALib.phantom.slices.anatomies import (
    VERSION_KEY,
    Anatomy,
    anatomy_of,
    describe_slice,
    make_anatomies,
    random_slice,
)
from SIFALib.phantom.slices.contrast import Contrast
from SIFALib.phantom.slices.randomisation import AMOUNTS, Randomisation
from SIFALib.phantom.tissues import CT_HU, LABEL_OF_TISSUE, Tissue

SIZE = 64


@pytest.fixture(scope="module")
def anatomies() -> list[Anatomy]:
    return [anatomy_of(phantom.anatomy(seed, 4.0)[0]) for seed in (3, 4)]


def test_a_slice_depends_on_its_seed_its_number_and_the_randomisation_alone(anatomies):
    for number in (0, 5, 17, 10**9):
        image, labels = random_slice(anatomies, SIZE, 1, number)
        random_slice(anatomies, SIZE, 1, number + 1)
        again, labels_again = random_slice(anatomies, SIZE, 1, number)
        assert np.array_equal(image, again) and np.array_equal(labels, labels_again)
        for other in (
            random_slice(anatomies, SIZE, 2, number),
            random_slice(anatomies, SIZE, 1, number + 1),
            random_slice(anatomies, SIZE, 1, number, Randomisation(noise=0.5)),
        ):
            assert not np.array_equal(image, other[0])


def test_tissues_of_another_version_of_the_phantom_are_refused_and_of_this_one_kept(tmp_path, monkeypatch):
    make_anatomies(tmp_path, [3], 8.0)
    before = (tmp_path / "3.nrrd").read_bytes()
    make_anatomies(tmp_path, [3], 4.0)
    assert (tmp_path / "3.nrrd").read_bytes() == before
    this = phantom.VERSION
    with monkeypatch.context() as patch:
        patch.setattr(phantom, "VERSION", 1)
        with pytest.raises(ValueError, match=rf"3\.nrrd is of another version \({this}\).* \(1\)"):
            make_anatomies(tmp_path, [3], 8.0)
    older = sitk.ReadImage(str(tmp_path / "3.nrrd"))
    older.EraseMetaData(VERSION_KEY)
    sitk.WriteImage(older, str(tmp_path / "3.nrrd"))
    with pytest.raises(ValueError, match="an older one"):
        make_anatomies(tmp_path, [3], 8.0)


@pytest.mark.parametrize(
    ("randomisation", "count"),
    [
        (Randomisation(), 150),
        (Randomisation(strength=0.0), 25),
        (Randomisation(strength=0.3), 25),
        (Randomisation(strength=2.0), 25),
        (Randomisation(ct=0, window=60.0), 12),
    ],
    ids=["as it is", "none", "weak", "strong", "any that is allowed"],
)
def test_slices_are_float32_from_minus_one_to_one_and_labels_0_to_7(anatomies, randomisation, count):
    for number in range(count):
        image, labels = random_slice(anatomies, SIZE, 9, number, randomisation)
        assert image.dtype == np.float32 and image.shape == (SIZE, SIZE) and labels.dtype == np.uint8
        assert np.isfinite(image).all() and image.min() >= -1 and image.max() <= 1
        assert labels.max() <= 7


def test_labels_are_those_of_the_tissues_that_the_image_shows(anatomies, monkeypatch):
    """With a contrast that gives each tissue its label as HU and nothing done to the image, it is the labels."""

    def identity(*_: object) -> Contrast:
        zero = np.zeros(256, np.float32)
        return Contrast("ct", "identity", 50.0 * LABEL_OF_TISSUE.astype(np.float32), zero, zero)

    monkeypatch.setattr(appearance, "random_contrast", identity)
    plain = Randomisation(ct=1, mr=0, any=0, strength=0, zoom=1, bend=1, planes=1)
    shapes = replace(plain, strength=1, contrast=0, texture=0, artefacts=0, resolution=0, noise=0, window=0)
    shown = 0
    for randomisation in (plain, shapes):
        for number in range(30):
            image, labels = random_slice(anatomies, SIZE, 11, number, randomisation)
            hu = (image + 1) * 400 - 200
            outside = image == -1
            assert np.array_equal(np.rint(hu[~outside] / 50).astype(int), labels[~outside])
            assert not labels[outside].any()
            shown += int((labels > 0).sum())
    assert shown > 5000


def test_the_labels_of_a_slice_do_not_depend_on_how_it_looks(anatomies):
    for number in range(20):
        _, labels = random_slice(anatomies, SIZE, 6, number)
        for change in ({"noise": 0.0}, {"artefacts": 2.0}, {"contrast": 0.0, "texture": 0.0}):
            assert np.array_equal(labels, random_slice(anatomies, SIZE, 6, number, Randomisation(**change))[1])


def test_every_kind_and_plane_occurs_with_its_share(anatomies):
    randomisation = Randomisation(ct=2, mr=1, any=1)
    said = [describe_slice(anatomies, 32, 5, n, randomisation) for n in range(300)]
    kinds = Counter(s["kind"] for s in said)
    for kind, share in (("ct", 0.5), ("mr", 0.25), ("any", 0.25)):
        assert kinds[kind] / 300 == pytest.approx(share, abs=0.09), kinds
        frames = Counter(s["plane"] for s in said if s["kind"] == kind)
        for plane, of_kind in planes.FRAME_SHARES[kind].items():
            assert frames[plane] / kinds[kind] == pytest.approx(of_kind, abs=0.14), (kind, frames)
    pixels = np.array([s["pixel_mm"] for s in said])
    coarse = pixels >= planes.COARSE_MM[0]
    assert coarse.mean() == pytest.approx(randomisation.coarse, abs=0.08)
    assert pixels.min() < 0.8 and pixels.max() > 3.1


def test_some_slices_are_of_bodies_without_a_heart_and_hold_no_label(anatomies):
    usual = [describe_slice(anatomies, 32, 5, n)["plane"] for n in range(400)]
    assert sum(p in ("head", "limb") for p in usual) / 400 == pytest.approx(0.04, abs=0.03)
    alone = Randomisation(no_heart=1)
    assert {describe_slice(anatomies, 32, 5, n, alone)["plane"] for n in range(40)} == {"head", "limb"}
    for number in range(40):
        image, labels = random_slice(anatomies, SIZE, 5, number, alone)
        assert not labels.any() and np.isfinite(image).all() and image.std() > 0.01


def test_a_head_is_skin_skull_and_brain_from_outside_in():
    rng = np.random.default_rng(3)
    u, v = np.meshgrid(np.arange(-128.0, 128.0), np.arange(-128.0, 128.0))
    for _ in range(5):
        tissues = bodies.head(rng, u.astype(np.float32), v.astype(np.float32))
        along = list(dict.fromkeys(tissues[128, 255:128:-1]))
        known = [t for t in along if t in (Tissue.AIR, Tissue.SKIN, Tissue.CORTICAL_BONE, Tissue.LIVER)]
        assert known == [Tissue.AIR, Tissue.SKIN, Tissue.CORTICAL_BONE, Tissue.LIVER]
        assert 60 < np.sqrt((tissues > 0).sum() / np.pi) < 115  # mm


def test_kinds_that_are_switched_off_do_not_occur(anatomies):
    randomisation = Randomisation(ct=0, any=0, planes=0, coarse=0, no_heart=0)
    said = [describe_slice(anatomies, 32, 5, n, randomisation) for n in range(40)]
    assert {s["kind"] for s in said} == {"mr"} and {s["plane"] for s in said} <= set(PLANES)
    assert max(s["pixel_mm"] for s in said) <= planes.FINE_MM[1]


def test_amounts_change_the_image_one_by_one(anatomies):
    for name in AMOUNTS:
        off = Randomisation(**{name: 0.0})
        differ = sum(
            not np.array_equal(random_slice(anatomies, 32, 2, n)[0], random_slice(anatomies, 32, 2, n, off)[0])
            for n in range(8)
        )
        assert differ >= 4, name


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"noise": -1.0}, "noise of the randomisation is -1"),
        ({"ct": 0, "mr": 0, "any": 0}, "at least one"),
        ({"coarse": 1.5}, "coarse"),
        ({"no_heart": 1.5}, "no_heart"),
        ({"zoom": float("nan")}, "zoom"),
        ({"strength": float("inf")}, "strength of the randomisation is inf"),
    ],
)
def test_a_randomisation_that_cannot_be_is_refused_by_name(wrong, says):
    with pytest.raises(ValueError, match=says):
        Randomisation(**wrong)


def test_slices_without_randomness_show_the_table_itself(anatomies):
    window = np.clip((CT_HU["arterial"][:, 0] + 200) / 400 - 1, -1, 1)
    plain = Randomisation(mr=0, any=0, strength=0)
    for number in range(10):
        image, labels = random_slice(anatomies, SIZE, 3, number, plain)
        assert np.abs(image[..., None] - window).min(axis=-1).max() < 1e-3
        inside = labels == LABEL_OF_TISSUE[Tissue.ASCENDING_AORTA]
        assert image[inside] == pytest.approx(np.full(inside.sum(), window[Tissue.ASCENDING_AORTA]), abs=1e-3)


def test_a_slice_much_larger_than_the_scan_is_drawn_all_the_same(anatomies):
    whole = anatomies[0]
    i, j, k = (int(n) - 12 for n in whole.geometry.index(whole.centre))
    part = whole.tissues[k : k + 24, j : j + 24, i : i + 24]
    x, y, z = (float(mm) for mm in whole.geometry.point([i, j, k]))
    small = anatomy_of(Volume(part, Geometry((24, 24, 24), (x, y, z), (4.0,) * 3), "part"))
    for number in range(3):
        image, _ = random_slice([small], 128, 1, number, Randomisation(coarse=1, zoom=0, no_heart=0))
        assert np.isfinite(image).all() and 0 < (image > -1).mean() < planes.LEAST_SHOWN


def test_every_structure_is_seen_and_some_slices_show_none(anatomies):
    seen, empty = np.zeros(8), 0
    for number in range(200):
        _, labels = random_slice(anatomies, SIZE, 9, number)
        seen += np.bincount(labels.ravel(), minlength=8)
        empty += not labels.any()
    assert np.all(seen > 2000) and 0 < empty < 120


def test_an_oblique_slice_is_shown_as_inference_shows_it():
    rng = np.random.default_rng(3)
    for _ in range(50):
        frame = planes.as_shown(np.linalg.qr(rng.normal(size=(3, 3)))[0])
        assert frame @ frame.T == pytest.approx(np.eye(3), abs=1e-9)
        thick = Geometry((64, 64, 12), (0, 0, 0), (1.0, 1.0, 8.0), tuple(frame.T.ravel()))
        plane = choose_plane(thick)
        assert plane.axes == (0, 1, 2) and plane.signs == (1, 1, 1)


def test_borders_run_smoothly_through_voxels_larger_than_the_pixels():
    """A ball of 20 mm in voxels of 4 mm, cut at 1 mm: its border is nearer to a circle than the nearest voxels' is."""
    k, j, i = np.mgrid[:16, :16, :16]
    ball = ((k - 7.5) ** 2 + (j - 7.5) ** 2 + (i - 7.5) ** 2 < 5.0**2).astype(np.uint8)
    position = [np.full((64, 64), 7.3, np.float32)]
    position += [np.float32(a) / 4 - np.float32(0.4) for a in np.mgrid[:64, :64]]
    index = [position[2], position[1], position[0]]
    nearest = ball[7][np.rint(index[1]).astype(int).clip(0, 15), np.rint(index[0]).astype(int).clip(0, 15)]
    voted = nearest.copy()
    planes._smooth_borders(voted, ball.ravel(), index, (16, 16, 16))
    circle = (index[0] - 7.5) ** 2 + (index[1] - 7.5) ** 2 < 5.0**2 - 0.2**2
    assert (voted != circle).sum() < 0.9 * (nearest != circle).sum()


def test_the_bench_measures_the_width_and_the_noise_that_were_put_in(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "Benchmarks"))
    import bench_realism

    y, x = np.mgrid[:128, :128] - 63.5
    labels = np.where(np.hypot(y, x) < 30, 3, np.where(np.hypot(y, x) < 45, 1, 0)).astype(np.uint8)
    image = np.select([labels == 3, labels == 1], [0.5, -0.2], -1.0).astype(np.float32)
    rng = np.random.default_rng(6)
    for sigma in (1.0, 1.6):
        blur = artefacts.gauss(128, sigma)
        noisy = blur @ image @ blur.T + rng.normal(0, 0.02, (128, 128)).astype(np.float32)
        said = bench_realism.measures(noisy, labels)
        assert said["edge blood-muscle"] == pytest.approx(2.563 * sigma, abs=0.7)  # of a Gaussian, 10 to 90 %
        assert said["LV noise"] == pytest.approx(0.02, rel=0.15) and abs(said["LV grain"]) < 0.15
        assert said["LV - MYO"] == pytest.approx(0.7, abs=0.05)
