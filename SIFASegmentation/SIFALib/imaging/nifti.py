"""NIfTI files, looked through and unpacked once: what ITK lets pass is refused, and plain voxels come along.

ITK reads missing and damaged voxels, and those that are not numbers, as zeros, and a spacing of 0 as 1 mm. Header fields
as in the definitions nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
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

SUFFIXES = (".nii", ".nii.gz")
# data types of one number a voxel, as numpy names them; the others are left to the reader
KINDS = {2: "u1", 4: "i2", 8: "i4", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8", 16: "f4", 64: "f8"}
FULL_HEADER = 540  # bytes of the longer header
FILE_OF_ONE = b"n+"  # the magic of a file that holds its own voxels


@dataclass(frozen=True)
class _Layout:
    """Where the two versions keep what is needed: struct formats and byte offsets."""

    size: int
    dim: tuple[str, int]
    kind: int
    bits: int
    spacing: tuple[str, int]
    offset: tuple[str, int]
    slope: tuple[str, int]
    turn: tuple[str, int]
    turn_code: tuple[str, int]
    matrix: tuple[str, int]
    matrix_code: tuple[str, int]
    magic: int


_LAYOUTS = {
    348: _Layout(
        *(348, ("8h", 40), 70, 72, ("8f", 76), ("f", 108), ("2f", 112)),
        *(("6f", 256), ("h", 252), ("12f", 280), ("h", 254), 344),
    ),
    540: _Layout(
        *(540, ("8q", 16), 12, 14, ("8d", 104), ("q", 168), ("2d", 176)),
        *(("6d", 352), ("i", 344), ("12d", 400), ("i", 348), 4),
    ),
}


@dataclass(frozen=True)
class _Voxels:
    """Where the voxels lie in the unpacked file, in bytes; dtype: None where they are not one number each.

    plain: whether they are the grey values themselves, without a factor, in the very file.
    """

    start: int
    end: int
    dtype: np.dtype | None
    plain: bool

    @property
    def floats(self) -> bool:
        return self.dtype is not None and self.dtype.kind == "f"


def check_nifti(path: Path) -> bool:
    """Raise VolumeError if a NIfTI file is cut off or damaged, or its header cannot be; False for another kind of file.

    Whole numbers that are not packed are not read at all; whether all are numbers is not asked.
    """
    return _looked_through(path, finite=False, keep=False)[0]


def read_voxels(path: Path) -> np.ndarray | None:
    """The grey values of a NIfTI file, flat, as i runs fastest; None for what is best read by ITK.

    VolumeError as of `check_nifti`, and if some are not numbers.
    """
    return _looked_through(path, finite=True, keep=True)[1]


def _looked_through(path: Path, finite: bool, keep: bool) -> tuple[bool, np.ndarray | None]:
    """Whether it is a NIfTI file, and its voxels where they are to be kept."""
    if not path.name.lower().endswith(SUFFIXES):
        return False, None
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    kept = None
    try:
        header = b""
        for chunk in _chunks(path, packed, FULL_HEADER):
            header += chunk
            if len(header) >= FULL_HEADER:
                break
        voxels = _voxels(header[:FULL_HEADER], path)
        if voxels is None:
            return False, None
        bad, length = 0, path.stat().st_size
        if packed or (finite and voxels.floats):
            kept = _room(voxels) if keep else None
            length, bad = _look_through(_chunks(path, packed, CHUNK), voxels, kept, finite)
    except EOFError as error:
        raise VolumeError(f"{path} is damaged or cut off: voxels are missing at its end. Copy it again.") from error
    except zlib.error as error:
        raise VolumeError(f"{path} is damaged. Copy it again.") from error
    if length < voxels.end:
        raise VolumeError(f"{path} is cut off: voxels are missing at its end. Copy it again.")
    if bad:
        raise VolumeError(NOT_NUMBERS.format(path, bad))
    if kept is None or voxels.dtype is None:
        return True, None
    values = kept.view(voxels.dtype)
    return True, values if values.dtype.isnative else values.astype(voxels.dtype.newbyteorder("="))


def _chunks(path: Path, packed: bool, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from unpack(file.read) if packed else iter(lambda: file.read(size), b"")


def _room(voxels: _Voxels) -> np.ndarray | None:
    """Bytes for plain voxels; None where there are none, or memory does not suffice."""
    try:
        return np.empty(voxels.end - voxels.start, np.uint8) if voxels.plain else None
    except MemoryError:
        return None


def _look_through(chunks: Iterator[bytes], voxels: _Voxels, kept: np.ndarray | None, finite: bool) -> tuple[int, int]:
    """Length of the unpacked file in bytes, and how many of its voxels are not numbers; `kept` is filled with them."""
    length, bad, rest = 0, 0, b""
    for chunk in chunks:
        low, high = (max(0, place - length) for place in (voxels.start, voxels.end))
        part = chunk[low:high]
        if kept is not None and part:
            first = length + low - voxels.start
            kept[first : first + len(part)] = np.frombuffer(part, np.uint8)
        if finite and voxels.floats and voxels.dtype is not None:
            values = rest + part
            count = len(values) // voxels.dtype.itemsize
            bad += count - np.count_nonzero(np.isfinite(np.frombuffer(values, voxels.dtype, count)))
            rest = values[count * voxels.dtype.itemsize :]
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
    dtype = np.dtype(order + KINDS[kind]) if kind in KINDS else None
    plain = (
        dtype is not None
        and bits == 8 * dtype.itemsize
        and offset >= layout.size
        and header[layout.magic :].startswith(FILE_OF_ONE)
        and field(*layout.slope) in ((0.0, 0.0), (1.0, 0.0))  # factor and summand of the grey values
    )
    return _Voxels(int(offset), int(offset) + math.prod(dims) * bits // 8, dtype, plain)
