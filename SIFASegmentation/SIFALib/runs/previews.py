"""Pictures of what a training does at the moment: `previews/00000200.png`.

A row a slice: source with its labels, translated, translated with what the segmenter finds; target, target with what
the segmenter finds (the averaged weights). Slices of the validation scans, always the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .. import adaptation
from ..imaging import pictures
from ..models.structures import Structure, structures_of
from ..networks.arrays import to_numpy

if TYPE_CHECKING:
    from ..datasets import Slices

ROWS = 3
GAP = 2  # pixels between panels
LEAST = 128  # side of a panel, pixels; smaller slices are enlarged


@dataclass(frozen=True, eq=False)
class Shown:
    """ROWS slices of the source [ROWS, 1, H, W] with their labels [ROWS, H, W], and of the target, if there is one."""

    source: Tensor
    labels: Tensor | None
    target: Tensor | None = None


@torch.inference_mode()
def draw(state: adaptation.State, shown: Shown, path: Path) -> None:
    """Write the picture of these slices; complete or not at all. OSError."""
    segmenter = adaptation.averaged_segmenter(state)
    images = shown.source.to(state.device)
    columns: list[tuple[Tensor, Tensor | None]] = [(images, shown.labels)]
    if state.method.translates:
        images = adaptation.translate(state, images)
        columns.append((images, None))
    columns.append((images, segmenter(state.wide(images)).argmax(1)))
    if shown.target is not None:
        target = shown.target.to(state.device)
        columns += [(target, None), (target, segmenter(state.wide(target)).argmax(1))]
    structures = structures_of(state.method.classes)
    rows = [np.concatenate([_panel(c, n, structures) for c in columns], axis=1) for n in range(ROWS)]
    pictures.write_png(np.concatenate(rows), path)


def chosen(slices: Slices) -> list[int]:
    """The numbers of ROWS slices: where most is labelled, else in the middle of scans; fine ones, if there are any."""
    fine = np.flatnonzero(~slices.coarse)
    fine = fine if len(fine) else np.arange(len(slices))
    parts = np.array_split(fine, ROWS) if len(fine) >= ROWS else [fine] * ROWS
    labels = slices.labels
    if labels is None:
        return [int(part[len(part) // 2]) for part in parts]
    return [max((int(n) for n in part), key=lambda n: _richness(labels[n])) for part in parts]


def _richness(labels: np.ndarray) -> tuple[int, int]:
    """How many classes there are, then how much of them."""
    return len(np.unique(labels)), int(np.count_nonzero(labels))


def _panel(column: tuple[Tensor, Tensor | None], row: int, structures: Sequence[Structure]) -> np.ndarray:
    grey, labels = column
    classes = None if labels is None else to_numpy(labels[row].to(torch.uint8))
    painted = pictures.paint((to_numpy(grey[row, 0].float()) + 1) / 2, classes, structures)
    painted = np.kron(painted, np.ones((-(-LEAST // len(painted)),) * 2 + (1,), np.uint8))
    return np.pad(painted, ((0, GAP), (0, GAP), (0, 0)))
