"""What random slices look like: contrasts of every kind, and what scanners do to them, each on its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from SIFALib.phantom.slices import appearance, artefacts, meshwork
from SIFALib.phantom.slices.contrast import GROUPS, LEAST_STEP, random_contrast
from SIFALib.phantom.slices.planes import Cut
from SIFALib.phantom.slices.randomisation import KINDS, Randomisation
from SIFALib.phantom.tissues import CT_HU, MR_SIGNAL, Tissue


@pytest.mark.parametrize("kind, table", [("ct", CT_HU["arterial"][:, 0]), ("mr", MR_SIGNAL)], ids=["ct", "mr"])
def test_contrast_without_randomness_is_the_table_and_with_it_is_not(kind, table):
    for seed in range(5):
        plain, random = (random_contrast(np.random.default_rng(seed), kind, amount) for amount in (0.0, 1.0))
        assert plain.mean[: len(Tissue)] == pytest.approx(table, rel=1e-6)
        assert not np.allclose(random.mean[: len(Tissue)], table, rtol=0.05)


def test_every_tissue_belongs_to_one_kind():
    members = [t for group in GROUPS.values() for t in group]
    assert sorted(members) == sorted(int(t) for t in Tissue)


@pytest.mark.parametrize("kind", KINDS)
def test_every_id_has_a_finite_grey_value_also_ids_that_no_tissue_has(kind):
    rng = np.random.default_rng(1)
    for _ in range(60):
        contrast = random_contrast(rng, kind)
        for table in (contrast.mean, contrast.texture, contrast.flow):
            assert table.shape == (256,) and table.dtype == np.float32 and np.isfinite(table).all()
        assert (contrast.texture >= 0).all() and (contrast.flow >= 0).all()


def test_blood_is_brighter_than_muscle_darker_and_hardly_different():
    """The contrasts that scanners make, all of them: contrast CT, native CT, black blood."""
    rng = np.random.default_rng(2)
    steps: dict[str, list[float]] = {}
    for _ in range(300):
        for kind in ("ct", "mr", "any"):
            c = random_contrast(rng, kind)
            step = float(c.mean[Tissue.LV_BLOOD] - c.mean[Tissue.MYOCARDIUM])
            steps.setdefault(c.name, []).append(step)
            if kind == "any":
                assert abs(step) > 0.999 * LEAST_STEP
    assert np.median(steps["arterial"]) > 150 and abs(np.median(steps["none"])) < 25
    assert np.median(steps["black blood"]) < -0.2 and np.median(steps["late enhancement"]) > 0.3
    assert np.mean(np.array(steps["any"]) > 0) == pytest.approx(0.5, abs=0.15)


def test_blurs_keep_flat_images_flat():
    flat = np.full((48, 48), 7.0, np.float32)
    for matrix in (
        artefacts.gauss(48, 1.3),
        artefacts.coarse_voxels(48, 3.7, 0.4),
        artefacts.band_limit(48, 0.5, soft=False),
        artefacts.sharp_kernel(48, 0.6, 0.5),
        artefacts.moved(48, -2.5, 0.3),
    ):
        assert matrix.dtype == np.float32
        assert matrix @ flat @ matrix.T == pytest.approx(flat, abs=1e-3)


def test_factors_of_coils_slabs_and_bands_dim_the_signal_and_never_turn_its_sign():
    rng = np.random.default_rng(7)
    lines, borders, coils = [], [], []
    for _ in range(30):
        lines.append(artefacts.bands(rng, 48))
        borders.append(artefacts.slab_border(rng, 48) * np.ones((48, 48), np.float32))
        coils.append(artefacts.shading(rng, 48, 1.0))
    for factors in (lines, borders):
        assert np.min(factors) >= 0 and np.max(factors) <= 1 and np.min(factors) < 0.5 < 0.99 < np.max(factors)
    assert np.min(coils) > 0.1 and np.mean([c.std() for c in coils]) > 0.05


def test_ghosts_are_faint_copies_along_one_axis():
    rng = np.random.default_rng(8)
    for _ in range(10):
        image = np.zeros((64, 64), np.float32)
        image[32, 32] = 1
        artefacts.ghosts(rng, image, 1.0)
        copies = np.argwhere((image > 0) & (image < 1))
        assert image[32, 32] == 1 and 1 <= len(copies) <= 2  # half the image away both are in one place
        assert (copies[:, 0] == 32).all() or (copies[:, 1] == 32).all()
        assert 0.039 < image.sum() - 1 < 0.321


def test_streaks_start_at_the_dense_point_and_fade():
    rng = np.random.default_rng(4)
    rays = artefacts.streaks(rng, 65, 32.0, 32.0, 12.0, 16)
    radius, _ = artefacts.polar(65, 32.0, 32.0)
    assert rays[radius < 8].std() > 3 * rays[radius > 28].std() > 0
    assert rays[32, 40] == pytest.approx(rays[32, 24], abs=0.3)  # both ways


def test_noise_has_unit_variance_and_several_grains():
    rng = np.random.default_rng(5)
    eye = np.eye(64, dtype=np.float32)
    lags = []
    for _ in range(40):
        noise = appearance._grain(rng, 64, (eye, eye))
        assert noise.std() == pytest.approx(1, abs=0.2)
        lags.append(float((noise[:, 1:] * noise[:, :-1]).mean()))
    assert min(lags) < 0.1 and max(lags) > 0.4


def _ventricle(kind: str) -> Cut:
    """A round cavity of 24 pixels' radius in a wall of 9."""
    y, x = np.mgrid[:96, :96] - 47.5
    tissues = np.full((96, 96), Tissue.LUNG, np.uint8)
    tissues[np.hypot(x, y) < 33] = Tissue.MYOCARDIUM
    tissues[np.hypot(x, y) < 24] = Tissue.LV_BLOOD
    return Cut(np.stack([tissues] * 3), np.ones((96, 96), bool), 1.0, "short", kind)


