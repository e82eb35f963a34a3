"""From a volume to the network's slices and back.

A scan is cut in the plane in which it is best resolved, along its own index axes, so that an oblique scan is never
turned and a thick slice never mixed with its neighbours. A `SliceGrid` says where the slices lie in the volume's
index space; `sample` reads them, `paste` brings per-slice probabilities back to the volume's own voxels.

In a slice the columns and rows run as radiologists see them: axial left/back, sagittal back/feet, coronal left/feet.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from ..models import PLANES
from ..support.errors import RequestError
from .geometry import Geometry, Volume

ANISOTROPIC = 1.5  # slice distance over the next finer spacing: from here on the scan is a stack of slices
LOCATE_SIZE = 64  # least side of the coarse slices in which the heart is looked for, pixels
LOCATE_MARGIN_MM = 20.0  # around the heart that they show: two of the coarse network's logits
THIN = 0.3  # extent over the next longer one: from here on there is only one plane to look at


@dataclass(frozen=True)
class Plane:
    """How slices lie in a volume: the index axes (0 = i, 1 = j, 2 = k) and signs of (columns, rows, slices)."""

    name: str
    axes: tuple[int, int, int]
    signs: tuple[int, int, int]

    def turned(self, quarters: int) -> Plane:
        """The same slices, shown turned clockwise by so many quarter turns: other columns and rows, the same voxels."""
        axes, signs = list(self.axes), list(self.signs)
        for _ in range(quarters % 4):  # what ran down runs to the left now, and what ran to the right runs down
            axes[0], axes[1] = axes[1], axes[0]
            signs[0], signs[1] = -signs[1], signs[0]
        return replace(self, axes=(axes[0], axes[1], axes[2]), signs=(signs[0], signs[1], signs[2]))


def choose_plane(geometry: Geometry, default: str = "axial") -> Plane:
    """The plane in which the volume is best resolved; `default` where no axis is coarser or shorter than the others."""
    index_axis = _index_axis_of_anatomical(geometry)
    spacing = [geometry.spacing[a] for a in index_axis]
    extent = [geometry.extent_mm[a] for a in index_axis]
    name = default
    if sorted(extent)[1] > sorted(extent)[0] / THIN:
        name = _plane_across(int(np.argmin(extent)))
    if sorted(spacing)[2] > sorted(spacing)[1] * ANISOTROPIC:
        name = _plane_across(int(np.argmax(spacing)))
    return named_plane(geometry, name)


def named_plane(geometry: Geometry, name: str) -> Plane:
    """The plane of that name, or what comes nearest to it along the volume's own axes, whatever the resolution in it."""
    index_axis = _index_axis_of_anatomical(geometry)
    wanted = PLANES[name]
    axes = tuple(index_axis[axis] for axis, _ in wanted)
    signs = tuple(sign * (1 if geometry.axes[axis, index_axis[axis]] >= 0 else -1) for axis, sign in wanted)
    return Plane(name, (axes[0], axes[1], axes[2]), (signs[0], signs[1], signs[2]))


def _plane_across(axis: int) -> str:
    """The plane whose slices follow each other along this anatomical axis."""
    return next(name for name, axes in PLANES.items() if axes[2][0] == axis)


def _index_axis_of_anatomical(geometry: Geometry) -> tuple[int, int, int]:
    """For the anatomical axes x, y, z the index axis that lies nearest; each index axis is used once."""
    alignment = np.abs(geometry.axes)
    best = max(itertools.permutations(range(3)), key=lambda p: sum(alignment[a, p[a]] for a in range(3)))
    return (best[0], best[1], best[2])


