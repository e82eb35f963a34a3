"""The planes in which the network passes over a scan, and what it says in all of them, averaged on one grid.

One slice at a time the network knows nothing of the slices beside it, and the outlines of neighbours jump against each
other. Slices of another plane run across them. So the same network passes over the heart three times, in slices along
each of the volume's own axes, and the mean of the class probabilities counts (Prasoon et al., MICCAI 2013; Roth et al.,
MICCAI 2014, for classifying patches; as "view aggregation" for whole volumes Roy et al., NeuroImage 186:713 (2019)).

A stack of thick slices shows nothing in the other planes that the network knows, and is segmented in its own alone, turned
and with other pixel sizes instead.
"""

from __future__ import annotations

import numpy as np

from ..imaging.geometry import Geometry
from ..imaging.slices import Plane, SliceGrid, interpolate, named_plane
from ..models import PLANES

THICK = 2.5  # distance of the slices over that of the pixels which the network sees
THIN_MM = 50.0  # a scan that is thinner shows no whole heart in slices across


def planes(geometry: Geometry, own: Plane, pixel_mm: float, views: str = "auto") -> tuple[Plane, ...]:
    """The planes of the passes, the scan's own one first; `pixel_mm`: of the network's slices.

    views: one, or auto and three: all three, unless `stack_of_slices` speaks against it.
    """
    if views == "one" or stack_of_slices(geometry, own, pixel_mm):
        return (own,)
    return (own, *(named_plane(geometry, name) for name in PLANES if name != own.name))


def stack_of_slices(geometry: Geometry, own: Plane, pixel_mm: float) -> bool:
    """Whether the volume is a stack of slices that only their own plane shows well: too far apart, or too few.

    Too far: their distance is more than THICK times the pixel size, of the volume or of the network, whichever is
    larger. Too few: all of them together are less than THIN_MM thick.
    """
    return far_apart(geometry, own, pixel_mm) or geometry.extent_mm[own.axes[2]] < THIN_MM


def far_apart(geometry: Geometry, own: Plane, pixel_mm: float) -> bool:
    """Whether the distance of the slices is more than THICK times the pixel size, the volume's or the network's."""
    a, b, across = own.axes
    pixel = max(pixel_mm, geometry.spacing[a], geometry.spacing[b])
    return geometry.spacing[across] > THICK * pixel


class Fusion:
    """Mean class probabilities of several passes on one grid, added up slice by slice as they come.

    Only the sum is kept: float32 [classes, slices, rows, columns] of `grid`, and how many passes reached each element.
    A pass whose slices lie on the very same grid is taken as it is, to the last bit.
    """

    def __init__(self, classes: int, grid: SliceGrid) -> None:
        self.grid = grid
        self.sum = np.zeros((classes, *grid.shape), np.float32)
        self.passes = np.zeros(grid.shape, np.uint8)

    def add(self, batch: np.ndarray, first: int, grid: SliceGrid) -> None:
        """Slices `first`, `first` + 1, ... of a pass: probabilities [N, classes, rows, columns] on `grid`.

        Between the pass's pixels and slices linear; as far beyond them as `slices.paste` goes.
        """
        if grid == self.grid:
            self.sum[:, first : first + len(batch)] += batch.swapaxes(0, 1)
            return
        columns, rows, across = (self._positions(grid, w) for w in range(3))
        total = self._aligned(grid)
        place = (slice(None), _block(rows[0]), _block(columns[0]))
        for n, probabilities in enumerate(batch, start=first):
            weights = _weights(across[1], n, grid.count[2])
            touched = np.flatnonzero(weights)
            if not touched.size or not rows[1].size or not columns[1].size:
                continue
            values = interpolate(interpolate(probabilities, columns[1], 2), rows[1], 1)
            for here in touched:
                weight = np.float32(weights[here])
                total[:, across[0][here]][place] += values if weight == 1 else values * weight

    def close(self, grid: SliceGrid) -> None:
        """A pass is complete: all slices of `grid` were added."""
        reached = [np.zeros(n, bool) for n in self.grid.shape]
        for w in range(3):
            axis = self.grid.plane.axes.index(grid.plane.axes[w])
            reached[2 - axis][self._positions(grid, w)[0]] = True
        self.passes += reached[0][:, None, None] & reached[1][None, :, None] & reached[2][None, None, :]

    def mean(self) -> np.ndarray:
        """The mean over the passes, float32 [classes, slices, rows, columns], in place of their sum; certain background
        where none reached. It ends the adding; asked again, it is the same array.
        """
        if self.passes.max() > 1:
            self.sum /= np.maximum(self.passes, 1)
        self.sum[0][self.passes == 0] = 1.0
        self.passes[...] = 1
        return self.sum

    def labels(self) -> np.ndarray:
        """The likeliest class of each element so far, uint8 [slices, rows, columns]."""
        return likeliest(self.sum)

    def join(self, other: Fusion) -> None:
        """Add what another one on the same grid has added up."""
        self.sum += other.sum
        self.passes += other.passes

    def _positions(self, grid: SliceGrid, work_axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Which elements of our axis along this axis of `grid` it reaches, and where in elements of `grid` they lie."""
        ours = self.grid.plane.axes.index(grid.plane.axes[work_axis])
        position = (self.grid.positions(ours) - grid.start[work_axis]) / grid.step[work_axis]
        hit = np.flatnonzero(grid.reaches(position, work_axis))
        return hit, position[hit]

    def _aligned(self, grid: SliceGrid) -> np.ndarray:
        """The sum seen as [classes, slices, rows, columns] of `grid`'s axes."""
        order = (2 - self.grid.plane.axes.index(grid.plane.axes[w]) for w in (2, 1, 0))
        return np.transpose(self.sum, (0, *(1 + n for n in order)))


def likeliest(probabilities: np.ndarray) -> np.ndarray:
    """The likeliest class of each element of [classes, ...], uint8; of several alike the first.

    Faster than numpy's `argmax` over the first axis, which goes through memory in strides.
    """
    best = np.array(probabilities[0])
    labels = np.zeros(best.shape, np.uint8)
    for value, plane in enumerate(probabilities[1:], start=1):
        labels[plane > best] = value
        np.maximum(best, plane, out=best)
    return labels


def likeness_of(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two label maps over all structures together: of both hearts, the share that has the same label in both."""
    same = np.count_nonzero((one == other) & (one > 0))
    return float(2.0 * same / max(1, np.count_nonzero(one) + np.count_nonzero(other)))


def _block(indices: np.ndarray) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 0)


def _weights(position: np.ndarray, n: int, count: int) -> np.ndarray:
    """What slice n of `count` counts at these positions: 1 at its own, falling to 0 at its neighbours'."""
    weights: np.ndarray = 1.0 - np.abs(position.clip(0, count - 1) - n)
    return weights.clip(0.0)
