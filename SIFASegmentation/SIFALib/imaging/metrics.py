"""How well a segmentation agrees with the truth: Dice and average symmetric surface distance.

Rules for structures that are not there, for all measures: where both masks are empty there is nothing to
measure and the result is NaN (leave it out of means); where one is empty the segmentation failed, and the
result is the worst value: Dice 0, distance infinite. Voxels that the truth marks as unknown (255) are taken
out of both masks first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..models.structures import PAPERS, UNKNOWN, Structure
from .components import bounding_box
from .geometry import Volume

SAME_GRID_MM = 1e-3  # corners of the two grids may differ by this much: what file formats lose in rounding


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two masks: 0 to 1, NaN if both are empty."""
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2.0 * np.count_nonzero(prediction & truth) / total if total else float("nan")


def assd_mm(prediction: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Average symmetric surface distance of two masks [k, j, i]; `spacing_mm` is (i, j, k), as in Geometry.

    The mean of two means: from each surface voxel of one mask to the nearest of the other, and back (the definition of
    medpy up to 0.4, which the SIFA papers report; since 0.5 medpy takes one mean over both). A surface voxel has a face
    neighbour outside of the mask or lies at the edge of the image. NaN if both masks are empty, infinite if one is.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    if not prediction.any() or not truth.any():
        return float("inf") if prediction.any() or truth.any() else float("nan")
    box = bounding_box(prediction | truth)
    masks = [mask[box].astype(bool) for mask in (prediction, truth)]
    surfaces = [mask & ~binary_erosion(mask) for mask in masks]  # beyond the box, as beyond the image, is outside
    sampling = tuple(reversed(spacing_mm))
    distances = [distance_transform_edt(~surface, sampling) for surface in surfaces]
    there = distances[1][surfaces[0]].mean()
    back = distances[0][surfaces[1]].mean()
    return float((there + back) / 2)


def dice_per_structure(prediction: Volume, truth: Volume, structures: Sequence[Structure] = PAPERS) -> dict[str, float]:
    """Dice of each structure in two label maps on the same grid, by structure id."""
    pairs = _masks(prediction, truth, structures)
    return {structure.id: dice(a, b) for structure, (a, b) in zip(structures, pairs, strict=True)}


def assd_per_structure(prediction: Volume, truth: Volume, structures: Sequence[Structure] = PAPERS) -> dict[str, float]:
    """Surface distance in mm of each structure in two label maps on the same grid, by structure id."""
    pairs = _masks(prediction, truth, structures)
    spacing = truth.geometry.spacing
    return {structure.id: assd_mm(a, b, spacing) for structure, (a, b) in zip(structures, pairs, strict=True)}


def _masks(prediction: Volume, truth: Volume, structures: Sequence[Structure]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each structure its two masks, unknown voxels taken out. ValueError if the grids differ."""
    same_size = prediction.geometry.size == truth.geometry.size
    if not same_size or np.abs(prediction.geometry.corners() - truth.geometry.corners()).max() > SAME_GRID_MM:
        grids = [f"size {g.size}, spacing {g.spacing} mm" for g in (prediction.geometry, truth.geometry)]
        raise ValueError(
            f"{prediction.name} and {truth.name} lie on different grids ({grids[0]}; {grids[1]}); resample one of them."
        )
    known = truth.array != UNKNOWN
    return [((prediction.array == s.value) & known, truth.array == s.value) for s in structures]
