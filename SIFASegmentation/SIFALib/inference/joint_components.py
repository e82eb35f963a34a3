"""Which components of a label map are the heart's, judged together: a left ventricle lies in its muscle.

Of each structure alone the largest component may be a piece of spleen or stomach, and the heart would be deleted for it.
So the ventricle and the muscle are looked at as one: the heart is where the muscle surrounds the ventricle. What else
is drawn belongs to it if it touches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..imaging.components import bounding_box, components, in_whole
from ..imaging.geometry import Volume
from ..models.structures import Structure

COMPONENT_SHARE = 0.1  # of the largest component, that another must have: less is a speck
NEAR_MM = 20.0  # from the box around the heart: an atrium or a vessel that touches nothing may lie so far from it
LEAST_SEAT = 0.1  # of the ventricle's border within slices, that must be muscle for the two to be a heart


@dataclass(frozen=True)
class Parts:
    """Components of one structure. numbered: 0 none, 1, 2, ... within the block `box` of the array. counts: voxels of
    each, int [n]. kept: bool [n], which of them are the heart's."""

    numbered: np.ndarray
    box: tuple[slice, ...]
    counts: np.ndarray
    kept: np.ndarray

    def mask(self, which: np.ndarray) -> np.ndarray:
        """Bool array of the block: where a component of `which` (bool [n]) lies."""
        chosen: np.ndarray = np.concatenate([[False], which])[self.numbered]
        return chosen

    def whole(self, shape: tuple[int, ...]) -> np.ndarray:
        """Bool array of that shape: what is kept."""
        return in_whole(self.mask(self.kept), self.box, shape)


def joint_components(labels: Volume, structures: Sequence[Structure], thin: bool) -> list[Parts]:
    """The components of each structure in a label map [slices, rows, columns], and which of them are kept.

    Left ventricle and muscle stay where they are seated in each other best, of anything else what touches them. Without a
    muscle around a ventricle each structure's largest component is kept; of a `thin` scan, which may cut a structure into
    several, every one that is at least COMPONENT_SHARE of the largest.
    """
    array = labels.array
    parts = [_parts(array == s.value, thin) for s in structures]
    of = {s.id: n for n, s in enumerate(structures)}
    if "LV" not in of or "MYO" not in of:
        return parts
    heart = _seated(array, parts[of["LV"]], parts[of["MYO"]], [structures[of[i]].value for i in ("LV", "MYO")])
    if heart is None:
        return parts
    for name in ("LV", "MYO"):
        parts[of[name]] = _within(parts[of[name]], heart)
        heart &= ~(array == structures[of[name]].value) | parts[of[name]].whole(array.shape)
    others = [n for n, s in enumerate(structures) if s.id not in ("LV", "MYO")]
    pieces = any(_in_pieces(parts[n]) for n in others)
    touching = _touching(heart, [parts[n] for n in others]) if pieces else heart
    near = NEAR_MM / np.array(labels.geometry.spacing[::-1])
    for n in others:
        parts[n] = _beside(parts[n], touching, bounding_box(heart), near, thin)
    return parts


