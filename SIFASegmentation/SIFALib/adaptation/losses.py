"""The losses of SIFA, each as in the authors' code.

What is defined over the whole batch (class weights, Dice) is summed over all processes of a distributed training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks import distributed

MIN_PROBABILITY = 0.005  # cross entropy is cut off below: no gradient from hopeless pixels (authors' losses.py)
LOWER_WEIGHT = 0.1  # of the segmentation loss of the lower-level head (TMI 2020)
WEIGHT_DECAY = 1e-4  # of half the squared weights of encoder and segmentation heads


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels [N, H, W] -> float [N, classes, H, W] of 0 and 1; a value that is no class gives zeros alone."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]).float()


def cross_entropy(probability: Tensor, one_hot: Tensor, balance: float = 1.0) -> Tensor:
    """Weighted cross entropy of probabilities [N, C, H, W] and truth [N, C, H, W] (0/1): a scalar.

    Class i weighs 1 - (its share of the labelled pixels of the batch), to the power of `balance`: 1 as the authors do, 0
    for equal weights. The mean goes over all N * H * W pixels. A pixel without a class in the truth (all zero) adds nothing.
    """
    pixels = distributed.sum_across(one_hot.sum((0, 2, 3)))
    weight = 1.0 - pixels / pixels.sum().clamp(min=1.0)
    if balance != 1.0:
        weight = weight**balance
    weighted = (weight[:, None, None] * one_hot * probability.clamp(MIN_PROBABILITY, 1.0).log()).sum(1)
    return torch.mean(-weighted)


def dice(probability: Tensor, one_hot: Tensor) -> Tensor:
    """1 - the mean over all classes, background included, of the soft Dice over the whole batch: a scalar.

    Only the prediction is squared in the denominator, as the authors do.
    """
    overlap = 2.0 * (probability * one_hot).sum((0, 2, 3))
    size = (probability**2).sum((0, 2, 3)) + one_hot.sum((0, 2, 3))
    overlap, size = distributed.sum_across(torch.stack([overlap, size]))
    return 1.0 - torch.mean(overlap / (size + 1e-7))


def segmentation(logits: Tensor, one_hot: Tensor, known: Tensor | None = None, balance: float = 1.0) -> Tensor:
    """L_seg of the papers: cross entropy + Dice, in float32 if the precision of the logits is less.

    known: bool [N, C], which classes the truth of each slice speaks of; None: of all. balance: see `cross_entropy`.
    """
    probability = torch.softmax(_exact(logits), 1)
    if known is not None:
        probability = merged(probability, known)
    return cross_entropy(probability, one_hot, balance) + dice(probability, one_hot)


def confident(logits: Tensor, one_hot: Tensor, sure: Tensor, balance: float = 1.0) -> Tensor:
    """Cross entropy + Dice where `sure`, bool [N, H, W]; what is not sure pulls nowhere."""
    mask = sure[:, None].to(torch.float32)
    probability = torch.softmax(_exact(logits), 1)
    return cross_entropy(probability, one_hot * mask, balance) + dice(probability * mask, one_hot * mask)


def merged(probability: Tensor, known: Tensor) -> Tensor:
    """Probabilities [N, C, H, W] with those of the classes that a slice's truth does not speak of, `known` [N, C] False,
    added to the background's: what is labelled 0 may be any of them.

    The marginal loss of Shi et al., "Marginal loss and exclusion loss for partially supervised multi-organ segmentation",
    Medical Image Analysis 2021.
    """
    spoken = known[:, :, None, None].to(probability.dtype)
    unspoken = (probability * (1.0 - spoken)).sum(1, keepdim=True)
    probability = probability * spoken
    return torch.cat([probability[:, :1] + unspoken, probability[:, 1:]], dim=1)


def cycle(image: Tensor, again: Tensor) -> Tensor:
    """L_cyc: mean absolute difference of images [N, 1, H, W] and what came back after both translations."""
    return (image - again).abs().mean()


def generator(scores: Tensor) -> Tensor:
    """Least-squares loss of whoever wants to pass as real (1): mean (d - 1)^2 over a discriminator's scores, any shape."""
    return ((_exact(scores) - 1.0) ** 2).mean()


def discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares loss of the discriminator with its scores: half of mean (d_real - 1)^2 + mean d_fake^2."""
    return 0.5 * (((_exact(real) - 1.0) ** 2).mean() + (_exact(fake) ** 2).mean())


def _exact(x: Tensor) -> Tensor:
    """At least float32; float64, in which tests compare, stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