def _muscle_next_to_the_wall(kind: str, texture: float) -> float:
    """How much of the blood within three pixels of the wall looks more like muscle, median of 16 plain slices."""
    plain = Randomisation(contrast=0, artefacts=0, resolution=0, noise=0, window=0, texture=texture)
    shares = []
    for seed in range(16):
        cut = _ventricle(kind)
        image = appearance.random_appearance(np.random.default_rng(seed), cut, plain)
        deep = distance_transform_edt(cut.labels == 3)
        blood, muscle = np.median(image[deep > 15]), np.median(image[cut.labels == 1])
        shares.append(np.mean(((blood - image) / (blood - muscle))[(deep > 0) & (deep <= 3)] > 0.5))
    return float(np.median(shares))


def test_in_mr_trabeculae_line_the_left_ventricle_and_still_count_as_blood():
    """Half of the layer beside the wall, as in real contoured slices; none of it where texture is off, and in CT little."""
    assert 0.4 < _muscle_next_to_the_wall("mr", 1.0) <= 1
    assert _muscle_next_to_the_wall("mr", 0.0) == 0
    assert _muscle_next_to_the_wall("ct", 1.0) < 0.15


def test_the_meshwork_leaves_alone_all_that_is_no_ventricle():
    tissues = _ventricle("mr").tissues[1]
    image = np.where(tissues == Tissue.LV_BLOOD, np.float32(1), np.float32(0.2))
    drawn = image.copy()
    meshwork.add(np.random.default_rng(4), drawn, tissues, 0.2)
    assert np.array_equal(drawn[tissues != Tissue.LV_BLOOD], image[tissues != Tissue.LV_BLOOD])
    inside = drawn[tissues == Tissue.LV_BLOOD]
    assert 0.2 - 1e-6 <= inside.min() < 0.5 and inside.max() > 0.95
    alone = np.full_like(tissues, Tissue.LV_BLOOD)
    untouched = np.ones_like(image)
    meshwork.add(np.random.default_rng(4), untouched, alone, 0.2)
    assert (untouched == 1).all()
