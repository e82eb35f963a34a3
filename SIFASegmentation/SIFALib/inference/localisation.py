"""Where the heart is: a coarse pass over the whole scan, if need be in every position that the patient could have lain in.

A file's header says how the patient lay. Some say it wrongly (feet first taken for head first, prone for supine). Where
what is found the way the header says looks little like a heart, the coarse pass is made again with the patient turned by
half a turn about each axis: these are the four positions of DICOM's Patient Position (0018,5100), HFS, FFS, HFP, FFP.
Mirror images are not tried: no patient becomes one by lying otherwise.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np

from ..imaging import components, slices
from ..imaging.geometry import Geometry
from ..imaging.slices import Plane, SliceGrid
from ..support.errors import NoHeartFound
from ..support.progress import Steps
from .fusion import Fusion
from .passes import NetworkInput
from .runner import Runner
from .uncertainty import expected_dice, expected_volumes

log = logging.getLogger(__name__)

# A scan whose slices are at most so many times the model's crop wide and high may show little but the heart (or a child's
# whole chest): it counts as heart where the coarse pass finds nothing, or is not sure and has found the better half of it.
SMALL, LITTLE_MORE = 1.3, 2.0
HEART_ML = 10.0  # less than this in all is no heart, in a scan at least HEART_MM thick; in proportion in a thinner one
HEART_MM = 50.0
# Mean expected Dice of the clearest structures in the fine slices, three of them, or two in a scan too thin for a whole
# heart: below, it is an organ that reminds of a heart. Heads reach 0.44, hearts without contrast agent 0.53. The coarse
# slices are not asked: they show half a heart no more clearly than a kidney.
HEART_LIKE, HEART_LIKE_THIN = 0.45, 0.25
UNMISTAKABLE = 0.7  # expected Dice of the clearest structure that alone is enough; no head's is above 0.63
SURE = 0.45  # geometric mean of the expected Dice of all structures: from here on it is a heart that lies as it is seen
TURN_GAIN = 1.4  # by which another position must be better than the header's to be believed
NO_HEART = (
    "No heart was found in {}. If there is one, draw a region of interest around it, "
    "or adapt the model to scans like this one."
)
READ_AS = " It was read {}."
Turn = tuple[int, int, int]
HEADER: Turn = (1, 1, 1)  # as the header says
TURNS: dict[Turn, str] = {  # signs of x, y, z in the scan, as the header has them, and how the patient lies then
    HEADER: "",
    (-1, 1, -1): "head and feet, left and right",
    (-1, -1, 1): "front and back, left and right",
    (1, -1, -1): "head and feet, front and back",
}
TURNED = (
    "No clear heart was found the way the scan's header says the patient lies, but one with {} exchanged. The header "
    "may name a wrong patient position; check the sides before you use the result."
)


@dataclass(frozen=True)
class Localisation:
    """box: [2, 3] volume indices around the heart. patient: the scan's geometry as the patient lies, whatever its header
    says; where that seems to be wrong, `note` tells so.
    """

    box: np.ndarray
    patient: Geometry
    note: str = ""


@dataclass(frozen=True)
class _Candidate:
    """What one coarse pass found. box: [2, 3] volume indices, None if nothing. likeness: 0..1, how sure it is of all
    structures, as a geometric mean: one that is missing or drawn at a guess counts for much.
    """

    turn: Turn
    box: np.ndarray | None
    likeness: float


def localise(scan: NetworkInput, runner: Runner, rest: float = 0.0) -> Steps[Localisation]:
    """Where the heart is: in the region of interest, or by coarse passes over the whole scan. NoHeartFound.

    rest: the work that follows, for the progress.
    """
    geometry = scan.volume.geometry
    whole, thick = slices.whole_box(geometry), shows_whole_heart(scan)
    if scan.options.roi is not None:
        return Localisation(slices.box_of_roi(geometry, scan.options.roi), geometry)
    reach = SMALL * scan.pre.crop * scan.pre.spacing_mm
    small = all(geometry.extent_mm[axis] <= reach for axis in plane_of(scan, geometry).axes[:2])
    if small and not thick:
        return Localisation(whole, geometry)
    best = yield from _coarse_pass(scan, runner, HEADER, len(TURNS) if thick else 1, rest)
    if best.likeness < SURE and thick:
        others, turned = [turn for turn in TURNS if turn != HEADER], []
        for n, turn in enumerate(others):
            turned.append((yield from _coarse_pass(scan, runner, turn, len(others) - n, rest)))
        other = max(turned, key=lambda candidate: candidate.likeness)
        if other.likeness >= max(SURE, TURN_GAIN * best.likeness):
            best = other
    note = "" if best.turn == HEADER else TURNED.format(TURNS[best.turn])
    if note:
        log.warning(note)
    box = best.box
    if small and (box is None or (best.likeness < SURE and _times(whole, box) <= LITTLE_MORE)):
        box = whole
    if box is None:
        raise _no_heart(scan)
    return Localisation(box, lying(geometry, best.turn), note)


def _no_heart(scan: NetworkInput) -> NoHeartFound:
    """The error, with how the grey values were read: read wrongly, no scan shows a heart."""
    rule = scan.intensity
    if not rule.reading:
        return NoHeartFound(NO_HEART.format(scan.volume.name))
    other = "mr" if rule.modality == "ct" else "ct"
    reading = NO_HEART.format(scan.volume.name) + READ_AS.format(rule.reading)
    return NoHeartFound(reading, advice="modality", modality=rule.modality, other=other)


def lying(geometry: Geometry, turn: Turn) -> Geometry:
    """The geometry of a scan whose patient lies otherwise than its header says: `turn` are the signs of x, y, z."""
    axes = np.diag(turn) @ geometry.axes
    return replace(geometry, direction=tuple(axes.ravel().tolist()))


def plane_of(scan: NetworkInput, patient: Geometry) -> Plane:
    """The plane in which the scan is cut for the network, with the patient lying so."""
    return slices.choose_plane(patient, scan.pre.plane)


def _times(one: np.ndarray, other: np.ndarray) -> float:
    """How many times as large as the other a box [2, 3] is."""
    return float(np.prod((one[1] - one[0] + 1) / (other[1] - other[0] + 1)))


def _coarse_pass(scan: NetworkInput, runner: Runner, turn: Turn, passes: int, rest: float) -> Steps[_Candidate]:
    """A pass over the whole scan with the patient lying so; `passes`: how many may have to be made, this one counted."""
    geometry = scan.volume.geometry
    plane = plane_of(scan, lying(geometry, turn))
    spacing, across = scan.pre.locate_spacing_mm, scan.pre.locate_slice_spacing_mm
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), spacing, across, slices.LOCATE_SIZE)
    fusion = Fusion(scan.card.architecture.classes, grid)
    images = scan.images(grid)
    runner.clock.plan(passes * images.size + rest)
    yield from runner.run("Finding the heart", fusion, grid, images)
    probabilities = fusion.mean()
    # The structures together against the background: where they share a voxel, none of them may win it.
    heart = components.largest_component(probabilities[0] < 0.5)
    clarity = clarity_of(probabilities, heart)
    likeness = float(np.exp(np.log(np.maximum(clarity, 1e-3)).mean()))
    if heart.sum() * grid.voxel_ml(geometry) < least_ml(scan):
        return _Candidate(turn, None, likeness)
    where = np.argwhere(heart)[:, ::-1]  # columns, rows, slices
    box = grid.index_box(np.stack([where.min(axis=0) - 0.5, where.max(axis=0) + 0.5]))
    return _Candidate(turn, slices.with_margin(geometry, box), likeness)


def insist_on_likeness(scan: NetworkInput, probabilities: np.ndarray) -> None:
    """NoHeartFound if what fine slices show, probabilities [classes, ...], reminds of a heart too little."""
    clarity = clarity_of(probabilities, probabilities.argmax(axis=0) > 0)
    if not heart_like(clarity, shows_whole_heart(scan)):
        raise _no_heart(scan)


def insist_on_volume(scan: NetworkInput, probabilities: np.ndarray, grid: SliceGrid) -> None:
    """NoHeartFound if the structures in probabilities [classes, ...] on the grid are too small for a heart."""
    drawn = np.count_nonzero(probabilities.argmax(axis=0))
    if drawn * grid.voxel_ml(scan.volume.geometry) < least_ml(scan):
        raise _no_heart(scan)


def clarity_of(probabilities: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Expected Dice of each structure in probabilities [classes, ...], drawn within the mask `heart` [...] alone."""
    expected = expected_dice(probabilities, expected_volumes(probabilities), heart)
    return np.array([0.0 if math.isnan(share) else share for share in expected.values()])


def heart_like(clarity: np.ndarray, whole: bool) -> bool:
    """Whether three structures stand out, or one very clearly: other organs remind the network of one or two.

    whole: whether the scan could show a whole heart; of a few slices, two structures are asked.
    """
    count, least = (3, HEART_LIKE) if whole else (2, HEART_LIKE_THIN)
    best = np.sort(clarity)[::-1]
    return bool(best[0] >= UNMISTAKABLE or best[:count].sum() / count >= least)


def shows_whole_heart(scan: NetworkInput) -> bool:
    """Whether the scan is thick enough to: a few slices show too little to tell how the patient lies."""
    return _thickness_mm(scan) >= HEART_MM


def least_ml(scan: NetworkInput) -> float:
    """How much of the structures a scan of this thickness must show to hold a heart."""
    return HEART_ML * min(1.0, _thickness_mm(scan) / HEART_MM)


def _thickness_mm(scan: NetworkInput) -> float:
    """Of the stack of slices in which the scan is cut, the same however the patient lies."""
    geometry = scan.volume.geometry
    return geometry.extent_mm[plane_of(scan, geometry).axes[2]]
