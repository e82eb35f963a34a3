"""NIfTI files, read by their own header: what is damaged or cut off is refused, and no other program sees the file.

Programs like ITK read missing and damaged voxels, and those that are not numbers, as zeros, a spacing of 0 as 1 mm, and
the voxels of an x.nii that happens to lie beside x.nii.gz. Header fields as in the definitions nifti1.h and nifti2.h of
the NIfTI Data Format Working Group.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..support.errors import VolumeError
from .checks import MOST_VOXELS, NOT_NUMBERS, OTHER_KIND, TOO_LARGE, check_grid, check_header, check_room
from .forms import Forms
from .geometry import Geometry, Volume
from .nifti_forms import SPACE_UNITS, grid_of
from .voxel_data import CHUNK, GZIP, MORE_BYTES, sound, unpack

SUFFIXES = (".nii", ".nii.gz")
# data types of one number a voxel, as numpy names them
KINDS = {2: "u1", 4: "i2", 8: "i4", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8", 16: "f4", 64: "f8"}
COMPONENTS = {128: 3, 2304: 4, 32: 2, 1792: 2}  # numbers a voxel of colours (RGB, RGBA) and of complex numbers
VECTORS = range(1003, 1012)  # intent codes of several values a voxel: matrices, vectors, points, quaternions
FULL_HEADER = 540  # bytes of the longer header
TIME_UNITS, TIME_MS = 0x38, {8: 1000.0, 16: 1.0, 24: 0.001}  # the bits of xyzt_units for seconds, ms, microseconds
NO_STEP = (
    "{} states {:g} ms between its volumes (pixdim[4]), which cannot be: they are taken in the order of the file, without "
    "times. Check that this is their order in time."
)
AT_ONCE = 1 << 20  # voxels that are multiplied with their factor at once


@dataclass(frozen=True)
class _Layout:
    """Where the two versions keep what is needed: struct formats and byte offsets. magic: of a file with its voxels."""

    size: int
    dim: tuple[str, int]
    kind: int
    bits: int
    sizes: tuple[str, int]
    offset: tuple[str, int]
    slope: tuple[str, int]
    units: tuple[str, int]
    codes: tuple[str, int]
    turn: tuple[str, int]
    matrix: tuple[str, int]
    intent: tuple[str, int]
    magic: tuple[bytes, int]


_LAYOUTS = {
    348: _Layout(
        size=348, dim=("8h", 40), kind=70, bits=72, sizes=("8f", 76), offset=("f", 108), slope=("2f", 112),
        units=("B", 123), codes=("2h", 252), turn=("6f", 256), matrix=("12f", 280), intent=("h", 68),
        magic=(b"n+1\0", 344),
    ),
    540: _Layout(
        size=540, dim=("8q", 16), kind=12, bits=14, sizes=("8d", 104), offset=("q", 168), slope=("2d", 176),
        units=("i", 500), codes=("2i", 344), turn=("6d", 352), matrix=("12d", 400), intent=("i", 504),
        magic=(b"n+2\0\r\n\x1a\n", 4),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class NiftiHeader:
    """What a header says. size: voxels (i, j, k). start, end: bytes of the voxels in the unpacked file.

    scaling: factor and summand of the grey values, None if they are stored as they are. count: volumes along the fourth
    axis; step_ms: between them as it stands there, 0 if not stated.
    """

    size: tuple[int, int, int]
    dtype: np.dtype
    start: int
    end: int
    scaling: tuple[float, float] | None
    forms: Forms
    count: int = 1
    step_ms: float = 0.0


def read_nifti(path: Path, name: str = "") -> Volume:
    """The 3D image in a NIfTI file; grey values as stored, or with the header's factor and summand. VolumeError, OSError.

    Values are of the stored type, those with a factor float32 (float64 of types of 64 bits), as in ITK.
    """
    (values,), geometry, _, notes = read_nifti_sequence(path, several=False)
    return Volume(values, geometry, name or path.name, str(path), notes=notes)


def read_nifti_sequence(path: Path, several: bool = True) -> tuple[np.ndarray, Geometry, float, tuple[str, ...]]:
    """The volumes [t, k, j, i] in a NIfTI file of four axes, their grid, ms between them (0 if not stated), and notes.

    several: else it must be one. VolumeError, OSError; as `read_nifti`.
    """
    header, kept, notes = _looked_through(path, keep=True, sequence=several)
    geometry, more = grid_of(header.forms, header.size, path)
    check_grid(path, geometry.spacing, geometry.origin, geometry.axes)
    values = _scaled(kept.view(header.dtype), header, path).reshape(header.count, *geometry.shape)
    step = header.step_ms
    if header.count > 1 and not 0 <= step < math.inf:
        step, more = 0.0, (*more, NO_STEP.format(path, header.step_ms))
    return values, _as_itk(geometry), step, (*notes, *more)


def count_of(path: Path) -> int:
    """How many volumes the header of a NIfTI file claims. VolumeError, OSError."""
    try:
        return _header(_first(path, _is_packed(path)), path, volume=False).count
    except (EOFError, zlib.error):
        return 0


def check_nifti(path: Path) -> None:
    """Raise VolumeError if a NIfTI file is cut off or damaged, or its header cannot be. Values may be of any dimension.

    Whole numbers that are not packed are not read at all; whether all are numbers is not asked.
    """
    _looked_through(path, keep=False)


def _as_itk(geometry: Geometry) -> Geometry:
    """The grid as an image of ITK's has it, to the signs of its zeros."""
    image = Geometry((1, 1, 1), geometry.origin, geometry.spacing, geometry.direction).to_image()
    return replace(geometry, origin=image.GetOrigin(), spacing=image.GetSpacing(), direction=image.GetDirection())


