"""A volume in, its four structures out.

    volume -> planes -> locate the heart (coarse slices) -> fine slices of each plane -> network -> mean on one grid
    -> components -> paste back

`segment_steps` is a generator: it yields a `Progress` between pieces of work that each take well under a second,
so that a panel can show it, stay alive, and drop it at any point; its return value is the `Result`. `segment` runs
it to the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..imaging import components, slices
from ..imaging.checks import check
from ..imaging.geometry import Geometry, Volume
from ..models.structures import Structure, structure_by_id
from ..support.errors import NoHeartFound
from ..support.progress import Progress
from . import flags as quality
from . import fusion as views
from . import out_of_distribution, uncertainty
from .fusion import Fusion
from .job import Job, Options
from .localisation import NO_HEART, clarity_of, find_heart, heart_like, least_ml, shows_whole_heart
from .passes import Look, look

if TYPE_CHECKING:
    from ..models.store import ModelCard
    from ..networks.segmenter import Segmenter

__all__ = ["NoHeartFound", "Options", "Progress", "Result", "locate", "segment", "segment_steps"]

CROSSING_STRIDE = 2.0  # slices across the scan's own plane lie so many times further apart: measured, it costs nothing
STACK_ZOOMS = (0.85, 1.18)  # of two more looks at a stack of slices, which has no other planes
SECOND_ZOOM, SECOND_SHIFT, SECOND_GAIN = 0.91, 4.0, 0.92  # shift: half of what the network reduces a slice by
PASTE_COST = 0.02  # one native plane pasted back, in units of one slice through the network


@dataclass(frozen=True)
class Result:
    """labels: uint8 on the grid of the input. probabilities: structure id -> float16 0..1 on that grid, if kept.

    uncertainty: float16 0..1 on that grid, if asked for: 0 where the network is sure, 1 where all classes are as likely.
    """

    labels: Volume
    probabilities: dict[str, Volume] | None
    report: dict
    uncertainty: Volume | None = None


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
        structures if options.structures is None else tuple(structure_by_id(i, structures) for i in options.structures)
    )
    job = Job(volume, segmenter, card, options)
    count = 1 if options.views == "one" else 3  # of looks
    job.rest = 40 * (1 + count) + PASTE_COST * volume.geometry.size[2]  # a guess until the heart is found
    yield job.progress("Preparing", 0.0)
    with job.timed("locate"):
        box = yield from find_heart(job)
    with job.timed("network"):
        fusion = yield from _look_at_heart(job, box)
        grid, probabilities = fusion.grid, fusion.mean()
        doubt = (yield from _doubt(job, box, fusion)) if options.uncertainty else None
        if options.roi is not None:
            _to_background(probabilities, ~grid.inside(box))
            if doubt is not None:
                doubt[~grid.inside(box)] = 0.0
        found = np.count_nonzero(probabilities.argmax(axis=0))
        if found * grid.voxel_ml(volume.geometry) < least_ml(job):
            raise NoHeartFound(NO_HEART.format(volume.name))
    with job.timed("paste"):
        yield job.progress("Cleaning up")
        mass = uncertainty.mass(probabilities)
        flags = _clean(job, probabilities, grid, structures)
        found = probabilities.argmax(axis=0)
        familiar = out_of_distribution.check(segmenter, card, volume, grid, job.images(grid), found, flags)
        expected = uncertainty.expected_dice(probabilities, mass)
        # The mean of three planes is less sure than it is right; a single plane's is not, and of a scan unlike those of
        # the curve nobody knows.
        curve = card.dice_curve if len(job.views) > 1 and not familiar.flags else None
        if curve is not None:
            expected = {v: uncertainty.calibrated(e, curve) for v, e in expected.items()}
        yield job.progress("Cleaning up")
        unsure = (yield from _paste_map(job, doubt, grid)) if doubt is not None else None
        if not options.keep_probabilities:
            probabilities, grid = _cropped(probabilities, grid)
        labels, kept = yield from _paste(job, probabilities, grid, structures, wanted)
    result = Volume(labels, volume.geometry, volume.name)
    report = job.report(fusion.grid)
    report["familiarity"] = familiar.measured
    report["notes"] += familiar.notes
    report["volumes_ml"] = {s.id: v for s, v in zip(wanted, quality.volumes_ml(result, wanted).values(), strict=True)}
    report["dice_calibrated"] = curve is not None
    report["expected_dice"] = {
        s.id: None if math.isnan(expected[s.value]) else round(expected[s.value], 3) for s in wanted
    }
    report["flags"] = [
        {"structure": f.structure_id, "kind": f.kind, "warns": f.warns, "message": f.message}
        for f in (*familiar.flags, *flags)
        if f.structure_id in {"", *(s.id for s in wanted)}
    ]
    maps = {i: Volume(a, volume.geometry, f"{volume.name} {i}") for i, a in kept.items()}
    yield Progress("Done", 1.0, 0.0)
    return Result(
        result,
        maps if options.keep_probabilities else None,
        report,
        None if unsure is None else Volume(unsure, volume.geometry, f"{volume.name} uncertainty"),
    )


def locate(volume: Volume, segmenter: Segmenter, card: ModelCard, options: Options = Options()) -> np.ndarray | None:
    """[2, 3] volume indices of the box around the heart, as `segment` would find it; None if there is no heart."""
    steps = find_heart(Job(volume, segmenter, card, options))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        except NoHeartFound:
            return None


def _look_at_heart(job: Job, box: np.ndarray) -> Generator[Progress, None, Fusion]:
    """The network's looks at a box [2, 3] of volume indices, on the grid of the scan's own plane: in every plane that
    serves, or with other pixel sizes where only one does."""
    planes = views.planes(job.patient, job.plane, job.pre.spacing_mm, job.options.views)
    looks = [Look(plane, stride=CROSSING_STRIDE if n else 1.0) for n, plane in enumerate(planes)]
    if len(planes) == 1 and job.options.views != "one":
        looks += [Look(job.plane, zoom) for zoom in STACK_ZOOMS]
    grids = [each.grid(job, box) for each in looks]
    again = grids[0].count[2] if job.options.uncertainty and len(looks) == 1 else 0
    pasting = PASTE_COST * job.volume.geometry.size[2] * (2 if job.options.uncertainty else 1)
    job.plan(sum(math.prod(g.count) for g in grids) / job.pre.crop**2 + again + pasting)
    job.views = [plane.name for plane in planes]
    fusion = Fusion(job.card.architecture.classes, grids[0])
    for n, (each, grid) in enumerate(zip(looks, grids, strict=True)):
        yield from look(job, "Segmenting", fusion, grid, each.images(job, grid))
        if n == 0:
            _insist_on_heart(job, box, fusion)
    return fusion


def _insist_on_heart(job: Job, box: np.ndarray, fusion: Fusion) -> None:
    """Raise NoHeartFound if what the first look shows is none; later ones, averaged with it, would blur the answer."""
    probabilities = fusion.sum
    if job.options.roi is not None:
        probabilities = probabilities.copy()
        _to_background(probabilities, ~fusion.grid.inside(box))
    clarity = clarity_of(probabilities, probabilities.argmax(axis=0) > 0)
    if not heart_like(clarity, shows_whole_heart(job)):
        raise NoHeartFound(NO_HEART.format(job.volume.name))


def _doubt(job: Job, box: np.ndarray, fusion: Fusion) -> Generator[Progress, None, np.ndarray]:
    """Uncertainty float32 [slices, rows, columns], 0..1, of the mean of all looks.

    After a single look follows another with other pixels: the labels stay what they are without that.
    """
    probabilities = fusion.mean()
    if job.options.views == "one":
        both = Fusion(len(probabilities), fusion.grid)
        both.add(probabilities.swapaxes(0, 1), 0, fusion.grid)
        both.close(fusion.grid)
        second = Look(fusion.grid.plane, SECOND_ZOOM, SECOND_SHIFT, SECOND_GAIN)
        grid = second.grid(job, box)
        yield from look(job, "Judging the result", both, grid, second.images(job, grid))
        probabilities = both.mean()
    return uncertainty.entropy(probabilities)


def _clean(
    job: Job, probabilities: np.ndarray, grid: slices.SliceGrid, structures: tuple[Structure, ...]
) -> tuple[quality.Flag, ...]:
    """Make stray pieces background, in place; what speaks against the result."""
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    geometry = Geometry(grid.count, (0.0, 0.0, 0.0), grid.spacing_mm(job.volume.geometry))
    scan, roi = job.volume.geometry, job.options.roi
    shown = grid.inside(slices.whole_box(scan) if roi is None else slices.box_of_roi(scan, roi))
    kept, flags = quality.without_strays(Volume(labels, geometry, job.volume.name), structures, shown)
    _to_background(probabilities, kept.array != labels)
    return flags


def _to_background(probabilities: np.ndarray, mask: np.ndarray) -> None:
    """Make the voxels of `mask` certain background, in place."""
    probabilities[0][mask] = 1.0
    for foreground in probabilities[1:]:
        foreground[mask] = 0.0


def _cropped(probabilities: np.ndarray, grid: slices.SliceGrid) -> tuple[np.ndarray, slices.SliceGrid]:
    """The block around everything that is not background, with one element to spare, and its grid."""
    box = components.bounding_box(probabilities.argmax(axis=0) > 0)
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


def _paste_map(job: Job, values: np.ndarray, grid: slices.SliceGrid) -> Generator[Progress, None, np.ndarray]:
    """A map [slices, rows, columns] on the volume's grid, float16 [k, j, i]; 0 where the grid does not reach."""
    pasted = np.zeros(job.volume.geometry.shape, np.float16)
    seen = time.monotonic()
    for k, where, plane in slices.paste(values[None], grid, job.volume.geometry):
        pasted[k][where] = plane[0]
        job.advance(PASTE_COST)
        if time.monotonic() - seen > 0.1:
            yield job.progress("Writing into the scan's grid")
            seen = time.monotonic()
    return pasted
