"""The voxels of MetaImage and NRRD files: where they lie, and whether all of them are there and sound.

ITK unpacks what it can and ignores the checksums. Packed, MetaImage files hold a zlib stream, NRRD files a gzip
stream, in the file itself or in one that its header names. Whatever `header_rules` does not know is refused.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..support.errors import VolumeError
from .checks import OTHER_KIND
from .header_lengths import check_lengths
from .header_places import check_place
from .header_rules import MOST_FILES, can_be_named, check_fields
from .headers import LONGEST_LINE, Header, read_header

CHUNK = 4 * 1024**2  # bytes unpacked at once
PACKED_CHUNK = 256 * 1024  # bytes read at once
MOST_BYTES = 2**40
MORE_BYTES = 64 * 1024**2  # behind the voxels, that are looked at: more is no padding
META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}
NRRD_BYTES = {
    **dict.fromkeys(("short", "short int", "int16", "int16_t", "ushort", "unsigned short", "unsigned short int"), 2),
    **dict.fromkeys(("uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t", "double"), 8),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), 8),
}  # the others take one
LONGEST_HEAD = 132  # bytes by which a header is known
HEADS = (
    *(b"NRRD000", b"ObjectType", b"NDims", b"Comment = ", b"\x89PNG", b"II*\0", b"MM\0*", b"\xff\xd8\xff", b"GIF8"),
    b"\x1f\x8b\x08",
)
"""What files with headers begin with: NRRD, MetaImage, PNG, TIFF, JPEG, GIF, gzip."""
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Stream:
    """Voxels: the bytes of `file` from `start` on, `length` of them (None: all); unpacked, at least `unpacked`. skips: the
    header says itself that other bytes are to be skipped before them."""

    file: Path
    start: int
    packed: bool = True
    length: int | None = None
    unpacked: int = 0
    skips: bool = False


def check_voxel_data(path: Path) -> Header | None:
    """Raise VolumeError if the header of a MetaImage or NRRD file says what it may not, or its voxels are damaged or not
    there; other files pass. The header, if it is one of these."""
    header = read_header(path)
    if header is None:
        return None
    if not header.lines:
        raise VolumeError(OTHER_KIND.format(path))
    check_fields(path, header.lines, header.nrrd)
    check_lengths(path, header.fields, header.nrrd)
    check_place(path, header.fields, header.nrrd)
    _check_listed(header)
    stream = _nrrd_stream(header) if header.nrrd else _meta_stream(header)
    if stream is not None:
        check_stream(stream)
    return header


def check_stream(stream: Stream) -> int:
    """How many bytes a stream has more than the voxels; 0 of a packed one. VolumeError unless all voxels are there and
    sound, and begin where the stream does."""
    with sound(stream.file, stream.packed):
        length, first = _length(stream)
        if length < stream.unpacked:
            raise EOFError
    if not stream.unpacked:
        return 0
    if stream.packed and length > stream.unpacked + MORE_BYTES:
        raise VolumeError(f"{stream.file} holds far more than its header says; it is damaged. Copy it again.")
    if length > stream.unpacked and not stream.skips and _is_header(first):
        raise VolumeError(
            f"{stream.file} has a header of its own, which would be read for voxels; give that file itself, or write its "
            "voxels alone into a file."
        )
    return 0 if stream.packed else length - stream.unpacked


def _is_header(first: bytes) -> bool:
    """Whether the beginning of a file is that of an image with a header, as NRRD, MetaImage, NIfTI, DICOM and pictures."""
    nifti = any(int.from_bytes(first[:4], order) in (348, 540) for order in ("little", "big"))
    return nifti or first.startswith(HEADS) or first[128:132] == b"DICM"


def bytes_more(header: Header) -> int:
    """How many bytes the file that a checked header names for its voxels has more than these; 0 if they are packed, lie in
    several files, or behind the header itself."""
    stream = _nrrd_stream(header) if header.nrrd else _meta_stream(header)
    if stream is None or stream.packed or not header.name or header.fields.get("byteskip") == "-1":
        return 0
    return check_stream(stream)


@contextmanager
def sound(file: Path, packed: bool) -> Iterator[None]:
    """Say by a VolumeError what EOFError and zlib.error mean of a file's voxels."""
    try:
        yield
    except EOFError as error:
        how = "damaged or cut off" if packed else "cut off"
        raise VolumeError(f"{file} is {how}: voxels are missing at its end. Copy it again.") from error
    except zlib.error as error:
        raise VolumeError(f"{file} is damaged. Copy it again.") from error


def _check_listed(header: Header) -> None:
    """VolumeError if one of the files that the header lists cannot be, or is not there."""
    if len(header.listed) >= MOST_FILES:
        raise VolumeError(f"{header.path} lists {MOST_FILES} files or more; its header is damaged.")
    for name in header.listed:
        if "%" in name or not can_be_named(name) or not (header.path.parent / name).is_file():
            raise VolumeError(f"{header.path} has voxels in {name[:80]}, which does not exist; copy it there, too.")


def _length(stream: Stream) -> tuple[int, bytes]:
    """Bytes of the unpacked voxels, and the first of them. zlib.error, EOFError."""
    with open(stream.file, "rb") as source:
        source.seek(stream.start)
        if not stream.packed:
            return stream.file.stat().st_size - stream.start, source.read(LONGEST_HEAD)
        length, most, first = 0, (stream.unpacked or MOST_BYTES) + MORE_BYTES, b""
        for chunk in unpack(_at_most(source, stream.length)):
            first = first or chunk[:LONGEST_HEAD]
            length += len(chunk)
            if length > most:
                break
        return length, first


