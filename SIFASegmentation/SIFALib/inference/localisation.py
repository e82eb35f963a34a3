"""Where the heart is, how the patient lies, and how a stack of slices is turned: candidates, and one judgement of them.

A coarse pass over the whole scan says where something lies that may be a heart. Where all structures stand out in it,
that is the heart, and nothing else is looked at. Otherwise every component is a candidate, and

- where the scan shows a whole heart, the coarse pass is made again with the patient turned by half a turn about each
  axis: a file's header says how the patient lay, and some say it wrongly (feet first taken for head first, prone for
  supine). These are the four positions of DICOM's Patient Position (0018,5100), HFS, FFS, HFP, FFP. Mirror images are
  not tried: no patient becomes one by lying otherwise;
- of a stack of slices, which is shown in its own plane alone, nobody knows how that plane lies in the body: short axes
  are stored turned in every way. So it is looked at in four quarter turns;
- a field of view that is little larger than a heart is a candidate as a whole.

A fine pass over a few slices of each candidate is what `candidates.judge` decides by.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..imaging import slices
from ..imaging.geometry import Geometry
from ..support.progress import Steps
from .candidates import LEAST, NOTHING, Judgement, judge
from .coarse import HEADER, SURE, TURNS, Candidate, Seen, Turn, coarse_pass, lying, plane_of
from .fusion import Fusion, stack_of_slices
from .likeness import no_heart, shows_whole_heart
from .passes import NetworkInput, Pass
from .runner import Runner
from .trust import to_background

log = logging.getLogger(__name__)

# A scan whose slices are at most so many times the model's crop wide and high may show little but the heart (or a child's
# whole chest): it counts as heart where the coarse pass finds nothing, or is not sure and has found the better half of it.
SMALL, LITTLE_MORE = 1.3, 2.0
TURN_GAIN = 1.4  # by which another position must be better than the header's to be believed

GOOD = 0.9  # from here on nothing better is looked for: of those with such a score, none had an LV below 0.74
QUARTER_GAIN = 0.03  # by which a turned stack must be better than one as the header has it
JUDGED_SLICES = 12  # of a candidate, that are looked at: no two of them nearer to each other than they need be
TURNED_CANDIDATES = 3  # of all turned coarse passes together

TURNED = (
    "No clear heart was found the way the scan's header says the patient lies, but one with {} exchanged. The header "
    "may name a wrong patient position; check the sides before you use the result."
)
QUARTERED = (
    "The heart looks most like one with the slices turned by {} degrees clockwise against how the scan's header says they "
    "lie, and was segmented so; the result lies on the scan as it is."
)
QUARTERS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Localisation:
    """box: [2, 3] volume indices around the heart. patient: the scan's geometry as the patient lies, whatever its header
    says; where that seems to be wrong, `note` tells so. quarters: clockwise quarter turns by which slices are turned
    for the network. judgement: of what was judged.
    """

    box: np.ndarray
    patient: Geometry
    note: str = ""
    quarters: int = 0
    judgement: Judgement | None = None


def localise(scan: NetworkInput, runner: Runner, rest: float = 0.0) -> Steps[Localisation]:
    """Where the heart is: in the region of interest, or by coarse passes over the whole scan. NoHeartFound.

    rest: the work that follows, for the progress.
    """
    geometry = scan.volume.geometry
    thick, small, stack = shows_whole_heart(scan), _small(scan), shows_one_plane(scan)
    if scan.options.roi is not None:
        box = slices.box_of_roi(geometry, scan.options.roi)
        if not stack:
            return Localisation(box, geometry)
        return (yield from _best_turned(scan, runner, box, rest))
    if small and not thick:
        return (yield from _best_turned(scan, runner, slices.whole_box(geometry), rest))
    first = yield from coarse_pass(scan, runner, HEADER, 0, len(TURNS) if thick else 1, rest)
    if first.likeness >= SURE and first.largest is not None:
        return Localisation(first.largest, geometry)
    if stack:
        return (yield from _in_a_stack(scan, runner, first, rest))
    seen = (yield from _in_other_positions(scan, runner, first, rest)) if thick else first
    return (yield from _best_lying(scan, runner, seen, rest))


def _in_a_stack(scan: NetworkInput, runner: Runner, first: Seen, rest: float) -> Steps[Localisation]:
    """The best candidate as the header has it, if it is a good one; else in any quarter turn or position of the patient."""
    whole = slices.whole_box(scan.volume.geometry)
    upright = list(first.candidates[:2])
    if _small(scan):
        upright = [Candidate(whole, 0), *(c for c in upright if _times(whole, c.box) > LITTLE_MORE)]
    best = _best((yield from _judged(scan, runner, upright, rest, enough=GOOD)))
    if best is not None and best.judgement.score >= GOOD:
        return _localisation(scan, HEADER, best)
    turned: list[Candidate] = []
    for quarters in QUARTERS[1:]:
        if _small(scan):
            turned.append(Candidate(whole, quarters))
            continue
        seen = yield from coarse_pass(scan, runner, HEADER, quarters, 4 - quarters, rest)
        turned += seen.candidates
    turned.sort(key=lambda candidate: -candidate.judgement.score)
    judged = yield from _judged(scan, runner, turned[:TURNED_CANDIDATES], rest)
    chosen = _best_of_turns(best, judged)
    good = chosen is not None and chosen.judgement.passes
    if not good and shows_whole_heart(scan):
        seen = yield from _in_other_positions(scan, runner, first, rest)
        if seen.turn != HEADER:
            return (yield from _best_lying(scan, runner, seen, rest))
    if chosen is None:
        raise no_heart(scan)
    return _localisation(scan, HEADER, chosen)


def _best_turned(scan: NetworkInput, runner: Runner, box: np.ndarray, rest: float) -> Steps[Localisation]:
    """The best quarter turn of a stack of slices whose heart is known to lie in that box."""
    upright = yield from _judged(scan, runner, [Candidate(box, 0)], rest)
    if upright[0].judgement.score >= GOOD:
        return _localisation(scan, HEADER, upright[0])
    if upright[0].judgement.passes and not shows_whole_heart(scan):  # too few slices for neighbours to say otherwise
        return _localisation(scan, HEADER, upright[0])
    turned = yield from _judged(scan, runner, [Candidate(box, quarters) for quarters in QUARTERS[1:]], rest)
    chosen = _best_of_turns(upright[0], turned) or upright[0]
    return _localisation(scan, HEADER, chosen)


def _best_of_turns(upright: Candidate | None, turned: Sequence[Candidate]) -> Candidate | None:
    """A turned stack is believed where it shows a ventricle in its muscle, and better than it does upright: an atrium
    alone, which is round, does not say how it is turned."""
    other = _best([c for c in turned if c.judgement.anchor == "LV" and c.judgement.score >= LEAST])
    if upright is None or (other and other.judgement.score >= upright.judgement.score + QUARTER_GAIN):
        return other
    return upright


def _in_other_positions(scan: NetworkInput, runner: Runner, first: Seen, rest: float) -> Steps[Seen]:
    """What the coarse pass finds with the patient in another position, if that is clearly better; else the first."""
    others, turned = [turn for turn in TURNS if turn != HEADER], []
    for n, turn in enumerate(others):
        turned.append((yield from coarse_pass(scan, runner, turn, 0, len(others) - n, rest)))
    other = max(turned, key=lambda seen: seen.likeness)
    return other if other.likeness >= max(SURE, TURN_GAIN * first.likeness) else first


def _best_lying(scan: NetworkInput, runner: Runner, seen: Seen, rest: float) -> Steps[Localisation]:
    """The heart among the components of one coarse pass over a scan that every plane shows, or the whole of a small one."""
    whole, small = slices.whole_box(scan.volume.geometry), _small(scan)
    candidates = list(seen.candidates)
    if seen.likeness >= SURE and seen.largest is not None:
        return _localisation(scan, seen.turn, Candidate(seen.largest, 0))
    if small and (seen.largest is None or _times(whole, seen.largest) <= LITTLE_MORE):
        candidates = [Candidate(whole, 0)]
    elif small:
        candidates.append(Candidate(whole, 0))
    if not candidates:
        raise no_heart(scan)
    if len(candidates) > 1:
        candidates = yield from _judged(scan, runner, candidates, rest, seen.turn)
        candidates.sort(key=lambda candidate: -candidate.judgement.score)
    return _localisation(scan, seen.turn, candidates[0])


def _localisation(scan: NetworkInput, turn: Turn, best: Candidate) -> Localisation:
    """Of a candidate."""
    note = TURNED.format(TURNS[turn]) if turn != HEADER else ""
    if best.quarters:
        note = QUARTERED.format(90 * best.quarters)
    if note:
        log.warning(note)
    judgement = best.judgement if best.judgement is not NOTHING else None
    patient = lying(scan.volume.geometry, turn)
    return Localisation(best.box, patient, note, best.quarters, judgement)


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one with the best score; the first of several."""
    return max(candidates, key=lambda candidate: candidate.judgement.score, default=None)


