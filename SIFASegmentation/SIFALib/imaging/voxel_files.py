"""Headers whose voxels lie in several files, by a list or by numbers: whether each part has its file, and all of it.

ITK's reader of MetaImages takes them one after the other, numbers upwards only; for a slice without a file it shows what
happens to lie in memory, without a word. That of NRRD passes over checksums, and both over a header that a file of voxels
has itself.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..support.errors import VolumeError
from .headers import Header
from .voxel_data import Stream, all_bytes, check_stream, is_true, nrrd_stream

_LISTED = re.compile(r"list(?: (\d))?", re.IGNORECASE)
_NUMBERED = re.compile(r"([^%]*%[^%]*?) (-?\d+) (-?\d+) (-?\d+)(?: (\d))?")
"""What a header says of several files: a list, or a pattern, from which number to which in which steps; and how many
dimensions each has."""


def check_files(header: Header) -> None:
    """Raise VolumeError unless a header of several files, its fields checked, names one for each part of the voxels, each
    once, with all of them; headers of one file pass."""
    if header.several:
        for stream in _streams(header):
            check_stream(stream)


def bytes_more_of_files(header: Header) -> int:
    """How many bytes the files of a checked header of several have more than its voxels; 0 if they are packed."""
    if header.fields.get("byteskip") == "-1":
        return 0
    return sum(check_stream(stream) for stream in _streams(header) if not stream.packed)


def _streams(header: Header) -> list[Stream]:
    """Where the voxels lie in each of the files, as far as that is to be told. VolumeError."""
    path, files = header.path, _named(header)
    wanted = _wanted(header, len(files))
    if len(files) != wanted:
        raise VolumeError(
            f"{path} needs {wanted} files for its slices but names {len(files)} ({header.name}); bring the others back, or "
            "mend its header."
        )
    if not header.nrrd:
        _check_meta_sizes(header)
    seen: set[Path] = set()
    for file in files:
        if not file.is_file():
            raise VolumeError(f"{path} has voxels in {file.name}, which does not exist; copy it there, too.")
        if file in seen:
            raise VolumeError(f"{path} has voxels in {file.name} twice; name the file of each slice in its header.")
        seen.add(file)
    found = (_stream(header, file, all_bytes(header) // wanted) for file in files)
    return [stream for stream in found if stream is not None]


def _stream(header: Header, file: Path, unpacked: int) -> Stream | None:
    """Where the voxels lie in one of the files; None if that is not to be told."""
    if header.nrrd:
        return nrrd_stream(header, file, unpacked)
    if not is_true(header.fields.get("binarydata", "True")) or header.fields.get("headersize", "0") != "0":
        return None
    return Stream(file, 0, is_true(header.fields.get("compresseddata", "False")), None, unpacked)


def _check_meta_sizes(header: Header) -> None:
    packed = is_true(header.fields.get("compresseddata", "False"))
    if packed and header.fields.get("compresseddatasize", "0") != "0":
        raise VolumeError(
            f"{header.path} says once how many bytes its packed voxels take (CompressedDataSize), and has them in several "
            "files; save it again without compression."
        )


def _wanted(header: Header, named: int) -> int:
    """How many files the voxels need, of which so many are named. Each has one dimension less than the image, unless the
    header says it; of NRRD, where it has as many, any number into which the last axis can be cut."""
    sizes = [int(n) for n in header.fields["sizes" if header.nrrd else "dimsize"].split()]
    listed, numbered = _LISTED.fullmatch(header.name), _NUMBERED.fullmatch(header.name)
    held = int((listed[1] if listed else numbered[5] if numbered else "") or 0)
    held = held if 0 < held <= len(sizes) else len(sizes) - 1
    if header.nrrd and held == len(sizes):
        return named if named and sizes[-1] % named == 0 else sizes[-1]
    return math.prod(sizes[held:])


def _named(header: Header) -> list[Path]:
    """The files in the order in which ITK reads them, whether they are there or not."""
    folder = header.path.parent
    if header.name.upper().startswith("LIST"):
        return [folder / name for name in header.listed]
    told = _NUMBERED.fullmatch(header.name)
    if told is None:
        return []
    low, high, step = (int(number) for number in told.groups()[1:4])
    if step < 0 and not header.nrrd:
        return []
    numbers = range(low, high + (1 if step > 0 else -1), step)
    return [folder / (told[1].replace("%u", "%d") % number) for number in numbers]
