"""All phases of a cine segmented as one heart: found once, every phase through the network, the phases made to agree.

    cine -> the heart is localised in one phase -> passes over every phase, on one grid -> probabilities averaged with those
    of the phases before and after -> stray components go -> end-diastole and end-systole -> labels on the cine's own grid

What two phases that follow each other show of a place differs little, and what the network makes of it differs more: its
errors come and go from phase to phase. So the probabilities of the neighbours in time count, too. How much was measured
(docs/explanation/cine.md), with the same network without that as control.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..imaging.checks import check
from ..imaging.cine import Cine
from ..imaging.cine_stacks import LEAST_PLACES
from ..imaging.geometry import Geometry, Volume
from ..imaging.slices import SliceGrid
from ..support.errors import NoHeartFound, VolumeError
from ..support.memory import insist
from ..support.progress import Progress, Steps, mapped
from .basal import short_axis, without_open_slices
from .flags import Flag, volumes_ml, without_strays
from .fusion import likeliest
from .heart_function import LEFT, RIGHT, HeartFunction, heart_function
from .localisation import Localisation, localise
from .long_views import LongAxis, long_axis_steps
from .options import Options
from .passes import NetworkInput
from .pasting import paste
from .runner import Clock, Runner
from .segmentation import first_grid, fused_passes, work_after_localisation
from .trust import to_background, without_stray_components

if TYPE_CHECKING:
    from ..models.card import ModelCard
    from ..models.structures import Structure
    from ..networks.segmenter import Segmenter

T = TypeVar("T")

NEIGHBOURS = 0.0  # how much each of the two phases beside one counts in it: measured, it lowers no error
MAP_BYTES = 2  # float16, in which the probabilities of all phases are kept until they agree
LEAST_COHERENT = 12  # phases of a beat from which on neighbours are alike enough to count
VENTRICLES = (("LV", LEFT, "MYO"), ("RV", RIGHT, ""))
"""Id of each ventricle, what sentences call it, and of the muscle whose mass is told with it."""


@dataclass(frozen=True, eq=False)
class CineResult:
    """labels: uint8 [t, k, j, i] on the cine's grid. volumes_ml: of each phase by structure id, NaN where nothing was
    found. functions: of each ventricle that was found at two phases or more. missing: phases without a heart.

    flags: of end-diastole and end-systole of the left ventricle, by phase. notes: sentences. long_axis: of the views along
    the heart, None where the cine has none or nothing could be told of the ventricle.
    """

    labels: np.ndarray
    geometry: Geometry
    structures: tuple[Structure, ...]
    volumes_ml: Mapping[str, tuple[float, ...]]
    functions: Mapping[str, HeartFunction]
    missing: tuple[int, ...]
    flags: tuple[tuple[int, Flag], ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    device: str
    precision: str
    long_axis: LongAxis | None = None

    def volume(self, phase: int, name: str = "labels") -> Volume:
        return Volume(self.labels[phase], self.geometry, name)


def segment_cine_steps(
    cine: Cine, segmenter: Segmenter, card: ModelCard, options: Options = Options(), neighbours: float = NEIGHBOURS
) -> Steps[CineResult]:
    """Segment every phase, yielding progress; the return value is a `CineResult`.

    neighbours: the weight of each phase beside one, 0 for none. Raises VolumeError, ValueError, MemoryError, and
    NoHeartFound if no phase shows a heart.
    """
    wanted, clock = options.wanted(card.labels), Clock()
    if min(cine.geometry.size) < LEAST_PLACES:
        raise VolumeError(
            f"{cine.name} shows {min(cine.geometry.size)} of the heart's slices; its volumes need a stack of {LEAST_PLACES} "
            "or more."
        )
    runner = Runner(segmenter, options, clock)
    check(cine.volume(0))
    heart = yield from _located(cine, card, options, runner)
    maps, grid = yield from _maps(cine, card, options, runner, heart)
    if cine.phases >= LEAST_COHERENT and neighbours:
        maps = agreed(maps, neighbours)
    labels = np.zeros(cine.array.shape, np.uint8)
    for phase, probabilities in enumerate(maps):
        if probabilities is None:
            continue
        scan = NetworkInput.of(cine.volume(phase), card, options)
        cleaned = _without_strays(probabilities, grid, scan)
        pasted, _ = yield from _placed(paste(scan, Clock(), cleaned, grid), "Writing", 0.9 + 0.1 * phase / cine.phases)
        labels[phase] = pasted.array
        maps[phase] = cleaned.astype(np.float16)
    modality = NetworkInput.of(cine.volume(0), card, options).intensity.modality
    labels, open_slices = without_open_slices(labels, short_axis(cine.geometry, modality), wanted)
    missing = tuple(phase for phase, probabilities in enumerate(maps) if probabilities is None)
    origin = Origin(
        missing, (), (*filter(None, [heart.note]), *runner.notes, *open_slices),
        {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        str(runner.device), str(runner.precision).removeprefix("torch."),
    )  # fmt: skip
    result = measured(labels, cine, wanted, origin)
    result = replace(result, flags=_flags(cine, card, options, segmenter, maps, grid, result.functions))
    result = replace(result, long_axis=(yield from _long_axis(cine, result, card, options, runner)))
    yield Progress("Done", 1.0, 0.0)
    return result


def agreed(maps: list[np.ndarray | None], neighbours: float) -> list[np.ndarray | None]:
    """Probabilities of phases, [classes, slices, rows, columns] each or None, averaged with the phases beside them.

    The beat goes round: the last phase is beside the first. A phase without neighbours that are known stays as it is.
    """
    result: list[np.ndarray | None] = []
    for phase, own in enumerate(maps):
        if own is None:
            result.append(None)
            continue
        beside = [each for each in (maps[phase - 1], maps[(phase + 1) % len(maps)]) if each is not None]
        mixed = own.astype(np.float32) * (1.0 - neighbours * len(beside))
        for each in beside:
            mixed += neighbours * each.astype(np.float32)
        result.append(mixed.astype(np.float16))
    return result


def _located(cine: Cine, card: ModelCard, options: Options, runner: Runner) -> Steps[Localisation]:
    """Where the heart is, by the first phase, or else by one half a beat later. NoHeartFound."""
    for last, phase in enumerate((0, cine.phases // 2)):
        scan = NetworkInput.of(cine.volume(phase), card, options)
        try:
            with runner.clock.timed("locate"):
                return (
                    yield from _placed(localise(scan, runner, work_after_localisation(scan)), "Finding the heart", 0.0)
                )
        except NoHeartFound:
            if last:
                raise
    raise AssertionError("unreachable")


def _maps(
    cine: Cine, card: ModelCard, options: Options, runner: Runner, heart: Localisation
) -> Steps[tuple[list[np.ndarray | None], SliceGrid]]:
    """Probabilities float16 of every phase, None where no heart is seen, and their grid. NoHeartFound if there is none."""
    maps: list[np.ndarray | None] = []
    first = first_grid(NetworkInput.of(cine.volume(0), card, options), heart)
    kept = cine.phases * MAP_BYTES * card.architecture.classes * math.prod(first.count)
    insist(kept, f"Segmenting {cine.name}, a cine of {cine.phases} phases,", "crop its images around the heart")
    grid: SliceGrid | None = None
    reason: NoHeartFound | None = None
    for phase in range(cine.phases):
        scan = NetworkInput.of(cine.volume(phase), card, options)
        stage = f"Phase {phase + 1} of {cine.phases}"
        try:
            with runner.clock.timed("network"):
                found = yield from _placed(fused_passes(scan, runner, heart), stage, 0.05 + 0.85 * phase / cine.phases)
        except NoHeartFound as error:
            reason = error
            maps.append(None)
            continue
        grid = found.grid
        maps.append(found.probabilities.astype(np.float16))
    if grid is None:
        raise reason or NoHeartFound(f"No heart was found in {cine.name}.")
    return maps, grid


def _placed(steps: Steps[T], stage: str, fraction: float) -> Steps[T]:
    """Steps of a part of the work, told as being there in the whole."""
    return mapped(steps, lambda step: Progress(stage, fraction))


def _without_strays(probabilities: np.ndarray, grid: SliceGrid, scan: NetworkInput) -> np.ndarray:
    """float32 probabilities with stray components made background."""
    full = probabilities.astype(np.float32)
    labels = likeliest(full)
    on_grid = Volume(labels, Geometry(grid.count, (0.0, 0.0, 0.0), grid.spacing_mm(scan.volume.geometry)))
    kept, _ = without_strays(on_grid, scan.card.labels)
    to_background(full, kept.array != labels)
    return full


@dataclass(frozen=True)
class Origin:
    """How outlines came about, as a `CineResult` says it; notes: without those of the heart's function."""

    missing: tuple[int, ...] = ()
    flags: tuple[tuple[int, Flag], ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    precision: str = ""


def measured(labels: np.ndarray, cine: Cine, structures: tuple[Structure, ...], origin: Origin) -> CineResult:
    """What outlines of all phases say of the heart as they are, by whomever they were drawn or corrected.

    labels: uint8 [t, k, j, i] on the cine's grid.
    """
    volumes = _volumes(labels, cine, structures)
    functions, notes = functions_of(volumes)
    return CineResult(
        labels, cine.geometry, structures, volumes, functions, origin.missing, origin.flags, (*origin.notes, *notes),
        origin.seconds, origin.device, origin.precision,
    )  # fmt: skip


def _volumes(labels: np.ndarray, cine: Cine, wanted: tuple[Structure, ...]) -> dict[str, tuple[float, ...]]:
    each = [volumes_ml(Volume(phase, cine.geometry), wanted) for phase in labels]
    return {s.id: tuple(v[s.id] if v[s.id] > 0 else float("nan") for v in each) for s in wanted}


def functions_of(volumes: Mapping[str, tuple[float, ...]]) -> tuple[dict[str, HeartFunction], list[str]]:
    """Of each ventricle that the model draws; and sentences on why there is none of one."""
    found, notes = {}, []
    for ventricle, name, muscle in VENTRICLES:
        if ventricle not in volumes:
            continue
        try:
            found[ventricle] = heart_function(volumes[ventricle], volumes.get(muscle), name)
        except ValueError as error:
            notes.append(str(error))
    return found, notes


def _long_axis(
    cine: Cine, result: CineResult, card: ModelCard, options: Options, runner: Runner
) -> Steps[LongAxis | None]:
    """What the views along the heart say, where there are some, and ventricle and atrium are asked for."""
    values = {structure.id: structure.value for structure in result.structures}
    function = result.functions.get("LV")
    if not cine.views or function is None or "LA" not in values:
        return None
    ventricle = result.labels[function.end_diastole] == values["LV"]
    steps = long_axis_steps(cine, ventricle, function, card, options, runner)
    return (yield from _placed(steps, "Views along the heart", 0.99))


def _flags(
    cine: Cine,
    card: ModelCard,
    options: Options,
    segmenter: Segmenter,
    maps: list[np.ndarray | None],
    grid: SliceGrid,
    functions: Mapping[str, HeartFunction],
) -> tuple[tuple[int, Flag], ...]:
    """What speaks against the outlines at end-diastole and end-systole of the left ventricle, or of the other."""
    if not functions:
        return ()
    function = next(iter(functions.values()))
    told: list[tuple[int, Flag]] = []
    for phase in (function.end_diastole, function.end_systole):
        probabilities = maps[phase]
        if probabilities is None:
            continue
        scan = NetworkInput.of(cine.volume(phase), card, options)
        trust = without_stray_components(scan, segmenter, probabilities.astype(np.float32), grid, 1)
        told += [(phase, flag) for flag in trust.flags]
    return tuple(told)
