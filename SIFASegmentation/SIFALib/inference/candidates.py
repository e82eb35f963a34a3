"""How much what the network drew in a place looks like a heart: one judgement for every candidate of the localisation.

Liver, spleen and stomach remind the network of one structure or another, in a slice or two. What they do not have is a
left ventricle that muscle surrounds, slice after slice, of a size that hearts have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..imaging.geometry import Geometry, Volume
from ..models.structures import Structure
from . import uncertainty
from .flags import PLAUSIBLE_ML, WHOLE_MM
from .fusion import likeliest
from .joint_components import joint_components, seats

SEATED = 0.6  # share of the ventricle's border that muscle takes up where it is whole: the valves take the rest
AGREEING = 0.8  # Dice of neighbouring slices of a ventricle 16 to 20 mm apart; of an organ that was guessed at 0 to 0.5
RIGHT_SHARE = 0.15  # of the left ventricle's volume, that the right one has at least (severe dilatation of the left)
NO_RIGHT = 0.7  # what a left ventricle counts that has no right one beside it: near the apex it may be so
# Scores from which on it is a heart, however unclear the network is. Of 130 candidates in short-axis stacks of 18 patients,
# with a model that knew no such scan, those with a ventricle of Dice 0.7 and more had 0.84 to 0.98, those without one up to
# 0.76; what was taken for an atrium, and was none, up to 0.62.
LEAST, LEAST_ATRIUM = 0.8, 0.66
ATRIUM_ALONE = 0.85  # what an atrium counts without a ventricle: a vessel or the stomach reminds of one


@dataclass(frozen=True)
class Judgement:
    """How much like a heart, each 0..1. score: all in all. anchor: id of the structure that it rests on: LV, LA or "".
    clear: expected Dice of that (and of the muscle around it). seated: share of the left ventricle's border within slices
    that muscle takes up. agreeing: Dice of neighbouring slices. sized: 1 within the volumes that hearts have.
    """

    score: float
    anchor: str = ""
    clear: float = 0.0
    seated: float = 0.0
    agreeing: float = 0.0
    sized: float = 0.0

    @property
    def passes(self) -> bool:
        """Whether it is enough for a heart."""
        return self.score >= (LEAST_ATRIUM if self.anchor == "LA" else LEAST)


NOTHING = Judgement(0.0)


def judge(
    probabilities: np.ndarray, structures: Sequence[Structure], spacing_mm: tuple[float, float, float]
) -> Judgement:
    """What probabilities [classes, slices, rows, columns] of a pass look like: the better of two kinds of heart.

    spacing_mm: of columns, rows, slices. A heart in its middle is a ventricle in its muscle; one that a field of view
    around the atria shows is an atrium. Both are the geometric mean of what speaks for them.
    """
    drawn = likeliest(probabilities)
    if not drawn.any():
        return NOTHING
    grid = Geometry((drawn.shape[2], drawn.shape[1], drawn.shape[0]), (0.0, 0.0, 0.0), spacing_mm)
    thin = min(grid.extent_mm) < WHOLE_MM
    masks: dict[str, np.ndarray] = {}
    heart = np.zeros(drawn.shape, bool)
    for structure, parts in zip(structures, joint_components(Volume(drawn, grid), structures, thin), strict=True):
        masks[structure.id] = parts.whole(drawn.shape)
        heart |= masks[structure.id]
    clear = _clarity(probabilities, structures, heart, drawn)
    ml = {name: float(np.count_nonzero(mask)) * grid.voxel_ml for name, mask in masks.items()}
    if not {"LV", "MYO", "LA"} & set(masks):
        return _unknown(heart, clear)
    found = _Found(masks, clear, ml, grid)
    return max(_ventricle(found), _atrium(found), key=lambda judgement: judgement.score)


@dataclass(frozen=True)
class _Found:
    """By structure id: masks [slices, rows, columns] of what is kept, expected Dice, volumes; on a grid in mm."""

    masks: Mapping[str, np.ndarray]
    clear: Mapping[str, float]
    ml: Mapping[str, float]
    grid: Geometry


def _ventricle(found: _Found) -> Judgement:
    """Of a left ventricle in its muscle."""
    masks, clear, ml = found.masks, found.clear, found.ml
    if not ml.get("LV") or not ml.get("MYO"):
        return NOTHING
    border, contact = seats(masks["LV"], masks["MYO"])
    seated = float(contact.sum()) / max(1.0, float(border.sum()))
    agreeing = agreement(masks["LV"] | masks["MYO"])
    sized = _sized(ml, ("LV", "MYO"), found.grid)
    clarity = (clear["LV"] + clear["MYO"]) / 2
    parts = (clarity, min(1.0, seated / SEATED), min(1.0, agreeing / AGREEING))
    score = float(np.prod(parts)) ** (1 / 3) * sized
    if "RV" in masks:
        beside = min(1.0, ml["RV"] / (RIGHT_SHARE * ml["LV"]))
        score *= NO_RIGHT + (1 - NO_RIGHT) * beside
    return Judgement(score, "LV", clarity, seated, agreeing, sized)


def _atrium(found: _Found) -> Judgement:
    """Of a left atrium, whatever lies beside it."""
    if not found.ml.get("LA"):
        return NOTHING
    clarity, agreeing = found.clear["LA"], agreement(found.masks["LA"])
    sized = _sized(found.ml, ("LA",), found.grid)
    score = ATRIUM_ALONE * math.sqrt(clarity * min(1.0, agreeing / AGREEING)) * sized
    return Judgement(score, "LA", clarity, 0.0, agreeing, sized)


def _unknown(heart: np.ndarray, clear: Mapping[str, float]) -> Judgement:
    """Of structures of which nobody knows how they lie: what is clear and goes on from slice to slice."""
    clarity, agreeing = float(np.mean(sorted(clear.values())[-3:])), agreement(heart)
    return Judgement(math.sqrt(clarity * min(1.0, agreeing / AGREEING)), "", clarity, 0.0, agreeing, 1.0)


def agreement(mask: np.ndarray) -> float:
    """Dice of neighbouring slices of a mask [slices, rows, columns], between its first slice and its last; of a single
    slice, nothing speaks against it: 1."""
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(filled) < 2:
        return float(len(filled))
    part = mask[filled[0] : filled[-1] + 1]
    sizes = part.sum(axis=(1, 2), dtype=np.int64)
    return float(2 * np.count_nonzero(part[1:] & part[:-1]) / (sizes[1:] + sizes[:-1]).sum())


def _clarity(
    probabilities: np.ndarray, structures: Sequence[Structure], heart: np.ndarray, drawn: np.ndarray
) -> dict[str, float]:
    """Expected Dice of each structure, by id: what was drawn elsewhere and would be taken away does not count."""
    here = heart | (drawn == 0)
    volumes = np.array([float(p[here].sum(dtype=np.float64)) for p in probabilities])
    expected = uncertainty.expected_dice(probabilities, volumes, heart)
    return {s.id: 0.0 if math.isnan(expected[s.value]) else expected[s.value] for s in structures}


def _sized(ml: Mapping[str, float], names: Sequence[str], grid: Geometry) -> float:
    """1 for volumes that hearts have; else the share of the nearest that they have. A scan that is thinner than a heart
    shows less of it in proportion."""
    shown = min(1.0, min(grid.extent_mm) / WHOLE_MM)
    share = 1.0
    for name in names:
        low, high = PLAUSIBLE_ML[name]
        share = min(share, ml[name] / (low * shown), high / max(ml[name], 1e-6))
    return share
