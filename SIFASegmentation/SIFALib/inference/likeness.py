"""Whether what the network drew is a heart at all: clear enough, and large enough for what the scan shows."""

from __future__ import annotations

import math

import numpy as np

from ..imaging import slices
from ..imaging.slices import SliceGrid
from ..support.errors import NoHeartFound
from .candidates import judge
from .fusion import likeliest
from .passes import NetworkInput
from .uncertainty import expected_dice, expected_volumes

HEART_ML = 10.0  # less than this in all is no heart, in a scan at least HEART_MM thick; in proportion in a thinner one
HEART_MM = 50.0
# Mean expected Dice of the clearest structures in the fine slices, three of them, or two in a scan too thin for a whole
# heart: below, it is an organ that reminds of a heart. Heads reach 0.44, hearts without contrast agent 0.53. The coarse
# slices are not asked: they show half a heart no more clearly than a kidney.
HEART_LIKE, HEART_LIKE_THIN = 0.45, 0.25
UNMISTAKABLE = 0.7  # expected Dice of the clearest structure that alone is enough; no head's is above 0.63
NO_HEART = (
    "No heart was found in {}. If there is one, draw a region of interest around it, "
    "or adapt the model to scans like this one."
)
READ_AS = " It was read {}."


def no_heart(scan: NetworkInput) -> NoHeartFound:
    """The error, with how the grey values were read: read wrongly, no scan shows a heart."""
    rule = scan.intensity
    if not rule.reading:
        return NoHeartFound(NO_HEART.format(scan.volume.name))
    other = "mr" if rule.modality == "ct" else "ct"
    reading = NO_HEART.format(scan.volume.name) + READ_AS.format(rule.reading)
    return NoHeartFound(reading, advice="modality", modality=rule.modality, other=other)


def insist_on_likeness(scan: NetworkInput, probabilities: np.ndarray, grid: SliceGrid) -> None:
    """NoHeartFound if what fine slices show, probabilities [classes, ...], reminds of a heart too little."""
    clarity = clarity_of(probabilities, likeliest(probabilities) > 0)
    if heart_like(clarity, shows_whole_heart(scan)):
        return
    if not judge(probabilities, scan.card.labels, grid.spacing_mm(scan.volume.geometry)).passes:
        raise no_heart(scan)


def insist_on_volume(scan: NetworkInput, probabilities: np.ndarray, grid: SliceGrid) -> None:
    """NoHeartFound if the structures in probabilities [classes, ...] on the grid are too small for a heart."""
    drawn = np.count_nonzero(likeliest(probabilities))
    if drawn * grid.voxel_ml(scan.volume.geometry) < least_ml(scan):
        raise no_heart(scan)


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
    return geometry.extent_mm[slices.choose_plane(geometry, scan.pre.plane).axes[2]]
