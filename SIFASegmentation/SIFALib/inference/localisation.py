"""Where the heart is: a coarse pass over the whole scan, if need be in every position that the patient could have lain in.

A file's header says how the patient lay. Some say it wrongly (feet first taken for head first, prone for supine). Where
what is found the way the header says looks little like a heart, the coarse pass is made again with the patient turned by
half a turn about each axis: these are the four positions of DICOM's Patient Position (0018,5100), HFS, FFS, HFP, FFP.
Mirror images are not tried: no patient becomes one by lying otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..imaging import components, slices
from ..support.errors import NoHeartFound
from ..support.progress import Progress
from .fusion import Fusion
from .job import Job
from .passes import look
from .uncertainty import expected_dice, mass

log = logging.getLogger(__name__)

# A scan whose slices are at most so many times the model's crop wide and high may show little but the heart (or a child's
# whole chest): it is looked at whole where the search finds nothing, or is not sure and has found the better half of it.
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
TURNS = {  # signs of x, y, z in the scan, as the header has them, and how the patient lies then
    (1, 1, 1): "",
    (-1, 1, -1): "head and feet, left and right",
    (-1, -1, 1): "front and back, left and right",
    (1, -1, -1): "head and feet, front and back",
}
TURNED = (
    "No clear heart was found the way the scan's header says the patient lies, but one with {} exchanged. The header "
    "may name a wrong patient position; check the sides before you use the result."
)


@dataclass(frozen=True)
class Find:
    """What one coarse pass found. box: [2, 3] volume indices, None if nothing. likeness: 0..1, how sure it is of all
    structures, as a geometric mean: one that is missing or drawn at a guess counts for much.
    """

    box: np.ndarray | None
    likeness: float


def find_heart(job: Job) -> Generator[Progress, None, np.ndarray]:
    """[2, 3] volume indices of the box around the heart: from the ROI, or by a coarse pass over the whole volume.

    Raises NoHeartFound. Where the patient must lie otherwise than the header says, the job looks accordingly from
    here on, and its notes say so.
    """
    geometry = job.volume.geometry
    if job.options.roi is not None:
        return slices.box_of_roi(geometry, job.options.roi)
    reach = SMALL * job.pre.crop * job.pre.spacing_mm
    small = all(geometry.extent_mm[axis] <= reach for axis in job.plane.axes[:2])
    if small and not shows_whole_heart(job):
        return slices.whole_box(geometry)
    header, *others = TURNS
    found = yield from _coarse_pass(job, header, len(TURNS) if shows_whole_heart(job) else 1)
    if found.likeness < SURE and shows_whole_heart(job):
        turned = {}
        for n, turn in enumerate(others):
            turned[turn] = yield from _coarse_pass(job, turn, len(others) - n)
        best = max(turned, key=lambda turn: turned[turn].likeness)
        better = turned[best].likeness >= max(SURE, TURN_GAIN * found.likeness)
        job.lie(best if better else header)
        if better:
            found = turned[best]
            job.notes.append(TURNED.format(TURNS[best]))
            log.warning(job.notes[-1])
    whole = slices.whole_box(geometry)
    if small and (found.box is None or (found.likeness < SURE and _times(whole, found.box) <= LITTLE_MORE)):
        return whole
    if found.box is None:
        raise NoHeartFound(NO_HEART.format(job.volume.name))
    return found.box


def _times(one: np.ndarray, other: np.ndarray) -> float:
    """How many times as large as the other a box [2, 3] is."""
    return float(np.prod((one[1] - one[0] + 1) / (other[1] - other[0] + 1)))


def _coarse_pass(job: Job, turn: tuple[int, int, int], passes: int) -> Generator[Progress, None, Find]:
    """Look at the whole scan with the patient lying so; `passes`: how many may have to be made, this one counted."""
    job.lie(turn)
    geometry = job.volume.geometry
    whole = slices.whole_box(geometry)
    spacing, slice_spacing = job.pre.locate_spacing_mm, job.pre.locate_slice_spacing_mm
    grid = slices.slice_grid(geometry, job.plane, whole, spacing, slice_spacing, slices.LOCATE_SIZE)
    fusion = Fusion(job.card.architecture.classes, grid)
    images = job.images(grid)
    job.plan(passes * images.size / job.pre.crop**2 + job.rest)
    yield from look(job, "Finding the heart", fusion, grid, images)
    probabilities = fusion.mean()
    # The structures together against the background: where they share a voxel, none of them may win it.
    heart = components.largest_component(probabilities[0] < 0.5)
    clarity = clarity_of(probabilities, heart)
    likeness = float(np.exp(np.log(np.maximum(clarity, 1e-3)).mean()))
    if heart.sum() * grid.voxel_ml(geometry) < least_ml(job):
        return Find(None, likeness)
    where = np.argwhere(heart)[:, ::-1]  # columns, rows, slices
    box = grid.index_box(np.stack([where.min(axis=0) - 0.5, where.max(axis=0) + 0.5]))
    return Find(slices.with_margin(geometry, box), likeness)


def clarity_of(probabilities: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Expected Dice of each structure in probabilities [classes, ...], drawn within the mask `heart` [...] alone."""
    expected = expected_dice(probabilities, mass(probabilities), heart)
    return np.nan_to_num(np.array(list(expected.values())))


def heart_like(clarity: np.ndarray, whole: bool) -> bool:
    """Whether three structures stand out, or one very clearly: other organs remind the network of one or two.

    whole: whether the scan could show a whole heart; of a few slices, two structures are asked.
    """
    count, least = (3, HEART_LIKE) if whole else (2, HEART_LIKE_THIN)
    best = np.sort(clarity)[::-1]
    return bool(best[0] >= UNMISTAKABLE or best[:count].sum() / count >= least)


def shows_whole_heart(job: Job) -> bool:
    """Whether the scan is thick enough to: a few slices show too little to tell how the patient lies."""
    return job.volume.geometry.extent_mm[job.plane.axes[2]] >= HEART_MM


def least_ml(job: Job) -> float:
    """How much of the structures a scan of this thickness must show to hold a heart."""
    thickness = job.volume.geometry.extent_mm[job.plane.axes[2]]
    return HEART_ML * min(1.0, thickness / HEART_MM)
