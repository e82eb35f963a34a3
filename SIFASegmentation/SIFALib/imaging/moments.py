"""Three phases of a cine that stand for the beat: both its ends and one between, found without a model.

The ends are the two phases whose images differ most. Of these the one nearer to the R wave is called end-diastole (ED), the
other end-systole (ES); the one between lies half way from the ES to the next ED.
"""

from __future__ import annotations

import numpy as np

from .cine import Cine

MOMENTS = ED, BETWEEN, ES = ("ED", "between", "ES")
COMPARED = 64  # of the rows and columns, that are looked at
MIDDLE = 0.25  # of rows and columns at each side that are left aside: the heart lies in the middle


def phase_of(cine: Cine, moment: str) -> int:
    """The phase, from 0, at one of the MOMENTS."""
    rows, columns = (
        slice(int(MIDDLE * n), max(1, int((1 - MIDDLE) * n)), max(1, n // COMPARED)) for n in cine.geometry.shape[1:]
    )
    images = cine.array[:, :, rows, columns].reshape(cine.phases, -1).astype(np.float32)
    apart = np.array([np.abs(images - each).mean(axis=1) for each in images])
    one, other = sorted(int(n) for n in np.unravel_index(int(np.argmax(apart)), apart.shape))
    to_wave = [min(n, cine.phases - n) for n in (one, other)]
    diastole, systole = (one, other) if to_wave[0] <= to_wave[1] else (other, one)
    rest = (diastole - systole) % cine.phases
    between = (systole + max(1, rest // 2)) % cine.phases if rest > 1 else (diastole + systole) // 2
    return {ED: diastole, ES: systole, BETWEEN: between}[moment]
