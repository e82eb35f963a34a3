"""Adam as TensorFlow 1 computes it, with a step counter that several groups of weights may share.

TensorFlow's update is ``w -= lr * sqrt(1 - b2^k) / (1 - b1^k) * m / (sqrt(v) + eps)``. PyTorch corrects v before it
adds eps, and counts k for every weight. The authors' code owns one Adam for all adversarial networks, whose k each of
their updates advances: PyTorch's own Adam computes the same with another rate and eps in every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

EPS = 1e-8
BETA2 = 0.999
ADVERSARIAL_BETA1, SEGMENTATION_BETA1 = 0.5, 0.9


class TensorFlowAdam:
    """Adam over `parameters`; `step` takes the gradients, the rate and the number k of the correction (from 1)."""

    def __init__(self, parameters: Iterable[nn.Parameter], beta1: float) -> None:
        self.parameters = list(parameters)
        self.beta1 = beta1
        self.steps = 0
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, betas=(beta1, BETA2), eps=EPS)

    def step(self, gradients: Sequence[Tensor], rate: float, k: int | None = None) -> None:
        """One update; `k=None` counts the steps of these weights alone, as PyTorch and the papers do."""
        self.steps += 1
        own1, own2 = 1 - self.beta1**self.steps, math.sqrt(1 - BETA2**self.steps)
        k = self.steps if k is None else k
        corrected = rate * math.sqrt(1 - BETA2**k) / (1 - self.beta1**k)
        for group in self.optimizer.param_groups:
            group["lr"] = corrected * own1 / own2
            group["eps"] = EPS / own2
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = int(state["steps"])
        self.optimizer.load_state_dict(state["optimizer"])
