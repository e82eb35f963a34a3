"""Trabeculae and papillary muscles of the left ventricle as MR shows them: blurred into a layer on the inside of the wall.

Experts count them as blood, and the outline that they draw runs where the compact wall begins, some 3 mm outside of what
looks like blood. The depth of the layer is held against the contours of 15 patients at end-diastole and -systole by
`make bench-realism`: what looks more like muscle than like blood is 34 % of a real cavity's section (an eighth of it without
the layer, see docs/explanation/phantom.md).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..tissues import LABEL_OF_TISSUE, Tissue
from .planes import smooth

SHARE = 0.85  # of MR's slices
DEPTH, SPREAD = (
    (0.05, 0.28),
    (0.03, 0.12),
)  # the layer's mean, its waves: of the radius of a circle of the cavity's area
SPOKES = np.arange(5, 18)  # around the cavity: four of these numbers of waves, one upon the other
LEAST_PIXELS = 40  # of cavity and of wall
REACH = 3  # pixels around the cavity that are looked at
VENTRICLE = np.isin(LABEL_OF_TISSUE, LABEL_OF_TISSUE[Tissue.LV_BLOOD])


def add(rng: np.random.Generator, image: np.ndarray, tissues: np.ndarray, muscle: float) -> None:
    """Draw the layer into `image` [n, n], in place, where `tissues` (uint8 [n, n]) has the left ventricle beside its
    muscle; nothing where it hardly shows either. muscle: the muscle's grey value."""
    ventricle, wall = VENTRICLE[tissues], tissues == Tissue.MYOCARDIUM
    if min(ventricle.sum(), wall.sum()) < LEAST_PIXELS:
        return
    points = np.argwhere(ventricle)
    ends = zip(points.min(0), points.max(0), strict=True)
    around = tuple(slice(max(int(low) - REACH, 0), int(high) + REACH + 1) for low, high in ends)
    y, x = (np.arange(len(image))[part] - at for part, at in zip(around, points.mean(0), strict=True))
    angle = np.arctan2(y[:, None], x[None, :]).astype(np.float32)
    waves = smooth(rng, len(image), int(rng.integers(14, 40)))[around] * np.float32(rng.uniform(0.3, 1))
    chosen, height = rng.choice(SPOKES, 4, replace=False), np.float32(rng.uniform(0, 0.7))
    for count in chosen:
        waves += height * np.sin(np.float32(count) * angle + _phase(rng))
    one_side = 1 + np.float32(rng.uniform(0, 0.7)) * np.cos(angle - _phase(rng))
    radius = np.sqrt(len(points) / np.pi)
    depth = radius * (rng.uniform(*DEPTH) + rng.uniform(*SPREAD) * waves) * one_side
    within = ndimage.distance_transform_edt(~wall[around]) - depth
    share = 1 / (1 + np.exp(np.clip(within / rng.uniform(0.4, 1.0), -30, 30)))
    image[around] += share * ventricle[around] * np.float32(rng.uniform(0.7, 1.0)) * (muscle - image[around])


def _phase(rng: np.random.Generator) -> np.float32:
    return np.float32(rng.uniform(0, 2 * np.pi))
