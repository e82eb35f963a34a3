"""Promises of metrics.py: textbook values, physical units, and stated rules for what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medpy.metric import binary
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.metrics import assd_mm, assd_per_structure, dice, dice_per_structure

masks = arrays(bool, (5, 6, 7), elements=st.booleans())


def box(k: slice, j: slice, i: slice, shape: tuple[int, int, int] = (20, 20, 20)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[k, j, i] = True
    return mask


def labels(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), name: str = "case") -> Volume:
    return Volume(array.astype(np.uint8), Geometry(array.shape[::-1], (0.0, 0.0, 0.0), spacing), name)


def test_dice_of_half_overlapping_boxes_is_a_half():
    a, b = box(slice(0, 4), slice(0, 4), slice(0, 4)), box(slice(0, 4), slice(0, 4), slice(2, 6))
    assert dice(a, b) == 0.5


@given(masks, masks)
def test_dice_agrees_with_its_formula_and_is_symmetric(a, b):
    total = int(a.sum()) + int(b.sum())
    if total:
        assert dice(a, b) == dice(b, a) == pytest.approx(2 * int((a * b).sum()) / total)
        assert 0 <= dice(a, b) <= 1
    else:
        assert math.isnan(dice(a, b))


def test_what_both_lack_is_no_measure_and_what_one_lacks_is_the_worst():
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    assert math.isnan(dice(empty, empty)) and math.isnan(assd_mm(empty, empty, (1, 1, 1)))
    assert dice(empty, full) == dice(full, empty) == 0
    assert assd_mm(empty, full, (1, 1, 1)) == assd_mm(full, empty, (1, 1, 1)) == math.inf


def test_the_surface_distance_of_parallel_sheets_is_their_distance_in_mm():
    for axis, spacing in ((0, 3.0), (1, 2.0), (2, 0.5)):  # array axes k, j, i
        a, b = np.zeros((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
        a[(slice(None),) * axis + (4,)] = True
        b[(slice(None),) * axis + (9,)] = True
        assert assd_mm(a, b, (0.5, 2.0, 3.0)) == pytest.approx(5 * spacing) and assd_mm(a, a, (1, 1, 1)) == 0


@given(masks, masks, st.tuples(*[st.floats(0.3, 5)] * 3))
def test_the_surface_distance_agrees_with_medpy(a, b, spacing):
    if a.any() and b.any():  # medpy's `assd` was the mean of these two up to 0.4; since 0.5 all distances count alike
        expected = (binary.asd(a, b, spacing[::-1]) + binary.asd(b, a, spacing[::-1])) / 2
        assert assd_mm(a, b, spacing) == pytest.approx(expected, abs=1e-9)


def test_unknown_voxels_count_neither_for_nor_against():
    truth, prediction = np.zeros((4, 4, 8)), np.zeros((4, 4, 8))
    truth[..., :2], prediction[..., :4] = 3, 3
    assert dice_per_structure(labels(prediction), labels(truth))["LV"] == pytest.approx(2 / 3)
    truth[..., 2:4] = 255
    assert dice_per_structure(labels(prediction), labels(truth))["LV"] == 1
    assert assd_per_structure(labels(prediction), labels(truth))["LV"] == 0


def test_each_structure_is_measured_by_its_own_value():
    truth = np.zeros((8, 8, 8))
    truth[:2], truth[2:4], truth[4:6] = 1, 2, 3
    prediction = np.where(truth == 3, 4, truth)
    scores = dice_per_structure(labels(prediction), labels(truth))
    assert scores == {"MYO": 1, "LA": 1, "LV": 0, "AA": 0}
    assert assd_per_structure(labels(prediction), labels(truth))["LV"] == math.inf


def test_label_maps_on_different_grids_are_refused_with_both_names():
    a = labels(np.ones((4, 4, 4)), (1, 1, 1), "prediction.nii.gz")
    b = labels(np.ones((4, 4, 4)), (1, 1, 2), "truth.nii.gz")
    with pytest.raises(ValueError, match=r"prediction\.nii\.gz and truth\.nii\.gz lie on different grids"):
        dice_per_structure(a, b)
