"""A volume in, its structures out.

    volume -> the heart is localised (coarse slices) -> passes over fine slices of each plane -> their mean on one grid
    -> stray components go -> pasted back into the volume's own grid -> result and report

`segment_steps` is a generator: it yields a `Progress` between pieces of work that each take well under a second,
so that a panel can show it, stay alive, and drop it at any point; its return value is the `Result`. `segment` runs
it to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.checks import check
from ..imaging.geometry import Volume
from ..imaging.slices import Plane, SliceGrid, whole_box
from ..support.errors import NoHeartFound
from ..support.memory import insist
from ..support.progress import Progress, Steps, drain
from . import uncertainty
from .coarse import plane_of
from .flags import volumes_ml
from .fusion import Fusion, far_apart, likeness_of, planes
from .likeness import insist_on_likeness, insist_on_volume
from .localisation import Localisation, localise
from .options import Options
from .passes import NetworkInput, Pass, reading_flags
from .pasting import PASTE_COST, paste, paste_map
from .report import MadeBy, MadeOf, Report
from .runner import Clock, Runner
from .trust import Trust, to_background, without_stray_components

if TYPE_CHECKING:
    from ..models.card import ModelCard
    from ..networks.segmenter import Segmenter

__all__ = ["Options", "Progress", "Report", "Result", "locate", "segment", "segment_steps"]

CROSSING_STRIDE = 2.0  # slices across the scan's own plane lie so many times further apart: measured, it costs nothing
STACK = 3  # slices or more
ZOOMS = (0.85, 1.18)
"""Of two more passes over slices that have no other planes, few of them or such as look alike in no other turn."""
TURNED_PASSES = ((1, 1.0), (2, 1.0), (3, 1.0), (1, ZOOMS[0]), (3, ZOOMS[1]))
"""Quarter turns and zooms of more passes over a stack of slices that lie far apart."""
SAME_HEART = 0.75
"""`fusion.likeness_of` the first pass from which on a turned one counts: short axes look alike in every turn, while of an
axial slice that is turned the network calls an atrium a ventricle (docs/decisions/0018-turned-passes.md)."""
MUSCLE = 0.85
"""What the probability of muscle counts in a stack of slices that lie far apart: experts leave to blood and fat some of what
phantoms taught (docs/decisions/0019-muscle-of-short-axes.md)."""
SECOND_ZOOM, SECOND_SHIFT, SECOND_GAIN = 0.91, 4.0, 0.92  # shift: half of what the network reduces a slice by
LABELS_BYTES = 2  # of a voxel of the scan: labels, and a copy that is written
MAP_BYTES = 6  # of one and a map: float16, and float32 when it is written
GRID_BYTES = 8  # of an element of the passes' grid and a class: their sum, float32, and one copy
CROP = "crop the scan around the heart, or give a smaller region of interest"
GUESSED_SLICES = 40  # of a pass, as long as nobody knows where the heart is


@dataclass(frozen=True)
class Result:
    """labels: uint8 on the grid of the input. probabilities: structure id -> float16 0..1 on that grid, if kept.

    uncertainty: float16 0..1 on that grid, if asked for: 0 where the network is sure, 1 where all classes are as likely.
    """

    labels: Volume
    probabilities: dict[str, Volume] | None
    report: Report
    uncertainty: Volume | None = None


def segment(
    volume: Volume,
    segmenter: Segmenter,
    card: ModelCard,
    options: Options = Options(),
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run `segment_steps` to its end; `on_progress` is called with each step."""
    return drain(segment_steps(volume, segmenter, card, options), on_progress)


def segment_steps(volume: Volume, segmenter: Segmenter, card: ModelCard, options: Options = Options()) -> Steps[Result]:
    """Segment `volume`, yielding progress; the generator's return value is a `Result`.

    Raises VolumeError for an unusable image, ValueError for unusable options, NoHeartFound, MemoryError.
    """
    check(volume)
    wanted, clock = options.wanted(card.labels), Clock()
    insist(needed(volume, options, len(wanted)), f"Segmenting {volume.name}", CROP)
    with clock.timed("prepare"):
        scan = NetworkInput.of(volume, card, options)
        runner = Runner(segmenter, options, clock)
    yield clock.progress("Preparing")
    with clock.timed("locate"):
        heart = yield from localise(scan, runner, work_after_localisation(scan))
    with clock.timed("network"):
        found = yield from fused_passes(scan, runner, heart)
    with clock.timed("paste"):
        yield clock.progress("Cleaning up")
        trust = without_stray_components(scan, segmenter, found.probabilities, found.grid, len(found.views))
        yield clock.progress("Cleaning up")
        unsure = None
        if found.doubt is not None:
            unsure = yield from paste_map(scan, clock, found.doubt, found.grid, "uncertainty")
        labels, maps = yield from paste(scan, clock, found.probabilities, found.grid)
    report = _report(scan, runner, heart, found, trust, volumes_ml(labels, wanted))
    yield Progress("Done", 1.0, 0.0)
    return Result(labels, maps, report, unsure)


