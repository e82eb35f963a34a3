"""The network's looks at a scan: one plane, one zoom, one brightness each, slice after slice into a `Fusion`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..imaging import slices
from ..imaging.slices import Plane, SliceGrid
from ..support.errors import OutOfMemory
from ..support.progress import Progress
from .fusion import Fusion
from .job import Job


@dataclass(frozen=True)
class Look:
    """zoom: of the pixels; shift: of the grid, in pixels; gain: of grey values, darkest kept; stride: of the slices.

    None of them changes what the labels should be. Mirroring would: hearts have a left and a right side.
    """

    plane: Plane
    zoom: float = 1.0
    shift: float = 0.0
    gain: float = 1.0
    stride: float = 1.0

    def grid(self, job: Job, box: np.ndarray) -> SliceGrid:
        """The slices of this look at a box [2, 3] of volume indices."""
        spacing, across = job.pre.spacing_mm / self.zoom, job.pre.slice_spacing_mm * self.stride
        grid = slices.slice_grid(job.volume.geometry, self.plane, box, spacing, across, job.pre.crop)
        return grid.shifted(self.shift) if self.shift else grid

    def images(self, job: Job, grid: SliceGrid) -> np.ndarray:
        """Normalised slices float32 [slices, rows, columns]."""
        images = job.images(grid)
        return images if self.gain == 1 else (images + 1) * np.float32(self.gain) - 1


def look(job: Job, stage: str, fusion: Fusion, grid: SliceGrid, images: np.ndarray) -> Generator[Progress, None, None]:
    """Add what the network says about normalised slices [slices, rows, columns] on `grid` to the fusion."""
    done, unit = 0, images[0].size / job.pre.crop**2
    while done < len(images):
        batch = images[done : done + job.batch_size(*images.shape[1:])]
        try:
            probabilities = job.engine.probabilities(batch)
        except OutOfMemory:
            job.retreat(len(batch))
            continue
        fusion.add(probabilities, done, grid)
        done += len(batch)
        job.advance(unit * len(batch))
        yield job.progress(stage)
    fusion.close(grid)
