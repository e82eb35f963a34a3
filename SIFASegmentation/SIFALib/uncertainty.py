"""How sure the network is: of every voxel, and of every structure as a whole.

Both follow from the mean class probabilities p of all looks at the scan: where one look says one thing and another says
another, the mean is undecided, and so it is where every single look is.
"""

from __future__ import annotations

import numpy as np

LEAST = 1e-7  # below which a probability adds nothing to the entropy


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Predictive entropy of probabilities [classes, ...], over the logarithm of the number of classes: float32 [...], 0..1.

    0: one class is certain; 1: all are as likely. (Shannon entropy of the mean prediction, for test-time looks: Wang et
    al., Neurocomputing 338:34 (2019).)
    """
    total = np.zeros(probabilities.shape[1:], np.float32)
    for p in probabilities:
        p = np.maximum(p, LEAST)
        total -= p * np.log(p)
    return np.clip(total / np.float32(np.log(len(probabilities))), 0.0, 1.0)


def mass(probabilities: np.ndarray) -> np.ndarray:
    """Voxels that each class can expect to have: float64 [classes], the sum of its probabilities [classes, ...]."""
    return probabilities.sum(axis=tuple(range(1, probabilities.ndim)), dtype=np.float64)


def expected_dice(
    probabilities: np.ndarray, total: np.ndarray, within: np.ndarray | None = None
) -> dict[int, float]:
    """Of each class 1, 2, ...: 2 sum(p over A) / (|A| + sum(p)), A: where it wins in probabilities [classes, ...].

    The Dice that A would have on average if the truth were drawn from p, up to the mean of a quotient taken as the
    quotient of means; the same as the mean soft Dice between the single looks and A. `total`: `mass` before stray
    pieces were made background, so that they count against A; `within`: mask of what A may hold, if not all. NaN where
    neither holds anything.
    """
    labels = probabilities.argmax(axis=0)
    if within is not None:
        labels = np.where(within, labels, 0)
    found = {}
    for value in range(1, len(probabilities)):
        where = labels == value
        size = np.count_nonzero(where) + float(total[value])
        inside = float(probabilities[value][where].sum(dtype=np.float64))
        found[value] = 2.0 * inside / size if size > 0 else float("nan")
    return found