def locate(volume: Volume, segmenter: Segmenter, card: ModelCard, options: Options = Options()) -> Localisation | None:
    """Where the heart is and how its slices are turned, as `segment` would find it; None if there is no heart."""
    scan = NetworkInput.of(volume, card, options)
    try:
        return drain(localise(scan, Runner(segmenter, options, Clock())))
    except NoHeartFound:
        return None


def needed(volume: Volume, options: Options, structures: int) -> float:
    """Bytes that results take on the grid of a scan that is in memory already: labels, and maps if they are kept."""
    maps = (structures if options.keep_probabilities else 0) + (1 if options.uncertainty else 0)
    return float(math.prod(volume.geometry.size)) * (LABELS_BYTES + MAP_BYTES * maps)


def first_grid(scan: NetworkInput, heart: Localisation) -> SliceGrid:
    """The grid of the first pass, on which all are averaged."""
    return Pass(plane_of(scan, heart.patient, heart.quarters)).grid(scan, heart.box)


@dataclass(frozen=True)
class Found:
    """What all passes say. probabilities: float32 [classes, slices, rows, columns] on `grid`, cleaned later in place.

    doubt: uncertainty float32 [slices, rows, columns], 0..1, if asked for. views: names of the planes.
    turns: clockwise quarter turns in which slices were shown, besides those of the first pass, and that count.
    """

    grid: SliceGrid
    probabilities: np.ndarray
    doubt: np.ndarray | None
    views: tuple[str, ...]
    turns: tuple[int, ...] = ()


def work_after_localisation(scan: NetworkInput) -> float:
    """A guess, in pixels: as many passes as there are where the patient lies as the header says."""
    geometry = scan.volume.geometry
    passes = _passes(scan, Localisation(whole_box(geometry), geometry))
    return scan.unit * (GUESSED_SLICES * (1 + len(passes)) + PASTE_COST * geometry.size[2])


def fused_passes(scan: NetworkInput, runner: Runner, heart: Localisation) -> Steps[Found]:
    """Passes over the heart, on the grid of the scan's own plane: in every plane that serves, or turned and with other pixel
    sizes where only one does. NoHeartFound."""
    options, passes = scan.options, _passes(scan, heart)
    grids = [each.grid(scan, heart.box) for each in passes]
    again = grids[0].count[2] if options.uncertainty and len(passes) == 1 else 0
    pasting = PASTE_COST * scan.volume.geometry.size[2] * (2 if options.uncertainty else 1)
    turned = [(each, grid) for each, grid in zip(passes, grids, strict=True) if each.turn]
    held = GRID_BYTES * scan.card.architecture.classes * math.prod(grids[0].count)
    insist(held * (2 if turned else 1), f"Segmenting {scan.volume.name}", CROP)
    runner.clock.plan(sum(math.prod(grid.count) for grid in grids) + scan.unit * (again + pasting))
    outside = None if options.roi is None else ~grids[0].inside(heart.box)
    fusion = Fusion(scan.card.architecture.classes, grids[0])
    for n, (each, grid) in enumerate(zip(passes[: len(passes) - len(turned)], grids, strict=False)):
        yield from runner.run("Segmenting", fusion, grid, each.images(scan, grid))
        if n == 0:  # later passes, averaged with it, would blur the answer
            insist_on_likeness(scan, _within(fusion.sum, outside), fusion.grid)
    turns = yield from _joined(scan, runner, fusion, turned)
    if turned and not turns:
        for each in _sized(passes[0].plane):
            grid = each.grid(scan, heart.box)
            yield from runner.run("Segmenting", fusion, grid, each.images(scan, grid))
    probabilities = fusion.mean()
    if _is_stack(scan, heart):
        _weigh_muscle(probabilities, scan.card)
    doubt = (yield from _doubt(scan, runner, heart, fusion)) if options.uncertainty else None
    if outside is not None:
        to_background(probabilities, outside)
        if doubt is not None:
            doubt[outside] = 0.0
    insist_on_volume(scan, probabilities, fusion.grid)
    views = tuple(dict.fromkeys(each.plane.name for each in passes))
    return Found(fusion.grid, probabilities, doubt, views, tuple(sorted((heart.quarters + turn) % 4 for turn in turns)))


