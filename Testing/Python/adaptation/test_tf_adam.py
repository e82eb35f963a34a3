"""Adam is PyTorch's own, bit for bit, whose states are in users' checkpoints; its compiler is not imported for it."""

from __future__ import annotations

import sys
from unittest import mock

import pytest
import torch
from SIFALib.adaptation.tf_adam import BETA2, EPS, TensorFlowAdam
from torch import nn


def weights() -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((4, 3, 3, 3), (4,))]


def gradients(step: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(100 + step)
    return [torch.randn(w.shape, generator=draw) for w in weights()]


def by_pytorch(steps: int) -> tuple[list[nn.Parameter], torch.optim.Adam]:
    """As earlier versions stepped: PyTorch's class, with the eps that makes it TensorFlow's."""
    own = weights()
    optimizer = torch.optim.Adam(own, lr=1e-3, betas=(0.9, BETA2), eps=EPS)
    for step in range(1, steps + 1):
        (group,) = optimizer.param_groups
        group["eps"] = EPS / (1 - BETA2**step) ** 0.5
        for weight, gradient in zip(own, gradients(step), strict=True):
            weight.grad = gradient
        optimizer.step()
    return own, optimizer


def test_a_state_of_pytorchs_class_goes_on_as_it_would_have():
    own = weights()
    optimizer = TensorFlowAdam(own, 0.9)
    then, earlier = by_pytorch(2)
    optimizer.load_state_dict({"steps": 2, "optimizer": earlier.state_dict()})
    with torch.no_grad():
        for mine, its in zip(own, then, strict=True):
            mine.copy_(its)
    optimizer.step(gradients(3), 1e-3)
    for mine, its in zip(own, by_pytorch(3)[0], strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=0)
    saved, its = optimizer.state_dict()["optimizer"]["state"], by_pytorch(3)[1].state_dict()["state"]
    assert saved.keys() == its.keys() and all(
        torch.equal(saved[n][name], its[n][name]) for n in its for name in ("step", "exp_avg", "exp_avg_sq")
    )


def test_the_state_of_other_weights_is_refused():
    with pytest.raises(ValueError, match="of 2 weights, not of 1"):
        TensorFlowAdam(weights()[:1], 0.9).load_state_dict({"steps": 2, "optimizer": by_pytorch(2)[1].state_dict()})


def test_a_training_begins_without_pytorchs_compiler():
    with mock.patch.dict(sys.modules, {"torch._dynamo": None}):  # to import it is an error
        TensorFlowAdam(weights(), 0.9).step(gradients(1), 1e-3)
