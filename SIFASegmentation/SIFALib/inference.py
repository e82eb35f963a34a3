"""A volume in, its four structures out.

    volume -> plane -> locate the heart (coarse slices) -> fine slices -> network -> components -> paste back

`segment_steps` is a generator: it yields a `Progress` between pieces of work that each take well under a second,
so that a panel can show it, stay alive, and drop it at any point; its return value is the `Result`. `segment` runs
it to the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import engine, quality, slices
from .job import Job, Options, Progress
from .structures import Structure, structure_by_id
from .volume import Geometry, Volume, check

if TYPE_CHECKING:
    from .models import ModelCard
    from .networks import Segmenter

LOCATE_MARGIN_MM = 20.0  # around the heart found by the coarse pass: two of its logits
NO_SEARCH = (
    1.3  # a scan whose slices are at most so many times the model's crop wide and high needs no search
)
HEART_ML = 10.0  # less than this in all is no heart, in a scan at least HEART_MM thick; in proportion in a thinner one
HEART_MM = 50.0
NO_HEART = (
    "No heart was found in {}. If there is one, draw a region of interest around it, "
    "or adapt the model to scans like this one."
)
PASTE_COST = 0.02  # one native plane pasted back, in units of one slice through the network


@dataclass(frozen=True)
class Result:
    """labels: uint8 on the grid of the input. probabilities: structure id -> float16 0..1 on that grid, if kept."""

    labels: Volume
    probabilities: dict[str, Volume] | None
    report: dict


class NoHeartFound(RuntimeError):
    """Nothing in the scan could be a heart."""


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
    job = Job(volume, segmenter, card, options)
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
        if options.roi is not None:
            _to_background(probabilities, ~grid.inside(box))
        if (probabilities.argmax(axis=0) > 0).sum() * grid.voxel_ml(volume.geometry) < _least_ml(job):
            raise NoHeartFound(NO_HEART.format(volume.name))
    with job.timed("paste"):
        yield job.progress("Cleaning up")
        flags = _clean(job, probabilities, grid, structures)
        yield job.progress("Cleaning up")
        if not options.keep_probabilities:
            probabilities, grid = _cropped(probabilities, grid)
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


def locate(
    volume: Volume, segmenter: Segmenter, card: ModelCard, options: Options = Options()
) -> np.ndarray | None:
    """[2, 3] volume indices of the box around the heart, as `segment` would find it; None if there is no heart."""
    steps = _locate(Job(volume, segmenter, card, options))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        except NoHeartFound:
            return None


def _locate(job: Job) -> Generator[Progress, None, np.ndarray]:
    """[2, 3] volume indices of the box around the heart: from the ROI, or by a coarse pass over the whole volume."""
    geometry = job.volume.geometry
    if job.options.roi is not None:
        return slices.box_of_roi(geometry, job.options.roi)
    whole = slices.whole_box(geometry)
    reach = NO_SEARCH * job.pre.crop * job.pre.spacing_mm
    if all(geometry.extent_mm[axis] <= reach for axis in job.plane.axes[:2]):
        return whole  # the scan shows little but the heart
    grid = slices.slice_grid(
        geometry, job.plane, whole, job.pre.locate_spacing_mm, job.pre.locate_slice_spacing_mm, 64
    )
    images = job.images(grid)
    job.plan(images.size / job.pre.crop**2 + 80 + PASTE_COST * geometry.size[2])
    probabilities = yield from _predict(job, "Finding the heart", images)
    heart = quality.largest_component(probabilities.argmax(axis=0) > 0)
    if heart.sum() * grid.voxel_ml(geometry) < _least_ml(job):
        raise NoHeartFound(NO_HEART.format(job.volume.name))
    where = np.argwhere(heart)[:, ::-1]  # columns, rows, slices
    box = grid.index_box(np.stack([where.min(axis=0) - 0.5, where.max(axis=0) + 0.5]))
    margin = LOCATE_MARGIN_MM / np.array(geometry.spacing)
    return np.clip(np.stack([box[0] - margin, box[1] + margin]), whole[0], whole[1])


def _least_ml(job: Job) -> float:
    """How much of the structures a scan of this thickness must show to hold a heart."""
    thickness = job.volume.geometry.extent_mm[job.plane.axes[2]]
    return HEART_ML * min(1.0, thickness / HEART_MM)


def _predict(job: Job, stage: str, images: np.ndarray) -> Generator[Progress, None, np.ndarray]:
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
    job: Job, probabilities: np.ndarray, grid: slices.SliceGrid, structures: tuple[Structure, ...]
) -> tuple[quality.Flag, ...]:
    """Make all but the largest piece of each structure background, in place; what speaks against the result."""
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    geometry = Geometry(grid.count, (0.0, 0.0, 0.0), grid.spacing_mm(job.volume.geometry))
    kept, flags = quality.keep_largest(Volume(labels, geometry, job.volume.name), structures)
    _to_background(probabilities, kept.array != labels)
    return flags


def _to_background(probabilities: np.ndarray, mask: np.ndarray) -> None:
    """Make the voxels of `mask` certain background, in place."""
    probabilities[0][mask] = 1.0
    for foreground in probabilities[1:]:
        foreground[mask] = 0.0


def _cropped(probabilities: np.ndarray, grid: slices.SliceGrid) -> tuple[np.ndarray, slices.SliceGrid]:
    """The block around everything that is not background, with one element to spare, and its grid."""
    box = quality.bounding_box(probabilities.argmax(axis=0) > 0)
    rows = [slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, grid.shape, strict=True)]
    block = (rows[0], rows[1], rows[2])
    return probabilities[:, block[0], block[1], block[2]], grid.part(block)


def _paste(
    job: Job,
    probabilities: np.ndarray,
    grid: slices.SliceGrid,
    structures: tuple[Structure, ...],
    wanted: tuple[Structure, ...],
) -> Generator[Progress, None, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Labels uint8 [k, j, i] on the volume's grid and, if asked for, the probabilities of the wanted structures."""
    shape = job.volume.geometry.shape
    labels = np.zeros(shape, np.uint8)
    kept = {s.id: np.zeros(shape, np.float16) for s in wanted} if job.options.keep_probabilities else {}
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
