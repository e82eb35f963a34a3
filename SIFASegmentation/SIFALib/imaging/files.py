"""The files that one scan lies in, a hash of what they hold, and whether a file is one of them, or DICOM."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from . import headers

SCANS = (
    ".nii",
    ".nii.gz",
    *headers.META,
    *headers.NRRD,
    ".raw",
    ".zraw",
    ".dcm",
    ".ima",
    ".npz",
    ".tfrecords",
    ".tfrecord",
)
DICOM = (".dcm", ".ima", "")  # what the names of DICOM files end in; or in a number
DICOM_HEAD = 1024  # bytes of a DICOM file among which it says what it holds
CHUNK = 4 * 1024**2  # bytes hashed at once


def check_name(path: Path) -> None:
    """OSError if the path has bytes that are no text, at which SimpleITK would end the whole process."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "its name has bytes that are no text; rename it", str(path)) from None


def dicom_class(path: Path) -> str | None:
    """What kind of object a DICOM file says that it holds (0002,0002); "" if it does not say; None for no DICOM file.

    Layout of the file's head: DICOM PS3.10, section 7.1. OSError.
    """
    with open(path, "rb") as file:
        head = file.read(DICOM_HEAD)
    if head[128:132] != b"DICM":
        return None
    place = 132
    while head[place : place + 2] == b"\x02\x00":
        long = head[place + 4 : place + 6] in (b"OB", b"UN")
        start = place + (12 if long else 8)
        length = int.from_bytes(head[start - (4 if long else 2) : start], "little")
        if head[place + 2 : place + 4] == b"\x02\x00":
            return head[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        place = start + length
    return ""


def named_dicom(path: Path) -> bool:
    """Whether a file is called as DICOM files are: .dcm, .ima, a number, or nothing behind the last dot."""
    return path.suffix.lower() in DICOM or path.suffix[1:].isdigit()


def members(path: Path, passed_over: tuple[str, ...] = ()) -> list[Path]:
    """The file itself, with the voxels beside a header; or all files of a folder, but those with these endings. OSError."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.is_file() and not p.name.endswith(passed_over))
    header = headers.read_header(path)
    return [path, *(header.files() if header else ())]


def content(path: Path, passed_over: tuple[str, ...] = ()) -> str:
    """SHA-256 of what the scan's files are called and hold. OSError."""
    digest = hashlib.sha256()
    for member in members(path, passed_over):
        digest.update(f"{member.name}\0{member.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        with open(member, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def is_scan(file: Path) -> bool:
    """Whether there is such a file and its name or its mark is that of a scan, or of a part of one."""
    try:
        return file.is_file() and (file.name.lower().endswith(SCANS) or dicom_class(file) is not None)
    except OSError:
        return False


def is_part(scan: Path, file: Path) -> bool:
    """Whether `file`, which need not be there, is one of those that the scan is read from."""
    try:
        if same(scan, file):
            return True
        if not file.is_file():
            return False
        if scan.is_dir():  # old DICOM files have no mark
            return same(scan, file.parent) and (named_dicom(file) or dicom_class(file) is not None)
        return any(same(member, file) for member in members(scan)[1:])
    except (OSError, RuntimeError):  # what cannot be looked at is told by who reads the scan
        return False


def same(one: Path, other: Path) -> bool:
    """Whether both paths lead to one place; where a file system takes A for a, too."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)
