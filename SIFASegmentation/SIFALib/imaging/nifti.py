"""What ITK lets pass in NIfTI files: missing and damaged voxels, voxels that are not numbers (it reads all of them as
zeros), spacing 0 (it reads 1 mm).

Header fields as in the definitions nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..support.errors import VolumeError
from .checks import NOT_NUMBERS
from .headers import CHUNK, GZIP, unpack

FLOATS = {16: "f4", 64: "f8"}  # numpy's names of the data types that can hold what is no number


@dataclass(frozen=True)
class _Layout:
    """Where the two versions keep what is needed: struct formats and byte offsets."""

    size: int
    dim: tuple[str, int]
    kind: int
    bits: int
    spacing: tuple[str, int]
    offset: tuple[str, int]
    turn: tuple[str, int]
    turn_code: tuple[str, int]
    matrix: tuple[str, int]
    matrix_code: tuple[str, int]


_LAYOUTS = {
    348: _Layout(
        *(348, ("8h", 40), 70, 72, ("8f", 76), ("f", 108)), *(("6f", 256), ("h", 252), ("12f", 280), ("h", 254))
    ),
    540: _Layout(
        *(540, ("8q", 16), 12, 14, ("8d", 104), ("q", 168)), *(("6d", 352), ("i", 344), ("12d", 400), ("i", 348))
    ),
}


@dataclass(frozen=True)
class _Voxels:
    """Where the voxels lie in the unpacked file, in bytes; `floats`: numpy's type of them, None for whole numbers."""

    start: int
    end: int
    floats: np.dtype | None


def check_nifti(path: Path, finite: bool = True) -> bool:
    """Raise VolumeError if a NIfTI file is damaged or cut off, or its header cannot be; False for another kind of file.

    finite: refuse voxels that are not numbers, too. Whole numbers that are not packed are not read at all.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return False
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    try:
        header = b""
        for chunk in _chunks(path, packed, 540):
            header += chunk
            if len(header) >= 540:
                break
        voxels = _voxels(header[:540], path)
        if voxels is None:
            return False
        if packed or (finite and voxels.floats):
            length, bad = _look_through(_chunks(path, packed, CHUNK), voxels)
        else:
            length, bad = path.stat().st_size, 0
    except EOFError as error:
        raise VolumeError(f"{path} is damaged or cut off: voxels are missing at its end. Copy it again.") from error
    except zlib.error as error:
        raise VolumeError(f"{path} is damaged. Copy it again.") from error
    if length < voxels.end:
        raise VolumeError(f"{path} is cut off: voxels are missing at its end. Copy it again.")
    if bad and finite:
        raise VolumeError(NOT_NUMBERS.format(path, bad))
    return True


def _chunks(path: Path, packed: bool, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from unpack(file.read) if packed else iter(lambda: file.read(size), b"")


def _look_through(chunks: Iterator[bytes], voxels: _Voxels) -> tuple[int, int]:
    """Length of the unpacked file in bytes, and how many of its voxels are not numbers."""
    length, bad, rest = 0, 0, b""
    for chunk in chunks:
        if voxels.floats:
            low, high = (max(0, place - length) for place in (voxels.start, voxels.end))
            values = rest + chunk[low:high]
            count = len(values) // voxels.floats.itemsize
            bad += count - np.count_nonzero(np.isfinite(np.frombuffer(values, voxels.floats, count)))
            rest = values[count * voxels.floats.itemsize :]
        length += len(chunk)
    return length, bad


def _voxels(header: bytes, path: Path) -> _Voxels | None:
    """Where the voxels must lie; None for what is no NIfTI file: the reader will refuse it."""
    for order in "<>":
        layout = _LAYOUTS.get(struct.unpack(f"{order}i", header[:4])[0]) if len(header) >= 4 else None
        if layout and len(header) < layout.size:
            raise VolumeError(f"{path} is cut off within its header. Copy it again.")
        if layout:
            break
    else:
        return None

    def field(kind: str, place: int) -> tuple:
        return struct.unpack_from(f"{order}{kind}", header, place)

    count, *dims = field(*layout.dim)
    if not 1 <= count <= 7:
        raise VolumeError(f"{path} claims to have {count} dimensions, which cannot be; its header is damaged.")
    dims = dims[:count]
    if min(dims) < 1:
        raise VolumeError(f"{path} claims to hold {tuple(dims)} voxels, which cannot be; its header is damaged.")
    spacing = field(*layout.spacing)[1 : min(count, 3) + 1]
    if not all(math.isfinite(s) and s != 0 for s, n in zip(spacing, dims, strict=False) if n > 1):
        shown = ", ".join(f"{s:g}" for s in spacing)
        raise VolumeError(f"{path} has the voxel spacing {shown} mm; it must be above 0. Mend its header.")
    # of the two ways to say where the voxels lie, the matrix comes first, as in the reader
    for code, place in ((layout.matrix_code, layout.matrix), (layout.turn_code, layout.turn)):
        if field(*code)[0] > 0:
            if not all(map(math.isfinite, field(*place))):
                raise VolumeError(f"{path} has an origin or axes that are not numbers (NaN). Mend its header.")
            break
    (kind,), (bits,), (offset,) = field("h", layout.kind), field("h", layout.bits), field(*layout.offset)
    if not math.isfinite(offset) or offset < 0:
        raise VolumeError(
            f"{path} claims that its voxels begin at byte {offset:g}, which cannot be; its header is damaged."
        )
    floats = np.dtype(order + FLOATS[kind]) if kind in FLOATS else None
    return _Voxels(int(offset), int(offset) + math.prod(dims) * bits // 8, floats)
