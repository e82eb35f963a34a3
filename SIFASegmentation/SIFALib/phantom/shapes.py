"""Implicit surfaces on a warped voxel grid.

A *field* is a float32 array that is about the signed distance (mm) to a surface: negative inside. Fields
combine with `np.minimum` (union), `np.maximum` (intersection) and their smooth cousins below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FAR = np.float32(1000.0)
"""Field value (mm) where a shape was not evaluated because it is far away."""

PIECES = 4
"""Straight pieces of a curve from each of its points to the next."""

Vector = np.ndarray
Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Space:
    """Anatomical coordinates (mm, LPS) of every voxel of a grid.

    x, y, z: [K, J, I] float32, the grid's own coordinates plus a smooth warp of at most `slack` mm.
    origin (x, y, z) and spacing: of the unwarped, axis-aligned grid.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    origin: tuple[float, float, float]
    spacing: float
    slack: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def slices(self, low: Vector, high: Vector) -> Slices:
        """Index ranges [k, j, i] that hold every voxel whose coordinates lie between low and high (mm)."""
        ranges = []
        for axis in (2, 1, 0):
            count = self.shape[2 - axis]
            first = int(np.floor((low[axis] - self.slack - self.origin[axis]) / self.spacing))
            last = int(np.ceil((high[axis] + self.slack - self.origin[axis]) / self.spacing)) + 1
            first = min(max(first, 0), count)
            ranges.append(slice(first, max(min(last, count), first)))
        return ranges[0], ranges[1], ranges[2]

    def grid(self, axis: int) -> np.ndarray:
        """Unwarped coordinates (mm) along one axis (0 x, 1 y, 2 z), float32."""
        steps = np.arange(self.shape[2 - axis], dtype=np.float32)
        return np.float32(self.origin[axis]) + np.float32(self.spacing) * steps

    def part(self, where: Slices) -> Space:
        """The same coordinates on a sub-grid (views, nothing copied)."""
        start = (where[2].start, where[1].start, where[0].start)
        origin = tuple(o + (s or 0) * self.spacing for o, s in zip(self.origin, start, strict=True))
        return Space(
            self.x[where], self.y[where], self.z[where], (origin[0], origin[1], origin[2]), self.spacing, self.slack
        )

    def window(self, tissues: np.ndarray, low: Vector, high: Vector) -> tuple[np.ndarray, Space]:
        """A tissue map's part between low and high (mm), to be painted into, and its coordinates: views, perhaps empty."""
        where = self.slices(np.asarray(low), np.asarray(high))
        return tissues[where], self.part(where)

    def around(self, tissues: np.ndarray, points: np.ndarray, margin: float) -> tuple[np.ndarray, Space]:
        """The window of the box around `points` (LPS mm, [n, 3]) with `margin` mm on all sides."""
        return self.window(tissues, points.min(axis=0) - margin, points.max(axis=0) + margin)

    def flat(self, mask: np.ndarray) -> Space:
        """The coordinates of the voxels in `mask` only, as 1-D arrays: for costly formulas on few voxels."""
        return Space(self.x[mask], self.y[mask], self.z[mask], self.origin, self.spacing, self.slack)