def _looked_through(path: Path, keep: bool, sequence: bool = False) -> tuple[NiftiHeader, np.ndarray, tuple[str, ...]]:
    """The header; the bytes of the voxels, if they are to be kept, all of them numbers; what should be said. sequence: of
    several volumes."""
    packed = _is_packed(path)
    kept, bad, length = np.zeros(0, np.uint8), 0, path.stat().st_size
    with sound(path, packed):
        header = _header(_first(path, packed), path, volume=keep, sequence=sequence)
        if keep and not packed and length < header.end:
            raise EOFError
        if keep:
            kept = _room(header, path)
        if packed or keep:
            length, bad = _look_through(_chunks(path, packed, CHUNK), header, kept)
    if length < header.end:
        raise VolumeError(f"{path} is cut off: voxels are missing at its end. Copy it again.")
    if length > header.end + MORE_BYTES:
        raise VolumeError(f"{path} holds far more than its header says; it is damaged. Copy it again.")
    if bad:
        raise VolumeError(NOT_NUMBERS.format(path, bad))
    more = length - header.end
    plane = header.dtype.itemsize * header.size[0] * header.size[1]
    note = f"{path} holds {more} bytes more than its header says; check that the whole scan is there."
    return header, kept, (note,) if more >= plane else ()


def before_voxels(path: Path, most: int) -> bytes:
    """The header of a NIfTI file and what follows it before the voxels, at most so many bytes. VolumeError, OSError."""
    packed = _is_packed(path)
    try:
        header = _header(_first(path, packed), path, volume=False)
        return _first(path, packed, min(header.start, most))
    except (EOFError, zlib.error):  # told by who reads the voxels
        return b""


