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
    assert losses.cross_entropy(p, truth).item() == pytest.approx(expected.item())
    parts = [2 * p[0, c, 0, c] / ((p[0, c] ** 2).sum() + 1 + 1e-7) for c in range(2)]
    assert losses.dice(p, truth).item() == pytest.approx(1 - sum(parts).item() / 2)


def test_without_balance_every_class_weighs_the_same():
    truth = losses.one_hot(torch.tensor([[[0, 0, 0, 1]]]), 2)
    p = torch.tensor([0.5, 0.8, 0.9, 0.25]).reshape(1, 1, 1, 4)
    probability = torch.cat([p, 1 - p], 1)
    plain = -torch.tensor([0.5, 0.8, 0.9, 0.75]).log()
    assert losses.cross_entropy(probability, truth, 0.0).item() == pytest.approx(plain.mean().item())
    balanced = plain * torch.tensor([0.25, 0.25, 0.25, 0.75])
    assert losses.cross_entropy(probability, truth, 1.0).item() == pytest.approx(balanced.mean().item())
    half = plain * torch.tensor([0.25, 0.25, 0.25, 0.75]).sqrt()
    assert losses.cross_entropy(probability, truth, 0.5).item() == pytest.approx(half.mean().item())


def test_hopeless_pixels_give_no_gradient():
    logits = torch.tensor([[[[0.0]], [[9.0]]]], requires_grad=True)
    truth = torch.tensor([[[[1.0]], [[0.0]]]])
    probability = torch.softmax(torch.cat([logits, -logits.detach()], 3), 1)
    losses.cross_entropy(probability, torch.cat([truth, truth.flip(1)], 3)).backward()
    assert torch.all(logits.grad == 0)


def test_what_a_slice_does_not_label_may_be_anywhere_in_its_background():
    """The slice speaks of classes 0 and 1 alone: how the network divides the rest between 0 and 2 is all the same."""
    known = torch.tensor([[True, True, False], [True, True, True]])
    truth = losses.one_hot(torch.tensor([[[0, 1]], [[2, 0]]]), 3)
    one = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    other = torch.tensor([[0.1, 0.3, 0.6], [0.4, 0.6, 0.0]])
    rest = torch.tensor([[0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])

    def loss(first: torch.Tensor, second: torch.Tensor) -> float:
        logits = torch.log(torch.stack([first.T[:, None], second.T[:, None]]) + 1e-12)
        return losses.segmentation(logits, truth, known).item()

    assert loss(one, rest) == pytest.approx(loss(other, rest))
    assert loss(one, rest) != pytest.approx(loss(one, other))  # where all is labelled, all matters
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    labels = losses.one_hot(torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(4)), 3)
    everything = losses.segmentation(logits, labels, torch.ones(2, 3, dtype=torch.bool))
    assert everything.item() == pytest.approx(losses.segmentation(logits, labels).item())


def test_an_unlabelled_structure_gets_no_gradient_towards_or_away_from_the_background():
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(5)).requires_grad_()
    truth = losses.one_hot(torch.zeros(1, 2, 2, dtype=torch.long), 3)
    losses.segmentation(logits, truth, torch.tensor([[True, True, False]])).backward()
    probability = torch.softmax(logits.detach(), 1)
    share = logits.grad / probability  # the same for both: only their sum is pulled
    assert torch.allclose(share[:, 0], share[:, 2], atol=1e-6) and not torch.allclose(share[:, 0], share[:, 1])
