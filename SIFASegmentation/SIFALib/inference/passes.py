"""A scan as the network is shown it, and the passes that it makes: in one plane, with one pixel size and brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..imaging import slices
from ..imaging.geometry import Volume
from ..imaging.intensity import Intensity, intensity_rule
from ..imaging.slices import Plane, SliceGrid
from ..support.errors import VolumeError
from .flags import Flag
from .options import Options

if TYPE_CHECKING:
    from ..models.card import ModelCard, Preprocessing


@dataclass(frozen=True)
class NetworkInput:
    """A scan as the model of that card is shown it. intensity: the rule by which grey values become -1..1."""

    volume: Volume
    card: ModelCard
    options: Options
    intensity: Intensity

    @staticmethod
    def of(volume: Volume, card: ModelCard, options: Options = Options()) -> NetworkInput:
        return NetworkInput(volume, card, options, intensity_rule(volume, card.preprocessing, options.modality))

    @property
    def pre(self) -> Preprocessing:
        return self.card.preprocessing

    @property
    def unit(self) -> int:
        """Pixels of a slice of the model's crop, in which work is measured."""
        return self.pre.crop**2

    def images(self, grid: SliceGrid) -> np.ndarray:
        """Normalised slices float32 [slices, rows, columns] in -1..1; -1 outside of the volume."""
        values, inside = slices.sample(self.volume, grid)
        if not inside.any():
            raise VolumeError(f"{self.volume.name}: the region of interest holds no voxel; make it larger.")
        return self.intensity.normalise(values, inside)


def reading_flags(scan: NetworkInput) -> tuple[Flag, ...]:
    """A flag where it is in doubt whether the scan is a CT or an MR."""
    rule = scan.intensity
    if not rule.doubtful:
        return ()
    other = "mr" if rule.modality == "ct" else "ct"
    told = f"The scan was read {rule.reading}. If that is wrong, say so (modality {other})."
    return (Flag("", "modality", told),)


@dataclass(frozen=True)
class Pass:
    """zoom: of the pixels; shift: of the grid, in pixels; gain: of grey values, darkest kept; stride: of the slices; turn:
    the quarter turns by which `plane` is turned against the first pass's.

    None of them changes what the labels should be. Mirroring would: hearts have a left and a right side.
    """

    plane: Plane
    zoom: float = 1.0
    shift: float = 0.0
    gain: float = 1.0
    stride: float = 1.0
    turn: int = 0

    def grid(self, scan: NetworkInput, box: np.ndarray) -> SliceGrid:
        """The slices of this pass over a box [2, 3] of volume indices."""
        spacing, across = scan.pre.spacing_mm / self.zoom, scan.pre.slice_spacing_mm * self.stride
        grid = slices.slice_grid(scan.volume.geometry, self.plane, box, spacing, across, scan.pre.crop)
        return grid.shifted(self.shift) if self.shift else grid

    def images(self, scan: NetworkInput, grid: SliceGrid) -> np.ndarray:
        """Normalised slices float32 [slices, rows, columns]."""
        images = scan.images(grid)
        return images if self.gain == 1 else (images + 1) * np.float32(self.gain) - 1
