"""The losses of SIFA, each as in the authors' code."""

from __future__ import annotations

import torch
from torch import Tensor

MIN_PROBABILITY = (
    0.005  # cross entropy is cut off below: no gradient from hopeless pixels (authors' losses.py)
)
LOWER_WEIGHT = 0.1  # of the segmentation loss of the lower-level head (TMI 2020)
WEIGHT_DECAY = 1e-4  # of half the squared weights of encoder and segmentation heads


def cross_entropy(logits: Tensor, one_hot: Tensor) -> Tensor:
    """Weighted cross entropy of logits [N, C, H, W] and truth [N, C, H, W] (0/1): a scalar.

    Class i weighs 1 - (its share of the labelled pixels of the batch); the mean goes over all N * H * W pixels. A
    pixel without a class in the truth (all zero) adds nothing.
    """
    probability = torch.softmax(logits, 1).clamp(MIN_PROBABILITY, 1.0)
    pixels = one_hot.sum((0, 2, 3))
    weight = 1.0 - pixels / pixels.sum().clamp(min=1.0)
    return -(weight[:, None, None] * one_hot * probability.log()).sum(1).mean()


def dice(logits: Tensor, one_hot: Tensor) -> Tensor:
    """1 - the mean over all classes, background included, of the soft Dice over the whole batch: a scalar.

    Only the prediction is squared in the denominator, as the authors do.
    """
    probability = torch.softmax(logits, 1)
    overlap = 2.0 * (probability * one_hot).sum((0, 2, 3))
    size = (probability**2).sum((0, 2, 3)) + one_hot.sum((0, 2, 3)) + 1e-7
    return 1.0 - (overlap / size).mean()


def segmentation(logits: Tensor, one_hot: Tensor) -> Tensor:
    """L_seg of the papers: cross entropy + Dice."""
    return cross_entropy(logits, one_hot) + dice(logits, one_hot)
