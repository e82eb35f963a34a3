"""Whether a label map lies over what it labels: mirrored or shifted, it would explain the grey values better.

A map can lie on its image's grid and yet not on its image: written mirrored, or some voxels beside its place. Blood, muscle
and what lies around them differ in grey; so the labels explain a part of the grey values' variance, and more of it where
they belong. Measured on 44 short-axis stacks with contours (Sunnybrook), 36 phantoms of CT and MR with seven, three and one
structures, and 22 slices of CT and MR: as they are, none is doubted. Mirrored along an axis or moved by 5 voxels or more, 33
to 35 of the stacks, 35 of the phantoms and nearly all of the slices are; moved by 3 voxels, 21 of the stacks and 32 of the
phantoms. What lies a slice too high or low is not told: slices beside each other are too much alike.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..imaging.components import bounding_box
from ..models.structures import UNKNOWN

STEPS = (-12, -6, -3, 0, 3, 6, 12)  # voxels along the columns and the rows by which a map is looked at shifted
RING = 4  # voxels around the labels, in a slice, that count as what lies around them
WIDEST = 128  # voxels of each axis of the labels, of which so many at most are looked at
MOST = 40_000  # voxels that are compared
TIMES = 1.3  # as much of the variance, from which on another place is surely better
LEAST = 0.25  # of the variance that the labels must explain there
AXES = ("slices", "rows", "columns")


def better_place(image: np.ndarray, labels: np.ndarray) -> str:
    """Where labels [k, j, i] fit the grey values of an image of the same shape much better than where they lie, in words; ""
    for nowhere."""
    at, classes = _looked_at(labels)
    if not len(classes):
        return ""
    grey = image[tuple(at)].astype(np.float64)
    low, high = np.quantile(grey, [0.01, 0.99])
    last = np.array(image.shape)[:, None] - 1

    def explained(place: np.ndarray) -> float:
        return _explained(np.clip(image[tuple(place)].astype(np.float64), low, high), classes)

    own, places = explained(at), {}
    for flips in itertools.product((False, True), repeat=3):
        names = [name for name, flip, count in zip(AXES, flips, image.shape, strict=True) if flip and count > 1]
        if names:
            mirrored = np.where(np.array(flips)[:, None], last - at, at)
            places[f"with its {' and '.join(names)} in the opposite order"] = explained(mirrored)
    for down, right in itertools.product(STEPS, repeat=2):
        shifted = at + np.array([0, down, right])[:, None]
        if (down or right) and ((shifted >= 0) & (shifted <= last)).all():
            places[f"moved by {right} columns and {down} rows"] = explained(shifted)
    moved, best = max(places.items(), key=lambda place: place[1])
    return moved if best >= max(LEAST, TIMES * own) else ""


def _looked_at(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels [3, n] in and around the labels, and the label of each."""
    from scipy.ndimage import binary_dilation

    box = bounding_box((labels != 0) & (labels != UNKNOWN))
    wider = [
        slice(max(0, part.start - (RING if axis else 0)), min(n, part.stop + (RING if axis else 0)))
        for axis, (part, n) in enumerate(zip(box, labels.shape, strict=True))
    ]
    steps = [max(1, -(-(part.stop - part.start) // WIDEST)) for part in wider]
    cut = labels[tuple(slice(part.start, part.stop, step) for part, step in zip(wider, steps, strict=True))]
    inside = (cut != 0) & (cut != UNKNOWN)
    plus = np.zeros((3, 3, 3), bool)
    plus[1, 1, :] = plus[1, :, 1] = True
    around = binary_dilation(inside, plus, max(1, RING // max(steps[1:]))) & (cut != UNKNOWN)
    at = np.array(np.nonzero(around))
    at = at[:, :: max(1, at.shape[1] // MOST)]
    classes = cut[tuple(at)].astype(np.int64)
    return at * np.array(steps)[:, None] + np.array([part.start for part in wider])[:, None], classes


def _explained(grey: np.ndarray, classes: np.ndarray) -> float:
    """The part of the variance of grey values [n] that lies between classes (eta squared), 0..1."""
    count, total = np.bincount(classes), np.bincount(classes, grey)
    means = total / np.maximum(count, 1)
    variance = float(grey.var()) * len(grey)
    return float((count * (means - grey.mean()) ** 2).sum()) / variance if variance > 0 else 0.0
