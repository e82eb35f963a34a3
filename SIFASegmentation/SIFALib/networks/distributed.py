"""Several processes as one: sums and means over all of them, which alone are the identity.

Started by torchrun or SLURM, every process works on its share of the global batch. Whatever the method defines over
the whole batch (the statistics of batch normalisation, class weights, Dice) is summed over the processes, with a
gradient; the gradients of the parameters are averaged. So N processes compute what one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _Sum(torch.autograd.Function):
    """By hand: torch.distributed.nn.functional.all_reduce is deprecated in newer torch, what follows it is private."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(context, gradients[0].contiguous())


def sum_across(x: Tensor) -> Tensor:
    """The sum of every process's `x`, any shape; its gradient is the sum of their gradients."""
    total: Tensor = _Sum.apply(x) if world() > 1 else x  # type: ignore[no-untyped-call]
    return total


def mean_gradients(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Every process's gradients averaged, in one message."""
    if world() == 1 or not gradients:
        return list(gradients)
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= world()
    parts = torch.split(flat, [g.numel() for g in gradients])
    return [part.view_as(g) for part, g in zip(parts, gradients, strict=True)]


def mean_across(values: Sequence[float]) -> list[float]:
    """Numbers averaged over the processes."""
    if world() == 1:
        return list(values)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    total = torch.tensor(list(values), dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return [float(v) / world() for v in total]
