"""What bench_adaptation measures of a segmenter where labels are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from SIFALib.datasets import Slices, view
from SIFALib.imaging import metrics
from SIFALib.models.structures import PAPERS
from SIFALib.networks.segmenter import Segmenter

NATIVE = 0.1
"""Of the range -1..1, 40 HU: where blood and muscle of the left ventricle differ by less, no contrast agent was given."""


@torch.inference_mode()
def measure(segmenter: Segmenter, slices: Slices, size: int) -> list[dict[str, Any]]:
    """Dice and ASSD (mm) by structure of every scan, on the middles of its fine slices; and whether it is `native`."""
    found = []
    for scan, name in enumerate(slices.names):
        which = np.flatnonzero((slices.volume == scan) & ~slices.coarse)
        which = which[np.argsort(slices.position[which])]
        images, labels = view(slices, which, size)
        assert labels is not None
        wide = images.expand(-1, segmenter.in_channels, -1, -1)
        predicted = torch.cat([segmenter(part).argmax(1) for part in wide.split(16)]).numpy()
        truth, grey = labels.numpy(), images[:, 0].numpy()
        pairs = {s.id: (predicted == s.value, truth == s.value) for s in PAPERS}
        spacing = tuple(float(x) for x in slices.spacing_mm[scan])
        contrast = abs(float(grey[pairs["LV"][1]].mean() - grey[pairs["MYO"][1]].mean()))
        found.append(
            {
                "name": name,
                "native": contrast < NATIVE,
                "dice": {i: metrics.dice(*pair) for i, pair in pairs.items()},
                "assd_mm": {i: _finite(metrics.assd_mm(*pair, spacing)) for i, pair in pairs.items()},
            }
        )
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
