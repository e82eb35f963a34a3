"""Scans as no model should be trusted with: other contents, or good ones that were damaged on their way.

Each function takes a scan and a random generator and gives another scan; `SPOILED` names them. CT is told from MR by
its air.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from SIFALib.imaging.geometry import Volume
from SIFALib.imaging.modality import guess
from SIFALib.phantom.filters import blur

CT_NOISE_HU = 300.0  # as much as blood and muscle differ with contrast agent
MR_NOISE = 0.4  # of the brightest: about the same


def shuffled(scan: Volume, rng: np.random.Generator) -> Volume:
    """Slices in random order, as when files are sorted by name."""
    return Volume(scan.array[rng.permutation(len(scan.array))], scan.geometry, scan.name)


def noisy(scan: Volume, rng: np.random.Generator) -> Volume:
    """Noise as strong as the contrast."""
    array = scan.array.astype(np.float32)
    ct = guess(scan.array).hounsfield
    sigma = CT_NOISE_HU if ct else MR_NOISE * float(np.percentile(array, 99))
    array += rng.normal(0, sigma, array.shape)
    return _integers(array, scan, -1024 if ct else 0)


def of_8_bits(scan: Volume, rng: np.random.Generator) -> Volume:
    """Saved as pictures: the range from -1000 to 1000 HU, or from nothing to the brightest, as 0 to 255."""
    array = scan.array.astype(np.float32)
    low, high = (-1000.0, 1000.0) if guess(scan.array).hounsfield else (0.0, float(np.percentile(array, 99.9)))
    return Volume(np.clip((array - low) * (255 / (high - low)), 0, 255).astype(np.uint8), scan.geometry, scan.name)


def mirrored(scan: Volume, rng: np.random.Generator) -> Volume:
    """Left and right exchanged, as by a header with a wrong sign."""
    return Volume(np.ascontiguousarray(scan.array[:, :, ::-1]), scan.geometry, scan.name)


def feet_first(scan: Volume, rng: np.random.Generator) -> Volume:
    """Head and feet exchanged: each slice is right, their order is not."""
    return Volume(np.ascontiguousarray(scan.array[::-1]), scan.geometry, scan.name)


def half_black(scan: Volume, rng: np.random.Generator) -> Volume:
    """The patient's left half was never written."""
    array = scan.array.copy()
    array[:, :, array.shape[2] // 2 :] = array.min()
    return Volume(array, scan.geometry, scan.name)


def only_noise(scan: Volume, rng: np.random.Generator) -> Volume:
    """The magnitude of complex noise, as of an MR scanner that measured nothing (Rayleigh distributed)."""
    parts = [blur(rng.normal(0, 1, scan.array.shape).astype(np.float32), 0.7) for _ in range(2)]
    return _integers(400 * np.hypot(*parts), scan, 0)


def head(scan: Volume, rng: np.random.Generator) -> Volume:
    """A head in the same field of view and modality: skin, skull, fluid, brain in two shades, ventricles."""
    ct = guess(scan.array).hounsfield
    values = (20, 900, 8, 38, 30, 6) if ct else (800, 60, 250, 450, 560, 200)
    radii = ((80, 98, 105), (76, 93, 100), (70, 87, 94), (67, 84, 91), (48, 64, 68), (14, 34, 22))  # mm
    unevenness = blur(rng.normal(0, 1, scan.array.shape).astype(np.float32), 10 / max(scan.geometry.spacing))
    unevenness *= 0.03 / unevenness.std()
    away = [
        (np.arange(n) - (n - 1) / 2) * s for n, s in zip(scan.array.shape, reversed(scan.geometry.spacing), strict=True)
    ]
    array = np.full(scan.array.shape, -1000.0 if ct else 0.0, np.float32)
    for (x, y, z), value in zip(radii, values, strict=True):
        squared = (away[0][:, None, None] / z) ** 2 + (away[1][:, None] / y) ** 2 + (away[2] / x) ** 2
        array[np.sqrt(squared) + unevenness < 1] = value
    array = blur(array, 0.8) + rng.normal(0, 15 if ct else 25, array.shape)
    return _integers(array, scan, -1024 if ct else 0)


def _integers(array: np.ndarray, scan: Volume, least: int) -> Volume:
    return Volume(np.clip(np.rint(array), least, 32767).astype(np.int16), scan.geometry, scan.name)


SPOILED: dict[str, Callable[[Volume, np.random.Generator], Volume]] = {
    "slices shuffled": shuffled,
    "strong noise": noisy,
    "stored as 8 bits": of_8_bits,
    "mirrored": mirrored,
    "feet first": feet_first,
    "half black": half_black,
    "noise only": only_noise,
    "head": head,
}
