"""How sure the network is: of every voxel, and of every structure as a whole.

Both follow from the mean class probabilities p of all passes over the scan: where one pass says one thing and another
says another, the mean is undecided, and so it is where every single pass is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .fusion import likeliest

if TYPE_CHECKING:
    from ..models.card import DiceCurve

LEAST = 1e-7  # below which a probability adds nothing to the entropy
EXTREME = 0.01  # shares nearer to 0 or 1 than this count as this near: logarithms of less say nothing


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Predictive entropy of probabilities [classes, ...], over the logarithm of the number of classes: float32 [...], 0..1.

    0: one class is certain; 1: all are as likely. (Shannon entropy of the mean prediction, for test-time augmentation: Wang
    et al., Neurocomputing 338:34 (2019).)
    """
    total = np.zeros(probabilities.shape[1:], np.float32)
    for p in probabilities:
        p = np.maximum(p, LEAST)
        total -= p * np.log(p)
    share: np.ndarray = total / np.float32(np.log(len(probabilities)))
    return share.clip(0.0, 1.0)


def expected_volumes(probabilities: np.ndarray) -> np.ndarray:
    """Voxels that each class can expect to have: float64 [classes], the sum of its probabilities [classes, ...]."""
    return np.asarray(probabilities.sum(axis=tuple(range(1, probabilities.ndim)), dtype=np.float64))


def expected_dice(probabilities: np.ndarray, volumes: np.ndarray, within: np.ndarray | None = None) -> dict[int, float]:
    """Of each class 1, 2, ...: 2 sum(p over A) / (|A| + sum(p)), A: where it wins in probabilities [classes, ...].

    The Dice that A would have on average if the truth were drawn from p, up to the mean of a quotient taken as the
    quotient of means; the same as the mean soft Dice between the single passes and A. `volumes`:
    `expected_volumes` before stray components were made background, so that they count against A; `within`: mask of what
    A may hold, if not all. NaN where neither holds anything.
    """
    labels = likeliest(probabilities)
    if within is not None:
        labels = np.where(within, labels, 0)
    found = {}
    for value in range(1, len(probabilities)):
        where = labels == value
        size = np.count_nonzero(where) + float(volumes[value])
        inside = float(probabilities[value][where].sum(dtype=np.float64))
        found[value] = 2.0 * inside / size if size > 0 else float("nan")
    return found


def logit(share: np.ndarray | float) -> np.ndarray:
    """log(x / (1 - x)) of shares 0..1, those near the ends cut to EXTREME."""
    x = np.clip(np.asarray(share, np.float64), EXTREME, 1 - EXTREME)
    return np.log(x / (1 - x))


def calibrated(expected: float, curve: DiceCurve) -> float:
    """The Dice, 0..1, that an expected Dice of this size came with on the scans of the curve; NaN stays NaN.

    A network that is trained with weighted classes is less sure than it is right; a logistic curve of the logit mends
    that (Platt, Advances in Large Margin Classifiers, 1999).
    """
    return float(1 / (1 + np.exp(-(curve.offset + curve.slope * logit(expected)))))


def dice_curve(expected: np.ndarray, dice: np.ndarray) -> tuple[float, float]:
    """Offset and slope of the line through the logits of pairs [N] of expected and true Dice that errs least in Dice
    (least squares, by Gauss and Newton's steps from the line through the logits).

    Raises ValueError for fewer than 8 pairs, or where more certainty does not come with more Dice.
    """
    x, y = logit(expected), np.asarray(dice, np.float64)
    if len(x) < 8:
        raise ValueError(f"{len(x)} structures are too few to say what Dice the model's certainty comes with.")
    slope, offset = np.polyfit(x, logit(y), 1)
    for _ in range(50):
        said = 1 / (1 + np.exp(-(offset + slope * x)))
        steep = said * (1 - said)
        jacobian = np.stack([steep, steep * x], axis=1)
        step = np.linalg.lstsq(jacobian.T @ jacobian + 1e-3 * np.eye(2), jacobian.T @ (y - said), rcond=None)[0]
        offset, slope = offset + step[0], slope + step[1]
    if not slope > 0:
        raise ValueError("More certainty does not come with more Dice; the model's card stays without a curve.")
    return float(offset), float(slope)
