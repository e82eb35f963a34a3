"""The scans of a batch: where they lie, how their results are called, and whether they changed since."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...datasets import sources
from ...imaging import files
from ...imaging.geometry import Volume
from ...imaging.reading import read
from ...imaging.seg_nrrd import SUFFIX
from ...support.errors import BatchError, DataError, VolumeError
from ...support.files import check_place
from ...support.messages import sentence

TABLE = "volumes.csv"
REPORT = ".sifa.json"  # ending of a report's name
OURS = (SUFFIX, REPORT, TABLE)  # endings of what a batch writes, perhaps beside the files of a DICOM series
LONGEST_NAME = 80  # characters of a file's name: paths in Windows are short
LONGEST_BYTES = 200  # of it: file systems take 255, with the endings


@dataclass(frozen=True)
class Case:
    """One scan. name: of its files, unlike all others'. source: what a person calls it, a path or a volume's name.

    read: gives the scan, yielding 0..1 meanwhile; raises VolumeError or OSError. fingerprint: a text that no other scan
    has, wherever this one lies; raises OSError. path: where it lies, by which a scan that changed is known as the same,
    or "" where a name may be another scan's tomorrow.
    """

    name: str
    source: str
    read: Callable[[], Generator[float, None, Volume]]
    fingerprint: Callable[[], str]
    path: str = ""


def find_cases(folder: str | os.PathLike[str]) -> list[Case]:
    """The scans in a folder and below: NIfTI, NRRD, MetaImage files, and folders with one DICOM series each.

    Label maps and segmentations are left out. Raises BatchError if there is no such folder, or no scan in it.
    """
    try:
        check_place(Path(folder))
    except OSError as error:
        raise BatchError(sentence(error)) from error
    if not Path(folder).is_dir():
        raise BatchError(f"There is no folder {folder}; give the one that holds your scans.")
    try:
        found = sources.find(str(folder), labelled=False).scans
    except DataError as error:
        raise BatchError(str(error)) from None
    scans = [scan for scan in found if scan.kind not in ("TFRecord", "npz")]
    if not scans:
        raise BatchError(f"{folder} holds no images that can be segmented; give a folder of whole scans.")
    names = file_names([scan.name for scan in scans])
    return [_case_of(name, scan.image, *scan.problems[:1]) for name, scan in zip(names, scans, strict=True)]


def _case_of(name: str, path: Path, fault: str = "") -> Case:
    """fault: what is known already to keep it from being read."""

    def steps() -> Generator[float, None, Volume]:
        yield 0.0
        if fault:
            raise VolumeError(fault)
        files.check_name(path)
        return read(path)

    # Of the content, not of name, size and time: scanners' files of two patients often have all of those alike, and
    # the same scan in another place is the same. Nor do times of change tell: FAT and Windows have none that a copy does not
    # keep, and a cohort's computers see other ones. It costs a second or so for a large scan, minutes less than doing it.
    place = os.path.normpath(path.absolute())  # the table and the reports may be read from anywhere
    return Case(name, place, steps, lambda: files.content(path, OURS), place)


def file_names(names: Sequence[str]) -> list[str]:
    """Names that every system takes for a file, no two alike in any case, in the same order."""
    taken: set[str] = set()
    result = []
    for name in names:
        stem = re.sub(r"[^\w\-. ]+", "_", name).strip(" ._")[:LONGEST_NAME]
        stem = stem.encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").strip(" ._") or "scan"
        free, number = stem, 2
        while free.lower() in taken:
            free, number = f"{stem} {number}", number + 1
        taken.add(free.lower())
        result.append(free)
    return result
