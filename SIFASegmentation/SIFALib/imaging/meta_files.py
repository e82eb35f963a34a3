"""MetaImages whose slices lie in several files, by a list or by numbers: whether each slice has its file, and all of it.

ITK's reader takes them one after the other, numbers upwards only; for a slice without a file it shows what happens to lie
in memory, without a word.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..support.errors import VolumeError
from .headers import META, Header
from .voxel_data import Stream, check_stream, is_true, meta_bytes


def check_files(header: Header) -> None:
    """Raise VolumeError unless a MetaImage of several files, its fields checked, names one for each slice, with all of its
    voxels; other headers pass."""
    fields, path = header.fields, header.path
    if path.suffix.lower() not in META or not header.several:
        return
    files = _named(header)
    wanted = math.prod(int(n) for n in fields["dimsize"].split()[_held(header) :])
    if len(files) != wanted:
        raise VolumeError(
            f"{path} needs {wanted} files for its slices but names {len(files)} ({header.name}); bring the others back, or "
            "mend its header."
        )
    packed = is_true(fields.get("compresseddata", "False"))
    if packed and fields.get("compresseddatasize", "0") != "0":
        raise VolumeError(
            f"{path} says once how many bytes its packed voxels take (CompressedDataSize), and has them in several files; "
            "save it again without compression."
        )
    for file in files:
        if not file.is_file():
            raise VolumeError(f"{path} has voxels in {file.name}, which does not exist; copy it there, too.")
        if is_true(fields.get("binarydata", "True")) and fields.get("headersize", "0") == "0":
            check_stream(Stream(file, 0, packed, None, meta_bytes(header) // wanted))


def _held(header: Header) -> int:
    """How many dimensions each file has: one less than the image, unless the list says it."""
    own = int(header.fields["ndims"])
    stated = re.fullmatch(r"(?i)list (\d)", header.name)
    return int(stated[1]) if stated and 0 < int(stated[1]) <= own else own - 1


def _named(header: Header) -> list[Path]:
    """The files in the order in which ITK reads them, whether they are there or not."""
    folder = header.path.parent
    if header.name.upper().startswith("LIST"):
        return [folder / name for name in header.listed]
    pattern, low, high, step = header.name.rsplit(" ", 3)
    numbers = range(int(low), int(high) + 1, int(step)) if int(step) > 0 else ()
    return [folder / (pattern % number) for number in numbers]