def _joined(
    scan: NetworkInput, runner: Runner, fusion: Fusion, turned: Sequence[tuple[Pass, SliceGrid]]
) -> Steps[set[int]]:
    """Turned passes join those that were made, as far as they show the same heart; their turns."""
    if not turned:
        return set()
    first, turns = fusion.labels(), set()
    for each, grid in turned:
        alone = Fusion(len(fusion.sum), fusion.grid)
        yield from runner.run("Segmenting", alone, grid, each.images(scan, grid))
        if likeness_of(first, alone.labels()) >= SAME_HEART:
            fusion.join(alone)
            turns.add(each.turn)
    return turns


def _passes(scan: NetworkInput, heart: Localisation) -> list[Pass]:
    """The passes over the heart; the first one is that in the scan's own plane, as it was found."""
    own = plane_of(scan, heart.patient, heart.quarters)
    views = planes(heart.patient, own, scan.pre.spacing_mm, scan.options.views)
    if len(views) > 1 or scan.options.views == "one":
        return [Pass(plane, stride=CROSSING_STRIDE if n else 1.0) for n, plane in enumerate(views)]
    if not _is_stack(scan, heart):
        return [Pass(own), *_sized(own)]
    return [Pass(own), *(Pass(own.turned(turn), zoom, turn=turn) for turn, zoom in TURNED_PASSES)]


def _is_stack(scan: NetworkInput, heart: Localisation) -> bool:
    """Whether the scan is a stack of several slices that lie far apart, as short axes are."""
    own = plane_of(scan, heart.patient, heart.quarters)
    several = scan.volume.geometry.size[own.axes[2]] >= STACK
    return several and far_apart(heart.patient, own, scan.pre.spacing_mm)


def _sized(plane: Plane) -> list[Pass]:
    """Passes in that plane with other pixel sizes."""
    return [Pass(plane, zoom) for zoom in ZOOMS]


def _weigh_muscle(probabilities: np.ndarray, card: ModelCard) -> None:
    """Let muscle count MUSCLE against everything else, in place; the sum over the classes stays 1."""
    for structure in card.labels:
        if structure.id == "MYO":
            lost = (1 - MUSCLE) * probabilities[structure.value]
            probabilities[structure.value] -= lost
            probabilities /= 1 - lost


def _within(probabilities: np.ndarray, outside: np.ndarray | None) -> np.ndarray:
    """A copy with certain background outside of a region of interest; the very same where there is none."""
    if outside is None:
        return probabilities
    copy = np.array(probabilities)
    to_background(copy, outside)
    return copy


def _doubt(scan: NetworkInput, runner: Runner, heart: Localisation, fusion: Fusion) -> Steps[np.ndarray]:
    """Uncertainty float32 [slices, rows, columns], 0..1, of the mean of all passes.

    After a single pass follows another with other pixels: the labels stay what they are without that.
    """
    probabilities = fusion.mean()
    if scan.options.views == "one":
        both = Fusion(len(probabilities), fusion.grid)
        both.add(probabilities.swapaxes(0, 1), 0, fusion.grid)
        both.close(fusion.grid)
        second = Pass(fusion.grid.plane, SECOND_ZOOM, SECOND_SHIFT, SECOND_GAIN)
        grid = second.grid(scan, heart.box)
        yield from runner.run("Judging the result", both, grid, second.images(scan, grid))
        probabilities = both.mean()
    return uncertainty.entropy(probabilities)


def _report(
    scan: NetworkInput, runner: Runner, heart: Localisation, found: Found, trust: Trust, volumes: dict[str, float]
) -> Report:
    """volumes: ml of the wanted structures, by id."""
    card, volume, grid = scan.card, scan.volume, found.grid
    return Report(
        model=MadeBy(card.id, card.version, card.sha256),
        input=MadeOf(volume.name, volume.geometry.size, volume.geometry.spacing),
        device=str(runner.device),
        precision=str(runner.precision).removeprefix("torch."),
        intensity=scan.intensity.name,
        read_as=scan.intensity.reading,
        plane=grid.plane.name,
        views=found.views,
        quarter_turns=heart.quarters,
        in_turns=found.turns,
        heart_score=None if heart.judgement is None else round(heart.judgement.score, 3),
        slices=grid.count[2],
        batch_size=runner.batch_size(grid.count[1], grid.count[0]),
        seconds={stage: round(seconds, 3) for stage, seconds in runner.clock.seconds.items()},
        notes=(*volume.notes, *runner.notes, *filter(None, [heart.note]), *trust.notes),
        out_of_distribution=trust.unlike,
        volumes_ml=volumes,
        dice_calibrated=trust.calibrated,
        expected_dice={structure: trust.expected_dice[structure] for structure in volumes},
        flags=tuple(flag for flag in (*reading_flags(scan), *trust.flags) if flag.structure_id in ("", *volumes)),
    )
