"""Pictures of bench_real: of each set the best, the median and the worst result, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from real_measures import middle
from real_tables import mean_dice
from SIFALib.imaging import pictures
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.modality import guess
from SIFALib.models.structures import STRUCTURES, UNKNOWN

ROWS = 3  # slices of a stack that are shown
PANEL, MARGIN_MM = 256, 25.0
GAP = 4


def extremes(rows: Sequence[dict]) -> dict[str, dict]:
    """By name of the picture: of each data set the rows of best, median and worst mean Dice."""
    found = {}
    for dataset in dict.fromkeys(r["dataset"] for r in rows if mean_dice(r) is not None):
        mine = sorted((r for r in rows if r["dataset"] == dataset and mean_dice(r) is not None), key=mean_dice)
        for name, row in (("worst", mine[0]), ("median", mine[len(mine) // 2]), ("best", mine[-1])):
            found[f"{dataset}-{name}"] = row
    return found


def draw(scan: Volume, truth: Volume | None, labels: Volume, kind: str, path: Path) -> None:
    """Write a PNG: slices from one end of the heart to the other below each other; scan, truth (if any), result beside
    each other. A whole volume is shown in its three planes, as in the program."""
    if kind == "slice":
        scan, labels, truth = middle(scan), middle(labels), None if truth is None else middle(truth)
    elif kind == "3D":
        pictures.overlay(scan, labels, path, truth=truth)
        return
    across = across_of(scan.geometry)
    drawn = [volume.array for volume in (truth, labels) if volume is not None]
    region, shown = _region(drawn, scan.geometry, across)
    hounsfield = guess(scan.array).hounsfield
    low, high = pictures.CT_WINDOW_HU if hounsfield else np.percentile(scan.array, [1, 99.5])
    rows = []
    for index in shown:
        cut = lambda array, index=index: _panel(array[region].take(index, 2 - across), scan.geometry, across)  # noqa: E731
        grey = np.clip((cut(scan.array).astype(float) - low) / max(high - low, 1e-6), 0, 1)
        panels = [pictures.paint(grey, None if a is None else cut(a), STRUCTURES) for a in (None, *drawn)]
        rows.append(np.concatenate([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in panels], axis=1))
    pictures.write_png(np.concatenate(rows), path)


def across_of(geometry: Geometry) -> int:
    """The axis (0: i, 1: j, 2: k) along which the slices of a stack follow each other: that of the largest spacing."""
    return 2 - int(np.argmax(tuple(reversed(geometry.spacing))))


def _region(drawn: Sequence[np.ndarray], geometry: Geometry, across: int) -> tuple[tuple[slice, ...], list[int]]:
    """The part of the slices around all that is drawn, and which slices to show."""
    where = np.concatenate([np.argwhere((array > 0) & (array != UNKNOWN)) for array in drawn])
    shape, spacing = drawn[0].shape, np.array(tuple(reversed(geometry.spacing)))
    if not len(where):
        where = np.array([(0, 0, 0), np.array(shape) - 1])
    margin = MARGIN_MM / spacing
    low = np.maximum(where.min(axis=0) - margin, 0).astype(int)
    high = np.minimum(where.max(axis=0) + margin + 1, shape).astype(int)
    axis = 2 - across
    ends = where[:, axis].min(), where[:, axis].max()
    low[axis], high[axis] = 0, shape[axis]
    shown = np.unique(np.rint(np.linspace(0.15, 0.85, ROWS) * (ends[1] - ends[0]) + ends[0]).astype(int))
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), shown.tolist()


def _panel(image: np.ndarray, geometry: Geometry, across: int) -> np.ndarray:
    """A slice [rows, columns] as it is looked at, in square pixels: PANEL of them along its longer side.

    The patient's left and back lie to the right, the head and the front above.
    """
    columns, rows = (a for a in (0, 1, 2) if a != across)
    axes = geometry.axes
    if axes[1, rows] - axes[2, rows] < 0:
        image = image[::-1]
    if axes[0, columns] + axes[1, columns] < 0:
        image = image[:, ::-1]
    sides = np.array(image.shape) * np.array([geometry.spacing[rows], geometry.spacing[columns]])
    counts = np.maximum(np.rint(PANEL * sides / sides.max()).astype(int), 1)
    index = [((np.arange(n) + 0.5) / n * side).astype(int) for n, side in zip(counts, image.shape, strict=True)]
    square = np.zeros((PANEL, PANEL), image.dtype)
    square[: counts[0], : counts[1]] = image[np.ix_(*index)]
    return square
