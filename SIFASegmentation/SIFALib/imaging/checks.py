"""Whether an image can be a scan of a heart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..support.errors import VolumeError
from ..support.memory import suffices
from .geometry import Geometry, Volume

MIN_SIZE = (16, 16, 1)  # voxels, the two larger sides and the smallest: below this no heart can be told
SPACING_MM = (0.01, 100.0)  # micro-CT has 0.01; the slices of the coarsest survey lie some 50 apart
MIN_EXTENT_MM = 10.0  # of the two longer sides: a heart is as large as a fist
MAX_EXTENT_MM = 3000.0  # of each side: no table moves a patient further, the longest scanners take 2 m
UNIT_LENGTH = 0.01  # by which an axis may be longer or shorter than 1: what rounding to two digits does
LARGEST = 1e30  # of the grey values: float32, in which slices are computed, ends at 3e38, and sums must fit
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
MOST_VOXELS = 4e9  # of a scan
OTHER_KIND = "{} cannot be read as an image: it is of another kind than its name says, or damaged."
COPIES = 2  # of its voxels that an image has while it is read: the reader's and numpy's
TOO_LARGE = "{} claims to hold {} voxels, for which memory does not suffice; close other programs, or mend its header."
NOT_NUMBERS = "{} holds {} voxels that are not numbers (NaN or infinite); replace them first."


def check_grid(name: object, spacing: Sequence[float] | np.ndarray, origin: Sequence[float], axes: np.ndarray) -> None:
    """Raise VolumeError unless these are voxels in space: spacing and origin in mm, axes in the columns of a matrix."""
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise VolumeError(f"{name} has the voxel spacing {_mm(spacing)} mm; it must be above 0. Mend its header.")
    if not np.isfinite(origin).all():
        raise VolumeError(f"{name} has its origin at {_mm(origin)} mm, which is no place. Mend its header.")
    if not np.isfinite(axes).all() or abs(np.linalg.det(axes)) < 1e-3:
        raise VolumeError(f"{name} has axes that do not span space (direction {_mm(axes.ravel())}). Mend its header.")
    lengths = np.linalg.norm(axes, axis=0)
    if np.abs(lengths - 1).max() > UNIT_LENGTH:
        raise VolumeError(
            f"{name} has axes of the lengths {_mm(lengths)}, which would make its voxels larger or smaller than it states "
            f"({_mm(spacing)} mm). Mend its header: they must be unit vectors."
        )


def _check_lengths(name: str, geometry: Geometry) -> None:
    """Raise VolumeError if the voxels or the whole grid are of a size that no scan of a heart has."""
    low, high = SPACING_MM
    if min(geometry.spacing) < low or max(geometry.spacing) > high:
        raise VolumeError(
            f"{name} has the voxel spacing {_mm(geometry.spacing)} mm, which no scanner has ({low:g} to {high:g} mm). "
            "Mend its header."
        )
    _, middle, longest = sorted(geometry.extent_mm)
    if middle < MIN_EXTENT_MM or longest > MAX_EXTENT_MM:
        raise VolumeError(
            f"{name} is {_mm(geometry.extent_mm)} mm large, which no scan of a heart is. Mend its voxel spacing "
            f"of {_mm(geometry.spacing)} mm."
        )


def check_room(name: object, size: Sequence[int], need: float) -> None:
    """Raise VolumeError if there is no memory for so many bytes of an image's voxels, before they are read."""
    if not suffices(need):
        raise VolumeError(TOO_LARGE.format(name, tuple(size)))


def _mm(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{v:g}" for v in values)


def check(volume: Volume) -> None:
    """Raise VolumeError if no segmentation can come of this volume: not 3D, too small, NaN, constant, bad grid.

    Its voxels and its sides must be as long as those of scans; its values must fit into float32.
    """
    array, geometry, name = volume.array, volume.geometry, volume.source or volume.name
    if array.ndim != 3:
        raise VolumeError(f"{name} has {array.ndim} dimensions; a volume with three is needed.")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise VolumeError(f"{name} holds values of type {array.dtype}; a grey image is needed.")
    _, middle, large = sorted(geometry.size)
    if large < MIN_SIZE[0] or middle < MIN_SIZE[1]:
        raise VolumeError(f"{name} is only {geometry.size} voxels large; a heart cannot be told in it.")
    check_grid(name, geometry.spacing, geometry.origin, geometry.axes)
    _check_lengths(name, geometry)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise VolumeError(NOT_NUMBERS.format(name, bad))
    low, high = array.min(), array.max()
    if max(abs(float(low)), abs(float(high))) > LARGEST:
        raise VolumeError(
            f"{name} holds values from {low:g} to {high:g}, which cannot be computed with; replace them first."
        )
    if low == high:
        raise VolumeError(f"{name} is constant (every voxel is {low}); there is nothing to see in it.")


def reason_of(error: object) -> str:
    """The last line of ITK's message, without its addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    last = last.split("): ")[-1].removeprefix("sitk::ERROR: ").removeprefix("[nrrd] ")
    return re.sub(r"^_?nrrd\w+: ", "", last).rstrip(".!")


def check_header(path: Path, dimension: int, size: Sequence[int], components: int) -> None:
    if dimension < 3:
        raise VolumeError(f"{path} has {dimension} dimensions; a volume with three is needed.")
    if any(n > 1 for n in size[3:]):
        raise VolumeError(
            f"{path} is a sequence of {int(np.prod(size[3:]))} volumes (size {tuple(size)}); "
            "save the time point that you want as a file of its own.",
            advice="cine",
        )
    if components > 1:
        raise VolumeError(f"{path} has {components} values a voxel (a colour or vector image); a grey image is needed.")
    if min(size) < 1:
        raise VolumeError(f"{path} claims to hold {tuple(size)} voxels, which cannot be; its header is damaged.")
    if np.prod([float(n) for n in size]) > MOST_VOXELS:
        raise VolumeError(
            f"{path} claims to hold {tuple(size)} voxels, too many to be read; its header may be damaged."
        )
