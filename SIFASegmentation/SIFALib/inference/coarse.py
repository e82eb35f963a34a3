"""The coarse pass over a whole scan: where something lies that may be a heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..imaging import components, slices
from ..imaging.geometry import Geometry
from ..imaging.slices import Plane, SliceGrid
from ..models.structures import PAPERS, Structure
from ..support.progress import Steps
from .candidates import NOTHING, Judgement, judge
from .fusion import Fusion
from .likeness import clarity_of, least_ml
from .passes import NetworkInput
from .runner import Runner

SURE = 0.45  # geometric mean of the expected Dice of all structures: from here on it is a heart that lies as it is seen
COMPONENTS = 3  # of a coarse pass, the best of twice as many, that are candidates
Turn = tuple[int, int, int]
HEADER: Turn = (1, 1, 1)  # as the header says
TURNS: dict[Turn, str] = {  # signs of x, y, z in the scan, as the header has them, and how the patient lies then
    HEADER: "",
    (-1, 1, -1): "head and feet, left and right",
    (-1, -1, 1): "front and back, left and right",
    (1, -1, -1): "head and feet, front and back",
}


@dataclass(frozen=True)
class Candidate:
    """A place in which a heart may lie. box: [2, 3] volume indices. quarters: clockwise quarter turns by which its slices
    are shown. judgement: of the coarse slices first, then of fine ones.
    """

    box: np.ndarray
    quarters: int
    judgement: Judgement = NOTHING


@dataclass(frozen=True)
class Seen:
    """What one coarse pass found. candidates: best first. largest: the box around the largest component, if it is large
    enough for a heart. likeness: 0..1, how sure the pass is of all structures in it, as a geometric mean: one that is
    missing or drawn at a guess counts for much.
    """

    turn: Turn
    candidates: tuple[Candidate, ...]
    largest: np.ndarray | None
    likeness: float


def lying(geometry: Geometry, turn: Turn) -> Geometry:
    """The geometry of a scan whose patient lies otherwise than its header says: `turn` are the signs of x, y, z."""
    axes = np.diag(turn) @ geometry.axes
    return replace(geometry, direction=tuple(axes.ravel().tolist()))


def plane_of(scan: NetworkInput, patient: Geometry, quarters: int = 0) -> Plane:
    """The plane in which the scan is cut for the network, with the patient lying so and the slices turned so."""
    return slices.choose_plane(patient, scan.pre.plane).turned(quarters)


def coarse_pass(scan: NetworkInput, runner: Runner, turn: Turn, quarters: int, passes: int, rest: float) -> Steps[Seen]:
    """A pass over the whole scan with the patient lying so; `passes`: how many may have to be made, this one counted."""
    geometry = scan.volume.geometry
    plane = plane_of(scan, lying(geometry, turn), quarters)
    spacing, across = scan.pre.locate_spacing_mm, scan.pre.locate_slice_spacing_mm
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), spacing, across, slices.LOCATE_SIZE)
    fusion = Fusion(scan.card.architecture.classes, grid)
    images = scan.images(grid)
    runner.clock.plan(passes * images.size + rest)
    yield from runner.run("Finding the heart", fusion, grid, images)
    probabilities = fusion.mean()
    # The structures together against the background: where they share a voxel, none of them may win it.
    numbered, block = components.components(probabilities[0] < 0.5)
    counts = np.bincount(numbered.ravel(), minlength=1)[1:]
    largest = components.in_whole(numbered == 1 + np.argmax(counts), block, grid.shape) if len(counts) else None
    clarity = clarity_of(probabilities, np.zeros(grid.shape, bool) if largest is None else largest)
    likeness = float(np.exp(np.log(np.maximum(clarity[_told_by(scan.card.labels)], 1e-3)).mean()))
    sized = np.flatnonzero(counts * grid.voxel_ml(geometry) >= least_ml(scan))
    ranked = sized[np.argsort(-counts[sized], kind="stable")]
    found = [
        _coarse_candidate(scan, probabilities, numbered == 1 + n, block, grid, quarters)
        for n in (ranked[:1] if likeness >= SURE else ranked[: 2 * COMPONENTS])  # what is sure has no rivals
    ]
    box = found[0].box if found else None
    best = sorted(found, key=lambda candidate: -candidate.judgement.score)[:COMPONENTS]
    return Seen(turn, tuple(best), box, likeness)


def _told_by(structures: Sequence[Structure]) -> list[int]:
    """Which of a model's structures tell a heart that lies as it is seen: the papers' four, if it has them; else all. The
    right heart and the pulmonary artery, hardly brighter than muscle in many scans, would veto.
    """
    four = {s.id for s in PAPERS}
    known = [n for n, s in enumerate(structures) if s.id in four]
    return known if len(known) == len(four) else list(range(len(structures)))


def _coarse_candidate(
    scan: NetworkInput,
    probabilities: np.ndarray,
    mask: np.ndarray,
    block: tuple[slice, ...],
    grid: SliceGrid,
    quarters: int,
) -> Candidate:
    """A component of a coarse pass, `mask` within the block, and how much it alone looks like a heart."""
    geometry = scan.volume.geometry
    alone = np.where(mask, np.stack([p[block] for p in probabilities]), 0.0)
    alone[0][~mask] = 1.0
    judgement = judge(alone, scan.card.labels, grid.spacing_mm(geometry))
    offset = np.array([s.start for s in block[::-1]])
    where = np.argwhere(mask)[:, ::-1] + offset  # columns, rows, slices
    box = grid.index_box(np.stack([where.min(axis=0) - 0.5, where.max(axis=0) + 0.5]))
    return Candidate(slices.with_margin(geometry, box), quarters, judgement)
