"""What scanners do to a slice: blur, coarse voxels, ringing, motion, streaks, bands, ghosts, shading.

Everything that acts on rows and columns alike is a matrix [n, n] from the left and one from the right: cheap, and it
combines by multiplication. Images are float32 [n, n].
"""

from __future__ import annotations

import numpy as np

from .. import scan_effects
from .planes import smooth


def gauss(size: int, sigma: float) -> np.ndarray:
    """[n, n] Gaussian blur of `sigma` pixels (below 0.05 none); at the ends the weights that are left count."""
    if sigma < 0.05:
        return np.eye(size, dtype=np.float32)
    kernel = np.exp(-0.5 * (np.arange(1 - size, size) / sigma) ** 2).astype(np.float32)
    matrix = np.lib.stride_tricks.sliding_window_view(kernel, size)[::-1]
    return matrix / matrix.sum(axis=1, keepdims=True)


def coarse_voxels(size: int, pitch: float, phase: float) -> np.ndarray:
    """[n, n]: mean over voxels of `pitch` pixels (1 or more), then linear interpolation between them; phase 0..1 shifts
    them."""
    count = int(np.ceil(size / pitch)) + 2
    edges = (np.arange(count + 1) - 1 + phase) * pitch
    pixel = np.arange(size)
    low, high = edges[:-1, None], edges[1:, None]
    mean = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, 1)
    mean /= np.maximum(mean.sum(axis=1, keepdims=True), 1e-6)
    where = np.clip((pixel + 0.5) / pitch + 1 - phase - 0.5, 0, count - 1.001)
    below = where.astype(int)
    weight = where - below
    filled = np.flatnonzero(mean.any(axis=1))
    below, above = (np.clip(b, filled[0], filled[-1]) for b in (below, below + 1))
    return (mean[below] * (1 - weight)[:, None] + mean[above] * weight[:, None]).astype(np.float32)


def band_limit(size: int, share: float, soft: bool) -> np.ndarray:
    """[n, n], n even: only the lowest `share` of the frequencies, cut off (Gibbs ringing) or faded out (`soft`), as zero
    filling does."""
    frequency = np.arange(size // 2 + 1) / (size / 2)
    keep = np.clip((share - frequency) * 5 + 0.5, 0, 1) if soft else (frequency <= share).astype(float)
    columns = np.fft.irfft(np.fft.rfft(np.eye(size), axis=0) * keep[:, None], size, axis=0)
    return columns.astype(np.float32)


def sharp_kernel(size: int, sigma: float, boost: float) -> np.ndarray:
    """[n, n] blur of `sigma` pixels that overshoots at edges, as a sharp reconstruction kernel of CT does; boost 0: not at
    all."""
    return (1 + boost) * gauss(size, sigma) - boost * gauss(size, sigma + 1.3)


def moved(size: int, shift: float, share: float) -> np.ndarray:
    """[n, n]: a `share` (0 to 1) of the image was taken `shift` pixels (of either sign) further on."""
    where = np.clip(np.arange(size) + shift, 0, size - 1.001)
    low = where.astype(int)
    matrix = np.zeros((size, size), np.float32)
    rows = np.arange(size)
    np.add.at(matrix, (rows, low), share * (1 - where + low))
    np.add.at(matrix, (rows, low + 1), share * (where - low))
    matrix[rows, rows] += 1 - share
    return matrix


def polar(size: int, row: float, column: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance (pixels) and angle (-1..1 for a full turn) of every pixel from a point, each float32 [n, n]."""
    y, x = np.ogrid[:size, :size]
    dy, dx = (y - row).astype(np.float32), (x - column).astype(np.float32)
    return np.sqrt(dy * dy + dx * dx), np.arctan2(dy, dx) * np.float32(1 / np.pi)


def streaks(rng: np.random.Generator, size: int, row: float, column: float, reach: float, rays: int) -> np.ndarray:
    """Bright and dark rays from a dense point, about -1..1, fading over `reach` pixels; each ray has its opposite."""
    radius, angle = polar(size, row, column)
    profile = np.repeat(rng.normal(0, 1, rays), 128 // rays + 1)[:128]
    profile = np.convolve(np.concatenate([profile[-4:], profile, profile[:4]]), np.full(9, 1 / 9), "valid")
    profile = np.concatenate([profile, profile]).astype(np.float32)  # x-rays do not know front from back
    rays_at = profile.take(((angle + 1) * 127.99).astype(np.int32))
    return rays_at * np.exp(radius * np.float32(-1 / reach))


def blob(rng: np.random.Generator, size: int, row: float, column: float, radius: float) -> np.ndarray:
    """A soft, elongated spot of height 1 at a point, turned anyhow."""
    y, x = np.ogrid[:size, :size]
    angle = rng.uniform(0, np.pi)
    a, b = radius * rng.uniform(0.3, 1), radius
    along = ((x - column) * np.cos(angle) + (y - row) * np.sin(angle)) / b
    across = ((y - row) * np.cos(angle) - (x - column) * np.sin(angle)) / a
    return np.exp(-0.5 * (along**2 + across**2)).astype(np.float32)


def bands(rng: np.random.Generator, size: int) -> np.ndarray:
    """Factor 0..1, float32 [n, n]: dark lines where steady-state MR is off resonance, along the contours of a smooth
    field."""
    phase = smooth(rng, size, 2, rng.uniform(0.5, 2.0)) + np.float32(rng.uniform(-2, 2))
    width, depth = rng.uniform(0.08, 0.3), rng.uniform(0.3, 0.95)
    return scan_effects.bands(phase, depth, width)


def ghosts(rng: np.random.Generator, image: np.ndarray, amount: float) -> None:
    """Faint copies of what moves or flows, shifted along the phase-encoding axis, around the edge; in place."""
    axis = int(rng.integers(2))
    shift = int(len(image) / rng.choice([2, 3, 4, 5]) * rng.uniform(0.85, 1.15))
    scan_effects.ghosts(image, axis, shift, rng.uniform(0.02, 0.16) * amount)


def shading(rng: np.random.Generator, size: int, amount: float) -> np.ndarray:
    """Factor about 1, float32 [n, n]: sensitivity of MR coils, smooth, and falling off away from a coil on one side."""
    field = smooth(rng, size, 2, rng.uniform(0, 0.3) * amount)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.gamma(1.5, 0.35) * amount
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    field += (slope * (np.cos(angle) * x + np.sin(angle) * y) / 2).astype(np.float32)
    return np.exp(np.clip(field, -2, 2))


def slab_border(rng: np.random.Generator, size: int) -> np.ndarray:
    """Factor 0..1 [n, 1] or [1, n]: the signal of a 3D slab dies away at one end."""
    where = np.linspace(0, 1, size, dtype=np.float32)
    if rng.random() < 0.5:
        where = 1 - where
    edge, width = rng.uniform(0, 0.3), rng.uniform(0.01, 0.1)
    factor = 1 / (1 + np.exp(np.clip((edge - where) / width, -30, 30)))
    return factor[:, None] if rng.random() < 0.6 else factor[None, :]
