"""The views along a heart, segmented at the ends of its beat and measured: left atrium and length of the left ventricle.

    views of a study -> those whose plane runs along the ventricle that the short axis shows -> passes with three pixel
    sizes at end-diastole and end-systole -> `long_axis.measure` -> the atrium's volume from two of them

Of each kind of view the one that runs nearest to the ventricle's axis is taken. What cannot be told is not told, and why
is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..imaging import cine_views, slices
from ..imaging.cine import Cine, LongView
from ..imaging.slices import SliceGrid
from ..support.progress import Steps
from .coarse import plane_of
from .fusion import Fusion
from .heart_function import HeartFunction
from .long_axis import ALIKE_MM, TOUCH_MM, Measure, biplane_ml, dilated, measure, touching
from .passes import NetworkInput, Pass
from .segmentation import ZOOMS

if TYPE_CHECKING:
    from ..models.card import ModelCard
    from .options import Options
    from .runner import Runner

FOUR, TWO, THREE = cine_views.KINDS
MOST_OFF_MM = 12.0  # between a view's plane and the ventricle's axis; the cavity's radius is about twice that
MOST_APART_MM = 10.0  # between the atrium's lengths in two views: of 19 hearts cut through their middle one had more
LEAST_BETWEEN = 45.0  # degrees between the two views of a volume: the formula has them at right angles
SIZES = (1.0, *ZOOMS)


@dataclass(frozen=True, eq=False)
class ViewEnd:
    """A view at an end of the ventricle's beat. phase: of the view. grey: float32 [j, i] in 0..1; labels: uint8 [j, i], what
    was measured and the ventricle's muscle. Both are of square pixels of `ViewResult.pixel_mm`.
    """

    phase: int
    grey: np.ndarray
    labels: np.ndarray
    measure: Measure


@dataclass(frozen=True, eq=False)
class ViewResult:
    kind: str
    name: str
    off_axis_mm: float
    pixel_mm: float
    diastole: ViewEnd
    systole: ViewEnd


@dataclass(frozen=True, eq=False)
class LongAxis:
    """views: that were measured. diastole_ml, systole_ml: of the left atrium, None where it cannot be told.

    told: sentences on why, and on what asks to look twice.
    """

    views: tuple[ViewResult, ...]
    diastole_ml: float | None
    systole_ml: float | None
    told: tuple[str, ...]


def long_axis_steps(
    cine: Cine, ventricle: np.ndarray, function: HeartFunction, card: ModelCard, options: Options, runner: Runner
) -> Steps[LongAxis]:
    """What the views of a cine say. ventricle: bool [k, j, i], the left one at end-diastole on the cine's grid."""
    axis = cine_views.axis_of(ventricle, cine)
    chosen, told = _chosen(cine, axis)
    found = []
    for view, off in chosen:
        ends = []
        for phase in (function.end_diastole, function.end_systole):
            scan_phase = cine_views.phase_beside(view.cine, cine, phase)
            scan = NetworkInput.of(view.cine.volume(scan_phase), card, options)
            ends.append((yield from _end(scan, scan_phase, axis.mean(axis=0), runner)))
        found.append(ViewResult(view.kind, view.cine.name, off, card.preprocessing.spacing_mm, *ends))
    return combined(found, told)


def combined(views: Sequence[ViewResult], told: Sequence[str] = ()) -> LongAxis:
    """The atrium's volume from the views of two and four chambers, and all that should be said."""
    sentences = [*told, *_unmeasured(views)]
    by_kind = {view.kind: view for view in views}
    if FOUR not in by_kind or TWO not in by_kind:
        return LongAxis(tuple(views), None, None, tuple(sentences))
    volumes: list[float | None] = []
    for end, what in (("diastole", "end-diastole"), ("systole", "end-systole")):
        four, two = (getattr(by_kind[kind], end).measure for kind in (FOUR, TWO))
        apart = _apart_mm(four, two)
        volumes.append(None if apart > MOST_APART_MM else biplane_ml(four, two))
        if apart > ALIKE_MM:
            verdict = "its volume is not told" if apart > MOST_APART_MM else "its volume is uncertain"
            sentences.append(
                f"At {what} the left atrium is {four.atrium_mm:.0f} mm long in the {FOUR} and {two.atrium_mm:.0f} mm in the "
                f"{TWO}; views through its middle differ by less than {ALIKE_MM:g} mm, so {verdict}."
            )
    return LongAxis(tuple(views), volumes[0], volumes[1], tuple(sentences))


def _apart_mm(one: Measure, other: Measure) -> float:
    """By how much the atrium's lengths differ; 0 where one is not known."""
    return 0.0 if one.atrium_mm is None or other.atrium_mm is None else abs(one.atrium_mm - other.atrium_mm)


