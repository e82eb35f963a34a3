"""The network's passes over a scan: each in one plane, with one pixel size and brightness, slice after slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..imaging import slices
from ..imaging.geometry import Volume
from ..imaging.intensity import Intensity, intensity_rule
from ..imaging.slices import Plane, SliceGrid
from ..support.errors import VolumeError
from ..support.progress import Steps
from .fusion import Fusion
from .runner import Clock, Runner

if TYPE_CHECKING:
    from ..models.card import ModelCard, Preprocessing


@dataclass(frozen=True)
class NetworkInput:
    """A scan as a model is shown it: what its card says, and the rule by which grey values become -1..1."""

    volume: Volume
    card: ModelCard
    intensity: Intensity

    @staticmethod
    def of(volume: Volume, card: ModelCard, modality: str = "auto") -> NetworkInput:
        return NetworkInput(volume, card, intensity_rule(volume, card.preprocessing, modality))

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


@dataclass(frozen=True)
class Pass:
    """zoom: of the pixels; shift: of the grid, in pixels; gain: of grey values, darkest kept; stride: of the slices.

    None of them changes what the labels should be. Mirroring would: hearts have a left and a right side.
    """

    plane: Plane
    zoom: float = 1.0
    shift: float = 0.0
    gain: float = 1.0
    stride: float = 1.0

    def grid(self, scan: NetworkInput, box: np.ndarray) -> SliceGrid:
        """The slices of this pass over a box [2, 3] of volume indices."""
        spacing, across = scan.pre.spacing_mm / self.zoom, scan.pre.slice_spacing_mm * self.stride
        grid = slices.slice_grid(scan.volume.geometry, self.plane, box, spacing, across, scan.pre.crop)
        return grid.shifted(self.shift) if self.shift else grid

    def images(self, scan: NetworkInput, grid: SliceGrid) -> np.ndarray:
        """Normalised slices float32 [slices, rows, columns]."""
        images = scan.images(grid)
        return images if self.gain == 1 else (images + 1) * np.float32(self.gain) - 1


def run_pass(
    runner: Runner, clock: Clock, stage: str, fusion: Fusion, grid: SliceGrid, images: np.ndarray
) -> Steps[None]:
    """Add what the network says of normalised slices [slices, rows, columns] on `grid` to the fusion."""
    for first, probabilities in runner.probabilities(images):
        fusion.add(probabilities, first, grid)
        clock.advance(probabilities[:, 0].size)
        yield clock.progress(stage)
    fusion.close(grid)
