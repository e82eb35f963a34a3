"""The losses, against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from SIFALib.adaptation import losses


def test_the_losses_are_those_of_the_paper():
    """Against the formulas written out for one pixel row, two classes."""
    logits = torch.tensor([[[[2.0, 0.0, -1.0]], [[0.0, 1.0, 3.0]]]], dtype=torch.float64)
    truth = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]], dtype=torch.float64)  # the last pixel has no class
    p = torch.softmax(logits, 1)
    weight = 1 - 0.5
    expected = -(weight * torch.log(p[0, 0, 0, 0]) + weight * torch.log(p[0, 1, 0, 1])) / 3
    assert losses.cross_entropy(logits, truth).item() == pytest.approx(expected.item())
    parts = [2 * p[0, c, 0, c] / ((p[0, c] ** 2).sum() + 1 + 1e-7) for c in range(2)]
    assert losses.dice(logits, truth).item() == pytest.approx(1 - sum(parts).item() / 2)


def test_hopeless_pixels_give_no_gradient():
    logits = torch.tensor([[[[0.0]], [[9.0]]]], requires_grad=True)
    truth = torch.tensor([[[[1.0]], [[0.0]]]])
    losses.cross_entropy(torch.cat([logits, -logits.detach()], 3), torch.cat([truth, truth.flip(1)], 3)).backward()
    assert torch.all(logits.grad == 0)
