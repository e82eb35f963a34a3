"""A picture of a segmentation: three planes through the heart, with outlines in the structures' colours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..models import PLANES
from ..models.structures import STRUCTURES, Structure
from ..support.files import made
from .geometry import Geometry, Volume
from .intensity import chosen_modality
from .slices import Plane, SliceGrid, choose_plane, named_plane, sample, slice_grid, whole_box

GAP = 4  # pixels between panels
CT_WINDOW_HU = (-160.0, 440.0)
MARGIN_MM = 25.0  # around the labels
THIN_MM = 40.0  # a stack that is thinner is shown in its own plane alone


def overlay(
    volume: Volume,
    labels: Volume,
    path: str | os.PathLike[str],
    structures: Sequence[Structure] = STRUCTURES,
    size: int = 320,
    truth: Volume | None = None,
) -> None:
    """Write a PNG: the planes through the middle of the labels, grey above, outlined below (then `truth`, if given).

    volume and labels share a grid. A stack of few slices is shown in its own plane alone. Raises OSError.
    """
    rows = [None, labels] if truth is None else [None, labels, truth]
    in_hu, columns = chosen_modality(volume).hounsfield, []
    for plane in _planes(volume.geometry):
        grid = _middle(volume, labels, plane, size)
        values, inside = (stack[0, :size, :size] for stack in sample(volume, grid))
        grey = _grey(values, inside, in_hu)
        column = [paint(grey, None if row is None else _nearest(row, grid, inside), structures) for row in rows]
        columns.append(np.concatenate([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in column]))
    write_png(np.concatenate(columns, axis=1), path)


def write_png(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write RGB uint8 [h, w, 3]; complete or not at all. Raises OSError."""

    def check(temporary: Path) -> None:  # of a full disk ITK says nothing
        try:
            whole = np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(temporary))), image)
        except RuntimeError:
            whole = False
        if not whole:
            raise OSError(errno.ENOSPC, "only a part of it reached the disk", str(path))

    try:
        with made(Path(path), check) as temporary:
            sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(temporary))
    except RuntimeError as error:
        raise OSError(f"The picture {path} cannot be written; is the disk full or the folder protected?") from error


def _planes(geometry: Geometry) -> list[Plane]:
    own = choose_plane(geometry)
    if geometry.extent_mm[own.axes[2]] < THIN_MM:
        return [own]
    return [named_plane(geometry, name) for name in PLANES]


def _middle(volume: Volume, labels: Volume, plane: Plane, size: int) -> SliceGrid:
    """The grid of one slice through the middle of the labels, at least `size` pixels wide and high."""
    geometry = volume.geometry
    where = np.argwhere(labels.array > 0)[:, ::-1]
    box = whole_box(geometry)
    if len(where):
        margin = MARGIN_MM / np.array(geometry.spacing)
        box = np.clip(np.stack([where.min(0) - margin, where.max(0) + margin]), box[0], box[1])
    axis = plane.axes[2]
    box[:, axis] = np.round(np.median(where, axis=0) if len(where) else box.mean(axis=0))[axis]
    lengths = [(box[1, a] - box[0, a] + 1) * geometry.spacing[a] for a in plane.axes[:2]]
    return slice_grid(geometry, plane, box, max(lengths) / (size - 15), geometry.spacing[axis], size)


def _grey(values: np.ndarray, inside: np.ndarray, hounsfield: bool) -> np.ndarray:
    """Values of a slice as 0..1; 0 where not `inside`."""
    low, high = CT_WINDOW_HU if hounsfield else np.percentile(values[inside], [1, 99.5])
    return np.where(inside, np.clip((values - low) / max(high - low, 1e-6), 0, 1), 0)


def _nearest(labels: Volume, grid: SliceGrid, inside: np.ndarray) -> np.ndarray:
    """The labels that lie next to the pixels of a grid's first slice; 0 where not `inside`, which has the shape."""
    axes, size = grid.plane.axes, labels.geometry.size
    index = [np.clip(np.rint(grid.positions(w)), 0, size[a] - 1).astype(int) for w, a in enumerate(axes)]
    flat = labels.array.transpose(*(2 - axes[w] for w in (2, 1, 0)))[index[2][0]]
    rows, columns = inside.shape
    return np.where(inside, flat[np.ix_(index[1][:rows], index[0][:columns])], 0)


def paint(grey: np.ndarray, labels: np.ndarray | None, structures: Sequence[Structure]) -> np.ndarray:
    """RGB uint8 [h, w, 3] of a slice with values 0..1, with the labels, if any, tinted and outlined."""
    from skimage import segmentation

    find_boundaries: Callable[..., np.ndarray] = segmentation.find_boundaries
    image = np.repeat(np.clip(grey, 0, 1)[..., None] * 255.0, 3, axis=2)
    for structure in structures if labels is not None else ():
        mask = labels == structure.value
        image[mask] = 0.72 * image[mask] + 0.28 * np.array(structure.color)
        image[find_boundaries(mask, mode="inner")] = structure.color
    return image.astype(np.uint8)
