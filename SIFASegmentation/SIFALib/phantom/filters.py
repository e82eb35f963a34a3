"""Small separable filters on numpy arrays."""

from __future__ import annotations

import numpy as np


def blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian-like blur of sigma voxels, made of passes of the kernel (w, 1 - 2 w, w): a new float32 array, or the same
    one where sigma is 0."""
    if sigma <= 0:
        return array
    result = array.astype(np.float32, copy=True)
    blur_along(result, tuple(range(result.ndim)), sigma)
    return result


def blur_along(array: np.ndarray, axes: tuple[int, ...], sigma: float) -> None:
    """The same along some axes only, of a float32 array in place; what lies beyond its ends counts as the ends do."""
    passes = max(1, int(np.ceil(sigma**2 / 0.5)))
    w = np.float32(sigma**2 / (2 * passes))  # one pass has the variance 2 w
    for _ in range(passes):
        for axis in axes:
            view = np.moveaxis(array, axis, 0)
            step = np.diff(view, axis=0)
            step *= w
            view[:-1] += step
            view[1:] -= step


def correlated_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, sharpness: float) -> np.ndarray:
    """Unit-variance noise with the spectrum of a reconstruction kernel: few low frequencies, cut at the top.

    sigma: voxels, the blur of the kernel; sharpness 0 (soft kernel) to 1 (low frequencies removed).
    """
    noise = blur(rng.standard_normal(shape, dtype=np.float32), sigma)
    if sharpness > 0:
        noise -= np.float32(0.8 * sharpness) * blur(noise, 1.1)
    noise *= np.float32(1.0 / max(float(noise[::3, ::3, ::3].std()), 1e-6))
    return noise
