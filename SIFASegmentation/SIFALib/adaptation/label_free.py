"""How good a training is on the target, judged without one label of the target.

Scores cannot be compared between runs with different data; within a run they choose the checkpoint. Ideas that this
rests on: the authors chose theirs by target labels (an oracle); MAPSeg (Zhang et al., CVPR 2024) by the Dice on
validation images of the source minus half of the loss against pseudo-labels of the target. Entropy alone rewards
networks that are sure of nothing but background, which is why a class that is found nowhere counts as missed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..datasets.batching import view
from ..imaging import metrics
from ..networks.arrays import to_numpy, to_tensor
from ..networks.segmenter import Segmenter
from . import plausibility
from .plausibility import Veto
from .state import State, averaged_segmenter, translate

if TYPE_CHECKING:
    from ..datasets.domains import Domains, Slices
    from ..datasets.settings import DataSettings

SLICES = 32  # of each domain: enough for a steady score, less work than one iteration of training
BATCH = 8  # slices at once

SUPERVISED_SHARE = 0.5
"""Of the labelled Dice (on translated source images), the only part that knows what is right. But it cannot see whether
translations look like the target; that is what the other two shares are for."""
AUGMENTED_SHARE = 0.4
"""Of the agreement between an image of the target and the same image moved and recoloured: what was learned by chance
does not survive it."""
TEACHER_SHARE = 0.1
"""Of the agreement between the averaged segmenter and the newest: it falls where training is restless. It is near 1
for any slow training, hence little weight."""
GAP_WEIGHT = 1.0
"""Of the distance between the features of what the supervised part was measured on and those of the target. That part
is high also where images are not translated at all; it holds for the target only as far as both look alike to the
encoder. Without this term an untouched start model outscores every adapted one."""
PSEUDO_WEIGHT = 0.5
"""MAPSeg's weight of the loss of the newest segmenter, on changed target images, against the averaged one's labels."""

TURN_DEG, SHIFT = 8.0, 0.04  # how far an image of the target is moved; the shift as a share of its side
GAIN, OFFSET, GAMMA = 1.08, 0.02, 1.1  # how its grey values change, of a range of 0..1
LEAST_PROBABILITY = 0.005  # below, the cross entropy is cut off, as in training


@dataclass(frozen=True)
class Score:
    """value: higher is better, at most 1. parts: what it is made of, and what was measured besides. vetoes: sentences."""

    value: float
    parts: dict[str, float]
    vetoes: tuple[Veto, ...] = ()


@torch.inference_mode()
def score(state: State, domains: Domains, settings: DataSettings, slices: int = SLICES) -> Score:
    """Judge the averaged segmenter of a training on `slices` validation slices of each domain, at most.

    Objectives without a generator are judged on source images as they are; those supervised on the target on its
    labelled validation images. The parts: `supervised` (mean Dice), `augmented` and `teacher` (agreement, mean Dice),
    `pseudo_loss`, `gap` (see `_gap`), and besides, without weight: `supervised_1`, ... (Dice by class) and of translations
    `intensity_correlation` and `edge_correlation` with the original.
    Uses no random numbers and changes nothing.
    """
    on_target = state.method.objective == "target_supervised"
    source = _validation(domains, "target" if on_target else "source")
    target = _validation(domains, "target")
    teacher = averaged_segmenter(state)
    student = deepcopy(state.segmenter).eval()

    which = chosen(source, slices)
    images, labels = view(source, which, settings.size)
    if labels is None:
        raise ValueError("The score needs labelled validation images; the source has none.")
    truth = to_numpy(labels)
    seen = _translated(state, images) if state.method.translates else images
    found = _labels(_logits(state, teacher, seen))
    parts = dict(_per_class(found, truth, state.method.classes))
    parts["supervised"] = float(np.mean(list(parts.values()))) if parts else 0.0
    vetoes: list[Veto] = []
    if state.method.translates:
        fidelity, wrong = plausibility.of_translations(to_numpy(images[:, 0]), to_numpy(seen[:, 0]))
        parts |= fidelity
        vetoes += wrong

    which = chosen(target, slices)
    images, _ = view(target, which, settings.size)
    found = _labels(_logits(state, teacher, images))
    expected = plausibility.expected(_labelled(domains, source), settings.size, state.method.classes)
    parts["augmented"], parts["pseudo_loss"] = _consistency(state, teacher, student, images, found, expected.present)
    parts["gap"] = _gap(state, teacher, seen, images)
    newest = _labels(_logits(state, student, images))
    parts["teacher"] = agreement(found, newest, state.method.classes, expected.present)
    vetoes += plausibility.of_predictions(found, expected)
    return Score(value_of(parts), {k: round(float(v), 5) for k, v in parts.items()}, tuple(vetoes))


def value_of(parts: dict[str, float]) -> float:
    """The score that parts make."""
    shares = {"supervised": SUPERVISED_SHARE, "augmented": AUGMENTED_SHARE, "teacher": TEACHER_SHARE}
    value = sum(share * parts[name] for name, share in shares.items())
    return float(value - PSEUDO_WEIGHT * parts["pseudo_loss"] - GAP_WEIGHT * parts["gap"])


def chosen(slices: Slices, count: int) -> np.ndarray:
    """Indices of `count` slices evenly through all scans; fine ones, if there are any."""
    index: np.ndarray = np.flatnonzero(~np.asarray(slices.coarse))
    if not len(index):
        index = np.arange(len(slices))
    index = index[np.lexsort((np.asarray(slices.position)[index], np.asarray(slices.volume)[index]))]
    chosen = np.linspace(0, len(index) - 1, min(count, len(index))).round().astype(int)
    result: np.ndarray = index[chosen]
    return result


def agreement(one: np.ndarray, other: np.ndarray, classes: int, anywhere: tuple[int, ...]) -> float:
    """Mean Dice of two stacks of labels [N, H, W] over the classes 1 to `classes` - 1, each pooled over the stack.

    A class that both lack is left out, unless it is one of those that must be `anywhere`: then it counts as 0.
    """
    values = []
    for label in range(1, classes):
        value = metrics.dice(one == label, other == label)
        if not np.isnan(value) or label in anywhere:
            values.append(0.0 if np.isnan(value) else value)
    return float(np.mean(values)) if values else 0.0


def _per_class(found: np.ndarray, truth: np.ndarray, classes: int) -> Iterator[tuple[str, float]]:
    """("supervised_1", Dice pooled over the slices), ... of the classes that the truth has."""
    known = truth < classes  # others belong to no class
    for label in range(1, classes):
        if (truth == label).any():
            yield f"supervised_{label}", metrics.dice((found == label) & known, truth == label)


def _consistency(
    state: State, teacher: Segmenter, student: Segmenter, images: Tensor, found: np.ndarray, present: tuple[int, ...]
) -> tuple[float, float]:
    """(agreement of the teacher with itself, loss of the student) on target images that were changed.

    Half of the images are turned one way and made brighter, half the other way and made darker; both undone where it
    can be. Only what both views show is compared. Mirrored hearts are no hearts: nothing is flipped.
    """
    agreements, kept, losses = np.empty_like(found), np.zeros(found.shape, bool), []
    for sign, part in ((1.0, slice(0, None, 2)), (-1.0, slice(1, None, 2))):
        if not len(images[part]):
            continue
        changed, back, inside = moved(images[part], sign)
        kept[part] = inside
        seen = recoloured(changed, sign)
        agreements[part] = _labels(undone(_logits(state, teacher, seen), back))
        logits = undone(_logits(state, student, seen), back)
        losses.append(_pseudo_loss(logits, found[part], inside, present))
    masked = [np.where(kept, labels, 0) for labels in (found, agreements)]
    return agreement(masked[0], masked[1], state.method.classes, present), float(np.mean(losses))


def _pseudo_loss(logits: Tensor, labels: np.ndarray, inside: np.ndarray, present: tuple[int, ...]) -> float:
    """Cross entropy and soft Dice of logits [N, C, H, W] against pseudo-labels [N, H, W], where `inside`: 0 to 1.

    The mean of both, and of all classes that the pseudo-labels hold. A class that must be `present` and is not costs 1.
    """
    probability = logits.float().softmax(1)
    truth = F.one_hot(to_tensor(labels.astype(np.int64)), probability.shape[1]).movedim(3, 1).float()
    mask = to_tensor(inside.astype(np.float32))[:, None]
    truth, probability = truth * mask, probability * mask
    pixels = truth.sum((0, 2, 3))
    surprise = -(truth * probability.clamp(LEAST_PROBABILITY).log()).sum((0, 2, 3)) / -np.log(LEAST_PROBABILITY)
    overlap = 2.0 * (probability * truth).sum((0, 2, 3)) / ((probability**2).sum((0, 2, 3)) + pixels + 1e-7)
    cost = (surprise / pixels.clamp(min=1.0) + 1.0 - overlap) / 2.0
    cost[pixels == 0] = 1.0
    counted = [n for n in range(len(cost)) if pixels[n] > 0 or n in present]
    return float(cost[counted].mean())


def moved(images: Tensor, sign: float) -> tuple[Tensor, Tensor, np.ndarray]:
    """Images [N, 1, H, W] turned and shifted, the grid that brings the result back, and the pixels that both show."""
    angle = np.radians(TURN_DEG) * sign
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = 2.0 * SHIFT * sign * np.array([[1.0], [-0.5]])  # affine_grid's side is 2 long
    there = _grid(np.hstack([turn, shift]), images)
    back = _grid(np.hstack([turn.T, -turn.T @ shift]), images)
    shifted = F.grid_sample(images, there, padding_mode="border", align_corners=False)
    ones = torch.ones_like(images[:1])
    shown = F.grid_sample(ones, there[:1], align_corners=False)
    inside = F.grid_sample(shown, back[:1], align_corners=False)[0, 0] > 0.99
    return shifted, back, to_numpy(inside)[None].repeat(len(images), 0)


def _grid(matrix: np.ndarray, images: Tensor) -> Tensor:
    theta = to_tensor(matrix.astype(np.float32))[None].expand(len(images), -1, -1)
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def undone(logits: Tensor, back: Tensor) -> Tensor:
    """Logits [N, C, H, W] of moved images where the images were before."""
    return F.grid_sample(logits, back, padding_mode="border", align_corners=False)


def recoloured(images: Tensor, sign: float) -> Tensor:
    """Other grey values: `sign` 1 brighter and steeper, -1 darker and flatter; what is at -1, air, stays there."""
    unit = ((images + 1.0) / 2.0).clamp(min=0.0)
    changed = unit ** (GAMMA**-sign) * GAIN**sign + OFFSET * sign * (unit > 0.02)
    return torch.clamp(changed, 0.0, max(1.0, float(unit.max()))) * 2.0 - 1.0


def _validation(domains: Domains, domain: str) -> Slices:
    """The validation slices of a domain; the training slices where none were kept."""
    kept: Slices = getattr(domains, f"{domain}_validation")
    return kept if len(kept) else getattr(domains, domain)


def _labelled(domains: Domains, judged: Slices) -> list[Slices]:
    """All slices with labels that training may know, to learn what is plausible."""
    return [s for s in (domains.source, domains.source_validation) if len(s) and s.labels is not None] or [judged]


def _translated(state: State, images: Tensor) -> Tensor:
    parts = [translate(state, x.to(state.device)).float().cpu() for x in torch.split(images, BATCH)]
    return torch.cat(parts)


def _logits(state: State, segmenter: Segmenter, images: Tensor) -> Tensor:
    """Logits [N, classes, H, W] on the CPU of images [N, 1, H, W]."""
    parts = [segmenter(state.wide(x.to(state.device))).float().cpu() for x in torch.split(images, BATCH)]
    return torch.cat(parts)


def _gap(state: State, segmenter: Segmenter, one: Tensor, other: Tensor) -> float:
    """How differently the encoder sees two stacks of images [N, 1, H, W]: 0 alike, about 1 nothing in common.

    The root of the Frechet distance of both outputs' features, each channel a normal distribution of its own, as a
    share of their variance (after Heusel et al., NeurIPS 2017, where the features are another network's).
    """
    distances = []
    for a, b in zip(_features(state, segmenter, one), _features(state, segmenter, other), strict=True):
        means, spreads = (a.mean(0), b.mean(0)), (a.std(0), b.std(0))
        distance = ((means[0] - means[1]) ** 2 + (spreads[0] - spreads[1]) ** 2).sum()
        distances.append(float(distance / (spreads[0] ** 2 + spreads[1] ** 2).sum().clamp(min=1e-12)))
    return float(np.sqrt(np.mean(distances)))


def _features(state: State, segmenter: Segmenter, images: Tensor) -> list[Tensor]:
    """Both outputs of the encoder, [places, channels] on the CPU."""
    found = [segmenter.encoder(state.wide(x.to(state.device))) for x in torch.split(images, BATCH)]
    return [torch.cat([f[n] for f in found]).float().cpu().movedim(1, -1).flatten(0, 2) for n in (0, 1)]


def _labels(logits: Tensor) -> np.ndarray:
    return to_numpy(logits.argmax(1).to(torch.uint8))
