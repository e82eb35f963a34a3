"""Label maps in a folder of their own, paired with images by name and by the folders that both lie in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..imaging.checks import SUFFIXES
from ..imaging.files import split_suffix
from ..support.errors import DataError
from ..support.files import expanded
from . import sources
from .pairing import IMAGE_FOLDERS, IMAGE_WORDS, LABEL_FOLDERS, LABEL_WORDS
from .scans import Scan

_WORDS = re.compile(rf"[_\-. ](?:{IMAGE_WORDS}|{LABEL_WORDS})$", re.IGNORECASE)


def pairs(images: Path, labels: Path | None, exclude: tuple[str, ...] = ()) -> list[Scan]:
    """Scans with their label maps: beside them by name, or from a folder of their own. Raises DataError."""
    if labels is None:
        return list(sources.find(str(images), True, exclude).scans)
    if not labels.is_dir():
        raise DataError(f"{labels} is no folder; give the one that holds the label maps.")
    files: dict[str, list[Path]] = {}
    for file in sorted(labels.rglob("*")):
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith("."):
            files.setdefault(_key(file.name), []).append(file)
    paired = []
    top = expanded(str(images))
    for scan in sources.find(str(images), False, exclude).scans:
        found = _in_like_folders(scan.image, top, files.get(_key(scan.image.name), []), labels)
        if len(found) != 1:
            what = "several label maps" if found else "no label map"
            raise DataError(
                f"{scan.image} has {what} in {labels}; name them and their folders alike, or leave the scan out: "
                f"--exclude {scan.name}"
            )
        paired.append(replace(scan, label=found[0]))
    _check_each_once(paired)
    return paired


def _in_like_folders(image: Path, images: Path, found: Sequence[Path], labels: Path) -> list[Path]:
    """The label maps that may be of an image by the folders that they lie in; those of the very same, if there are any."""
    own = _folders(image, images)
    by_folders = [(file, _folders(file, labels)) for file in found]
    same = [file for file, folders in by_folders if folders == own]
    return same or [file for file, folders in by_folders if set(folders) <= set(own) or set(own) <= set(folders)]


def _folders(file: Path, top: Path) -> tuple[str, ...]:
    """Names of the folders between a place and a file that tell scans apart, in small letters; none in a list."""
    if top not in file.parents or not top.is_dir():
        return ()
    parts = (part.lower() for part in file.relative_to(top).parts[:-1])
    return tuple(part for part in parts if part not in IMAGE_FOLDERS | LABEL_FOLDERS)


def _check_each_once(scans: Sequence[Scan]) -> None:
    """DataError if one label map is to serve two images."""
    given: dict[Path, Path] = {}
    for scan in scans:
        assert scan.label is not None  # `pairs` gave it one
        other = given.setdefault(scan.label, scan.image)
        if other != scan.image:
            raise DataError(
                f"{scan.label} may be the label map of {other} or of {scan.image}; name them and their folders alike, or "
                f"leave a scan out: --exclude {scan.name}"
            )


def _key(name: str) -> str:
    """What the names of an image and of its label map have in common, in small letters."""
    stem = split_suffix(unicodedata.normalize("NFC", name.lower()))[0].removesuffix(".seg")
    return _WORDS.sub("", stem) or stem
