"""Gradients as values: of one loss, summed and averaged over the parts of a batch, decayed, clipped.

They are kept by the parameter that they belong to, so that nothing depends on an order of networks or layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]
"""What is reported of an iteration: scalars by name, without their weights."""
Gradients = dict[nn.Parameter, Tensor]
Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What parts of a batch give: gradients and losses, sums until they are `divided` by how many parts there are."""

    gradients: Gradients = field(default_factory=dict)
    losses: Losses = field(default_factory=dict)

    def plus(self, other: Outcome) -> Outcome:
        """With another part's; of the losses only the values are kept, not their graphs."""
        values = {name: value.detach() for name, value in other.losses.items()}
        return Outcome(_plus(self.gradients, other.gradients), _plus(self.losses, values))

    def divided(self, count: int) -> Outcome:
        if count == 1:
            return self
        return Outcome(_divided(self.gradients, count), _divided(self.losses, count))


def backward(
    end: Tensor | Sequence[Tensor],
    network: nn.Module | None,
    borders: Sequence[Tensor] = (),
    arriving: Tensor | Sequence[Tensor] | None = None,
    keep: bool = False,
) -> tuple[Gradients, list[Tensor]]:
    """Gradients of `end` for a network's weights (None: no network's) and for tensors on the way to it, `borders`.

    arriving: the gradient with respect to `end`, where that is no scalar. keep: another call needs the same graph.
    What `end` does not depend on has a gradient of zeros.
    """
    parameters = [] if network is None else list(network.parameters())
    wanted = [*parameters, *borders]
    found = torch.autograd.grad(end, wanted, arriving, retain_graph=keep, allow_unused=True, materialize_grads=True)
    return dict(zip(parameters, found, strict=False)), list(found[len(parameters) :])


def border(x: Tensor) -> Tensor:
    """The same values, cut off from where they came; a gradient can be asked for them and handed on by hand."""
    return x.detach().requires_grad_()


def with_weight_decay(gradients: Gradients, decay: float, kernels_alone: bool) -> Gradients:
    """Gradients with those of `decay` times half the squared weights added, of all of them or of kernels alone."""
    return {p: g.add(p.detach(), alpha=decay) if p.ndim == 4 or not kernels_alone else g for p, g in gradients.items()}


def clipped(gradients: list[Tensor], largest: float) -> list[Tensor]:
    """Scaled so that all of them together are a vector of at most this length."""
    norm = torch.stack([g.norm() for g in gradients]).norm()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    return [g * scale for g in gradients]


def _plus(one: Mapping[Key, Tensor], other: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    """The sum by key; what only one of them has stays as it is."""
    return {**one, **{key: one[key] + value if key in one else value for key, value in other.items()}}


def _divided(sums: Mapping[Key, Tensor], count: int) -> dict[Key, Tensor]:
    return {key: value / count for key, value in sums.items()}
