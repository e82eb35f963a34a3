"""What a user without labels and without a network does: a threshold, clicks, region growing.

One click into every structure (here: the innermost point of the truth, which no user would hit so well: the baseline
gets more than it deserves), a threshold half-way between clicked muscle and clicked blood, and one region for each
click, grown by a watershed on the distance to the threshold's edge (Beucher and Lantuejoul, 1979), so that chambers
part where they are narrow, and no further from the click than the largest such chamber reaches. The myocardium is what
is darker than blood and brighter than fat or lung around the left ventricle. All of it is plain scikit-image.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, median_filter
from skimage.segmentation import watershed

BLOOD = {2: 60.0, 3: 65.0, 4: 35.0}  # label -> mm that it may reach from the click
WALL_MM = 14.0  # thickness of the myocardium, at most: hypertrophic hearts have 15 and more
MUSCLE = 1
SMOOTH_MM = 1.0  # against noise, before the threshold
FRAME_MM = 2.0  # half of the side of the square around a click whose median counts


def grow(grey: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Labels uint8 [h, w] of a slice of grey values [h, w]; `truth` [h, w] tells where a user would click.

    A structure that the truth lacks is not clicked and not found. spacing_mm: of rows and columns.
    """
    smooth = median_filter(
        gaussian_filter(grey.astype(np.float32), [SMOOTH_MM / s for s in spacing_mm]), 3, mode="nearest"
    )
    clicks = {value: click(truth == value, spacing_mm) for value in (MUSCLE, *BLOOD) if (truth == value).any()}
    found = np.zeros(grey.shape, np.uint8)
    clicked = [value for value in BLOOD if value in clicks]
    if not clicked:
        return found
    blood = float(np.mean([around(smooth, clicks[v], spacing_mm) for v in clicked]))
    muscle = around(smooth, clicks[MUSCLE], spacing_mm) if MUSCLE in clicks else None
    bright = smooth > (otsu_below(smooth, blood) if muscle is None else (blood + muscle) / 2)
    reach = np.zeros(grey.shape, bool)
    markers = np.zeros(grey.shape, np.int32)
    for value in clicked:
        reach |= distance_from(clicks[value], grey.shape, spacing_mm) <= BLOOD[value]
        markers[clicks[value]] = value
    inner = distance_transform_edt(bright, spacing_mm)
    grown = watershed(-inner, markers, mask=bright & reach)
    for value in clicked:
        near = distance_from(clicks[value], grey.shape, spacing_mm) <= BLOOD[value]
        found[(grown == value) & near] = value
    if muscle is not None and 3 in clicked:
        wall = distance_transform_edt(found != 3, spacing_mm) <= WALL_MM
        width = abs(blood - muscle)
        found[wall & (found == 0) & (np.abs(smooth - muscle) < width / 2)] = MUSCLE
    return found


def click(mask: np.ndarray, spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """The point of a mask that lies furthest from its edge."""
    inner = distance_transform_edt(np.pad(mask, 1), spacing_mm)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(inner)), mask.shape)
    return int(row), int(column)


def around(grey: np.ndarray, point: tuple[int, int], spacing_mm: tuple[float, float]) -> float:
    """Median grey value of a small square around a point."""
    rows, columns = (max(1, round(FRAME_MM / s)) for s in spacing_mm)
    row, column = point
    part = grey[max(0, row - rows) : row + rows + 1, max(0, column - columns) : column + columns + 1]
    return float(np.median(part))


def otsu_below(grey: np.ndarray, blood: float) -> float:
    """Otsu's threshold of all that is not much brighter than blood."""
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(grey[grey <= blood * 1.2 if blood > 0 else grey <= blood]))


def distance_from(point: tuple[int, int], shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> np.ndarray:
    """mm from a point, [h, w]."""
    rows, columns = (np.arange(n) - p for n, p in zip(shape, point, strict=True))
    return np.hypot((rows * spacing_mm[0])[:, None], (columns * spacing_mm[1])[None, :])