def unpack(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The unpacked bytes of a zlib stream, or of one or several of gzip, at most CHUNK at once; checksums are looked at.

    read: gives that many packed bytes, or fewer at the end. What comes after the streams is left alone, as zlib's own
    reader does. Raises zlib.error, EOFError if cut off.
    """
    stream, packed = zlib.decompressobj(zlib.MAX_WBITS + 32), b""
    while True:
        packed = packed or read(PACKED_CHUNK)
        chunk = stream.decompress(packed, CHUNK)
        if chunk:
            yield chunk
        if stream.eof:
            packed = stream.unused_data
            packed += read(PACKED_CHUNK) if len(packed) < len(GZIP) else b""
            if not packed.startswith(GZIP):
                return
            stream = zlib.decompressobj(zlib.MAX_WBITS + 32)
        elif not packed and not chunk:
            raise EOFError
        else:
            packed = stream.unconsumed_tail


def _at_most(source: BinaryIO, length: int | None) -> Callable[[int], bytes]:
    """`source.read`, of which so many bytes come altogether."""
    if length is None:
        return source.read
    end = source.tell() + length
    return lambda count: source.read(max(0, min(count, end - source.tell())))


def all_bytes(header: Header) -> int:
    """Of all voxels, unpacked; 0 if that is not to be told."""
    if not header.nrrd:
        return meta_bytes(header)
    each = NRRD_BYTES.get(header.fields["type"].lower().removeprefix("signed "), 1)
    return each * math.prod(map(int, header.fields["sizes"].split()))


def meta_bytes(header: Header) -> int:
    """Of all voxels of a MetaImage, unpacked; 0 if that is not to be told."""
    fields = header.fields
    each = META_BYTES.get(fields.get("elementtype", "").upper().removeprefix("MET_"), 0)
    counts = [*fields.get("dimsize", "").split(), fields.get("elementnumberofchannels", "1")]
    return each * math.prod(int(n) for n in counts) if all(n.isdecimal() for n in counts) else 0


def _meta_stream(header: Header) -> Stream | None:
    """Where the voxels of a MetaImage lie; None if that is not to be told. VolumeError if they are not there."""
    fields, path = header.fields, header.path
    if not fields.get("elementdatafile"):
        return None
    packed = is_true(fields.get("compresseddata", "False"))
    skipped = int(fields.get("headersize", "0"))
    if skipped:
        _check_skipped(header, skipped, packed)
        return None
    if not is_true(fields.get("binarydata", "True")):
        return None
    unpacked = meta_bytes(header)
    if unpacked > MOST_BYTES:  # the reader's caller refuses so many by a better sentence
        return None
    if header.name:
        place = _named_file(header)
        return Stream(place, 0, packed, None, unpacked) if place else None
    length = fields.get("compresseddatasize", "")
    if not packed:
        return Stream(path, header.end, False, None, unpacked)
    if not length.isdecimal() or int(length) == 0:
        # ITK then shows what happens to lie in memory, without a word
        raise VolumeError(
            f"{path} does not say how many bytes its packed voxels take (CompressedDataSize); "
            "save it again without compression."
        )
    return Stream(path, header.end, True, int(length), unpacked)


def _check_skipped(header: Header, skipped: int, packed: bool) -> None:
    """VolumeError if ITK would take other bytes for voxels than those behind the bytes to be skipped, and not say so: it
    counts them from the beginning of this file, and unpacks what it knows the length of."""
    sized = header.fields.get("compresseddatasize", "0") != "0"
    if not header.name or (packed and (skipped < 0 or not sized)):
        raise VolumeError(
            f"{header.path} has bytes to be skipped before its voxels (HeaderSize = {skipped}), where other bytes would be "
            "read for voxels; save it again, without HeaderSize."
        )


def is_true(value: str) -> bool:
    return value[:1].lower() in ("t", "1")


def _named_file(header: Header) -> Path | None:
    """The file of voxels that the header names; None for a list or a pattern. VolumeError if it is missing."""
    place = header.path.parent / header.name
    if header.several:
        return None
    if not place.exists():
        raise VolumeError(f"{header.path} has its voxels in {place}, which does not exist; copy it there, too.")
    return place if place.is_file() else None


def _nrrd_stream(header: Header) -> Stream | None:
    """Where the voxels of an NRRD file lie; None if that is not to be told. VolumeError if they are not there."""
    if header.fields.get("encoding", "").lower() in ("bz2", "bzip2"):
        raise VolumeError(
            f"{header.path} is packed with bzip2, which cannot be read here; save it again with gzip, or not packed."
        )
    place = _named_file(header) if header.name else header.path
    return None if place is None else nrrd_stream(header, place, all_bytes(header))


def nrrd_stream(header: Header, place: Path, unpacked: int) -> Stream | None:
    """Where the voxels of an NRRD file lie in one file, so many bytes when unpacked; None if that is not to be told.
    VolumeError if it is not packed though the header says so."""
    encoding, skip, bytes_skipped = (header.fields.get(key, "0") for key in ("encoding", "lineskip", "byteskip"))
    if encoding.lower() not in ("raw", "gzip", "gz"):
        return None
    skips = (skip, bytes_skipped) != ("0", "0")
    unpacked += max(0, int(bytes_skipped))
    with open(place, "rb") as file:
        file.seek(header.end if place is header.path else 0)
        for _ in range(int(skip)):  # lines before the stream; bytes are skipped within it
            if not file.readline(LONGEST_LINE):
                break
        start = file.tell()
        if encoding.lower() == "raw":
            return Stream(place, 0 if bytes_skipped == "-1" else start, False, None, unpacked, skips)
        if file.read(len(GZIP)) != GZIP:
            raise VolumeError(f"{place} is damaged or cut off: what should be packed is not. Copy it again.")
        return Stream(place, start, True, None, unpacked, skips)
