"""Adam as TensorFlow 1 computes it, with a step counter that several groups of weights may share.

TensorFlow's update is ``w -= lr * sqrt(1 - b2^k) / (1 - b1^k) * m / (sqrt(v) + eps)``. PyTorch corrects v before it
adds eps, and counts k for every weight. The authors' code owns one Adam for all adversarial networks, whose k each of
their updates advances: PyTorch's own Adam computes the same with another rate and eps in every step. Its function does
the arithmetic; the class around it would import PyTorch's compiler, two seconds at the start of every training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

EPS = 1e-8
BETA2 = 0.999
ADVERSARIAL_BETA1, SEGMENTATION_BETA1 = 0.5, 0.9
MOMENTS = ("exp_avg", "exp_avg_sq")  # m and v, by the names that PyTorch's Adam saves them under


class TensorFlowAdam:
    """Adam over `parameters`; `step` takes the gradients, the rate and the number k of the correction (from 1)."""

    def __init__(self, parameters: Iterable[nn.Parameter], beta1: float) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.beta1 = beta1
        self.steps = 0
        self.moments: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float, k: int | None = None) -> None:
        """One update; `k=None` counts the steps of these weights alone, as PyTorch and the papers do."""
        self.moments = self.moments or {name: [torch.zeros_like(p) for p in self.parameters] for name in MOMENTS}
        steps = [torch.tensor(float(self.steps)) for _ in self.parameters]
        self.steps += 1
        own1, own2 = 1 - self.beta1**self.steps, math.sqrt(1 - BETA2**self.steps)
        k = self.steps if k is None else k
        corrected = rate * math.sqrt(1 - BETA2**k) / (1 - self.beta1**k)
        means, squares = (self.moments[name] for name in MOMENTS)
        adam(
            self.parameters,
            list(gradients),
            means,
            squares,
            [],
            steps,
            amsgrad=False,
            beta1=self.beta1,
            beta2=BETA2,
            lr=corrected * own1 / own2,
            weight_decay=0.0,
            eps=EPS / own2,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """As `torch.optim.Adam` has it, whose states are in the checkpoints of earlier versions."""
        slots = zip(*self.moments.values(), strict=True)
        step = torch.tensor(float(self.steps))
        state = {n: {"step": step, **dict(zip(MOMENTS, moments, strict=True))} for n, moments in enumerate(slots)}
        return {"steps": self.steps, "optimizer": {"state": state}}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """ValueError for the state of other weights."""
        saved = state["optimizer"]["state"]
        if saved and len(saved) != len(self.parameters):
            raise ValueError(f"the state is of {len(saved)} weights, not of {len(self.parameters)}")
        self.steps = int(state["steps"])
        self.moments = {
            name: [torch.zeros_like(p).copy_(saved[n][name]) for n, p in enumerate(self.parameters)]
            for name in MOMENTS
            if saved
        }
