"""Sums and means of gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def add(sums: list[Tensor] | None, gradients: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """Gradients added to the sum so far (None: there is none)."""
    return list(gradients) if sums is None else [s + g for s, g in zip(sums, gradients, strict=True)]


def mean(sums: list[Tensor] | None, count: int) -> list[Tensor]:
    return [s / count if count > 1 else s for s in sums or []]


def _clip(gradients: list[Tensor], largest: float) -> None:
    norm = torch.stack([g.norm() for g in gradients]).norm()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient *= scale
