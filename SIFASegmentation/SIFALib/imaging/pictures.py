"""A picture of a segmentation: three planes through the heart, with outlines in the structures' colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..models.structures import STRUCTURES, Structure
from ..support.files import made
from .geometry import Geometry, Volume
from .intensity import looks_like_hounsfield
from .slices import PLANES, Plane, choose_plane, sample, slice_grid, whole_box

GAP = 4  # pixels between panels
CT_WINDOW_HU = (-160.0, 440.0)


def overlay(
    volume: Volume,
    labels: Volume,
    path: str | os.PathLike,
    structures: Sequence[Structure] = STRUCTURES,
    size: int = 320,
    truth: Volume | None = None,
) -> None:
    """Write a PNG: the planes through the middle of the labels, grey above, outlined below (then `truth`, if given).

    volume and labels share a grid. A stack of few slices is shown in its own plane alone. Raises OSError.
    """
    rows = [None, labels] if truth is None else [None, labels, truth]
    columns = []
    for plane in _planes(volume.geometry):
        grey, where = _middle_slice(volume, labels, plane, size)
        column = [paint(grey, None if row is None else where(row), structures) for row in rows]
        columns.append(np.concatenate([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in column]))
    write_png(np.concatenate(columns, axis=1), path)


def write_png(image: np.ndarray, path: str | os.PathLike) -> None:
    """Write RGB uint8 [h, w, 3]; complete or not at all. Raises OSError."""
    try:
        with made(Path(path)) as temporary:
            sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(temporary))
    except RuntimeError as error:
        raise OSError(f"The picture {path} cannot be written; is the disk full or the folder protected?") from error


def _planes(geometry: Geometry) -> list[Plane]:
    own = choose_plane(geometry)
    if geometry.extent_mm[own.axes[2]] < 40.0:
        return [own]
    others = [_named(geometry, name) for name in PLANES]
    return others


def _named(geometry: Geometry, name: str) -> Plane:
    """That plane, whatever the resolution in it."""
    even = Geometry((100, 100, 100), geometry.origin, (1.0, 1.0, 1.0), geometry.direction)
    return choose_plane(even, name)


def _middle_slice(volume: Volume, labels: Volume, plane: Plane, size: int):
    """The grey slice [size, size] 0..1 through the middle of the labels, and a function that cuts labels there."""
    geometry = volume.geometry
    where = np.argwhere(labels.array > 0)[:, ::-1]
    box = whole_box(geometry)
    if len(where):
        margin = 25.0 / np.array(geometry.spacing)
        box = np.clip(np.stack([where.min(0) - margin, where.max(0) + margin]), box[0], box[1])
    middle = np.round(np.median(where, axis=0) if len(where) else box.mean(axis=0))
    axis = plane.axes[2]
    box[:, axis] = middle[axis]
    lengths = [(box[1, a] - box[0, a] + 1) * geometry.spacing[a] for a in plane.axes[:2]]
    grid = slice_grid(geometry, plane, box, max(lengths) / (size - 15), geometry.spacing[axis], size)
    values, inside = sample(volume, grid)
    if looks_like_hounsfield(volume.array):
        low, high = CT_WINDOW_HU
    else:
        low, high = np.percentile(values[inside], [1, 99.5])
    grey = np.where(inside[0], np.clip((values[0] - low) / max(high - low, 1e-6), 0, 1), 0)

    def cut(label_map: Volume) -> np.ndarray:
        index = [
            np.clip(np.rint(grid.positions(w)), 0, geometry.size[a] - 1).astype(int) for w, a in enumerate(plane.axes)
        ]
        order = [2 - a for a in plane.axes]
        flat = label_map.array.transpose(order[2], order[1], order[0])[index[2][0]]
        return np.where(inside[0], flat[np.ix_(index[1], index[0])], 0)

    return grey[:size, :size], lambda v: cut(v)[:size, :size]


def paint(grey: np.ndarray, labels: np.ndarray | None, structures: Sequence[Structure]) -> np.ndarray:
    """RGB uint8 [h, w, 3] of a slice with values 0..1, with the labels, if any, tinted and outlined."""
    from skimage.segmentation import find_boundaries

    image = np.repeat(np.clip(grey, 0, 1)[..., None] * 255.0, 3, axis=2)
    for structure in structures if labels is not None else ():
        mask = labels == structure.value
        image[mask] = 0.72 * image[mask] + 0.28 * np.array(structure.color)
        image[find_boundaries(mask, mode="inner")] = structure.color
    return image.astype(np.uint8)
