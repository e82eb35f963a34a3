"""What scanners do to a whole volume besides blur and noise. Images are float32 [K, J, I] and changed in place."""

from __future__ import annotations

import numpy as np

from ..imaging import Geometry, Volume
from .filters import blur_along
from .shapes import bspline_matrix, smooth_noise

STREAK_REACH_MM = 70.0  # from the dense point to the edge of the window in which streaks are drawn
STREAK_WAVELENGTH_MM = 12.0  # from slice to slice they change so slowly


def noise_field(rng: np.random.Generator, volume: Volume, wavelength: float) -> np.ndarray:
    """Smooth unit noise float32 [K, J, I] with knots every `wavelength` mm, the same at every spacing."""
    g = volume.geometry
    first = np.asarray(g.origin) - np.asarray(g.spacing) / 2
    last = first + np.asarray(g.extent_mm)
    return smooth_noise(rng, volume.array.shape, np.asarray(g.origin), g.spacing[0], first, last, wavelength)


def thick_slices(image: np.ndarray, axis: int, voxels: float) -> None:
    """Mean over a slice profile (about Gaussian) with a width at half height of `voxels` along one array axis."""
    blur_along(image, (axis,), voxels / 2.355)  # of a Gaussian, the width over its standard deviation


def smeared(image: np.ndarray, axis: int, voxels: int, share: float) -> None:
    """Motion: a `share` (0 to 1) of the measurement saw everything `voxels` (1 or more) further on along one array axis."""
    view = np.moveaxis(image, axis, 0)
    moved = view[voxels:].copy()
    view *= np.float32(1 - share)
    view[:-voxels] += moved * np.float32(share)
    view[-voxels:] *= np.float32(1 / (1 - share))


def streaks(
    rng: np.random.Generator, image: np.ndarray, dense: np.ndarray, geometry: Geometry, strength: float
) -> None:
    """Bright and dark rays (HU, about `strength` at their root) in every axial slice, from the middle of what is dense
    there (bool [K, J, I]); as beam hardening and photon starvation make them around contrast medium and metal."""
    spacing = geometry.spacing[0]
    reach = max(2, round(STREAK_REACH_MM / spacing))
    rays = int(rng.integers(10, 36))
    height = np.arange(len(image)) * geometry.spacing[2] / STREAK_WAVELENGTH_MM
    knots = rng.standard_normal((int(geometry.extent_mm[2] / STREAK_WAVELENGTH_MM) + 4, rays))
    along = bspline_matrix(height, len(knots))
    profile = np.repeat(along @ knots.astype(np.float32), 8, axis=1)  # [K, angles of half a turn]
    profile += np.roll(profile, 2, axis=1) + np.roll(profile, 4, axis=1) + np.roll(profile, 6, axis=1)
    # 2.8: a sum of four, each shrunk to 0.69 of the knots' deviation by the spline weights
    profile *= np.float32(strength / 2.8)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    fade = np.exp(-np.hypot(y, x) * spacing / (0.35 * STREAK_REACH_MM)).astype(np.float32)
    fade *= np.hypot(y, x) < reach
    angle = np.mod(np.arctan2(y, x) / np.pi, 1.0)
    angle_index = np.minimum((angle * profile.shape[1]).astype(int), profile.shape[1] - 1)
    for k in np.flatnonzero(dense.any(axis=(1, 2))):
        rows, columns = np.nonzero(dense[k])
        j, i = int(rows.mean()), int(columns.mean())
        low, high = (max(0, j - reach), max(0, i - reach)), (j + reach + 1, i + reach + 1)
        window = image[k, low[0] : high[0], low[1] : high[1]]
        first = (low[0] - j + reach, low[1] - i + reach)
        part = tuple(slice(f, f + n) for f, n in zip(first, window.shape, strict=True))
        window += profile[k][angle_index[part]] * fade[part]


def circle(shape: tuple[int, ...], spacing: float, radius_mm: float, middle: tuple[float, float]) -> np.ndarray:
    """Bool [J, I]: what lies in a field of view of that radius about `middle` (row, column)."""
    y, x = np.ogrid[: shape[1], : shape[2]]
    return np.hypot(y - middle[0], x - middle[1]) * spacing <= radius_mm


def bands(field: np.ndarray, depth: float, width: float) -> np.ndarray:
    """Factor 0..1: dark lines of steady-state MR where a smooth field of phases (radians) is off resonance.

    depth: how much signal a line takes, 0 to 1; width: of the lines, radians.
    """
    line = np.cos(field)
    line /= np.float32(width)
    line *= -line
    np.exp(line, out=line)
    line *= np.float32(-depth)
    line += 1
    return line


def ghosts(image: np.ndarray, axis: int, shift: int, share: float) -> None:
    """Faint copies (`share` of the signal), shifted by `shift` voxels both ways, around the edges, along the
    phase-encoding axis. Any number of axes."""
    copies = np.roll(image, shift, axis)
    copies += np.roll(image, -shift, axis)
    copies *= np.float32(share)
    image += copies


def slab_profile(count: int, spacing: float, edge_mm: float, width_mm: float, both: bool) -> np.ndarray:
    """Factor 0..1, float32 [count]: the signal of a 3D slab dies away `edge_mm` from its first slice, or from both ends."""
    where = np.arange(count) * spacing
    ends = [where, where[::-1]] if both else [where]
    factors = [1 / (1 + np.exp(np.clip((edge_mm - w) / width_mm, -30, 30))) for w in ends]
    return np.prod(factors, axis=0).astype(np.float32)
