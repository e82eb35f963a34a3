"""Measures of tissue maps and label maps, made without the phantom's own sizes."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SIFALib.imaging.geometry import Volume
from SIFALib.phantom.tissues import LABEL_OF_TISSUE

MYO, LV = 1, 3


def faces_between(array: np.ndarray, first: int, second: int) -> int:
    """How many voxel faces lie between two labels or tissues."""
    count = 0
    for axis in range(3):
        view = np.moveaxis(array, axis, 0)
        lower, upper = view[:-1], view[1:]
        count += int(
            ((lower == first) & (upper == second)).sum() + ((lower == second) & (upper == first)).sum()
        )
    return count


def wall_depths_mm(tissues: Volume) -> np.ndarray:
    """From every voxel on the outside of the left ventricle's muscle to the blood inside."""
    labels = LABEL_OF_TISSUE[tissues.array]
    blood = sitk.GetImageFromArray((labels == LV).astype(np.uint8))
    blood.SetSpacing(tissues.geometry.spacing)
    depth = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(blood, squaredDistance=False, useImageSpacing=True)
    )
    muscle = labels == MYO
    surface = np.zeros_like(muscle)
    outside = ~np.isin(labels, (MYO, LV))
    for axis in range(3):
        for step in (1, -1):
            surface |= muscle & np.roll(outside, step, axis)
    return depth[surface]