@dataclass(frozen=True)
class SliceGrid:
    """Voxel centres of the slices in the volume's continuous index space.

    Per work axis (columns, rows, slices): element w lies at index `start + step * w` of index axis `plane.axes`,
    for w = 0 .. count - 1. `step` is signed, in voxels of the volume.
    """

    plane: Plane
    start: tuple[float, float, float]
    step: tuple[float, float, float]
    count: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a stack of slices: (slices, rows, columns)."""
        return (self.count[2], self.count[1], self.count[0])

    def positions(self, work_axis: int) -> np.ndarray:
        """Continuous volume indices along a work axis."""
        return self.start[work_axis] + self.step[work_axis] * np.arange(self.count[work_axis])

    def spacing_mm(self, geometry: Geometry) -> tuple[float, float, float]:
        """Distance of columns, rows and slices in mm."""
        a, b, c = (abs(s) * geometry.spacing[i] for s, i in zip(self.step, self.plane.axes, strict=True))
        return (a, b, c)

    def voxel_ml(self, geometry: Geometry) -> float:
        """Millilitres of one voxel of the grid."""
        return geometry.voxel_ml * abs(self.step[0] * self.step[1] * self.step[2])

    def inside(self, box: np.ndarray) -> np.ndarray:
        """Bool [slices, rows, columns]: which elements lie in a box [2, 3] of volume indices, whole voxels counted."""
        hit = [
            (self.positions(w) >= box[0, axis] - 0.5) & (self.positions(w) <= box[1, axis] + 0.5)
            for w, axis in enumerate(self.plane.axes)
        ]
        whole: np.ndarray = hit[2][:, None, None] & hit[1][None, :, None] & hit[0][None, None, :]
        return whole

    def part(self, block: tuple[slice, slice, slice]) -> SliceGrid:
        """The grid of a block of (slices, rows, columns)."""
        lows = [block[2 - w].start for w in range(3)]
        a, b, c = (start + step * low for start, step, low in zip(self.start, self.step, lows, strict=True))
        i, j, k = (block[2 - w].stop - block[2 - w].start for w in range(3))
        return replace(self, start=(a, b, c), count=(i, j, k))

    def shifted(self, elements: float) -> SliceGrid:
        """The same grid, moved along rows and columns by so many elements; the slices stay where they are."""
        columns, rows = (self.start[w] + self.step[w] * elements for w in (0, 1))
        return replace(self, start=(columns, rows, self.start[2]))

    def reaches(self, position: np.ndarray, work_axis: int) -> np.ndarray:
        """Bool: which positions, in elements along a work axis, the grid speaks for; see `paste`."""
        # a stride that does not divide the slices leaves some beyond the last mean
        reach = 1.0 if work_axis == 2 else 0.5
        return (position > -reach) & (position < self.count[work_axis] - 1 + reach)

    def index_box(self, work_box: np.ndarray) -> np.ndarray:
        """[2, 3] volume indices (low, high; i, j, k) of a box [2, 3] of work indices (columns, rows, slices)."""
        box = np.empty((2, 3))
        for w, axis in enumerate(self.plane.axes):
            box[:, axis] = np.sort(self.start[w] + self.step[w] * work_box[:, w])
        return box


def slice_grid(
    geometry: Geometry, plane: Plane, box: np.ndarray, spacing_mm: float, slice_spacing_mm: float, size: int = 0
) -> SliceGrid:
    """The grid over a box of volume indices, [2, 3] (low, high; i, j, k) in continuous indices.

    In the plane: `spacing_mm`, centred on the box, at least `size` pixels, a multiple of 16. Across: every m-th
    native slice (the mean of m slices) with m such that the distance is nearest to `slice_spacing_mm`.
    """
    start, step, count = [0.0] * 3, [0.0] * 3, [0] * 3
    for w in (0, 1):
        axis = plane.axes[w]
        step[w] = plane.signs[w] * spacing_mm / geometry.spacing[axis]
        length = box[1, axis] - box[0, axis] + 1
        count[w] = max(size, 16 * math.ceil(length / abs(step[w]) / 16))
        start[w] = (box[0, axis] + box[1, axis]) / 2 - step[w] * (count[w] - 1) / 2
    axis = plane.axes[2]
    low = max(0, math.floor(box[0, axis]))
    high = min(geometry.size[axis] - 1, math.ceil(box[1, axis]))
    stride = min(max(1, round(slice_spacing_mm / geometry.spacing[axis])), high - low + 1)
    count[2] = (high - low + 1) // stride
    low += (high - low + 1 - count[2] * stride) // 2
    first = low + (stride - 1) / 2
    start[2] = first if plane.signs[2] > 0 else first + stride * (count[2] - 1)
    step[2] = plane.signs[2] * stride
    return SliceGrid(plane, (start[0], start[1], start[2]), (step[0], step[1], step[2]), (count[0], count[1], count[2]))


def whole_box(geometry: Geometry) -> np.ndarray:
    """[2, 3] indices (low, high) of the whole volume."""
    return np.array([[0, 0, 0], np.array(geometry.size) - 1], float)


def with_margin(geometry: Geometry, box: np.ndarray) -> np.ndarray:
    """A box [2, 3] of volume indices around a heart, LOCATE_MARGIN_MM larger on every side, cut to the volume."""
    margin, whole = LOCATE_MARGIN_MM / np.array(geometry.spacing), whole_box(geometry)
    return np.stack([box[0] - margin, box[1] + margin]).clip(*whole)


def box_of_roi(geometry: Geometry, roi: tuple[float, ...]) -> np.ndarray:
    """[2, 3] indices around a region (xmin, xmax, ymin, ymax, zmin, zmax; LPS mm), cut to the volume.

    RequestError for a region outside of it.
    """
    corners = np.array([(x, y, z) for x in roi[0:2] for y in roi[2:4] for z in roi[4:6]])
    indices = geometry.index(corners)
    box = np.stack([indices.min(axis=0), indices.max(axis=0)])
    limits = whole_box(geometry)
    if (box[1] < limits[0] - 0.5).any() or (box[0] > limits[1] + 0.5).any():
        raise RequestError("The region of interest lies outside of the volume; move it onto the heart.")
    return box.clip(*limits)


def sample(volume: Volume, grid: SliceGrid) -> tuple[np.ndarray, np.ndarray]:
    """Grey values on the grid: float32 [slices, rows, columns], and a bool array of that shape, False outside of the volume.

    Where the grid is coarser than the volume, whole voxels are averaged first; then linear interpolation. Outside,
    the nearest voxel's value stands.
    """
    factors = [1, 1, 1]
    positions: list[np.ndarray] = [np.empty(0)] * 3
    part: list[slice] = [slice(None)] * 3
    inside_of_axis: list[np.ndarray] = [np.empty(0, bool)] * 3
    for w, axis in enumerate(grid.plane.axes):
        where, n = grid.positions(w), volume.geometry.size[axis]
        inside_of_axis[w] = (where >= -0.5) & (where <= n - 0.5)
        factor = int(min(max(1, math.floor(abs(grid.step[w]) + 1e-6)), n))
        reach = (factor - 1) / 2 + (0 if w == 2 else factor)
        low = int(np.clip(math.floor(where.min() - reach + 1e-6), 0, n - factor))
        high = int(np.clip(math.ceil(where.max() + reach - 1e-6), low + factor - 1, n - 1))
        factors[axis] = factor
        part[2 - axis] = slice(low, high + 1)
        positions[axis] = (where - low - (factor - 1) / 2) / factor
    block = sitk.GetImageFromArray(np.ascontiguousarray(volume.array[tuple(part)]))
    if max(factors) > 1:
        block = sitk.BinShrink(block, factors)
    array = sitk.GetArrayFromImage(sitk.Cast(block, sitk.sitkFloat32))
    for axis in sorted(range(3), key=lambda a: len(positions[a]) / array.shape[2 - a]):  # shrinking axes first
        array = interpolate(array, positions[axis], 2 - axis)
    order = [2 - grid.plane.axes[w] for w in (2, 1, 0)]
    columns, rows, slices = inside_of_axis
    inside = slices[:, None, None] & rows[None, :, None] & columns[None, None, :]
    return np.ascontiguousarray(array.transpose(order)), inside


def interpolate(array: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis at continuous indices; the ends are extended."""
    last = array.shape[axis] - 1
    position = np.clip(positions, 0, last)
    low = np.minimum(position.astype(int), max(last - 1, 0))
    weight = (position - low).astype(array.dtype)
    if low.size:  # numpy copies an array that does not lie in one piece before it takes anything of it
        first = int(low.min())
        array = array[(slice(None),) * axis + (slice(first, int(low.max()) + 2),)]
        low, last = low - first, last - first
    below: np.ndarray = array.take(low, axis)
    if not weight.any():
        return below
    shape = [1] * array.ndim
    shape[axis] = -1
    above: np.ndarray = array.take(np.minimum(low + 1, last), axis)
    above -= below
    above *= weight.reshape(shape)
    above += below
    return above


