"""Whole CT and MR scans of a tissue map: the same for the same seed, of every kind, with what scanners do to images."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from SIFALib import phantom
from SIFALib.imaging import Geometry, Volume
from SIFALib.phantom import scan_effects
from SIFALib.phantom.appearance_ct import appearance_ct
from SIFALib.phantom.appearance_mr import SEQUENCES, appearance_mr
from SIFALib.phantom.low_field import NOISE, low_field
from SIFALib.phantom.tissues import CONTRAST_PHASES, CT_HU, LABEL_OF_TISSUE, Tissue

SPACING = 5.0


@cache
def body(metal: bool = False) -> Volume:
    """A made-up trunk [24, 40, 56] in air: fat, muscle, lung, a heart of muscle around blood, veins, perhaps a lead."""
    _, j, i = np.mgrid[:24, :40, :56].astype(float)
    tissues = np.zeros((24, 40, 56), np.uint8)

    def ball(row: float, column: float, radius: float, stretch: float = 1.0) -> np.ndarray:
        return (j - row) ** 2 + ((i - column) / stretch) ** 2 < radius**2

    tissues[ball(20, 28, 18, 1.4)] = Tissue.FAT
    tissues[ball(20, 28, 15, 1.4)] = Tissue.MUSCLE
    tissues[ball(20, 28, 13, 1.4)] = Tissue.LUNG
    tissues[ball(20, 30, 9)] = Tissue.MYOCARDIUM
    tissues[ball(20, 30, 6)] = Tissue.LV_BLOOD
    tissues[ball(20, 42, 2.5)] = Tissue.LA_BLOOD
    tissues[ball(12, 18, 2.5)] = Tissue.VENA_CAVA_SUPERIOR
    if metal:
        tissues[10:14][ball(20, 30, 1.5)[10:14]] = Tissue.METAL
    return Volume(tissues, Geometry((56, 40, 24), (0.0, 0.0, 0.0), (SPACING,) * 3), "body")


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_the_same_seed_gives_the_same_scan_and_another_seed_another(modality):
    first, second, other = (phantom.appearance(body(), seed, modality) for seed in (5, 5, 6))
    assert np.array_equal(first.array, second.array) and not np.array_equal(first.array, other.array)
    assert first.geometry == body().geometry and first.array.dtype == np.int16


def test_every_tissue_is_painted_as_the_table_of_its_phase_says():
    """Cubes of 20 mm, one of each tissue; metal lies in slices of its own, for it casts streaks."""
    kinds = np.resize(np.arange(len(Tissue)), (8, 8))
    plain = np.where(kinds == Tissue.METAL, int(Tissue.AIR), kinds)
    layers = np.stack([plain, np.where(kinds == Tissue.METAL, kinds, int(Tissue.AIR))]).astype(np.uint8)
    cubes = layers.repeat(5, axis=0).repeat(5, axis=1).repeat(5, axis=2)
    tissues = Volume(cubes, Geometry((40, 40, 10), (0.0, 0.0, 0.0), (4.0,) * 3), "all")
    scans = [appearance_ct(tissues, seed) for seed in range(60)]
    native = [s for s in scans if s[1]["contrast_phase"] == "none" and s[1]["field_radius_mm"] is None]
    assert len(native) > 2
    for image, _ in native:
        for tissue in Tissue:
            k, j, i = (5 * int(n) for n in np.argwhere(layers == tissue)[0])
            seen = float(np.median(image.array[k + 1 : k + 4, j + 1 : j + 4, i + 1 : i + 4]))
            mean, spread = (float(v) for v in CT_HU["none"][tissue])
            streaks = 1000 if tissue == Tissue.METAL else 0
            assert abs(seen - mean) < 2.2 * spread + 100 + streaks, tissue.name
    for seed in range(6):
        assert appearance_mr(tissues, seed)[0].array.max() > 0


def test_scans_of_every_phase_sequence_and_fault_occur():
    ct = [appearance_ct(body(), seed)[1] for seed in range(60)]
    mr = [appearance_mr(body(), seed)[1] for seed in range(60)]
    assert {s["contrast_phase"] for s in ct} == set(CONTRAST_PHASES)
    assert {s["sequence"] for s in mr} == set(SEQUENCES)
    assert {s["motion"] for s in ct} == {True, False} == {s["clipped"] for s in mr}
    assert {s["field_radius_mm"] is None for s in ct} == {True, False}
    assert {s["thickness_mm"] == 0 for s in ct + mr} == {True, False}


def test_blood_is_bright_in_mr_of_every_sequence_and_in_contrast_ct():
    tissues = body().array
    for seed in range(30):
        signal = appearance_mr(body(), seed)[0].array
        blood, muscle = (np.median(signal[tissues == t]) for t in (Tissue.LV_BLOOD, Tissue.MYOCARDIUM))
        assert blood > 1.3 * muscle
        image, settings = appearance_ct(body(), seed)
        blood, muscle = (np.median(image.array[tissues == t]) for t in (Tissue.LV_BLOOD, Tissue.MYOCARDIUM))
        assert blood > muscle + 15 or settings["contrast_phase"] == "none"


def test_a_cut_field_of_view_shows_the_heart_and_hides_the_sides():
    heart = LABEL_OF_TISSUE[body().array] > 0
    rows, columns = np.nonzero(heart.any(axis=0))
    j, i = np.ogrid[:40, :56]
    distance_mm = SPACING * np.hypot(j - rows.mean(), i - columns.mean())
    cut = 0
    for seed in range(30):
        image, settings = appearance_ct(body(), seed)
        radius_mm = settings["field_radius_mm"]
        if radius_mm is not None:
            assert (image.array[:, distance_mm > radius_mm] == -1024).all()
            assert not (image.array[heart] == -1024).any()
            cut += int((distance_mm > radius_mm).sum())
    assert cut > 50


def test_metal_casts_streaks_in_its_slices_alone():
    """Against the same scan without the lead: far from it, the lead's slices differ and the others do not."""
    k, j, i = np.mgrid[:24, :40, :56]
    far = (body().array == Tissue.MYOCARDIUM) & (np.hypot(j - 20, i - 30) > 7)
    for seed in range(3):
        image = np.zeros(body().array.shape, np.float32)
        rng = np.random.default_rng(seed)
        scan_effects.streaks(rng, image, body(True).array == Tissue.METAL, body().geometry, 200.0)
        lead = (k >= 10) & (k < 14)
        assert image[far & lead].std() > 20 and not image[~lead].any()
        assert abs(image[lead].mean()) < 20


