"""A simulated scanner of its own kind, whose images no model has seen: for tutorials and tests of adaptation."""

from __future__ import annotations

import numpy as np

from ..imaging import Volume

WINDOW_HU = (-200.0, 600.0)  # what it tells apart
LUNG_HU = -300.0  # below is air: nearly no signal
NOISE = 0.05  # standard deviation; soft tissue lies between 0.25 and 0.75
SHADING = (0.1, -0.2, 0.25)  # how much brighter it is at the end of axes k, j, i than in the middle


def low_field(ct: Volume, seed: int) -> Volume:
    """The patient of a CT phantom (HU) as a weak scanner shows him: little contrast, much noise, uneven brightness.

    int16, arbitrary units from 0, 1000 at most before shading and noise; on the same grid.
    """
    rng = np.random.default_rng(seed)
    low, high = WINDOW_HU
    grey = np.clip((ct.array.astype(float) - low) / (high - low), 0, 1)
    signal = np.where(ct.array < LUNG_HU, 0.02, 0.25 + 0.5 * np.sqrt(grey))
    ramps = np.meshgrid(*(np.linspace(-1, 1, n) for n in ct.array.shape), indexing="ij")
    shade = 1 + sum(slope * ramp for slope, ramp in zip(SHADING, ramps, strict=True))
    shown = np.abs(signal * shade + rng.normal(0, NOISE, ct.array.shape))
    return Volume((1000 * shown).astype(np.int16), ct.geometry)
