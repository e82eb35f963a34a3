"""The grid of a stack of slices, from what each says of itself, and whether they lie on one.

Slices of a tilted gantry lie beside each other along another line than their normal: the grid is sheared then, as
`Geometry` can hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..support.errors import VolumeError
from .dicom_grouping import SAME_ORIENTATION, unit_normal
from .dicom_headers import Frame
from .geometry import Geometry

NEAR_MM, NEAR_VOXEL = 0.1, 0.1  # how far a corner of a slice may lie off its place on the grid: whichever is less
EVEN_STEPS = 0.1  # by which the distances of slices may differ, of their median, before one is taken for missing
COARSEST = 2e-3  # by which cosines may be no unit vectors at right angles: what rounding to three digits does
ROUNDED = 3.0  # how much farther than that rounding can turn the normal
EXACT = 1e-4  # an angle of the normal that is rounding even where the cosines do not show it: 0.03 mm in 300
STEEPEST = 40.0  # degrees between the normal and the line of the slices: no gantry tilts by more than 30


def grid(frames: Sequence[Frame], name: object) -> Geometry:
    """The grid of slices in their order, along their normal or against it; `name` is what a sentence calls them.

    Raises VolumeError if they do not say enough, lie unevenly, or off one grid by more than NEAR_MM or NEAR_VOXEL.
    """
    first = frames[0]
    if any((f.rows, f.columns) != (first.rows, first.columns) for f in frames):
        raise VolumeError(f"The slices in {name} are of different sizes; give one stack of slices.")
    between_rows, between_columns = pixel_spacing(frames, name)
    planes = _planes(frames, name)
    plane = _orthonormal(planes.mean(axis=0))
    positions = np.array([f.position for f in frames], float)
    step = _step(frames, positions, name)
    origin = positions.mean(axis=0) - step * (len(frames) - 1) / 2
    axes = np.column_stack([*_perpendicular(plane, step, _roughness(frames), name), step / np.linalg.norm(step)])
    x, y, z = (float(v) for v in origin)
    geometry = Geometry(
        (first.columns, first.rows, len(frames)),
        (x, y, z),
        (between_columns, between_rows, float(np.linalg.norm(step))),
        tuple(float(v) + 0.0 for v in axes.ravel()),  # no -0.0
    )
    _check_places(frames, positions, planes - plane, geometry, name)
    return geometry


def agree(one: Geometry, other: Geometry) -> bool:
    """Whether every corner of every slice of two grids lies in the same place, to NEAR_MM and NEAR_VOXEL."""
    if one.size != other.size:
        return False
    offset = other.corners() - one.corners()  # grids are linear: no corner within is farther off than the outermost
    return _off(one, offset) <= 1.0


def _off(geometry: Geometry, offset: np.ndarray) -> float:
    """How far the farthest of points is off, offset [..., 3] in mm, as a part of what is allowed."""
    voxels = offset @ np.linalg.inv(geometry.axes).T / np.asarray(geometry.spacing)
    return float(max(np.linalg.norm(offset, axis=-1).max() / NEAR_MM, np.abs(voxels).max() / NEAR_VOXEL))


def pixel_spacing(frames: Sequence[Frame], name: object) -> tuple[float, float]:
    """mm between rows, between columns of slices of one size. VolumeError."""
    for frame in frames:
        if frame.pixel_spacing is None or min(frame.pixel_spacing) <= 0:
            raise VolumeError(
                f"{frame.file} does not state its pixel spacing, without which nothing can be measured in it. "
                "Export the series again, with it."
            )
    spacing = np.array([f.pixel_spacing for f in frames], float)
    far = np.ptp(spacing, axis=0) * (max(frames[0].rows, frames[0].columns) - 1)
    if (far > np.minimum(NEAR_MM, NEAR_VOXEL * spacing.min(axis=0))).any():
        raise VolumeError(
            f"The pixel spacing changes within {name}, from {spacing.min():g} to {spacing.max():g} mm; "
            "give one stack of slices."
        )
    rows, columns = np.median(spacing, axis=0)
    return float(rows), float(columns)


def check_orientation(frames: Sequence[Frame], name: object) -> None:
    """VolumeError unless each slice states its orientation by unit vectors at right angles, to COARSEST."""
    rough = _roughness(frames)
    if rough > COARSEST:
        raise VolumeError(
            f"The orientation of the slices in {name} is not stated by unit vectors at right angles (they are off by "
            f"{rough:.2g}, at most {COARSEST:g} can be rounding). Export the series again."
        )


def _planes(frames: Sequence[Frame], name: object) -> np.ndarray:
    """[n, 2, 3]: unit vectors at right angles, along the rows and the columns of each slice."""
    check_orientation(frames, name)
    cosines = np.array([f.orientation for f in frames], float).reshape(-1, 2, 3)
    if np.ptp(cosines, axis=0).max() > SAME_ORIENTATION:
        raise VolumeError(f"The slices in {name} lie in different orientations; give one stack of slices.")
    return np.stack([_orthonormal(each) for each in cosines])


def _roughness(frames: Sequence[Frame]) -> float:
    """By how much the direction cosines are no unit vectors at right angles."""
    cosines = np.array([f.orientation for f in frames], float).reshape(-1, 2, 3)
    return float(np.abs(cosines @ cosines.swapaxes(1, 2) - np.eye(2)).max())


def _orthonormal(plane: np.ndarray) -> np.ndarray:
    """The two unit vectors at right angles that are nearest to these, [2, 3]."""
    left, _, right = np.linalg.svd(plane, full_matrices=False)
    nearest: np.ndarray = left @ right
    return nearest


def _step(frames: Sequence[Frame], positions: np.ndarray, name: object) -> np.ndarray:
    """[3] mm from a slice to the next."""
    normal = unit_normal(frames[0])
    if len(frames) == 1:
        (frame,) = frames
        depth = next((abs(d) for d in (frame.between, frame.thickness) if d), None)
        if depth is None:
            raise VolumeError(
                f"{frame.file} is a single slice and states no thickness; without that no volume can be told. "
                "Export it again, with it."
            )
        alone: np.ndarray = normal * depth
        return alone
    along = positions @ normal
    steps = np.diff(along) * np.sign(along[-1] - along[0])
    if steps.max() - steps.min() > EVEN_STEPS * np.median(steps):
        where = along[int(np.argmax(steps))]
        raise VolumeError(
            f"The slices in {name} lie {steps.min():.2f} to {steps.max():.2f} mm apart (widest at {where:.1f} mm); "
            "slices are missing. Export the series again."
        )
    numbers = np.arange(len(frames)) - (len(frames) - 1) / 2
    step: np.ndarray = numbers @ positions / (numbers @ numbers)  # the straight line that is nearest to all
    return step


def _perpendicular(plane: np.ndarray, step: np.ndarray, rough: float, name: object) -> np.ndarray:
    """The vectors along rows and columns, turned at right angles to the line of the slices if rounding alone keeps them
    from it; else as they are, and the grid is sheared. VolumeError if it is too steep."""
    line = step / np.linalg.norm(step)
    lean = float(np.linalg.norm(plane @ line))  # sine of the angle between the normal and the line
    if lean > np.sin(np.radians(STEEPEST)):
        raise VolumeError(
            f"The slices in {name} are shifted sideways, by {np.degrees(np.arcsin(min(1.0, lean))):.0f} degrees: more "
            f"than a tilted gantry could do ({STEEPEST:g}). Export the series again."
        )
    if lean > max(EXACT, ROUNDED * rough):
        return plane
    return _orthonormal(plane - np.outer(plane @ line, line))


def _check_places(
    frames: Sequence[Frame], positions: np.ndarray, turned: np.ndarray, geometry: Geometry, name: object
) -> None:
    """VolumeError unless each slice lies where the grid has it; turned [n, 2, 3]: how its own axes differ."""
    columns, rows, count = geometry.size
    width, height = (columns - 1) * geometry.spacing[0], (rows - 1) * geometry.spacing[1]
    moved = positions - geometry.point(np.array([(0, 0, k) for k in range(count)]))
    ends = np.array([(0, 0), (width, 0), (0, height), (width, height)])
    offset = moved[:, None] + np.einsum("ea,nax->nex", ends, turned)
    off = [_off(geometry, each) for each in offset]
    worst = int(np.argmax(off))
    if off[worst] > 1.0:
        far = np.linalg.norm(offset[worst], axis=-1).max()
        raise VolumeError(
            f"The slices in {name} do not lie on one grid: {frames[worst].file.name} lies {far:.2f} mm beside its place. "
            "Export the series again, or resample it to even slices."
        )


def plane_of(frames: Sequence[Frame], name: object) -> np.ndarray:
    """[2, 3]: unit vectors at right angles, along the rows and the columns of parallel slices. VolumeError."""
    return _orthonormal(_planes(frames, name).mean(axis=0))
