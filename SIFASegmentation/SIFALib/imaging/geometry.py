"""Images with their geometry.

World coordinates are LPS millimetres, as in ITK and DICOM: +x to the patient's left, +y to the back, +z to the
head. Arrays are indexed [k, j, i], as SimpleITK gives them; points and indices are written (x, y, z), (i, j, k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..support.errors import VolumeError

if TYPE_CHECKING:
    from .forms import Forms

APART_MM, APART_VOXELS = 0.1, 0.1  # how far two grids may lie apart to count as one: the lesser of mm and voxels


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in space, exactly ITK's.

    size: voxels (i, j, k). origin: LPS mm of the centre of voxel (0, 0, 0). spacing: mm. direction: row-major 3x3
    matrix whose columns are the unit vectors of the axes i, j, k. forms: what the header of a NIfTI file says of this
    grid where programs read that differently; whoever writes the grid to such a file gives it back.
    """

    size: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    forms: Forms | None = field(default=None, compare=False, repr=False)

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
    def sheared_mm(self) -> float:
        """How far the corners lie from those of the nearest grid with axes at right angles; 0 if nobody could tell."""
        left, _, right = np.linalg.svd(self.axes)
        along = (np.array(self.size) - 1) * np.array(self.spacing)
        apart = float(np.abs((self.axes - left @ right) * along).sum(axis=1).max())
        return apart if apart > min(APART_MM, APART_VOXELS * min(self.spacing)) else 0.0

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres; right for sheared grids, too."""
        return float(abs(np.linalg.det(self.axes)) * np.prod(self.spacing)) / 1000.0

    def point(self, index: Sequence[float] | np.ndarray) -> np.ndarray:
        """LPS mm of continuous indices; index [..., 3] as (i, j, k)."""
        along = np.asarray(index, float) * np.asarray(self.spacing)
        point: np.ndarray = np.asarray(self.origin) + along @ self.axes.T
        return point

    def index(self, point: Sequence[float] | np.ndarray) -> np.ndarray:
        """Continuous indices (i, j, k) of LPS points [..., 3]."""
        offset = np.asarray(point, float) - np.asarray(self.origin)
        index: np.ndarray = offset @ np.linalg.inv(self.axes).T / np.asarray(self.spacing)
        return index

    def corners(self) -> np.ndarray:
        """[8, 3] LPS mm: the outer corners of the corner voxels."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        return self.point(np.array([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]]))

    def to_image(self, array: np.ndarray | None = None) -> sitk.Image:
        """A SimpleITK image of this geometry over `array` [k, j, i]; without one, zeros of uint8."""
        image = sitk.GetImageFromArray(np.zeros(self.shape, np.uint8) if array is None else array)
        if image.GetSize() != tuple(self.size):
            raise ValueError(f"The array is of size {image.GetSize()}, the geometry of {tuple(self.size)} (i, j, k).")
        image.SetOrigin(self.origin)
        image.SetSpacing(self.spacing)
        image.SetDirection(self.direction)
        return image

    def part(self, start: Sequence[int], size: Sequence[int]) -> Geometry:
        """The grid of a block of voxels: `start` and `size` as (i, j, k)."""
        i, j, k = (int(n) for n in size)
        x, y, z = (float(v) for v in self.point(start))
        return replace(self, size=(i, j, k), origin=(x, y, z), forms=None)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels [k, j, i] with their geometry; `name` is what messages and results call it.

    source: the file or folder that it was read from, for what is wrong with that; "" for none. modality: "ct" or "mr" if
    the file itself says so, as DICOM does; else "". notes: sentences on what its reader had to decide.
    """

    array: np.ndarray
    geometry: Geometry
    name: str = "volume"
    source: str = ""
    modality: str = ""
    notes: tuple[str, ...] = ()

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
