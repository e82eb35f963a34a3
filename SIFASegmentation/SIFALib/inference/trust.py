"""What a person should know of a result, told without the truth: its flags, the Dice to expect, how unlike training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..imaging import slices
from ..imaging.geometry import Geometry, Volume
from ..imaging.slices import SliceGrid
from . import out_of_distribution, uncertainty
from .flags import Flag, without_strays
from .fusion import likeliest
from .passes import NetworkInput

if TYPE_CHECKING:
    from ..networks.segmenter import Segmenter


@dataclass(frozen=True)
class Trust:
    """flags: for a person. notes: sentences. expected_dice: by structure id, 0..1, None where nothing was found;
    calibrated: whether by the curve of the model's card. unlike: what `out_of_distribution` measured.
    """

    flags: tuple[Flag, ...]
    notes: tuple[str, ...]
    expected_dice: Mapping[str, float | None]
    calibrated: bool
    unlike: Mapping[str, Any]


def without_stray_components(
    scan: NetworkInput, segmenter: Segmenter, probabilities: np.ndarray, grid: SliceGrid, planes: int
) -> Trust:
    """Make stray components background, in place, and judge what is left, and what was drawn before.

    probabilities: float32 [classes, slices, rows, columns], the mean of passes in so many planes.
    """
    card, geometry, roi = scan.card, scan.volume.geometry, scan.options.roi
    volumes = uncertainty.expected_volumes(probabilities)
    labels = likeliest(probabilities)
    on_grid = Volume(labels, Geometry(grid.count, (0.0, 0.0, 0.0), grid.spacing_mm(geometry)), scan.volume.name)
    shown = grid.inside(slices.whole_box(geometry) if roi is None else slices.box_of_roi(geometry, roi))
    kept, flags = without_strays(on_grid, card.labels, shown)
    to_background(probabilities, kept.array != labels)
    found = likeliest(probabilities)
    unlike = out_of_distribution.check(
        segmenter, card, scan.volume, grid, scan.images(grid), found, flags, scan.intensity.modality
    )
    dice = uncertainty.expected_dice(probabilities, volumes)
    # The mean of three planes is less sure than it is right; a single plane's is not, and of a scan unlike those of
    # the curve nobody knows.
    curve = card.dice_curve if planes > 1 and not unlike.flags else None
    if curve is not None:
        dice = {value: uncertainty.calibrated(share, curve) for value, share in dice.items()}
    rounded = {s.id: round(dice[s.value], 3) if (found == s.value).any() else None for s in card.labels}
    return Trust((*unlike.flags, *flags), unlike.notes, rounded, curve is not None, unlike.measured)


def to_background(probabilities: np.ndarray, mask: np.ndarray) -> None:
    """Make the voxels of `mask` certain background, in place."""
    probabilities[0][mask] = 1.0
    for foreground in probabilities[1:]:
        foreground[mask] = 0.0