def seats(ventricle: np.ndarray, muscle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the ventricle's voxels in masks [slices, rows, columns]: how many of their sides within the slice are its border,
    uint8 of that shape, and how many of these are muscle. A side beyond the array's end is no border.
    """
    border, contact = np.zeros(ventricle.shape, np.uint8), np.zeros(ventricle.shape, np.uint8)
    for axis in (1, 2):
        for step in (slice(0, -1), slice(1, None)), (slice(1, None), slice(0, -1)):
            here, there = (tuple(s if a == axis else slice(None) for a in range(3)) for s in step)
            border[here] += ventricle[here] & ~ventricle[there]
            contact[here] += ventricle[here] & muscle[there]
    return border, contact


def _parts(mask: np.ndarray, thin: bool) -> Parts:
    """Components of a mask, kept as if there were no other structure: of several as large the first."""
    numbered, box = components(mask)
    counts = np.bincount(numbered.ravel(), minlength=1)[1:]
    return Parts(numbered, box, counts, _large(counts, np.ones(len(counts), bool), thin))


def _large(counts: np.ndarray, among: np.ndarray, several: bool) -> np.ndarray:
    """Bool [n]: the largest component of those `among`, or every one that is COMPONENT_SHARE of it."""
    if not among.any():
        return np.zeros(len(counts), bool)
    eligible = np.where(among, counts, -1)
    if several:
        shared: np.ndarray = eligible >= max(1.0, COMPONENT_SHARE * eligible.max())
        return shared
    one: np.ndarray = np.arange(len(counts)) == np.argmax(eligible)
    return one


def _seated(array: np.ndarray, ventricle: Parts, muscle: Parts, values: list[int]) -> np.ndarray | None:
    """The mask of ventricle and muscle that are a heart: connected, and of all such the one with the most border between
    them, weighted by its share of the ventricle's border. None if there is no such.

    A ventricle of 100 ml that four fifths are muscle around has 67 cm2 by that measure, a spleen of 200 ml with muscle on
    a quarter of its border 10 cm2.
    """
    if not len(ventricle.counts) or not len(muscle.counts):
        return None
    mask = (array == values[0]) | (array == values[1])
    numbered, box = components(mask)
    part = array[box]
    border, contact = seats(part == values[0], part == values[1])
    bordering = np.bincount(numbered.ravel(), border.ravel())[1:]
    touching = np.bincount(numbered.ravel(), contact.ravel())[1:]
    counts = np.bincount(numbered.ravel())[1:]
    share = np.where(counts >= COMPONENT_SHARE * counts.max(), touching / np.maximum(bordering, 1), 0.0)
    best = int(np.argmax(share * touching))
    if share[best] < LEAST_SEAT:
        return None
    return in_whole(numbered == best + 1, box, array.shape)


def _within(parts: Parts, heart: np.ndarray) -> Parts:
    """Those that belong to the heart, all but specks."""
    here = heart[parts.box]
    inside = np.bincount(parts.numbered[here], minlength=len(parts.counts) + 1)[1:] > 0
    return replace(parts, kept=_large(parts.counts, inside, several=True))


def _in_pieces(parts: Parts) -> bool:
    """Whether several components are no specks, so that one may touch the heart and another may not."""
    return bool((parts.counts > COMPONENT_SHARE * parts.counts.max(initial=0)).sum() > 1)


def _touching(heart: np.ndarray, others: list[Parts]) -> np.ndarray:
    """Where the other structures hang together with the heart, a voxel of background between them allowed for."""
    from scipy.ndimage import binary_dilation

    mask = heart.copy()
    for parts in others:
        mask[parts.box] |= parts.numbered > 0
    box = bounding_box(mask)
    wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    numbered, inner = components(binary_dilation(mask[wide], np.ones((3, 3, 3), bool)))
    result = np.zeros(heart.shape, bool)
    found = np.unique(numbered[heart[wide][inner]])
    result[wide][inner] = np.isin(numbered, found[found > 0])
    result &= mask
    return result


def _beside(parts: Parts, touching: np.ndarray, heart: tuple[slice, ...], near: np.ndarray, thin: bool) -> Parts:
    """Those that touch the heart, all but specks; if none does, the largest of those that lie near the box around it. A
    thin scan may show an atrium or a vessel far from the ventricle, without what joins them: there all stay, but specks.
    """
    if not len(parts.counts):
        return parts
    hit = np.bincount(parts.numbered[touching[parts.box]], minlength=len(parts.counts) + 1)[1:] > 0
    if thin or hit.any():
        return replace(parts, kept=_large(parts.counts, parts.counts > 0 if thin else hit, several=True))
    reach = tuple(
        slice(max(0, round(h.start - n) - b.start), max(0, round(h.stop + n) - b.start))
        for h, b, n in zip(heart, parts.box, near, strict=True)
    )
    close = np.bincount(parts.numbered[reach].ravel(), minlength=len(parts.counts) + 1)[1:] > 0
    return replace(parts, kept=_large(parts.counts, close, several=False))
