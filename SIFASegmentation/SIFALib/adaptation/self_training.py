"""Self-training on the target: a mean teacher's confident pixels teach the segmenter, which sees the same slices changed.

The teacher is the moving average of the segmenter (`State.average`) in evaluation mode and sees a slice as it is; the
segmenter sees it under other grey values, blurred, noisy and with parts cut out. A. Tarvainen, H. Valpola, "Mean teachers
are better role models", NeurIPS 2017; consistency on what is cut out: L. Hoyer et al., "MIC", CVPR 2023. Ranges are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from ..networks.arrays import to_tensor
from . import losses
from .gradients import Outcome, backward
from .objectives import Objective

if TYPE_CHECKING:
    from ..datasets.batching import Batch
    from .state import State

PURPOSE = 1000  # of the random numbers, beyond those of the discriminators
GAMMA, GAIN, OFFSET = 0.5, 0.3, 0.1  # logarithms of exponent and factor, and what is added, of a range of 0..1, at most
BLUR_SHARE, BLUR_PIXELS = 0.5, (0.3, 1.2)  # of slices, and standard deviation
NOISE = 0.06  # standard deviation at most, of a range of 0..1
CUT_OUTS, CUT_OUT_SHARE = 3, (0.06, 0.25)  # at most so many, and side of each as a share of the slice's


def outcome(state: State, batch: Batch, part: int) -> Outcome:
    """Gradients of the segmenter and the loss, for one part of a batch."""
    with state.autocast():
        found = objective(state, batch.target, part)
    return Outcome(backward(found.loss, state.segmenter)[0], found.terms)


def objective(state: State, target: Tensor, part: int) -> Objective:
    """Cross entropy and Dice of the segmenter on changed target slices against the teacher's confident pixels."""
    labels, sure = taught(state, target)
    seen = changed(target, state.random(PURPOSE + part))
    logits = state.segmenter(state.wide(seen))
    truth = losses.one_hot(labels, state.method.classes)
    terms = {"self_training": losses.confident(logits, truth, sure, state.method.self_training_balance)}
    loss = state.self_training_weight() * terms["self_training"]
    return Objective(loss, terms)


@torch.no_grad()
def taught(state: State, target: Tensor) -> tuple[Tensor, Tensor]:
    """What the teacher sees in slices [N, 1, H, W]: labels [N, H, W], and bool of that shape, where it is sure."""
    segmenter = state.segmenter.eval()
    logits: Tensor = functional_call(segmenter, state.average, (state.wide(target),))
    segmenter.train()
    confidence, labels = torch.softmax(logits.float(), 1).max(1)
    return labels, confidence > state.method.teacher_confidence


def changed(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Slices [N, 1, H, W] in -1..1 as another scanner might show them, with squares cut out.

    What is at -1, air or beyond the scan, stays there.
    """
    unit = ((images + 1.0) / 2.0).clamp(0.0, 1.0)
    seen = torch.stack([_recoloured(image, rng) for image in unit])
    seen = torch.where(images <= -1.0, torch.zeros_like(seen), seen)
    for image in seen:
        _cut_out(image, rng)
    return seen * 2.0 - 1.0


def _recoloured(image: Tensor, rng: np.random.Generator) -> Tensor:
    """One slice [1, H, W] in 0..1."""
    gamma, gain, offset, noise = rng.uniform(-1, 1, 4)
    image = image ** float(np.exp(gamma * GAMMA)) * float(np.exp(gain * GAIN)) + float(offset * OFFSET)
    if rng.random() < BLUR_SHARE:
        image = _blurred(image, float(rng.uniform(*BLUR_PIXELS)))
    grain = rng.standard_normal(tuple(image.shape), dtype=np.float32) * np.float32(abs(noise) * NOISE)
    return (image + to_tensor(grain).to(image)).clamp(0.0, 1.0)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = 3
    way = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (way / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image[None], (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[None, None, :, None])
    return F.conv2d(rows, kernel[None, None, None, :])[0]


def _cut_out(image: Tensor, rng: np.random.Generator) -> None:
    """Squares of one grey value in a slice [1, H, W], in place."""
    height, width = image.shape[1:]
    for _ in range(int(rng.integers(0, CUT_OUTS + 1))):
        side = int(rng.uniform(*CUT_OUT_SHARE) * min(height, width))
        row, column = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        image[:, row : row + side, column : column + side] = float(rng.random())