def _is_packed(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == GZIP


def _first(path: Path, packed: bool, count: int = FULL_HEADER) -> bytes:
    """The first unpacked bytes; those that the header is among."""
    first = b""
    for chunk in _chunks(path, packed, count):
        first += chunk
        if len(first) >= count:
            break
    return first[:count]


def _chunks(path: Path, packed: bool, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from unpack(file.read) if packed else iter(lambda: file.read(size), b"")


def _room(header: NiftiHeader, path: Path) -> np.ndarray:
    stored = header.end - header.start
    values = stored // header.dtype.itemsize
    more = stored if not header.dtype.isnative else 0
    if header.scaling is not None:
        more = values * (8 if header.dtype.itemsize == 8 else 4)
    check_room(path, header.size, stored + more)
    try:
        return np.empty(stored, np.uint8)
    except MemoryError as error:
        raise VolumeError(TOO_LARGE.format(path, header.size)) from error


def _look_through(chunks: Iterator[bytes], header: NiftiHeader, kept: np.ndarray) -> tuple[int, int]:
    """Length of the unpacked file in bytes, looked at no further than MORE_BYTES behind the voxels. Unless `kept` is empty,
    it is filled with their bytes, and what is returned besides is how many of them are not numbers."""
    length, bad, rest, dtype = 0, 0, b"", header.dtype
    for chunk in chunks:
        low, high = (max(0, place - length) for place in (header.start, header.end))
        part = chunk[low:high]
        if kept.size and part:
            first = length + low - header.start
            kept[first : first + len(part)] = np.frombuffer(part, np.uint8)
        if kept.size and dtype.kind == "f":
            values = rest + part
            count = len(values) // dtype.itemsize
            bad += count - np.count_nonzero(np.isfinite(np.frombuffer(values, dtype, count)))
            rest = values[count * dtype.itemsize :]
        length += len(chunk)
        if length > header.end + MORE_BYTES:
            break
    return length, bad


def _scaled(values: np.ndarray, header: NiftiHeader, path: Path) -> np.ndarray:
    """The grey values [voxels] in the machine's byte order, with factor and summand, if there are any."""
    try:
        if header.scaling is None:
            native = header.dtype.newbyteorder("=")
            return values if values.dtype.isnative else values.astype(native)
        bad, (slope, intercept) = 0, header.scaling
        scaled = np.empty(values.shape, np.float64 if header.dtype.itemsize == 8 else np.float32)
        for first in range(0, len(values), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            with np.errstate(over="ignore"):
                scaled[part] = values[part].astype(np.float64) * slope + intercept
            bad += int(np.count_nonzero(~np.isfinite(scaled[part])))
        if bad:
            raise VolumeError(NOT_NUMBERS.format(path, bad))
        return scaled
    except MemoryError as error:
        raise VolumeError(TOO_LARGE.format(path, header.size)) from error


def _header(first: bytes, path: Path, volume: bool, sequence: bool = False) -> NiftiHeader:
    """The header at the beginning of a file, every field in its bounds. VolumeError. volume: it must be one 3D image, or,
    of a sequence, several."""
    order, layout = _layout(first, path)

    def field(kind: str, place: int) -> tuple[Any, ...]:
        return struct.unpack_from(f"{order}{kind}", first, place)

    count, *dims = field(*layout.dim)
    if not 1 <= count <= 7:
        raise VolumeError(f"{path} claims to have {count} dimensions, which cannot be; its header is damaged.")
    dims = dims[:count]
    if min(dims) < 1:
        raise VolumeError(f"{path} claims to hold {tuple(dims)} voxels, which cannot be; its header is damaged.")
    qfac, *sizes = field(*layout.sizes)[:4]
    shown = sizes[: min(count, 3)]
    if not all(math.isfinite(s) and s != 0 for s, n in zip(shown, dims, strict=False) if n > 1):
        told = ", ".join(f"{s:g}" for s in shown)
        raise VolumeError(f"{path} has the voxel spacing {told} mm; it must be above 0. Mend its header.")
    (kind,), (bits,), (offset,) = field("h", layout.kind), field("h", layout.bits), field(*layout.offset)
    if not math.isfinite(offset) or offset < layout.size:
        raise VolumeError(
            f"{path} claims that its voxels begin at byte {offset:g}, which cannot be: {layout.size} bytes are its header, "
            "and where the voxels begin after it cannot be told. Mend its header (vox_offset), or convert it again."
        )
    if volume:
        components = COMPONENTS.get(kind, 1)
        if count >= 5 and dims[3] == 1 and field(*layout.intent)[0] in VECTORS:
            components, dims = components * dims[4], [*dims[:4], 1, *dims[5:]]
        if sequence and count >= 5 and dims[3] > 1:  # colours, for which a beat has no axis
            components *= math.prod(dims[4:])
        check_header(path, min(count, 3) if sequence else count, dims[:3] if sequence else dims, components)
    if kind not in KINDS:
        raise VolumeError(f"{path} holds values of a type (number {kind}) that no scan has; its header is damaged.")
    dtype = np.dtype(order + KINDS[kind])
    if bits != 8 * dtype.itemsize:
        raise VolumeError(f"{path} claims to hold {dtype.name} values of {bits} bits; its header is damaged.")
    if math.prod(dims) > MOST_VOXELS * (1 if volume else 64):
        raise VolumeError(f"{path} claims to hold {tuple(dims)} voxels, too many to be read; its header is damaged.")
    start = int(offset)
    i, j, k = (*dims, 1, 1)[:3]
    forms = Forms(
        field(*layout.codes), qfac, _finite(sizes), field(*layout.turn), field(*layout.matrix),
        field(*layout.units)[0] & SPACE_UNITS,
    )  # fmt: skip
    scaling = _scaling(field(*layout.slope), path)
    end = start + math.prod(dims) * dtype.itemsize
    step, volumes = (
        field(*layout.sizes)[4] * TIME_MS.get(field(*layout.units)[0] & TIME_UNITS, 0.0),
        math.prod(dims[3:]),
    )
    return NiftiHeader((i, j, k), dtype, start, end, scaling, forms, volumes, step)


def _layout(first: bytes, path: Path) -> tuple[str, _Layout]:
    """The byte order and the version. VolumeError if it is no NIfTI file that holds its own voxels."""
    for order in "<>":
        layout = _LAYOUTS.get(struct.unpack(f"{order}i", first[:4])[0]) if len(first) >= 4 else None
        if layout is None:
            continue
        if len(first) < layout.size:
            raise VolumeError(f"{path} is cut off within its header. Copy it again.")
        magic, place = layout.magic
        if first[place : place + len(magic)] != magic:
            raise VolumeError(
                f"{path} lacks the mark of a NIfTI file that holds its own voxels: it is an Analyze file, one half of a "
                "pair of files (.hdr, .img), or damaged. Convert it to .nii.gz, or copy it again."
            )
        return order, layout
    raise VolumeError(OTHER_KIND.format(path))


def _finite(sizes: list[float]) -> tuple[float, float, float]:
    """Voxel sizes, of which those of axes of one voxel may be missing."""
    i, j, k = (float(s) if math.isfinite(s) else 0.0 for s in sizes)
    return i, j, k


def _scaling(told: tuple[float, ...], path: Path) -> tuple[float, float] | None:
    """Factor and summand; None for none: a factor of 0 means that, whatever the summand (nifti1.h, "scl_slope")."""
    slope, intercept = told
    if slope == 0 or math.isnan(slope) or (slope, intercept) == (1.0, 0.0):
        return None
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise VolumeError(
            f"{path} has grey values with the factor {slope:g} and the summand {intercept:g} (scl_slope, scl_inter), "
            "which cannot be computed with. Mend its header."
        )
    return slope, intercept
