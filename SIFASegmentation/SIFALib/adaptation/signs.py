"""What tells without labels how good a segmenter is on a scan.

agreement: Dice of what it draws with what it draws in the same slices moved and recoloured, one way and the other; what was
learned by chance does not survive that. steadiness: Dice of neighbouring slices with each other; hearts do not jump.
edges: how steep grey values are along the outline of all structures, as a share of how steep they are around it; an
outline that wanders into the muscle or out of it leaves the edges of the image. The first two rise also for a segmenter
that draws its own mistakes ever more surely; the third looks at the image, but falls also where an outline is meant to leave
its edges, as contours that count papillary muscles as blood do. `verdict` compares two segmenters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..datasets.batching import view
from ..imaging import metrics
from ..networks.arrays import to_numpy
from ..networks.segmenter import Segmenter
from .label_free import chosen, moved, recoloured, undone
from .verdict import Signs

if TYPE_CHECKING:
    from ..datasets.domains import Domains, Slices

HEARTS, PHASES, SLICES = 12, 2, 6  # that are looked at, at most: of each heart, and of each of its scans
BATCH = 8  # slices at once
NEAR_PIXELS = 4  # around what is found, where grey values are compared
SMOOTH_PIXELS = 0.7  # standard deviation, before steepness is measured
NOTHING = (0.0, 0.0, 0.0)  # of who finds nothing in a scan
IN_PLANE = np.ones((1, 3, 3), bool)


def judging(domains: Domains) -> list[list[Slices]]:
    """The scans of each judging heart: first of those kept from training, then, while they are few, of the others."""
    hearts: dict[str, list[Slices]] = {}
    for part in (domains.target_validation, domains.target):
        for number, name in enumerate(part.names):
            phases = hearts.setdefault(domains.hearts.get(name, name), [])
            own = part.only((part.volume == number) & ~np.asarray(part.coarse))
            if len(own) and len(phases) < PHASES and name not in {scan.names[0] for scan in phases}:
                phases.append(own)
    return [phases for phases in hearts.values() if phases][:HEARTS]


@torch.inference_mode()
def of_hearts(segmenter: Segmenter, hearts: Sequence[Sequence[Slices]], size: int) -> Signs:
    """Of a segmenter in evaluation mode; the means of each heart's scans, which are no independent witnesses. Uses no random
    numbers and changes nothing."""
    found = (np.mean([_of_scan(segmenter, scan, size) for scan in scans], axis=0) for scans in hearts)
    return tuple(tuple(float(value) for value in signs) for signs in found)


def _of_scan(segmenter: Segmenter, scan: Slices, size: int) -> tuple[float, ...]:
    images, _ = view(scan, chosen(scan, SLICES), size)
    logits = _logits(segmenter, images)
    classes, found = logits.shape[1], to_numpy(logits.argmax(1))
    if not found.any():
        return NOTHING
    agreements = []
    for sign in (1.0, -1.0):
        changed, back, inside = moved(images, sign)
        again = to_numpy(undone(_logits(segmenter, recoloured(changed, sign)), back).argmax(1))
        agreements.append(_agreement(np.where(inside, found, 0), np.where(inside, again, 0), classes))
    return (
        float(np.mean(agreements)),
        _agreement(found[1:], found[:-1], classes),
        edges(to_numpy(images[:, 0]), found),
    )


def edges(images: np.ndarray, labels: np.ndarray) -> float:
    """Mean steepness along the outline of all labels over that around it; of images and labels [N, H, W]."""
    smooth = ndimage.gaussian_filter(images, (0, SMOOTH_PIXELS, SMOOTH_PIXELS))
    steepness = np.hypot(*np.gradient(smooth, axis=(1, 2)))
    there = labels > 0
    outline = ndimage.binary_dilation(there, IN_PLANE) & ~there
    around = ndimage.binary_dilation(there, IN_PLANE, iterations=NEAR_PIXELS)
    mean = float(steepness[around].mean())
    return float(steepness[outline].mean()) / mean if mean > 0 and outline.any() else 0.0


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
