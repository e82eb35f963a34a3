"""What tells without labels how good a segmenter is on a scan: whether it agrees with itself, and how sure it is.

It sees some slices as they are, and once more moved and recoloured one way and the other; what was learned by chance does
not survive that. `verdict` compares the signs of two segmenters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..datasets.batching import view
from ..imaging import metrics
from ..networks.arrays import to_numpy
from ..networks.segmenter import Segmenter
from .label_free import chosen, moved, recoloured, undone
from .verdict import Signs

if TYPE_CHECKING:
    from ..datasets.domains import Domains, Slices

SCANS, SLICES = 12, 6  # that are looked at, at most, and of each scan
BATCH = 8  # slices at once
NEAR_PIXELS = 4  # around what is found, where doubt counts
NOTHING = (0.0, 1.0)  # who finds nothing in a scan agrees with nobody and is sure of nothing


def judging(domains: Domains) -> list[Slices]:
    """Of each judging scan some slices: first those kept from training, then, while they are few, the others."""
    scans: list[Slices] = []
    for part in (domains.target_validation, domains.target):
        for number in range(len(part.names)):
            own = part.only((part.volume == number) & ~np.asarray(part.coarse))
            if len(own) and own.names[0] not in {scan.names[0] for scan in scans}:
                scans.append(own)
    return scans[:SCANS]


@torch.inference_mode()
def of_scans(segmenter: Segmenter, scans: Sequence[Slices], size: int) -> Signs:
    """Of a segmenter in evaluation mode. Uses no random numbers and changes nothing."""
    return tuple(_of_scan(segmenter, scan, size) for scan in scans)


def _of_scan(segmenter: Segmenter, scan: Slices, size: int) -> tuple[float, ...]:
    images, _ = view(scan, chosen(scan, SLICES), size)
    logits = _logits(segmenter, images)
    classes = logits.shape[1]
    found = to_numpy(logits.argmax(1))
    near = F.max_pool2d((logits.argmax(1) > 0).float()[:, None], 2 * NEAR_PIXELS + 1, 1, NEAR_PIXELS)[:, 0] > 0
    if not near.any():
        return NOTHING
    probability = logits.softmax(1)
    entropy = -(probability * probability.clamp(min=1e-8).log()).sum(1) / math.log(classes)
    agreements = []
    for sign in (1.0, -1.0):
        changed, back, inside = moved(images, sign)
        again = to_numpy(undone(_logits(segmenter, recoloured(changed, sign)), back).argmax(1))
        agreements.append(_agreement(np.where(inside, found, 0), np.where(inside, again, 0), classes))
    return (float(np.mean(agreements)), float(entropy[near].mean()))


def _agreement(one: np.ndarray, other: np.ndarray, classes: int) -> float:
    """Dice of two stacks of labels, the mean of all classes that either has, each weighted by its area: what a stack only
    grazes counts little."""
    values, areas = [], []
    for label in range(1, classes):
        a, b = one == label, other == label
        area = int(a.sum() + b.sum())
        if area:
            values.append(metrics.dice(a, b))
            areas.append(area)
    return float(np.average(values, weights=areas)) if values else 0.0


def _logits(segmenter: Segmenter, images: Tensor) -> Tensor:
    """[N, classes, H, W] on the CPU of images [N, 1, H, W]."""
    device = next(segmenter.parameters()).device
    wide = images.expand(-1, segmenter.in_channels, -1, -1)
    return torch.cat([segmenter(part.to(device)).float().cpu() for part in wide.split(BATCH)])
