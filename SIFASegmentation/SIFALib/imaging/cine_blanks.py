"""Images of a cine that show nothing: one that was lost makes its phase look like the smallest heart of the beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 0.5  # of the images of a place or of a phase: with as many blank there is nothing to fill them from


def without_blanks(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], tuple[tuple[int, int], ...]]:
    """A cine [t, k, j, i] in which blank images, of one grey value throughout, are made from those of the same place before
    and after them; sentences on these; and (t, k) of each. Where half of a phase or of a place is blank, it stays so."""
    blank = array.min(axis=(2, 3)) == array.max(axis=(2, 3))
    lost = blank & (blank.mean(axis=0) < MOST) & (blank.mean(axis=1) < MOST)[:, None]
    at = [(int(t), int(k)) for t, k in zip(*np.nonzero(lost), strict=True)]
    if not at:
        return array, (), ()
    made, phases = array.copy(), len(array)
    for t, k in at:
        before, after = (_step_to_shown(blank[:, k], t, way) for way in (-1, 1))
        share = before / (before + after)
        mean = (1.0 - share) * array[(t - before) % phases, k] + share * array[(t + after) % phases, k].astype(
            np.float64
        )
        made[t, k] = np.rint(mean) if np.issubdtype(array.dtype, np.integer) else mean
    return made, tuple(_told(k, [t for t, place in at if place == k]) for k in sorted({k for _, k in at})), tuple(at)


def _step_to_shown(blank: np.ndarray, t: int, way: int) -> int:
    """How many phases on a place shows something; the beat goes round."""
    return next(n for n in range(1, len(blank) + 1) if not blank[(t + way * n) % len(blank)])


def _told(k: int, phases: Sequence[int]) -> str:
    which = ", ".join(str(t + 1) for t in phases)
    what = f"Phase {which} of place {k + 1} is" if len(phases) == 1 else f"Phases {which} of place {k + 1} are"
    return f"{what} blank, and made from those before and after; look twice at the outlines there."