def bspline_matrix(positions: np.ndarray, count: int) -> np.ndarray:
    """Cubic B-spline weights [len(positions), count]; positions in knot distances, 0 at the second knot."""
    knots = np.arange(count) - 1.0
    distance = np.abs(positions[:, None] - knots[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    origin: Vector,
    spacing: float,
    low: Vector,
    high: Vector,
    wavelength: float,
) -> np.ndarray:
    """Smooth random field [K, J, I], about zero mean and unit variance, with knots every `wavelength` mm.

    The knots fill the box low..high (mm), so that the same seed gives the same field at every voxel spacing.
    """
    counts = [int(np.ceil((high[a] - low[a]) / wavelength)) + 3 for a in range(3)]
    knots = rng.standard_normal((counts[2], counts[1], counts[0])).astype(np.float32)
    matrices = []
    for axis in range(3):
        centres = origin[axis] + spacing * np.arange(shape[2 - axis])
        position = np.clip((centres - low[axis]) / wavelength, 0, counts[axis] - 3)
        matrices.append(bspline_matrix(position, counts[axis]))
    field = np.tensordot(matrices[2], knots, axes=(1, 0))  # [K, jc, ic]
    field = np.matmul(matrices[1], field)  # [K, J, ic]
    field = np.matmul(field, matrices[0].T)  # [K, J, I]
    return field * np.float32(3.0)  # the spline weights shrink the knots' deviation to 0.69 per axis


def make_space(
    seed: Sequence[int], low: Vector, high: Vector, spacing: float, amplitude: float, wavelength: float
) -> Space:
    """A grid over the box low..high (mm) with a smooth random warp of `amplitude` mm (standard deviation).

    The same seed gives the same warp at every spacing.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    size = [round(float(high[a] - low[a]) / spacing) for a in range(3)]
    shape = (size[2], size[1], size[0])
    origin = np.asarray(low, float) + spacing / 2
    axes = [(origin[a] + spacing * np.arange(size[a])).astype(np.float32) for a in range(3)]
    views = (axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None])
    limit = 2.5 * amplitude
    coordinates = []
    for view in views:
        warp = smooth_noise(rng, shape, origin, spacing, low, high, wavelength)
        np.clip(warp * np.float32(amplitude), -limit, limit, out=warp)
        warp += view
        coordinates.append(warp)
    x, y, z = coordinates
    return Space(x, y, z, (float(origin[0]), float(origin[1]), float(origin[2])), spacing, limit)


def smooth_min(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Union whose seam is rounded over about k mm (quadratic polynomial blend)."""
    h = np.maximum(np.float32(k) - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / k)


def smooth_max(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Intersection whose edge is rounded over about k mm."""
    return -smooth_min(-a, -b, k)


def along(space: Space, point: Vector, direction: Vector) -> np.ndarray:
    """Signed distance (mm) from `point` along the unit vector `direction`."""
    d = np.asarray(direction, np.float32)
    offset = np.float32(-(np.asarray(point) @ np.asarray(direction)))
    return space.x * d[0] + space.y * d[1] + (space.z * d[2] + offset)


def ellipsoid(space: Space, centre: Vector, radii: Vector, axes: np.ndarray | None = None) -> np.ndarray:
    """Field of an ellipsoid, good near its surface; `axes` rows are the directions of `radii` (mm)."""
    rows = np.eye(3) if axes is None else np.asarray(axes)
    first = np.zeros(space.shape, np.float32)
    second = np.zeros(space.shape, np.float32)
    for row, radius in zip(rows, radii, strict=True):
        t = along(space, centre, row)
        t *= np.float32(1 / radius)
        t *= t
        first += t
        t *= np.float32(1 / radius**2)
        second += t
    norm = np.sqrt(first)
    return norm * (norm - 1) / np.sqrt(second + np.float32(1e-12))


def egg(coordinates: Sequence[np.ndarray], radii: Vector, taper: float) -> np.ndarray:
    """Field of an ellipsoid that narrows along its first axis, good near its surface.

    coordinates: three fields, mm from its centre along its axes. taper: how much narrower (relative) it is at the end of
    the first axis than it would be, and at the other end as much wider.
    """
    toward = np.clip(coordinates[0] * np.float32(1 / radii[0]), -1.2, 1.2)
    widths = 1 - np.float32(taper) * toward
    first, second = np.zeros_like(toward), np.zeros_like(toward)
    for c, radius, width in zip(coordinates, radii, (np.float32(1), widths, widths), strict=True):
        local = np.float32(radius) * width
        t = np.square(c / local)
        first += t
        second += t / np.square(local)
    norm = np.sqrt(first)
    return np.asarray(norm * (norm - 1) / np.sqrt(second + np.float32(1e-12)))


def cone(space: Space, start: Vector, end: Vector, start_radius: float, end_radius: float) -> np.ndarray:
    """Field of a capsule whose radius changes linearly from one end to the other."""
    start = np.asarray(start, np.float64)
    axis = np.asarray(end, np.float64) - start
    length2 = max(float(axis @ axis), 1e-6)
    dx, dy, dz = (c - np.float32(o) for c, o in zip((space.x, space.y, space.z), start, strict=True))
    ax, ay, az = (np.float32(a) for a in axis)
    t = np.clip((dx * ax + dy * ay + dz * az) * np.float32(1 / length2), 0, 1)
    dx -= t * ax
    dy -= t * ay
    dz -= t * az
    distance = np.sqrt(dx * dx + dy * dy + dz * dz)
    return distance - (np.float32(start_radius) + t * np.float32(end_radius - start_radius))


def curve(points: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Catmull-Rom curve through `points` [n, 3] with `radii` [n], in PIECES straight pieces each."""
    data = np.column_stack([np.asarray(points, float), np.asarray(radii, float)])
    padded = np.vstack([2 * data[0] - data[1], data, 2 * data[-1] - data[-2]])
    samples = []
    for p0, p1, p2, p3 in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        for t in np.arange(PIECES) / PIECES:
            samples.append(
                p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
            )
    samples.append(data[-1])
    stacked = np.array(samples)
    return stacked[:, :3], np.maximum(stacked[:, 3], 0.3)


def tube(space: Space, points: np.ndarray, radii: np.ndarray, reach: float = 6.0) -> np.ndarray:
    """Field of a tube along the curve through `points`; right up to `reach` mm outside, FAR beyond."""
    field = np.full(space.shape, FAR, np.float32)
    centres, widths = curve(points, radii)
    for start, end, r0, r1 in zip(centres[:-1], centres[1:], widths[:-1], widths[1:], strict=True):
        margin = max(r0, r1) + reach
        where = space.slices(np.minimum(start, end) - margin, np.maximum(start, end) + margin)
        if min(s.stop - s.start for s in where) > 0:
            np.minimum(field[where], cone(space.part(where), start, end, r0, r1), out=field[where])
    return field
