"""The files that one scan lies in, a hash of what they hold, and whether a file is one of them, or DICOM."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..support.errors import VolumeError
from ..support.files import check_place
from . import headers
from .checks import SUFFIXES

SCANS = (*SUFFIXES, ".raw", ".zraw", ".dcm", ".ima", ".npz", ".tfrecords", ".tfrecord")
DICOM = (".dcm", ".ima", "")  # what the names of DICOM files end in; or in a number
DICOM_HEAD = 1024  # bytes of a DICOM file among which it says what it holds
DICOM_MARK = 132  # bytes up to the end of the mark
MOST_FILES = 20_000  # below a folder without DICOM of its own, among which a series is searched
DICOM_UID = re.compile(rb"1\.2\.840\.10008\.[0-9.]+")  # of what the standard itself defines
DIRECTORY = "1.2.840.10008.1.3.10"  # the class of a DICOMDIR
STORAGE = "1.2.840.10008.5.1.4.1.1."
NO_IMAGES = tuple(
    STORAGE + kind
    for kind in (
        *("88.", "104.", "11.", "9.", "79.", "90."),  # reports (dose reports, too), documents, presentations, curves
        *("66", "67", "68.", "481.", "200.", "201."),  # raw data, segmentations and surfaces, radiotherapy, assessments
    )
)
"""What the classes of DICOM files begin with that show no scan, though some of them have pixels (PS3.4, annex B)."""
MOST_DEPTH = 6  # of folders below the one that is given
CHUNK = 4 * 1024**2  # bytes hashed at once
SHOWN = 3  # names in one sentence


def split_suffix(name: str, suffixes: Iterable[str] = SUFFIXES) -> tuple[str, str]:
    """What stands in a file's name before the one of these suffixes that it ends in, in any case, and that; "" for none."""
    suffix = next((s for s in suffixes if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)], suffix


def check_name(path: Path) -> None:
    """OSError if the path has bytes that are no text, at which SimpleITK would end the whole process, or cannot be."""
    check_place(path)


def existing(path: str | os.PathLike[str]) -> Path:
    """The path, if there is something there. OSError as `check_name`, FileNotFoundError."""
    path = Path(path)
    check_name(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path.")
    return path


def dicom_class(path: Path) -> str | None:
    """What kind of object a DICOM file says that it holds (0002,0002); "" if it does not say; None for no DICOM file.

    Its content decides, not its name. Layout of the file's head: DICOM PS3.10, section 7.1. Files from before that, with
    no mark, begin with the first groups of elements themselves. OSError.
    """
    with open(path, "rb") as file:
        head = file.read(DICOM_HEAD)
    if head[128:132] != b"DICM":
        return _unmarked_class(head)
    place = 132
    while head[place : place + 2] == b"\x02\x00":
        long = head[place + 4 : place + 6] in (b"OB", b"UN")
        start = place + (12 if long else 8)
        length = int.from_bytes(head[start - (4 if long else 2) : start], "little")
        if head[place + 2 : place + 4] == b"\x02\x00":
            return head[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        place = start + length
    return ""


def _unmarked_class(head: bytes) -> str | None:
    """The class (0008,0016) in the head of a file without DICOM's mark, if it begins as DICOM's elements do."""
    if head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3:4] != b"\0" or not DICOM_UID.search(head):
        return None
    place = head.find(b"\x08\x00\x16\x00")
    found = DICOM_UID.search(head, place, place + 80) if place >= 0 else None
    return found[0].decode("ascii").rstrip(".") if found else ""


def is_image_class(kind: str) -> bool:
    """Whether a DICOM file of this class (`dicom_class`), or of one that it does not name, can hold slices of a scan."""
    return kind != DIRECTORY and not kind.startswith(NO_IMAGES)


def is_dicom_image(path: Path) -> bool:
    """Whether a file is DICOM, by its content, and can hold slices of a scan; False for one that cannot be read."""
    try:
        if path.stat().st_size <= DICOM_MARK:  # those of a system's own folders are empty, and may never end
            return False
        kind = dicom_class(path)
    except OSError:
        return False
    return kind is not None and is_image_class(kind)


def is_hidden(name: str) -> bool:
    """._1.dcm is what macOS leaves on sticks."""
    return name.startswith(".")


def dicom_files_of(folder: Path) -> list[Path]:
    """The files among which the slices of a folder are: its own, or, if none of those is DICOM, those of the folders below.

    A disc has its series in folders of their own, or one series in several. Sorted by name. OSError; VolumeError if there
    are too many to look through.
    """
    own = visible_files(folder)
    if any(map(is_dicom_image, own)):
        return own
    below: list[Path] = []
    for sub in _folders_below(folder):
        below += visible_files(sub)
        if len(below) > MOST_FILES:
            raise VolumeError(
                f"{folder} holds no DICOM itself, and more than {MOST_FILES} files below; give the folder of the series."
            )
    return below if any(map(is_dicom_image, below)) else own


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and those below, as a study is exported. OSError; VolumeError if they are too many."""
    found = visible_files(folder)
    for sub in _folders_below(folder):
        found += visible_files(sub)
        if len(found) > MOST_FILES:
            raise VolumeError(f"{folder} holds more than {MOST_FILES} files; give the folder of one study.")
    return found


def visible_files(folder: Path) -> list[Path]:
    """The files right in a folder, sorted by name. OSError."""
    return sorted(p for p in folder.iterdir() if not is_hidden(p.name) and p.is_file())


def _folders_below(folder: Path, depth: int = MOST_DEPTH, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Folders that can be looked into; a link to one of those on the way ends there."""
    above = (*above, os.path.realpath(folder))
    for path in sorted(folder.iterdir()):
        if is_hidden(path.name) or not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
            continue
        if depth > 0 and os.path.realpath(path) not in above:
            yield path
            yield from _folders_below(path, depth - 1, above)


def named_dicom(path: Path) -> bool:
    """Whether a file is called as DICOM files are: .dcm, .ima, a number, or nothing behind the last dot."""
    return path.suffix.lower() in DICOM or path.suffix[1:].isdigit()


def names_of(files: Iterable[Path]) -> str:
    """The names of a few files, for a sentence."""
    names = sorted(file.name for file in files)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def members(path: Path, passed_over: tuple[str, ...] = ()) -> list[Path]:
    """The file itself, with the voxels beside a header; or all files of a folder, but those with these endings, and the
    DICOM below one that has none itself. OSError."""
    if path.is_dir():
        own = sorted(p for p in path.iterdir() if p.is_file() and not p.name.endswith(passed_over))
        parts = [p for p in dicom_files_of(path) if p.parent != path and not p.name.endswith(passed_over)]
        return [*own, *parts]
    header = headers.read_header(path)
    return [path, *(header.files() if header else ())]


def content(path: Path, passed_over: tuple[str, ...] = ()) -> str:
    """SHA-256 of what the scan's files are called and hold. OSError."""
    return content_of(members(path, passed_over))


def content_of(files: Sequence[Path]) -> str:
    """The same of files, in this order. OSError."""
    digest = hashlib.sha256()
    for member in files:
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
            names = [part for part in dicom_files_of(scan) if same(file, part)]
            names += [file] if same(scan, file.parent) else []
            return any(named_dicom(name) or dicom_class(name) is not None for name in names)
        return any(same(member, file) for member in members(scan)[1:])
    except (OSError, RuntimeError, VolumeError):  # what cannot be looked at is told by who reads the scan
        return False


def same(one: Path, other: Path) -> bool:
    """Whether both paths lead to one place; where a file system takes A for a, too."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)
