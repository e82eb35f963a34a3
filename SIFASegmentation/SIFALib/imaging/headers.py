"""The headers of MetaImage and NRRD files: what they say, where the voxels lie, and whether all of them are there.

ITK unpacks what it can and ignores the checksums. Packed, MetaImage files hold a zlib stream, NRRD files a gzip or bzip2
stream, in the file itself or in one that its header names. What is not understood here passes: the reader itself will
say whether it can be read.
"""

from __future__ import annotations

import bz2
import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..support.errors import VolumeError

META, NRRD = (".mhd", ".mha"), (".nhdr", ".nrrd")
CHUNK = 4 * 1024**2  # bytes unpacked at once
PACKED_CHUNK = 256 * 1024  # bytes read at once
MOST_BYTES = 2**40
MORE_BYTES = 64 * 1024**2  # behind the voxels, that are looked at: more is no padding
LONGEST_LINE = 1024**2  # of a header: a segmentation of many segments has long ones
MOST_FILES = 100_000  # that a list in a header names
META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}
GZIP, BZIP2 = b"\x1f\x8b", b"BZ"


@dataclass(frozen=True)
class Header:
    """fields: keys in small letters, those of NRRD without spaces. end: byte behind it. listed: names after a LIST."""

    path: Path
    fields: dict[str, str]
    end: int
    listed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it says of where the voxels are; "" for the file itself."""
        name = self.fields.get("elementdatafile" if self.path.suffix.lower() in META else "datafile", "")
        return "" if name.upper() == "LOCAL" else name

    @property
    def several(self) -> bool:
        """Whether the voxels lie in a list of files, or in those of a pattern."""
        return self.name.upper().startswith("LIST") or "%" in self.name

    def files(self) -> list[Path]:
        """The other files that hold the voxels, as far as they are there."""
        folder, name = self.path.parent, self.name
        if not name:
            return []
        if name.upper().split()[0] == "LIST":
            return [folder / n for n in self.listed if (folder / n).is_file()]
        if (folder / name).is_file():
            return [folder / name]
        pattern = folder / re.sub(r"%\d*[du]", "*", re.sub(r"[\[\]*?]", "?", name.split()[0]))
        return sorted(p for p in pattern.parent.glob(pattern.name) if p.is_file()) if "*" in str(pattern) else []


def read_header(path: Path) -> Header | None:
    """The header of a MetaImage or NRRD file; None for a file of another name. OSError."""
    suffix = path.suffix.lower()
    if suffix not in (*META, *NRRD):
        return None
    with open(path, "rb") as file:
        return _meta(path, file) if suffix in META else _nrrd(path, file)


def _meta(path: Path, file: BinaryIO) -> Header:
    fields: dict[str, str] = {}
    while "elementdatafile" not in fields and (line := file.readline(LONGEST_LINE)):
        key, equals, value = _text(line).partition("=")
        if equals:
            fields[key.strip().lower()] = value.strip()
    end = file.tell()
    if not fields.get("elementdatafile", "").upper().startswith("LIST"):
        return Header(path, fields, end)
    lines = itertools.islice(iter(lambda: file.readline(LONGEST_LINE), b""), MOST_FILES)
    return Header(path, fields, end, tuple(name for line in lines if (name := _text(line).strip())))


def _nrrd(path: Path, file: BinaryIO) -> Header:
    fields: dict[str, str] = {}
    listed: list[str] = []
    while line := file.readline(LONGEST_LINE).rstrip(b"\r\n"):  # an empty line ends it
        key, colon, value = _text(line).partition(":")
        if fields.get("datafile", "").upper().startswith("LIST"):
            listed.append(_text(line).strip())
        elif colon and not key.startswith("#") and not value.startswith("="):
            fields[key.replace(" ", "").lower()] = value.strip()
    return Header(path, fields, file.tell(), tuple(filter(None, listed)))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


@dataclass(frozen=True)
class _Stream:
    """Voxels: the bytes of `file` from `start` on, `length` of them (None: all); unpacked, at least `unpacked`."""

    file: Path
    start: int
    packed: bool = True
    length: int | None = None
    unpacked: int = 0


def check_voxel_data(path: Path) -> None:
    """Raise VolumeError if the voxels of a MetaImage or NRRD file are damaged or not there; other files pass."""
    header = read_header(path)
    if header is None:
        return
    stream = (_meta_stream if path.suffix.lower() in META else _nrrd_stream)(header)
    if stream is None:
        return
    try:
        if _length(stream) < stream.unpacked:
            raise EOFError
    except EOFError as error:
        how = "damaged or cut off" if stream.packed else "cut off"
        raise VolumeError(f"{stream.file} is {how}: voxels are missing at its end. Copy it again.") from error
    except zlib.error as error:
        raise VolumeError(f"{stream.file} is damaged. Copy it again.") from error


def _length(stream: _Stream) -> int:
    """Bytes of the unpacked voxels. zlib.error, EOFError."""
    if not stream.packed:
        return stream.file.stat().st_size - stream.start
    with open(stream.file, "rb") as source:
        source.seek(stream.start)
        two = source.read(len(GZIP))
        source.seek(stream.start)
        return sum(map(len, _unbzip2(source) if two == BZIP2 else unpack(_at_most(source, stream.length))))


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


def _unbzip2(source: BinaryIO) -> Iterator[bytes]:
    with bz2.open(source) as stream:
        try:
            while chunk := stream.read(CHUNK):
                yield chunk
        except OSError as error:
            raise zlib.error(str(error)) from error


def _meta_stream(header: Header) -> _Stream | None:
    """Where the voxels of a MetaImage lie; None if that is not to be told. VolumeError if they are not there."""
    fields, path = header.fields, header.path
    if not fields.get("elementdatafile") or fields.get("headersize", "0") != "0":
        return None
    if not _is_true(fields.get("binarydata", "True")):
        return None
    packed = _is_true(fields.get("compresseddata", "False"))
    each = META_BYTES.get(fields.get("elementtype", "").upper().removeprefix("MET_"), 0)
    counts = [*fields.get("dimsize", "").split(), fields.get("elementnumberofchannels", "1")]
    unpacked = each * math.prod(int(n) for n in counts) if all(n.isdecimal() for n in counts) else 0
    if unpacked > MOST_BYTES:  # the reader's caller refuses so many by a better sentence
        return None
    if header.name:
        place = _named_file(header)
        return _Stream(place, 0, packed, None, unpacked) if place else None
    length = fields.get("compresseddatasize", "")
    if not packed:
        return _Stream(path, header.end, False, None, unpacked)
    if not length.isdecimal() or int(length) == 0:
        # ITK then shows what happens to lie in memory, without a word
        raise VolumeError(
            f"{path} does not say how many bytes its packed voxels take (CompressedDataSize); "
            "save it again without compression."
        )
    return _Stream(path, header.end, True, int(length), unpacked)


def _is_true(value: str) -> bool:
    return value[:1].lower() in ("t", "1")


def _named_file(header: Header) -> Path | None:
    """The file of voxels that the header names; None for a list or a pattern. VolumeError if it is missing."""
    place = header.path.parent / header.name
    if header.several:
        return None
    if not place.exists():
        raise VolumeError(f"{header.path} has its voxels in {place}, which does not exist; copy it there, too.")
    return place if place.is_file() else None


def _nrrd_stream(header: Header) -> _Stream | None:
    """Where the packed voxels of an NRRD file lie; None if they are not. VolumeError if they are not there."""
    fields, skip = header.fields, header.fields.get("lineskip", "0")
    place = _named_file(header) if header.name else header.path
    if place is None or not skip.isdecimal():
        return None
    if fields.get("encoding", "").lower() not in ("gzip", "gz", "bzip2", "bz2"):
        return None
    with open(place, "rb") as file:
        file.seek(header.end if place is header.path else 0)
        for _ in range(int(skip)):  # lines before the stream; bytes are skipped within it
            file.readline(LONGEST_LINE)
        start = file.tell()
        return _Stream(place, start) if file.read(len(GZIP)) in (GZIP, BZIP2) else None