def _judged(
    scan: NetworkInput,
    runner: Runner,
    candidates: Sequence[Candidate],
    rest: float,
    turn: Turn = HEADER,
    enough: float = math.inf,
) -> Steps[list[Candidate]]:
    """The candidates as a fine pass over a few slices of each shows them; no more of them after one with a score that is
    `enough`."""
    grids = []
    for candidate in candidates:
        plane = plane_of(scan, lying(scan.volume.geometry, turn), candidate.quarters)
        full = Pass(plane).grid(scan, candidate.box).count[2]
        stride = 1 if full <= JUDGED_SLICES // 2 else max(2, math.ceil(full / JUDGED_SLICES))
        grids.append(Pass(plane, stride=float(stride)).grid(scan, candidate.box))
    runner.clock.plan(sum(math.prod(grid.count) for grid in grids) + rest)
    result = []
    for candidate, grid in zip(candidates, grids, strict=True):
        fusion = Fusion(scan.card.architecture.classes, grid)
        yield from runner.run("Finding the heart", fusion, grid, scan.images(grid))
        probabilities = fusion.mean()
        if scan.options.roi is not None:
            to_background(probabilities, ~grid.inside(candidate.box))
        judgement = judge(probabilities, scan.card.labels, grid.spacing_mm(scan.volume.geometry))
        log.debug("%s quarter turns, box %s: %s", candidate.quarters, candidate.box.round().tolist(), judgement)
        result.append(replace(candidate, judgement=judgement))
        if judgement.score >= enough:
            break
    return result


def _times(one: np.ndarray, other: np.ndarray) -> float:
    """How many times as large as the other a box [2, 3] is."""
    return float(np.prod((one[1] - one[0] + 1) / (other[1] - other[0] + 1)))


def shows_one_plane(scan: NetworkInput) -> bool:
    """Whether the scan is a stack of slices that only their own plane shows well."""
    geometry = scan.volume.geometry
    return stack_of_slices(geometry, plane_of(scan, geometry), scan.pre.spacing_mm)


def _small(scan: NetworkInput) -> bool:
    """Whether the field of view is little larger than a heart."""
    geometry, reach = scan.volume.geometry, SMALL * scan.pre.crop * scan.pre.spacing_mm
    return all(geometry.extent_mm[axis] <= reach for axis in plane_of(scan, geometry).axes[:2])