def test_thick_slices_blur_along_their_axis_alone_and_keep_the_mean():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(20, 20, 20)).astype(np.float32)
    before = image.copy()
    scan_effects.thick_slices(image, 0, 3.0)
    assert image.mean() == pytest.approx(before.mean(), abs=1e-5)
    assert np.diff(image, axis=0).std() < 0.5 * np.diff(before, axis=0).std()
    column = np.zeros((21, 3, 3), np.float32)
    column[10, 1, 1] = 1
    scan_effects.thick_slices(column, 0, 4.0)
    half = np.flatnonzero(column[:, 1, 1] > column[10, 1, 1] / 2)
    assert 3 <= len(half) <= 5 and not column[:, 0].any()


def test_motion_and_ghosts_keep_flat_parts_flat():
    image = np.full((6, 9, 9), 5.0, np.float32)
    scan_effects.smeared(image, 1, 2, 0.3)
    assert image == pytest.approx(np.full_like(image, 5.0))
    scan_effects.ghosts(image, 2, 4, 0.05)
    assert image == pytest.approx(np.full_like(image, 5.5))


def test_a_slab_dies_away_at_its_ends_and_bands_are_dark_lines():
    profile = scan_effects.slab_profile(50, 2.0, 10.0, 2.0, both=True)
    assert profile[25] > 0.99 and profile[0] < 0.05 and profile[-1] < 0.05
    lines = scan_effects.bands(np.linspace(0, np.pi, 101, dtype=np.float32), 0.8, 0.1)
    assert lines[50] == pytest.approx(0.2, abs=1e-3) and lines[0] > 0.99


def test_a_weak_scanner_keeps_the_order_of_tissues_in_noise_and_shade():
    grid = Geometry((40, 30, 20), (1.0, 2.0, 3.0), (2.0, 2.0, 2.0))
    ct = np.full(grid.shape, -900, np.int16)
    for part, hu in ((slice(10, 20), -100), (slice(20, 30), 60), (slice(30, 40), 350)):
        ct[:, :, part] = hu
    shown = low_field(Volume(ct, grid), 5)
    assert shown.geometry == grid and shown.array.dtype == np.int16 and shown.array.min() >= 0
    assert np.array_equal(shown.array, low_field(Volume(ct, grid), 5).array)
    assert not np.array_equal(shown.array, low_field(Volume(ct, grid), 6).array)
    means = [shown.array[:, :, n : n + 10].mean() for n in (0, 10, 20, 30)]
    assert means == sorted(means) and means[3] - means[2] < 350 and means[0] < 120
    assert shown.array[:, :, 25].std() > 1000 * NOISE
    assert shown.array[:, :5, 20:].mean() > 1.15 * shown.array[:, -5:, 20:].mean()  # towards the coil