def _chosen(cine: Cine, axis: np.ndarray) -> tuple[list[tuple[LongView, float]], list[str]]:
    """Of each kind the view that runs nearest to the axis, and how far off; sentences on what is missing or unfit."""
    kept: list[tuple[LongView, float]] = []
    told: list[str] = []
    for kind in cine_views.KINDS:
        of_kind = [(view, cine_views.off_axis_mm(view.cine, axis)) for view in cine.views if view.kind == kind]
        best = min(of_kind, key=lambda each: each[1], default=None)
        if best is not None and best[1] <= MOST_OFF_MM:
            kept.append(best)
        elif best is not None:
            told.append(
                f"The {kind} {best[0].cine.name} runs {best[1]:.0f} mm beside the axis of the left ventricle and is not "
                "measured."
            )
        elif kind != THREE:
            told.append(f"The study holds no {kind}.")
    pair = {view.kind: view.cine for view, _ in kept if view.kind in (FOUR, TWO)}
    if len(pair) == 2 and (angle := cine_views.between_degrees(pair[FOUR], pair[TWO])) < LEAST_BETWEEN:
        told.append(f"The {FOUR} and the {TWO} lie only {angle:.0f} degrees apart; neither counts.")
        kept = [each for each in kept if each[0].kind == THREE]
    if len({view.kind for view, _ in kept} & {FOUR, TWO}) < 2:
        told.append(f"The left atrium's volume is not told: that needs a {FOUR} and a {TWO}.")
    return kept, told


def _unmeasured(views: Sequence[ViewResult]) -> list[str]:
    """A sentence for each view and end that does not tell the atrium, and for each that does not tell the ventricle."""
    told = []
    for view in views:
        for end, what in ((view.diastole, "end-diastole"), (view.systole, "end-systole")):
            where, found = f"in the {view.kind} at {what}", end.measure
            if found.why:
                told.append(f"The left atrium is not measured {where}: {'; '.join(found.why)}.")
            if found.why_length:
                told.append(f"The length of the left ventricle is not told {where}: {found.why_length}.")
    return told


def _end(scan: NetworkInput, phase: int, middle: np.ndarray, runner: Runner) -> Steps[ViewEnd]:
    """A view's phase drawn and measured; its own orientation is known, so it is shown as radiologists see it.

    middle: [3] mm of the ventricle, by the short axis.
    """
    geometry = scan.volume.geometry
    own = Pass(plane_of(scan, geometry)).grid(scan, slices.whole_box(geometry))
    maps = yield from network_maps(scan, own, runner)
    labels = np.mean(maps, axis=0).argmax(axis=0).astype(np.uint8)
    values, inside = (each[own.count[2] // 2] for each in slices.sample(scan.volume, own))
    grey = (scan.intensity.normalise(values, inside) + 1) / 2
    ids = {structure.id: structure.value for structure in scan.card.labels}
    index = geometry.index(middle)
    column, row = ((index[own.plane.axes[w]] - own.start[w]) / own.step[w] for w in (0, 1))
    each_pass = [each.argmax(axis=0) for each in maps]
    told = measure(labels, inside, scan.pre.spacing_mm, ids, (row, column), each_pass)
    return ViewEnd(phase, grey, _measured(labels, told, ids, scan.pre.spacing_mm), told)


def network_maps(scan: NetworkInput, own: SliceGrid, runner: Runner) -> Steps[list[np.ndarray]]:
    """Probabilities [classes, j, i] of the middle slice of a grid, by a pass with each pixel size."""
    maps: list[np.ndarray] = []
    for zoom in SIZES:
        each = Pass(own.plane, zoom)
        grid = each.grid(scan, slices.whole_box(scan.volume.geometry))
        fusion = Fusion(scan.card.architecture.classes, own)
        yield from runner.run("Views along the heart", fusion, grid, each.images(scan, grid))
        maps.append(fusion.mean()[:, own.count[2] // 2])
    return maps


def _measured(labels: np.ndarray, told: Measure, ids: Mapping[str, int], pixel_mm: float) -> np.ndarray:
    """Labels [j, i] of the heart alone: an atrium that was refused is shown as it was drawn."""
    atrium = labels == ids["LA"] if told.atrium is None else told.atrium
    ventricle = labels == ids["LV"] if told.ventricle is None else told.ventricle
    muscle = labels == ids.get("MYO", -1)
    if ventricle.any():  # other organs look like muscle, too
        muscle = touching(muscle, dilated(ventricle, TOUCH_MM / pixel_mm))
    values = [ids["LV"], ids["LA"], ids.get("MYO", 0)]
    return np.select([ventricle, atrium, muscle], values, 0).astype(np.uint8)
