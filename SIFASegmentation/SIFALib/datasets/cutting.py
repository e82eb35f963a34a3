"""A volume to the slices that are kept for training, cut and scaled by the code that inference runs.

Fine slices lie around the heart, on the grid on which inference segments; coarse ones show the whole scan, on the
grid on which it searches. All are `border_size` pixels wide and high: more than is trained on, so that a rotation or
a shift brings in anatomy and not emptiness.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..imaging import components, slices
from ..imaging.geometry import Volume
from ..imaging.intensity import Intensity, intensity_rule
from ..imaging.slices import SliceGrid
from .domains import Slices, of_one_scan
from .places import BoxMm
from .settings import DataSettings

BORDER = 1.25  # side of a kept slice over that of a slice that is trained on
Box = np.ndarray  # [2, 3] voxel indices (low, high; i, j, k), as in slices.py


@dataclass(frozen=True, eq=False)
class Place:
    """Where the heart is. quarters: clockwise quarter turns by which a model sees its slices best. note: a sentence on what
    is odd about it, for a person; "" for nothing.
    """

    box: Box
    quarters: int = 0
    note: str = ""


@dataclass(frozen=True)
class Locator:
    """Where the heart is: `find` says it of a scan, or None. `key` names the model; another one, another cache.

    turned: of a heart that is known to lie in a box, in LPS mm, `Place.quarters`; None: they are none.
    """

    key: str
    find: Callable[[Volume], Place | None]
    turned: Callable[[Volume, BoxMm], int] | None = None

    def __call__(self, volume: Volume) -> Place | None:
        return self.find(volume)


def border_size(size: int) -> int:
    """Side of the slices that are kept for training on `size` pixels, a multiple of 8."""
    return 8 * math.ceil(size * BORDER / 8)


def cut(
    volume: Volume, labels: Volume | None, settings: DataSettings, domain: str, heart: Place | None = None
) -> Slices:
    """The slices of a scan, fine ones first. heart: where it is; None: where the labels are; without any, all of the scan.

    A scan of unknown heart that is wider than a slice is cut at another place in every slice, so that all is seen.
    """
    scores = settings.normalisation(domain)
    pre = replace(settings.preprocessing, zscore_range=scores) if scores else settings.preprocessing
    side = border_size(settings.size)
    box = None if heart is None else heart.box
    if box is None and labels is not None:
        box = _box_of_labels(labels, settings.classes)
    plane = slices.choose_plane(volume.geometry, pre.plane).turned(heart.quarters if heart else 0)
    whole = slices.whole_box(volume.geometry)
    fine = slices.slice_grid(
        volume.geometry, plane, whole if box is None else box, pre.spacing_mm, pre.slice_spacing_mm, max(pre.crop, side)
    )
    coarse = slices.slice_grid(
        volume.geometry, plane, whole, pre.locate_spacing_mm, pre.locate_slice_spacing_mm, slices.LOCATE_SIZE
    )
    rule = intensity_rule(volume, pre)
    unknown = box is None or (labels is None and np.array_equal(box, whole))
    parts = [
        _sliced(volume, labels, fine, rule, side, scattered=unknown),
        _sliced(volume, labels, coarse, rule, side, scattered=False),
    ]
    images, classes, positions = zip(*parts, strict=True)
    return of_one_scan(
        volume.name,
        np.concatenate(images),
        None if labels is None else np.concatenate(classes),
        np.concatenate(positions),
        np.repeat([False, True], list(map(len, images))),
        fine.spacing_mm(volume.geometry),
    )


def _box_of_labels(labels: Volume, classes: int) -> Box | None:
    """The box around the labelled structures with inference's margin; None if there are none."""
    block = components.bounding_box((labels.array > 0) & (labels.array < classes))
    if any(s.stop == 0 for s in block):
        return None
    box = np.array([[s.start for s in block[::-1]], [s.stop - 1 for s in block[::-1]]], float)
    return slices.with_margin(labels.geometry, box)


def _sliced(
    volume: Volume, labels: Volume | None, grid: SliceGrid, rule: Intensity, side: int, scattered: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Images and labels [n, side, side] of a grid, about its middle or `scattered` over it, and positions in mm [n]."""
    images = rule.normalise(*slices.sample(volume, grid))
    rng = np.random.default_rng(len(images))  # the same places whenever this scan is cut
    corners = []
    for length in images.shape[1:]:
        middle = np.full(len(images), (length - side) // 2)
        corners.append(rng.permutation(_spread(length - side, len(images))) if scattered else middle)

    def windows(planes: np.ndarray, fill: float) -> np.ndarray:
        return np.stack([_window(s, r, c, side, fill) for s, r, c in zip(planes, *corners, strict=True)])

    classes = None if labels is None else windows(sample_labels(labels, grid), 0)
    positions = np.abs(grid.positions(2)) * volume.geometry.spacing[grid.plane.axes[2]]
    return windows(images, min(-1.0, float(images.min()))), classes, positions


def _spread(excess: int, n: int) -> np.ndarray:
    """n places evenly over 0..excess; the middle where the slice is no wider than its place."""
    if excess <= 0:
        return np.full(n, excess // 2)
    return np.rint(np.linspace(0, excess, n)).astype(int) if n > 1 else np.array([excess // 2])


def _window(plane: np.ndarray, row: int, column: int, side: int, fill: float) -> np.ndarray:
    """The square [side, side] of a plane whose first pixel is (row, column); `fill` beyond the plane."""
    out = np.full((side, side), fill, plane.dtype)
    rows = slice(max(0, row), min(plane.shape[0], row + side))
    columns = slice(max(0, column), min(plane.shape[1], column + side))
    out[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column] = plane[rows, columns]
    return out


def sample_labels(labels: Volume, grid: SliceGrid) -> np.ndarray:
    """Classes uint8 [slices, rows, columns] on a grid: in each element the one that fills most of it; outside 0."""
    best = None
    result = np.zeros(grid.shape, np.uint8)
    for value in np.flatnonzero(np.bincount(labels.array.ravel(), minlength=256)):
        mask = (labels.array == value).view(np.uint8) * np.uint8(240)  # averaged in whole numbers
        share, inside = slices.sample(Volume(mask, labels.geometry, labels.name), grid)
        if best is None:
            best = np.full(grid.shape, -1.0, np.float32)
        win = (share > best) & inside
        result[win] = value
        best[win] = share[win]
    return result
