"""The files that one scan lies in, a hash of what they hold, and whether a file is one of them."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

HEADERS = (".mhd", ".mha", ".nhdr", ".nrrd")  # may name other files that hold the voxels
LONGEST_HEADER = 100_000  # bytes
CHUNK = 4 * 1024**2
_DATA_FILE = re.compile(
    r"^(?:ElementDataFile[ \t]*=|data ?file[ \t]*:)[ \t]*(\S.*?)[ \t]*\r?$(.*)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_SCANS = (".nii", ".nii.gz", *HEADERS, ".raw", ".zraw", ".dcm", ".ima", ".npz", ".tfrecords", ".tfrecord")
_DICOM_NAMES = (".dcm", ".ima", "")  # endings; so are numbers


def check_name(path: Path) -> None:
    """OSError if the path has bytes that are no text, at which SimpleITK would end the whole process."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "its name has bytes that are no text; rename it", str(path)) from None


def members(path: Path, passed_over: tuple[str, ...] = ()) -> list[Path]:
    """The file itself, with the voxels beside a header; or all files of a folder, but those with these endings. OSError."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.is_file() and not p.name.endswith(passed_over))
    return [path, *_voxels(path)]


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
        return file.is_file() and (file.name.lower().endswith(_SCANS) or _has_mark(file))
    except OSError:
        return False


def is_part(scan: Path, file: Path) -> bool:
    """Whether `file`, which need not be there, is one of those that the scan is read from."""
    try:
        if same(scan, file):
            return True
        if not file.is_file():
            return False
        if scan.is_dir():
            return same(scan, file.parent) and _is_dicom(file)
        return any(same(member, file) for member in _voxels(scan))
    except (OSError, RuntimeError):  # what cannot be looked at is told by who reads the scan
        return False


def _voxels(path: Path) -> list[Path]:
    """The other files that a header names: one, a list or a pattern; none if the voxels are in the file."""
    if path.suffix.lower() not in HEADERS:
        return []
    with open(path, "rb") as file:
        text = file.read(LONGEST_HEADER).decode("utf-8", "replace")
    if text.startswith("NRRD"):
        text = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]  # an empty line ends its header
    found = _DATA_FILE.search(text)
    if not found or found[1].upper() == "LOCAL":
        return []
    if found[1].upper().split()[0] == "LIST":
        return _there(path, found[2].splitlines())
    if (path.parent / found[1]).is_file():
        return [path.parent / found[1]]
    pattern = re.sub(r"%\d*[du]", "*", re.sub(r"[\[\]*?]", "?", found[1].split()[0]))
    folder = (path.parent / pattern).parent
    return sorted(p for p in folder.glob(Path(pattern).name) if p.is_file()) if "*" in pattern else []


def _there(header: Path, names: list[str]) -> list[Path]:
    files = [header.parent / name.strip() for name in names if name.strip()]
    return [file for file in files if file.is_file()]


def _is_dicom(file: Path) -> bool:
    """Whether the file has DICOM's mark or a name of DICOM's; old files have no mark."""
    if file.suffix.lower() in _DICOM_NAMES or file.suffix[1:].isdigit():
        return True
    return _has_mark(file)


def _has_mark(file: Path) -> bool:
    with open(file, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def same(one: Path, other: Path) -> bool:
    """Whether both paths lead to one place; where a file system takes A for a, too."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)
