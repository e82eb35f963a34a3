"""What one iteration of a training gets."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """source, target: float32 [N, 1, H, W] in -1..1. source_labels: uint8 [N, H, W]; a value that is no class counts
    as unknown. target_labels: likewise, None unless training is supervised on the target."""

    source: Tensor
    source_labels: Tensor
    target: Tensor
    target_labels: Tensor | None = None
