"""Images with their geometry: read, check, orient, resample, write.

World coordinates are LPS millimetres, as in ITK and DICOM: +x to the patient's left, +y to the back, +z to the
head. Arrays are indexed [k, j, i], as SimpleITK gives them; points and indices are written (x, y, z), (i, j, k).
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .support.errors import VolumeError

MIN_SIZE = (16, 16, 1)  # voxels, the two larger sides and the smallest: below this no heart can be told
SPACING_MM = (0.01, 100.0)  # micro-CT has 0.01; the slices of the coarsest survey lie some 50 apart
MIN_EXTENT_MM = 10.0  # of the two longer sides: a heart is as large as a fist
MAX_EXTENT_MM = 3000.0  # of each side: no table moves a patient further, the longest scanners take 2 m
LARGEST = 1e30  # of the grey values: float32, in which slices are computed, ends at 3e38, and sums must fit
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

NOT_NUMBERS = "{} holds {} voxels that are not numbers (NaN or infinite); replace them first."


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in space, exactly ITK's.

    size: voxels (i, j, k). origin: LPS mm of the centre of voxel (0, 0, 0). spacing: mm. direction: row-major 3x3
    matrix whose columns are the unit vectors of the axes i, j, k.
    """

    size: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @staticmethod
    def of(image: sitk.Image) -> Geometry:
        return Geometry(image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array: (k, j, i)."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def axes(self) -> np.ndarray:
        """[3, 3]; column a is the unit vector of index axis a, LPS."""
        return np.array(self.direction, dtype=float).reshape(3, 3)

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Length of the grid along i, j, k, whole voxels counted."""
        i, j, k = (n * s for n, s in zip(self.size, self.spacing, strict=True))
        return (i, j, k)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres; right for sheared grids, too."""
        return float(abs(np.linalg.det(self.axes)) * np.prod(self.spacing)) / 1000.0

    def point(self, index: Sequence[float] | np.ndarray) -> np.ndarray:
        """LPS mm of continuous indices; index [..., 3] as (i, j, k)."""
        return np.asarray(self.origin) + (np.asarray(index, float) * np.asarray(self.spacing)) @ self.axes.T

    def index(self, point: Sequence[float] | np.ndarray) -> np.ndarray:
        """Continuous indices (i, j, k) of LPS points [..., 3]."""
        offset = np.asarray(point, float) - np.asarray(self.origin)
        return offset @ np.linalg.inv(self.axes).T / np.asarray(self.spacing)

    def corners(self) -> np.ndarray:
        """[8, 3] LPS mm: the outer corners of the corner voxels."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        return self.point(np.array([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]]))

    def to_image(self, array: np.ndarray | None = None) -> sitk.Image:
        """A SimpleITK image of this geometry over `array` [k, j, i]; without one, zeros of uint8."""
        image = sitk.GetImageFromArray(np.zeros(self.shape, np.uint8) if array is None else array)
        if image.GetSize() != tuple(self.size):
            raise ValueError(
                f"The array is of size {image.GetSize()}, the geometry of {tuple(self.size)} (i, j, k)."
            )
        image.SetOrigin(self.origin)
        image.SetSpacing(self.spacing)
        image.SetDirection(self.direction)
        return image

    def part(self, start: Sequence[int], size: Sequence[int]) -> Geometry:
        """The grid of a block of voxels: `start` and `size` as (i, j, k)."""
        i, j, k = (int(n) for n in size)
        x, y, z = (float(v) for v in self.point(start))
        return Geometry((i, j, k), (x, y, z), self.spacing, self.direction)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels [k, j, i] with their geometry; `name` is what messages and results call it.

    source: the file or folder that it was read from, for what is wrong with that; "" for none.
    """

    array: np.ndarray
    geometry: Geometry
    name: str = "volume"
    source: str = ""

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise VolumeError(
                f"{self.name}: the array has shape {self.array.shape}, but its geometry says {self.geometry.shape}."
            )

    @staticmethod
    def of(image: sitk.Image, name: str, source: str = "") -> Volume:
        return Volume(sitk.GetArrayFromImage(image), Geometry.of(image), name, source)

    def image(self) -> sitk.Image:
        return self.geometry.to_image(self.array)


def read(path: str | os.PathLike) -> Volume:
    """The 3D image in a NIfTI, NRRD or MetaImage file, or in a folder with one DICOM series.

    Raises FileNotFoundError, or VolumeError that says what is wrong with the file. A 4D file is refused: it holds
    several images, and which one is meant must be said first.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path.")
    from . import dicom_folder, image_file  # they raise this module's VolumeError

    return dicom_folder.read_series(path) if path.is_dir() else image_file.read_file(path)


def check_grid(
    name: object, spacing: Sequence[float] | np.ndarray, origin: Sequence[float], axes: np.ndarray
) -> None:
    """Raise VolumeError unless these are voxels in space: spacing and origin in mm, axes in the columns of a matrix."""
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise VolumeError(
            f"{name} has the voxel spacing {_mm(spacing)} mm; it must be above 0. Mend its header."
        )
    if not np.isfinite(origin).all():
        raise VolumeError(f"{name} has its origin at {_mm(origin)} mm, which is no place. Mend its header.")
    if not np.isfinite(axes).all() or abs(np.linalg.det(axes)) < 1e-3:
        raise VolumeError(
            f"{name} has axes that do not span space (direction {_mm(axes.ravel())}). Mend its header."
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


def write(volume: Volume, path: str | os.PathLike) -> None:
    """Write an image file; it appears complete or not at all (temporary name, then rename). Raises OSError."""
    write_image(volume.image(), path)


def write_image(image: sitk.Image, path: str | os.PathLike) -> None:
    """`write` for a SimpleITK image, with its metadata; compressed. Raises OSError, VolumeError on a bad suffix."""
    path = Path(path)
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None or suffix in (".nhdr", ".mhd"):
        raise VolumeError(f"{path} has no suffix that can be written; end it in .nii.gz, .nrrd or .mha.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it first.")
    temporary = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        sitk.WriteImage(image, str(temporary), True)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        _check_written(temporary, path)
        os.replace(temporary, path)
    except RuntimeError as error:
        raise OSError(
            f"{path} cannot be written: {reason_of(error)}; is the disk full or the folder protected?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_written(temporary: Path, path: Path) -> None:
    """OSError if not all of the file is there: of a full disk ITK says nothing when it writes NIfTI."""
    from .nifti_file import check_nifti

    try:
        whole = check_nifti(temporary, finite=False) or ".nii" not in temporary.suffixes
    except VolumeError:
        whole = False
    if not whole:
        raise OSError(f"{path} cannot be written: only a part of it reached the disk; is the disk full?")


def reason_of(error: object) -> str:
    """The last line of ITK's message, without its addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    last = last.split("): ")[-1].removeprefix("sitk::ERROR: ").removeprefix("[nrrd] ")
    return re.sub(r"^_?nrrd\w+: ", "", last).rstrip(".!")
