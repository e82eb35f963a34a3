"""A volume in, its four structures out.

    volume -> plane -> locate the heart (coarse slices) -> fine slices -> network -> components -> paste back

`segment_steps` is a generator: it yields a `Progress` between pieces of work that each take well under a second,
so that a panel can show it, stay alive, and drop it at any point; its return value is the `Result`. `segment` runs
it to the end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import __version__, engine, quality, slices
from .intensity import intensity_rule
from .structures import Structure, structure_by_id
from .volume import Geometry, Volume, VolumeError, check

if TYPE_CHECKING:
    from .models import ModelCard
    from .networks import Segmenter

log = logging.getLogger(__name__)

LOCATE_MARGIN_MM = 20.0  # around the heart found by the coarse pass: two of its logits
HEART_ML = 10.0  # a smaller find in the coarse pass is no heart
PASTE_COST = 0.02  # one native plane pasted back, in units of one slice through the network


@dataclass(frozen=True)
class Progress:
    """What is being done, how much of the whole is done (0..1), and the seconds that are left (None: not known yet)."""

    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class Options:
    """How to segment.

    device: auto, cpu, cuda, cuda:N or mps. precision: auto, float32 or bfloat16. batch_size: slices at once.
    roi: (xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm around the heart; it replaces the coarse pass.
    structures: ids to keep in the result (None: all). modality: auto, ct or mr, for the intensity rule.
    """

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    roi: tuple[float, ...] | None = None
    structures: tuple[str, ...] | None = None
    modality: str = "auto"
    keep_probabilities: bool = False


@dataclass(frozen=True)
class Result:
    """labels: uint8 on the grid of the input. probabilities: structure id -> float32 0..1 on that grid, if kept."""

    labels: Volume
    probabilities: dict[str, Volume] | None
    report: dict


class NoHeartFound(RuntimeError):
    """The coarse pass found nothing that could be a heart."""


def segment(
    volume: Volume,
    segmenter: Segmenter,
    card: ModelCard,
    options: Options = Options(),
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run `segment_steps` to its end; `on_progress` is called with each step."""
    steps = segment_steps(volume, segmenter, card, options)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if on_progress:
            on_progress(progress)


def segment_steps(
    volume: Volume, segmenter: Segmenter, card: ModelCard, options: Options = Options()
) -> Generator[Progress, None, Result]:
    """Segment `volume`, yielding progress; the generator's return value is a `Result`.

    Raises VolumeError for an unusable image, ValueError for unusable options, NoHeartFound, MemoryError.
    """
    check(volume)
    structures = tuple(card.labels)
    wanted = (
        structures
        if options.structures is None
        else tuple(structure_by_id(i, structures) for i in options.structures)
    )
    job = _Job(volume, segmenter, card, options)
    yield job.progress("Preparing", 0.0)
    with job.timed("locate"):
        box = yield from _locate(job)
    with job.timed("network"):
        grid = slices.slice_grid(
            volume.geometry, job.plane, box, job.pre.spacing_mm, job.pre.slice_spacing_mm, job.pre.crop
        )
        images = job.images(grid)
        job.plan(grid.count[2] + PASTE_COST * volume.geometry.size[2])
        probabilities = yield from _predict(job, "Segmenting", images)
    with job.timed("paste"):
        flags = _clean(job, probabilities, grid, structures)
        labels, kept = yield from _paste(job, probabilities, grid, structures, wanted)
    result = Volume(labels, volume.geometry, volume.name)
    report = job.report(grid)
    report["volumes_ml"] = {
        s.id: v for s, v in zip(wanted, quality.volumes_ml(result, wanted).values(), strict=True)
    }
    report["flags"] = [
        {"structure": f.structure_id, "kind": f.kind, "message": f.message}
        for f in flags
        if f.structure_id in {s.id for s in wanted}
    ]
    maps = {i: Volume(a, volume.geometry, f"{volume.name} {i}") for i, a in kept.items()}
    yield Progress("Done", 1.0, 0.0)
    return Result(result, maps if options.keep_probabilities else None, report)


def _locate(job: _Job) -> Generator[Progress, None, np.ndarray]:
    """[2, 3] volume indices of the box around the heart: from the ROI, or by a coarse pass over the whole volume."""
    geometry = job.volume.geometry
    if job.options.roi is not None:
        return slices.box_of_roi(geometry, job.options.roi)
    whole = slices.whole_box(geometry)
    grid = slices.slice_grid(
        geometry, job.plane, whole, job.pre.locate_spacing_mm, job.pre.locate_slice_spacing_mm, 64
    )
    images = job.images(grid)
    job.plan(images.size / job.pre.crop**2 + 80 + PASTE_COST * geometry.size[2])
    probabilities = yield from _predict(job, "Finding the heart", images)
    heart = quality.largest_component(probabilities.argmax(axis=0) > 0)
    voxel_ml = float(np.prod(grid.spacing_mm(geometry))) / 1000.0
    if heart.sum() * voxel_ml < HEART_ML:
        raise NoHeartFound(
            f"No heart was found in {job.volume.name}. If there is one, draw a region of interest around it, "
            "or adapt the model to scans like this one."
        )
    where = np.argwhere(heart)[:, ::-1]  # columns, rows, slices
    box = grid.index_box(np.stack([where.min(axis=0) - 0.5, where.max(axis=0) + 0.5]))
    margin = LOCATE_MARGIN_MM / np.array(geometry.spacing)
    return np.clip(np.stack([box[0] - margin, box[1] + margin]), whole[0], whole[1])


def _predict(job: _Job, stage: str, images: np.ndarray) -> Generator[Progress, None, np.ndarray]:
    """Class probabilities float32 [classes, slices, rows, columns] of normalised slices [slices, rows, columns]."""
    n = len(images)
    out = np.empty((job.card.architecture.classes, *images.shape), np.float32)
    unit = images[0].size / job.pre.crop**2
    done = 0
    while done < n:
        batch = images[done : done + job.batch_size(*images.shape[1:])]
        try:
            out[:, done : done + len(batch)] = job.engine.probabilities(batch).swapaxes(0, 1)
        except engine.OutOfMemory:
            job.retreat(len(batch))
            continue
        done += len(batch)
        job.advance(unit * len(batch))
        yield job.progress(stage)
    return out


def _clean(
    job: _Job, probabilities: np.ndarray, grid: slices.SliceGrid, structures: tuple[Structure, ...]
) -> tuple[quality.Flag, ...]:
    """Make all but the largest piece of each structure background, in place; what speaks against the result."""
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    geometry = Geometry(grid.count, (0.0, 0.0, 0.0), grid.spacing_mm(job.volume.geometry))
    kept, flags = quality.keep_largest(Volume(labels, geometry, job.volume.name), structures)
    stray = kept.array != labels
    probabilities[0][stray] = 1.0
    for foreground in probabilities[1:]:
        foreground[stray] = 0.0
    return flags


def _paste(
    job: _Job,
    probabilities: np.ndarray,
    grid: slices.SliceGrid,
    structures: tuple[Structure, ...],
    wanted: tuple[Structure, ...],
) -> Generator[Progress, None, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Labels uint8 [k, j, i] on the volume's grid and, if asked for, the probabilities of the wanted structures."""
    shape = job.volume.geometry.shape
    labels = np.zeros(shape, np.uint8)
    kept = {s.id: np.zeros(shape, np.float32) for s in wanted} if job.options.keep_probabilities else {}
    chosen = np.zeros(256, np.uint8)
    chosen[[s.value for s in wanted]] = [s.value for s in wanted]
    seen = time.monotonic()
    for k, where, values in slices.paste(probabilities, grid, job.volume.geometry):
        labels[k][where] = chosen[values.argmax(axis=0)]
        for structure in wanted if kept else ():
            kept[structure.id][k][where] = values[structure.value]
        job.advance(PASTE_COST)
        if time.monotonic() - seen > 0.1:
            yield job.progress("Writing into the scan's grid")
            seen = time.monotonic()
    return labels, kept


@dataclass
class _Job:
    """What one segmentation carries along: the engine (which may retreat when memory runs out) and the clock."""

    volume: Volume
    segmenter: Segmenter
    card: ModelCard
    options: Options
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    done: float = 0.0
    total: float = 100.0

    def __post_init__(self) -> None:
        self.started = time.monotonic()
        self.pre = self.card.preprocessing
        self.plane = slices.choose_plane(self.volume.geometry, self.pre.plane)
        self.intensity = intensity_rule(self.volume, self.pre, self.options.modality)
        device = engine.choose_device(self.options.device)
        self.precision = engine.choose_precision(self.options.precision, device)
        self.engine = engine.prepare(self.segmenter, device, self.precision)
        if self.options.batch_size is not None and self.options.batch_size < 1:
            raise ValueError(f"A batch of {self.options.batch_size} slices cannot be; give 1 or more.")
        self.most = self.options.batch_size  # slices at once; None: as the engine thinks best
        self.seconds["prepare"] = time.monotonic() - self.started

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
            cpu = engine.choose_device("cpu")
            self.precision = engine.choose_precision("auto", cpu)
            self.engine = engine.prepare(self.segmenter, cpu, self.precision)
            self.most = self.options.batch_size
            note = f"Memory ran out on {device} even for one slice; went on on the CPU."
        else:
            raise MemoryError(
                "Memory ran out on the CPU even for one slice; close other programs and try again."
            )
        self.notes.append(note)
        log.warning(note)

    def timed(self, stage: str) -> _Stopwatch:
        return _Stopwatch(self.seconds, stage)

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
            "input": {
                "name": self.volume.name,
                "size": list(geometry.size),
                "spacing_mm": list(geometry.spacing),
            },
            "device": str(self.engine.device),
            "precision": str(self.precision).removeprefix("torch."),
            "intensity": self.intensity.name,
            "plane": grid.plane.name,
            "slices": grid.count[2],
            "batch_size": self.batch_size(grid.count[1], grid.count[0]),
            "seconds": {stage: round(s, 3) for stage, s in self.seconds.items()},
            "notes": list(self.notes),
        }


class _Stopwatch:
    """Adds the seconds of a `with` block to a dict; time between a generator's steps counts only inside of the block."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + time.monotonic() - self.start
