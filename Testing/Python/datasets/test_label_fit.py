"""Labels that are mirrored or beside what they label, though on the right grid, are told; those that fit are not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib import phantom
from SIFALib.datasets.label_fit import better_place
from SIFALib.datasets.scans import Scan, examine
from SIFALib.datasets.settings import DataSettings
from SIFALib.models.structures import UNKNOWN


@cache
def case(modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels [k, j, i]."""
    made = phantom.make(1000, modality, 3.0)
    return made.image.array, made.labels.array


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_labels_that_fit_are_not_doubted(modality):
    image, labels = case(modality)
    for held in ((1, 3, 5), (3,), tuple(range(1, 8))):
        assert better_place(image, np.where(np.isin(labels, held), labels, 0)) == ""
    assert better_place(image, np.where(labels == 3, labels, UNKNOWN)) == ""


@pytest.mark.parametrize("modality", ["ct", "mr"])
@pytest.mark.parametrize(
    ("axis", "words"),
    [(0, "its slices in the opposite"), (1, "its rows in the opposite"), (2, "its columns in the opp")],
)
def test_mirrored_labels_are_told(modality, axis, words):
    image, labels = case(modality)
    assert words in better_place(image, np.flip(labels, axis))


@pytest.mark.parametrize(("axis", "by", "words"), [(2, 6, "-6 columns and 0 rows"), (1, -6, "0 columns and 6 rows")])
def test_labels_beside_their_place_are_told_with_where_they_belong(axis, by, words):
    image, labels = case("mr")
    assert words in better_place(image, np.roll(labels, by, axis))


def test_noise_doubts_no_labels():
    noise = np.random.default_rng(0).normal(0, 100, (12, 40, 40))
    labels = np.zeros(noise.shape, np.uint8)
    labels[4:8, 10:20, 12:24] = 3
    assert better_place(noise, labels) == better_place(noise, np.zeros_like(labels)) == ""
    assert better_place(np.zeros_like(noise), labels) == ""


def test_a_scan_with_mirrored_labels_is_usable_with_a_warning(tmp_path):
    image, labels = case("mr")
    for name, array in (("x", image), ("x_label", labels), ("y_label", labels[:, :, ::-1])):
        sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(array)), str(tmp_path / f"{name}.nii.gz"))
    for label, told in (("x_label", 0), ("y_label", 1)):
        scan = Scan("x", tmp_path / "x.nii.gz", tmp_path / f"{label}.nii.gz")
        found, _, mapped = examine(scan, "source", DataSettings("phantom", "phantom", classes=8))
        codes = [warning.code for warning in found.warnings]
        assert mapped is not None and codes.count("misplaced") == told, found
