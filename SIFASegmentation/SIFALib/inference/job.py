"""What one segmentation carries along: its options, its engine, which may retreat when memory runs out, its clock."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..imaging import slices
from ..imaging.geometry import Volume
from ..imaging.intensity import intensity_rule
from ..networks import devices, engine
from ..support.errors import OutOfMemory, VolumeError
from ..support.progress import Progress

if TYPE_CHECKING:
    import torch

    from ..models.store import ModelCard
    from ..networks.segmenter import Segmenter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to segment.

    device: auto, cpu, cuda, cuda:N or mps. precision: auto, float32 or bfloat16. batch_size: slices at once.
    roi: (xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm around the heart; it replaces the coarse pass.
    structures: ids to keep in the result (None: all). modality: auto, ct or mr, for the intensity rule.
    views: auto, one or three, the planes that are looked in (see `views.planes`). keep_probabilities and
    uncertainty: maps that the result should hold besides the labels.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    roi: tuple[float, ...] | None = None
    structures: tuple[str, ...] | None = None
    modality: str = "auto"
    keep_probabilities: bool = False
    views: str = "auto"
    uncertainty: bool = False


@dataclass
class Job:
    """What one segmentation carries along: the engine (which may retreat when memory runs out) and the clock."""

    volume: Volume
    segmenter: Segmenter
    card: ModelCard
    options: Options
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)  # planes that were looked in
    done: float = 0.0
    total: float = 100.0
    rest: float = 80.0  # work after the heart is found, as long as nobody knows

    def __post_init__(self) -> None:
        self.started = time.monotonic()
        self.pre = self.card.preprocessing
        self.lie((1, 1, 1))
        self.intensity = intensity_rule(self.volume, self.pre, self.options.modality)
        device = devices.choose_device(self.options.device)
        self.precision = devices.choose_precision(self.options.precision, device)
        try:
            self.engine = engine.prepare(self.segmenter, device, self.precision)
        except OutOfMemory:
            self._go_on_on_cpu(device, "for the weights alone")
        if self.options.batch_size is not None and self.options.batch_size < 1:
            raise ValueError(f"A batch of {self.options.batch_size} slices cannot be; give 1 or more.")
        self.most = self.options.batch_size  # slices at once; None: as the engine thinks best
        self.seconds["prepare"] = time.monotonic() - self.started

    def lie(self, turn: tuple[int, int, int]) -> None:
        """Look at the scan as if the patient lay otherwise than its header says: `turn` are the signs of x, y, z."""
        geometry = self.volume.geometry
        axes = np.diag(turn) @ geometry.axes
        self.patient = replace(geometry, direction=tuple(axes.ravel().tolist()))
        self.plane = slices.choose_plane(self.patient, self.pre.plane)

    def images(self, grid: slices.SliceGrid) -> np.ndarray:
        """Normalised slices float32 [slices, rows, columns] in -1..1; -1 outside of the volume."""
        values, inside = slices.sample(self.volume, grid)
        if not inside.any():
            raise VolumeError(f"{self.volume.name}: the region of interest holds no voxel; make it larger.")
        return self.intensity.normalise(values, inside)

    def batch_size(self, height: int, width: int) -> int:
        """How many slices of that size the engine gets at once."""
        return self.most or self.engine.batch_size(height, width)

    def retreat(self, tried: int) -> None:
        """After running out of memory with `tried` slices: half of them, then the CPU, then give up with a sentence."""
        device = self.engine.device
        if tried > 1:
            self.most = tried // 2
            note = f"Memory ran out on {device} with {tried} slices at once; went on with {self.most}."
        elif device.type != "cpu":
            self._go_on_on_cpu(device, "even for one slice")
            return
        else:
            raise MemoryError("Memory ran out on the CPU even for one slice; close other programs and try again.")
        self.notes.append(note)
        log.warning(note)

    def _go_on_on_cpu(self, device: torch.device, where: str) -> None:
        cpu = devices.choose_device("cpu")
        self.precision = devices.choose_precision("auto", cpu)
        self.engine = engine.prepare(self.segmenter, cpu, self.precision)
        self.most = self.options.batch_size
        self.notes.append(f"Memory ran out on {device} {where}; went on on the CPU.")
        log.warning(self.notes[-1])

    def timed(self, stage: str) -> Stopwatch:
        return Stopwatch(self.seconds, stage)

    def plan(self, units: float) -> None:
        """Say how much work is left, in slices of the model's crop."""
        self.total = self.done + units

    def advance(self, units: float) -> None:
        self.done += units

    def progress(self, stage: str, fraction: float | None = None) -> Progress:
        share = min(0.99, self.done / self.total) if fraction is None else fraction
        elapsed = time.monotonic() - self.started
        left = elapsed * (1 - share) / share if share > 0.02 else None
        return Progress(stage, share, left)

    def report(self, grid: slices.SliceGrid) -> dict:
        geometry = self.volume.geometry
        return {
            "sifa_version": __version__,
            "model": {"id": self.card.id, "version": self.card.version, "sha256": self.card.sha256},
            "input": {"name": self.volume.name, "size": list(geometry.size), "spacing_mm": list(geometry.spacing)},
            "device": str(self.engine.device),
            "precision": str(self.precision).removeprefix("torch."),
            "intensity": self.intensity.name,
            "plane": grid.plane.name,
            "views": list(self.views),
            "slices": grid.count[2],
            "batch_size": self.batch_size(grid.count[1], grid.count[0]),
            "seconds": {stage: round(s, 3) for stage, s in self.seconds.items()},
            "notes": list(self.notes),
        }


class Stopwatch:
    """Adds the seconds of a `with` block to a dict; time between a generator's steps counts only inside of the block."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + time.monotonic() - self.start
