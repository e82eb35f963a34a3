"""Random training slices: the same for the same seed, in range, exactly labelled, and of every kind and plane."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from SIFALib import phantom, phantom_slices, random_contrast, random_effects, random_looks, random_planes
from SIFALib.phantom.tissues import LABEL_OF_TISSUE, Tissue
from SIFALib.random_contrast import CONTRASTS, GROUPS, Contrast
from SIFALib.randomisation import AMOUNTS, Randomisation
from SIFALib.slices import PLANES, choose_plane
from SIFALib.volume import Geometry

SIZE = 64


@pytest.fixture(scope="module")
def anatomies() -> list[phantom_slices.Anatomy]:
    return [phantom_slices.anatomy_of(phantom.anatomy(seed, 4.0)[0]) for seed in (3, 4)]


def test_a_slice_depends_on_its_seed_its_number_and_the_randomisation_alone(anatomies):
    for number in (0, 5, 17, 10**9):
        image, labels = phantom_slices.random_slice(anatomies, SIZE, 1, number)
        phantom_slices.random_slice(anatomies, SIZE, 1, number + 1)
        again, labels_again = phantom_slices.random_slice(anatomies, SIZE, 1, number)
        assert np.array_equal(image, again) and np.array_equal(labels, labels_again)
        for other in (
            phantom_slices.random_slice(anatomies, SIZE, 2, number),
            phantom_slices.random_slice(anatomies, SIZE, 1, number + 1),
            phantom_slices.random_slice(anatomies, SIZE, 1, number, Randomisation(noise=0.5)),
        ):
            assert not np.array_equal(image, other[0])


def test_slices_are_float32_from_minus_one_to_one_and_labels_0_to_4(anatomies):
    for number in range(150):
        image, labels = phantom_slices.random_slice(anatomies, SIZE, 9, number)
        assert image.dtype == np.float32 and image.shape == (SIZE, SIZE) and labels.dtype == np.uint8
        assert np.isfinite(image).all() and image.min() >= -1 and image.max() <= 1
        assert labels.max() <= 4


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_weaker_and_stronger_slices_are_in_range_too(anatomies, strength):
    for number in range(25):
        image, _ = phantom_slices.random_slice(anatomies, SIZE, 4, number, Randomisation(strength=strength))
        assert np.isfinite(image).all() and image.min() >= -1 and image.max() <= 1


def test_labels_are_those_of_the_tissues_that_the_image_shows(anatomies, monkeypatch):
    """With a contrast that gives each tissue its label as HU and nothing done to the image, it is the labels."""

    def identity(rng: np.random.Generator, amount: float = 1.0) -> Contrast:
        zero = np.zeros(256, np.float32)
        return Contrast("ct", "identity", 100.0 * LABEL_OF_TISSUE.astype(np.float32), zero, zero)

    monkeypatch.setitem(CONTRASTS, "ct", identity)
    plain = Randomisation(ct=1, mr=0, any=0, strength=0, zoom=1, bend=1, planes=1)
    shapes = replace(plain, strength=1, contrast=0, texture=0, artefacts=0, resolution=0, noise=0, window=0)
    shown = 0
    for wild in (plain, shapes):
        for number in range(30):
            image, labels = phantom_slices.random_slice(anatomies, SIZE, 11, number, wild)
            hu = (image + 1) * 400 - 200
            outside = image == -1
            assert np.array_equal(np.rint(hu[~outside] / 100).astype(int), labels[~outside])
            assert not labels[outside].any()
            shown += int((labels > 0).sum())
    assert shown > 5000


def test_the_labels_of_a_slice_do_not_depend_on_how_it_looks(anatomies):
    for number in range(20):
        _, labels = phantom_slices.random_slice(anatomies, SIZE, 6, number)
        for change in (
            {"ct": 1.0, "mr": 0.0, "any": 0.0},
            {"noise": 0.0},
            {"artefacts": 2.0},
            {"contrast": 0.0, "texture": 0.0},
        ):
            assert np.array_equal(
                labels, phantom_slices.random_slice(anatomies, SIZE, 6, number, Randomisation(**change))[1]
            )


def test_every_kind_and_plane_occurs_with_its_share(anatomies):
    wild = Randomisation(ct=2, mr=1, any=1)
    said = [phantom_slices.describe_slice(anatomies, 32, 5, n, wild) for n in range(300)]
    kinds, planes = Counter(s["kind"] for s in said), Counter(s["plane"] for s in said)
    for kind, share in (("ct", 0.5), ("mr", 0.25), ("any", 0.25)):
        assert kinds[kind] / 300 == pytest.approx(share, abs=0.09), kinds
    for plane, share in random_planes.FRAME_SHARES.items():
        assert planes[plane] / 300 == pytest.approx(share, abs=0.07), planes
    pixels = np.array([s["pixel_mm"] for s in said])
    coarse = pixels >= random_planes.COARSE_MM[0]
    assert coarse.mean() == pytest.approx(wild.coarse, abs=0.08)
    assert pixels.min() < 0.8 and pixels.max() > 3.1


def test_kinds_that_are_switched_off_do_not_occur(anatomies):
    wild = Randomisation(ct=0, any=0, planes=0, coarse=0)
    said = [phantom_slices.describe_slice(anatomies, 32, 5, n, wild) for n in range(40)]
    assert {s["kind"] for s in said} == {"mr"} and {s["plane"] for s in said} <= set(PLANES)
    assert max(s["pixel_mm"] for s in said) <= random_planes.FINE_MM[1]


def test_amounts_change_the_image_one_by_one(anatomies):
    for name in AMOUNTS:
        off = Randomisation(**{name: 0.0})
        differ = sum(
            not np.array_equal(
                phantom_slices.random_slice(anatomies, 32, 2, n)[0],
                phantom_slices.random_slice(anatomies, 32, 2, n, off)[0],
            )
            for n in range(8)
        )
        assert differ >= 4, name


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"noise": -1.0}, "noise of the randomisation is -1"),
        ({"ct": 0, "mr": 0, "any": 0}, "at least one"),
        ({"coarse": 1.5}, "coarse"),
        ({"zoom": float("nan")}, "zoom"),
    ],
)
def test_a_randomisation_that_cannot_be_is_refused_by_name(wrong, says):
    with pytest.raises(ValueError, match=says):
        Randomisation(**wrong)


def test_every_structure_is_seen_and_some_slices_show_none(anatomies):
    seen, empty = np.zeros(5), 0
    for number in range(200):
        _, labels = phantom_slices.random_slice(anatomies, SIZE, 9, number)
        seen += np.bincount(labels.ravel(), minlength=5)[:5]
        empty += not labels.any()
    assert np.all(seen > 2000) and 0 < empty < 120


def test_every_tissue_belongs_to_one_kind():
    members = [t for group in GROUPS.values() for t in group]
    assert sorted(members) == sorted(int(t) for t in Tissue)


@pytest.mark.parametrize("kind", list(CONTRASTS))
def test_every_id_has_a_finite_grey_value_also_ids_that_no_tissue_has(kind):
    rng = np.random.default_rng(1)
    for _ in range(60):
        contrast = CONTRASTS[kind](rng)
        for table in (contrast.mean, contrast.texture, contrast.flow):
            assert table.shape == (256,) and table.dtype == np.float32 and np.isfinite(table).all()
        assert (contrast.texture >= 0).all() and (contrast.flow >= 0).all()


def test_blood_is_brighter_than_muscle_darker_and_hardly_different():
    """The contrasts that scanners make, all of them: contrast CT, native CT, black blood."""
    rng = np.random.default_rng(2)
    steps: dict[str, list[float]] = {}
    for _ in range(300):
        for kind in ("ct", "mr", "any"):
            c = CONTRASTS[kind](rng)
            step = float(c.mean[Tissue.LV_BLOOD] - c.mean[Tissue.MYOCARDIUM])
            steps.setdefault(c.name, []).append(step)
            if kind == "any":
                assert abs(step) > 0.5 * random_contrast.LEAST_STEP
    assert np.median(steps["arterial"]) > 150 and abs(np.median(steps["none"])) < 25
    assert np.median(steps["black blood"]) < -0.2 and np.median(steps["late enhancement"]) > 0.3
    assert np.mean(np.array(steps["any"]) > 0) == pytest.approx(0.5, abs=0.15)


def test_an_oblique_slice_is_shown_as_inference_shows_it():
    rng = np.random.default_rng(3)
    for _ in range(50):
        frame = random_planes.as_shown(np.linalg.qr(rng.normal(size=(3, 3)))[0])
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
    random_planes._smooth_borders(voted, ball.ravel(), index, (16, 16, 16))
    circle = (index[0] - 7.5) ** 2 + (index[1] - 7.5) ** 2 < 5.0**2 - 0.2**2
    assert (voted != circle).sum() < 0.9 * (nearest != circle).sum()


def test_blurs_keep_flat_images_flat():
    flat = np.full((48, 48), 7.0, np.float32)
    for matrix in (
        random_effects.gauss(48, 1.3),
        random_effects.coarse_voxels(48, 3.7, 0.4),
        random_effects.band_limit(48, 0.5, soft=False),
        random_effects.sharp_kernel(48, 0.6, 0.5),
        random_effects.moved(48, -2.5, 0.3),
    ):
        assert matrix.dtype == np.float32
        assert matrix @ flat @ matrix.T == pytest.approx(flat, abs=1e-3)


def test_streaks_start_at_the_dense_point_and_fade():
    rng = np.random.default_rng(4)
    rays = random_effects.streaks(rng, 65, 32.0, 32.0, 12.0, 16)
    radius, _ = random_effects.polar(65, 32.0, 32.0)
    assert rays[radius < 8].std() > 3 * rays[radius > 28].std() > 0
    assert rays[32, 40] == pytest.approx(rays[32, 24], abs=0.3)  # both ways


def test_noise_has_unit_variance_and_several_grains():
    rng = np.random.default_rng(5)
    eye = np.eye(64, dtype=np.float32)
    lags = []
    for _ in range(40):
        noise = random_looks._grain(rng, 64, (eye, eye))
        assert noise.std() == pytest.approx(1, abs=0.2)
        lags.append(float((noise[:, 1:] * noise[:, :-1]).mean()))
    assert min(lags) < 0.1 and max(lags) > 0.4


def test_the_bench_measures_the_width_and_the_noise_that_were_put_in(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "Benchmarks"))
    import bench_realism

    y, x = np.mgrid[:128, :128] - 63.5
    labels = np.where(np.hypot(y, x) < 30, 3, np.where(np.hypot(y, x) < 45, 1, 0)).astype(np.uint8)
    image = np.select([labels == 3, labels == 1], [0.5, -0.2], -1.0).astype(np.float32)
    rng = np.random.default_rng(6)
    for sigma in (1.0, 1.6):
        blur = random_effects.gauss(128, sigma)
        noisy = blur @ image @ blur.T + rng.normal(0, 0.02, (128, 128)).astype(np.float32)
        said = bench_realism.measures(noisy, labels)
        assert said["edge blood-muscle"] == pytest.approx(2.563 * sigma, abs=0.7)  # of a Gaussian, 10 to 90 %
        assert said["LV noise"] == pytest.approx(0.02, rel=0.15) and abs(said["LV grain"]) < 0.15
        assert said["LV - MYO"] == pytest.approx(0.7, abs=0.05)
