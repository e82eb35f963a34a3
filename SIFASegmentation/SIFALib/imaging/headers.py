"""The headers of MetaImage and NRRD files, read as they stand there; `voxel_data` says whether they can be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .header_rules import MOST_FILES

META, NRRD = (".mhd", ".mha"), (".nhdr", ".nrrd")
LONGEST_LINE = 1024**2  # of a header: a segmentation of many segments has long ones
LONGEST_HEADER = 16 * 1024**2


@dataclass(frozen=True)
class Header:
    """fields: keys in small letters, those of NRRD without spaces. end: byte behind it. listed: names after a LIST.

    lines: (field, value), in their order, as they stand there; "" for a line without a field.
    """

    path: Path
    fields: dict[str, str]
    end: int
    listed: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()

    @property
    def nrrd(self) -> bool:
        return self.path.suffix.lower() in NRRD

    @property
    def name(self) -> str:
        """What it says of where the voxels are; "" for the file itself."""
        name = self.fields.get("datafile" if self.nrrd else "elementdatafile", "")
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


def _header_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a header, at most so many bytes of it: a file of another kind may have no lines at all."""
    while file.tell() < LONGEST_HEADER and (line := file.readline(LONGEST_LINE)):
        yield line


def _meta(path: Path, file: BinaryIO) -> Header:
    lines: list[tuple[str, str]] = []
    for line in _header_lines(file):
        key, equals, value = _text(line).partition("=")
        if equals or line.strip():
            lines.append((key.strip().lower(), value.strip()) if equals else ("", _text(line)))
        if lines and (lines[-1][0] in ("elementdatafile", "") or b"\0" in line):
            break
    fields, end = dict(lines), file.tell()
    if not fields.get("elementdatafile", "").upper().startswith("LIST"):
        return Header(path, fields, end, (), tuple(lines))
    names = itertools.islice(_header_lines(file), MOST_FILES)
    listed = tuple(name for line in names if (name := _text(line).strip()))
    return Header(path, fields, end, listed, tuple(lines))


def _nrrd(path: Path, file: BinaryIO) -> Header:
    lines: list[tuple[str, str]] = []
    listed: list[str] = []
    if not re.fullmatch(rb"NRRD000\d\s*", file.readline(32)):
        return Header(path, {}, 0)
    for line in _header_lines(file):
        line = line.rstrip(b"\r\n")
        if not line:  # an empty line ends it
            break
        key, colon, value = _text(line).partition(":")
        if lines and lines[-1][0] == "datafile" and lines[-1][1].upper().startswith("LIST"):
            listed.append(_text(line).strip())
        elif line.startswith(b"#") or value.startswith("="):
            continue
        else:
            lines.append((key.replace(" ", "").lower(), value.strip()) if colon else ("", _text(line)))
        if b"\0" in line:
            break
    return Header(path, dict(lines), file.tell(), tuple(filter(None, listed)), tuple(lines))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