def paste(
    probabilities: np.ndarray, grid: SliceGrid, geometry: Geometry
) -> Iterator[tuple[int, tuple[slice, ...], np.ndarray]]:
    """Bring probabilities [classes, slices, rows, columns] to the volume's voxels, one native k-plane at a time.

    Yields (k, (rows, columns) of the plane that the grid covers, float32 [classes, j, i]). Between slices and pixels
    linear; beyond the outermost slice, up to a slice distance, that slice counts.
    """
    order = [2 - grid.plane.axes[w] for w in (2, 1, 0)]  # array axis (k, j, i) of slices, rows, columns
    aligned = probabilities.transpose(0, *(1 + int(n) for n in np.argsort(order)))
    covered: list[slice] = [slice(0)] * 3
    source: list[np.ndarray] = [np.empty(0)] * 3
    for w, axis in enumerate(grid.plane.axes):
        position = (np.arange(geometry.size[axis]) - grid.start[w]) / grid.step[w]
        hit = np.flatnonzero(grid.reaches(position, w))
        if hit.size == 0:
            return
        covered[axis] = slice(int(hit[0]), int(hit[-1]) + 1)
        source[axis] = position[covered[axis]]
    for k, where in zip(range(covered[2].start, covered[2].stop), source[2], strict=True):
        plane = interpolate(aligned, np.array([where]), 1)[:, 0]
        plane = interpolate(plane, source[0], 2)  # columns before rows: the rows are then copied whole
        yield k, (covered[1], covered[0]), interpolate(plane, source[1], 1)
