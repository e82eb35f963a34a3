"""Promises of modality.py: CT or MR is told by the whole histogram, ordinary scans as ever, and doubt is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from SIFALib import phantom
from SIFALib.imaging import Geometry, Volume
from SIFALib.imaging.intensity import chosen_modality, intensity_rule
from SIFALib.imaging.modality import guess
from SIFALib.models.card import Preprocessing

SEEDS = range(5100, 5104)


@pytest.fixture(scope="module")
def scans() -> dict[str, list[np.ndarray]]:
    """Grey values of phantoms, whole and cut around the heart, by modality."""
    found: dict[str, list[np.ndarray]] = {"ct": [], "mr": []}
    for modality, arrays in found.items():
        for seed in SEEDS:
            case = phantom.make(seed, modality, 5.0)
            where = np.argwhere(case.labels.array > 0)
            box = tuple(slice(low, high + 1) for low, high in zip(where.min(0), where.max(0), strict=True))
            arrays += [case.image.array.astype(float), case.image.array[box].astype(float)]
    return found


def padded(array: np.ndarray, value: float) -> np.ndarray:
    """With a fifth of the rows filled up, as where a scan was turned or lies beside the field of view."""
    copy = array.copy()
    copy[:, : max(1, copy.shape[1] // 5)] = value
    return copy


def test_ordinary_scans_are_told_without_doubt(scans: dict[str, list[np.ndarray]]):
    for modality, arrays in scans.items():
        for array in arrays:
            told = guess(array)
            assert (told.modality, told.doubtful, told.added) == (modality, False, 0.0), told
            assert told.why


@pytest.mark.parametrize("offset", [-2000, -1024, -1000, -500, -300])
def test_mr_with_an_offset_is_read_by_its_own_values_and_said_to_be_in_doubt(scans, offset: float):
    for array in scans["mr"]:
        told = guess(array + offset)
        assert (told.modality, told.doubtful) == ("mr", True), told


@pytest.mark.parametrize("offset", [0, 100, 1000, 5000])
def test_mr_with_a_positive_offset_is_no_matter(scans, offset: float):
    assert {guess(array + offset).modality for array in scans["mr"]} == {"mr"}


def test_ct_with_1024_added_whose_slices_blur_it_is_read_by_its_own_values_and_said_to_be_in_doubt(scans):
    for array in scans["ct"][::2]:  # the whole ones
        told = guess(uniform_filter(array, 3) + 1024)
        assert (told.modality, told.doubtful) == ("mr", True) and "1024 added" in told.why, told


@pytest.mark.parametrize("value", [-1, -1000, -1024, -2000, -32768])
def test_padding_is_set_aside_whatever_its_value(scans, value: float):
    for modality, arrays in scans.items():
        for array in arrays:
            told = guess(padded(array, value))
            assert (told.modality, told.doubtful) == (modality, False), told


def test_the_padding_of_an_mr_does_not_count_among_its_percentiles(scans):
    pre, array = Preprocessing(), scans["mr"][0]
    grid = Geometry(array.shape[::-1], (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    filled = padded(array, -1024)
    rule = intensity_rule(Volume(filled, grid), pre)
    assert rule.padding == -1024
    seen = filled > -1024
    plain = intensity_rule(Volume(array, grid), pre).normalise(filled[seen], np.ones(seen.sum(), bool))
    np.testing.assert_allclose(rule.normalise(filled, np.ones(filled.shape, bool))[seen], plain, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("clipped at -500", lambda a: np.clip(a, -500, 1000)),
        ("noise", lambda a: a + np.random.default_rng(0).normal(0, 60, a.shape)),
        ("-3024 outside", lambda a: np.where(a < -950, -3024, a)),
        ("whole numbers of 64 bits", lambda a: a.astype(np.int64)),
    ],
)
def test_changed_ct_is_still_ct(scans, name: str, change):
    assert [guess(change(array)).modality for array in scans["ct"]] == ["ct"] * len(scans["ct"]), name


def test_ct_as_stored_is_read_with_what_was_added_and_flagged(scans):
    told = [guess(array + 1024) for array in scans["ct"]]
    found = [t for t in told if t.added == 1024]
    assert len(found) >= len(told) - 2 and all(t.modality == "ct" and t.doubtful for t in found)
    assert {t.modality for t in told if not t.added} <= {"mr"}, "never by the window of what they are not"
    grid = Geometry((2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    stored = scans["ct"][0] + 1024
    volume = Volume(stored, replace(grid, size=stored.shape[::-1]))
    rule = intensity_rule(volume, Preprocessing())
    low, high = Preprocessing().ct_window_hu
    assert rule.window == (low + 1024, high + 1024) and "with 1024 added" in rule.name


@pytest.mark.parametrize("change", [lambda a: a[a > -180], lambda a: np.clip(a, -160, 240)])
def test_ct_without_air_is_read_by_its_own_values(scans, change):
    assert {guess(change(array)).modality for array in scans["ct"]} == {"mr"}


def test_ct_without_air_is_said_to_be_in_doubt(scans):
    told = [guess(array[array > -180]) for array in scans["ct"]]
    assert sum(t.doubtful for t in told) >= len(told) - 1
    assert "there is no lung or air" in told[0].why


def test_values_that_were_scaled_to_0_and_1_are_no_hu(scans):
    for array in (*scans["ct"], *scans["mr"]):
        told = guess((array - array.min()) / np.ptp(array))
        assert (told.modality, told.doubtful) == ("mr", False)
        assert guess((array - array.mean()) / array.std()).modality == "mr"


def test_whatever_is_no_scan_has_an_answer():
    for array in (np.zeros(5), np.full(5, np.nan), np.array([-np.inf, 3.0]), np.array([-2000, 5, 5], np.int16)):
        assert guess(array).modality in ("ct", "mr")


def test_dicom_and_the_person_come_first(scans):
    def scan(array, modality):
        size = array.shape[::-1]
        return Volume(array, Geometry(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), modality=modality)

    array = scans["mr"][0] - 500
    told = chosen_modality(scan(array, "mr"))
    assert (told.modality, told.doubtful, told.why) == ("mr", False, "the DICOM headers say so")
    assert chosen_modality(scan(array, "ct")).modality == "ct"
    assert chosen_modality(scan(array, "mr"), "ct").why == "that was asked for"
    assert chosen_modality(scan(array, "")).doubtful, "where the file says nothing, the histogram does"
    stored = chosen_modality(scan(scans["ct"][0] + 1024, "ct"))
    assert stored.added == 1024 and stored.doubtful
