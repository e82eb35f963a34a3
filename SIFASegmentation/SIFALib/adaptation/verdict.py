"""Whether a segmenter is better on the target than the one it began with, without one label of it. No torch here.

One instrument for both: each sees the same slices of every judging scan as they are, and once more moved and recoloured
(`signs`). No generator stands between, and nothing of the source is looked at. What is judged is the difference to the
start, scan by scan. Because scans differ, a mean difference is worth only as much as its spread over the scans allows:
hence a probability, after Student's t distribution (Student, "The probable error of a mean", Biometrika 6, 1908). Signs
and weights are measured by `make bench-adapt-real`; docs/explanation/adaptation.md says how well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

CERTAIN = 0.9  # probability from which on a model counts as better, or, below 1 - CERTAIN, as less steady
FEWEST = 3  # hearts of which a spread can be told
LEAST = 0.002  # of a difference in expected Dice that is one

Signs = tuple[tuple[float, ...], ...]
"""[hearts][agreement, steadiness, edges] of a segmenter (see `signs`)."""
WEIGHTS = (0.2, 0.3)
"""What a difference of agreement and of steadiness says of a difference of Dice."""
ANOTHER_OUTLINE, STRAYING = 0.1, 0.34
"""So far the edges may fall, mean of the hearts, because another outline is meant (papillary muscles that count as blood);
what they fall beyond that costs so much expected Dice."""


@dataclass(frozen=True)
class Verdict:
    """probability: that the candidate is better, 0..1. difference: of expected Dice, mean of the hearts; error: its standard
    error. hearts: how many spoke, each with one scan or some phases."""

    RENAMED: ClassVar[dict[str, str]] = {"scans": "hearts"}

    probability: float
    difference: float
    error: float
    hearts: int

    @property
    def percent(self) -> int:
        """The probability for a person to read: never rounded to the limit that it misses."""
        low, high = round(100 * (1 - CERTAIN)), round(100 * CERTAIN)
        shown = round(100 * self.probability)
        if self.probability < CERTAIN:
            shown = min(shown, high - 1)
        if self.probability > 1 - CERTAIN:
            shown = max(shown, low + 1)
        return shown

    @property
    def better(self) -> bool:
        """Whether it is offered."""
        return self.probability >= CERTAIN and self.difference >= LEAST

    @property
    def worse(self) -> bool:
        """Whether the signs speak against it; an outline that is meant otherwise may do that, too."""
        return self.probability <= 1 - CERTAIN and self.difference <= -LEAST


UNKNOWN = Verdict(0.5, 0.0, 0.0, 0)
"""Of too few hearts. What is neither better nor worse cannot be told either."""


def compared(start: Signs, candidate: Signs) -> Verdict:
    """Both of the same scans in the same order."""
    from scipy import stats

    before, after = np.array(start, float), np.array(candidate, float)
    if before.shape != after.shape or len(before) < FEWEST:
        return replace(UNKNOWN, hearts=len(after))
    gained = after - before
    strayed = max(0.0, -float(gained[:, 2].mean()) - ANOTHER_OUTLINE)
    expected = gained[:, :2] @ np.array(WEIGHTS) - STRAYING * strayed
    n = len(expected)
    mean, error = float(expected.mean()), float(expected.std(ddof=1) / math.sqrt(n))
    if error == 0.0:  # the same weights
        return Verdict(0.5 if mean == 0 else float(mean > 0), mean, 0.0, n)
    return Verdict(float(stats.t.cdf(mean / error, n - 1)), mean, error, n)
