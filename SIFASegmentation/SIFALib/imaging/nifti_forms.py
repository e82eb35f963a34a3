"""Where the voxels of a NIfTI file lie: its two ways to say so, the rule by which one is taken, and both given back.

A header may say it twice: by a quaternion ("qform", with the voxel sizes of pixdim) and by a matrix ("sform"), each with
a code that tells what it is good for (0: nothing; 1: the scanner's own space). The rule here is that of ITK, and so of
3D Slicer: the sform where its code is 1 or there is no qform, or where both say the same; else the qform. A sform whose
axes are not at right angles is never taken. What is taken counts alone: a sform has voxel sizes of its own. Formulas and
names as in the definition nifti1.h of the NIfTI Data Format Working Group. Matrices here are in RAS, as in the file.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from ..support.errors import VolumeError
from .forms import Forms
from .geometry import APART_MM, APART_VOXELS, Geometry

HEADER = 348  # bytes of a NIfTI-1 header
SCANNER = 1  # the code of the scanner's own space
UNITS = 123  # the byte of a NIfTI-1 header that is xyzt_units
SPACE_UNITS = 0x07  # the bits of xyzt_units that are the unit of space
RIGHT_ANGLES = 1e-4  # of the products of two axes of length 1: what ITK lets pass
TURN_NORM = 1.001  # of the square of b, c, d: more is no rotation
NOWHERE = (
    "{} does not say where its voxels lie (neither qform nor sform): its axes were taken for right to left, front to "
    "back, feet to head. Check the sides before you use the result."
)
_LPS = np.array([[-1.0], [-1.0], [1.0]])  # the signs of rows in LPS


def grid_of(forms: Forms, size: tuple[int, int, int], path: object) -> tuple[Geometry, tuple[str, ...]]:
    """The grid of a file, and what should be said of it. VolumeError if its header cannot be.

    The grid keeps the forms (`Geometry.forms`) where a program with another rule would see it elsewhere.
    """
    q, s = (code > 0 for code in forms.codes)
    if not np.isfinite([*(forms.turn if q else ()), *(forms.matrix if s else ())]).all():
        raise VolumeError(f"{path} has an origin or axes that are not numbers (NaN). Mend its header.")
    plain = tuple((abs(n) or 1.0) * forms.scale for n in forms.sizes)
    if not q and not s:
        geometry = _geometry(size, np.zeros(3), plain, np.eye(3), forms)
        return geometry, (NOWHERE.format(path),)
    name = _chosen(forms, path)
    matrix = forms.sform() if name == "sform" else forms.qform()
    if name == "qform" and sum(n * n for n in forms.turn[:3]) > TURN_NORM:
        raise VolumeError(f"{path} has axes that are no rotation (its quaternion is too long). Mend its header.")
    lengths = _lengths(matrix)
    own = tuple(float(n) * forms.scale for n in lengths)
    placed = _LPS * matrix.astype(float)
    axes, origin = placed[:, :3] / _lengths(matrix), placed[:, 3] * forms.scale
    differ = name == "sform" and _apart(_sized(axes, own, origin), _sized(axes, plain, origin), size, own)
    geometry = _geometry(size, origin, own if differ else plain, axes, forms)
    notes = []
    if differ:
        notes.append(
            f"{path} gives its voxel size twice, {_mm(own)} mm by its sform and {_mm(plain)} mm by its pixdim; the "
            "first was taken. Programs that take the other show the scan larger or smaller."
        )
    if q and s:
        one, other = (_LPS * m.astype(float) * forms.scale for m in (forms.qform(), forms.sform()))
        apart = _apart(one, other, size, geometry.spacing)
        if apart and not (differ and name == "sform"):
            notes.append(
                f"{path} says twice where its voxels lie, and its qform and sform are up to {apart:.3g} mm apart; the "
                f"{name} was taken, as ITK and 3D Slicer do. Programs that take the other show the scan there."
            )
    told = notes or forms.scale != 1 or min(forms.sizes) < 0
    return geometry if told else replace(geometry, forms=None), tuple(notes)


def _chosen(forms: Forms, path: object) -> str:
    """ "qform" or "sform", by the rule. VolumeError if neither will do."""
    q, s = (code > 0 for code in forms.codes)
    right = s and _at_right_angles(forms.sform())
    if right and (not q or forms.codes[1] == SCANNER or _same(forms.qform(), forms.sform())):
        return "sform"
    if q:
        return "qform"
    raise VolumeError(
        f"{path} has axes that are not at right angles to each other (or none at all); resample it to a "
        "rectangular grid, or export it again."
    )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two forms are one, to the last digits of float32, as ITK asks."""
    return bool(np.abs((one - other)[:, :3]).max() <= 1e-5 and np.abs((one - other)[:, 3]).sum() <= 1e-7)


def _at_right_angles(matrix: np.ndarray) -> bool:
    lengths = np.linalg.norm(matrix[:, :3].astype(float), axis=0)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        return False
    axes = (matrix[:, :3] / lengths).astype(np.float32)
    return bool(np.abs(axes @ axes.T - np.eye(3)).max() <= RIGHT_ANGLES)


def _lengths(matrix: np.ndarray) -> np.ndarray:
    """Lengths of three columns, summed in the order of ITK, so that axes come out the same to the last bit."""
    x, y, z = matrix[:, :3].astype(float)
    lengths: np.ndarray = np.sqrt(x * x + y * y + z * z)
    return lengths


def _sized(axes: np.ndarray, sizes: tuple[float, ...], origin: np.ndarray) -> np.ndarray:
    return np.column_stack([axes * sizes, origin])


def _apart(one: np.ndarray, other: np.ndarray, size: tuple[int, ...], spacing: tuple[float, ...]) -> float:
    """How many mm two grids [3, 4] of that size lie apart at most; 0 if less than anyone could see."""
    ends = np.array([(i, j, k, 1) for i in (0, size[0] - 1) for j in (0, size[1] - 1) for k in (0, size[2] - 1)], float)
    apart = float(np.linalg.norm(ends @ (one - other).T, axis=1).max())
    return apart if apart > min(APART_MM, APART_VOXELS * min(spacing)) else 0.0


def _geometry(
    size: tuple[int, int, int], origin: np.ndarray, spacing: tuple[float, ...], axes: np.ndarray, forms: Forms
) -> Geometry:
    x, y, z = (float(v) for v in origin)
    i, j, k = spacing
    return Geometry(size, (x, y, z), (i, j, k), tuple(float(v) for v in axes.ravel()), forms)


def _mm(values: tuple[float, ...]) -> str:
    return " x ".join(f"{v:.4g}" for v in values)


def without_time(header: bytes) -> bytes:
    """The 348 bytes of a NIfTI-1 header without the unit of time: the distance of the volumes is not known."""
    return header[:UNITS] + bytes([header[UNITS] & SPACE_UNITS]) + header[UNITS + 1 :]


def with_forms(header: bytes, forms: Forms) -> bytes:
    """The 348 bytes of a NIfTI-1 header with these forms instead of its own."""
    order = "<" if struct.unpack("<i", header[:4])[0] == HEADER else ">"
    patched = bytearray(header)
    struct.pack_into(f"{order}4f", patched, 76, forms.qfac, *forms.sizes)
    patched[UNITS] = (patched[UNITS] & ~SPACE_UNITS & 0xFF) | forms.units
    struct.pack_into(f"{order}2h", patched, 252, *forms.codes)
    struct.pack_into(f"{order}6f", patched, 256, *forms.turn)
    struct.pack_into(f"{order}12f", patched, 280, *forms.matrix)
    return bytes(patched)
