"""What ITK lets pass in NIfTI files: missing voxels (it reads them as zeros), spacing 0 (it reads 1 mm).

Header fields as in the definitions nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from .volume import VolumeError

CHUNK = 4 * 1024**2


@dataclass(frozen=True)
class _Layout:
    """Where the two versions keep what is needed: struct formats and byte offsets."""

    size: int
    dim: tuple[str, int]
    bits: int
    spacing: tuple[str, int]
    offset: tuple[str, int]


_LAYOUTS = {
    348: _Layout(348, ("8h", 40), 72, ("8f", 76), ("f", 108)),
    540: _Layout(540, ("8q", 16), 14, ("8d", 104), ("q", 168)),
}


def check_nifti(path: Path) -> bool:
    """Raise VolumeError if a NIfTI file is cut off or its header cannot be; False for another kind of file.

    A compressed file is only unpacked if the length noted at its end is not the expected one.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return False
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            expected = _expected_size(file.read(540), path)
        if expected is not None and not _has_size(path, expected, packed):
            raise VolumeError(f"{path} is cut off: voxels are missing at its end. Copy it again.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(f"{path} is damaged or cut off ({error}). Copy it again.") from error
    return expected is not None


def _expected_size(header: bytes, path: Path) -> int | None:
    """Bytes that the unpacked file must have; None for what is no NIfTI file: the reader will refuse it."""
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
    dims = dims[:count] if 1 <= count <= 7 else []
    if not dims or min(dims) < 1:
        raise VolumeError(
            f"{path} claims to hold {tuple(dims)} voxels, which cannot be; its header is damaged."
        )
    spacing = field(*layout.spacing)[1 : min(count, 3) + 1]
    if not all(math.isfinite(s) and s != 0 for s, n in zip(spacing, dims, strict=False) if n > 1):
        shown = ", ".join(f"{s:g}" for s in spacing)
        raise VolumeError(f"{path} has the voxel spacing {shown} mm; it must be above 0. Mend its header.")
    (bits,), (offset,) = field("h", layout.bits), field(*layout.offset)
    return int(offset) + math.prod(dims) * bits // 8


def _has_size(path: Path, expected: int, packed: bool) -> bool:
    if not packed:
        return path.stat().st_size >= expected
    with open(path, "rb") as file:
        file.seek(-4, 2)
        noted = int.from_bytes(file.read(4), "little")  # of the last gzip member, modulo 2^32
    if noted == expected % 2**32:
        return True
    with gzip.open(path) as file:  # several members, or cut off
        total = 0
        while chunk := file.read(CHUNK):
            total += len(chunk)
    return total >= expected
