"""Resampling between two voxel grids that are joined by any smooth map, in plain numpy.

A map is known by its values on a lattice of every STEP-th voxel of the grid to be filled and is interpolated
in between: exact where the map is linear, and for a warp within STEP^2/8 of its second derivative, a few
hundredths of a voxel for any warp that leaves a heart recognisable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

STEP = 6  # voxels between lattice points

PointMap = Callable[[np.ndarray], np.ndarray]  # indices (i, j, k) [N, 3] of one grid -> those of the other


def indexLattice(size: tuple[int, int, int], toSource: PointMap) -> tuple[np.ndarray, list[np.ndarray]]:
    """[Kn, Jn, In, 3] source indices (i, j, k) at lattice points, and their positions along i, j, k."""
    knots = [np.unique(np.append(np.arange(0, n, STEP), n - 1)).astype(float) for n in size]
    k, j, i = np.meshgrid(knots[2], knots[1], knots[0], indexing="ij")
    points = np.stack([i, j, k], axis=-1)
    return toSource(points.reshape(-1, 3)).reshape(points.shape), knots


def _between(lattice: np.ndarray, knots: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """`lattice`, known at `knots` along `axis`, linearly at `positions`."""
    if len(knots) == 1:
        return np.repeat(lattice, len(positions), axis=axis)
    left = np.clip(np.searchsorted(knots, positions, side="right") - 1, 0, len(knots) - 2)
    weight = (positions - knots[left]) / (knots[left + 1] - knots[left])
    weight = weight.reshape([-1 if a == axis else 1 for a in range(lattice.ndim)])
    between: np.ndarray = lattice.take(left, axis) * (1 - weight) + lattice.take(left + 1, axis) * weight
    return between


def sourceIndexPlanes(size: tuple[int, int, int], toSource: PointMap) -> Iterator[np.ndarray]:
    """For k = 0, 1, ...: the source indices (i, j, k) of every voxel of that plane, [J, I, 3]."""
    lattice, knots = indexLattice(size, toSource)
    for k in range(size[2]):
        plane = _between(lattice, knots[2], np.array([float(k)]), 0)[0]
        plane = _between(plane, knots[1], np.arange(size[1], dtype=float), 0)
        yield _between(plane, knots[0], np.arange(size[0], dtype=float), 1)


def nearest(array: np.ndarray, index: np.ndarray, outside: float) -> np.ndarray:
    """Values of `array` [K, J, I] in the voxels nearest to `index` [..., 3] (i, j, k), or `outside`."""
    voxel = np.rint(index).astype(np.int64)
    size = np.array(array.shape[::-1])
    inside = ((voxel >= 0) & (voxel < size)).all(axis=-1)
    i, j, k = np.moveaxis(np.clip(voxel, 0, size - 1), -1, 0)
    values: np.ndarray = np.where(inside, array[k, j, i], array.dtype.type(outside))
    return values


def linear(array: np.ndarray, index: np.ndarray, outside: float) -> np.ndarray:
    """Trilinear values of `array` [K, J, I] at `index` [..., 3] (i, j, k), or `outside`; float32."""
    size = np.array(array.shape[::-1])
    inside = ((index >= -0.5) & (index <= size - 0.5)).all(axis=-1)
    index = np.clip(index, 0, size - 1)
    base = np.minimum(index.astype(np.int64), np.maximum(size - 2, 0))
    weight = (index - base).astype(np.float32)
    value = np.zeros(index.shape[:-1], np.float32)
    for corner in np.ndindex(2, 2, 2):
        i, j, k = (np.minimum(base[..., a] + corner[a], size[a] - 1) for a in range(3))
        share = np.ones(value.shape, np.float32)
        for a in range(3):
            share = share * (weight[..., a] if corner[a] else 1 - weight[..., a])
        value += share * array[k, j, i]
    return np.where(inside, value, np.float32(outside))
