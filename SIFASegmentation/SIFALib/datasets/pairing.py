"""Which label map belongs to which image, by what the files and their folders are called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

from ..imaging.checks import SUFFIXES
from ..imaging.files import split_suffix
from ..support.errors import DataError
from .scans import RECORDS, Scan, Verdict

NPZ = ".npz"
KNOWN = (*SUFFIXES, *RECORDS, NPZ)
IMAGE_FOLDERS = {"image", "images", "imagestr", "imagests", "img", "imgs", "dicom", "scan", "scans"}
LABEL_FOLDERS = {
    "label", "labels", "labelstr", "labelsts", "mask", "masks", "seg", "segs", "segmentation", "segmentations",
    "gt", "annotations",
}  # fmt: skip
IMAGE_WORDS, LABEL_WORDS = "image|img|scan|0000", "labels?|labelmap|seg|segmentation|masks?|gt|manual"
"""What the name of an image, or of a label map, may end in, besides what it shares with the other: regular expressions."""
_LABEL = re.compile(rf"(?:^|[_\-. ])(?:{LABEL_WORDS})$", re.IGNORECASE)
_IMAGE = re.compile(rf"(?:^|[_\-. ])(?:{IMAGE_WORDS}|ct|mr)$", re.IGNORECASE)
UNSPECIFIC = {
    *IMAGE_FOLDERS, *LABEL_FOLDERS, *("cta", "ct", "mr", "mri", "cine", "volume", "vol", "series", "nifti", "0000"),
    *("heart", "hearts", "cardiac", "whole", "chambers", "structures", "left", "right", "ventricle", "ventricles"),
    *("atrium", "atria", "aorta", "artery", "pulmonary", "myocardium", "myo", "lv", "rv", "la", "ra", "pa", "scar"),
    *("labelmap", "manual", "truth", "ground", "contour", "contours", "annotation", "roi", "final", "new", "corrected"),
}  # fmt: skip
"""Words of a name that do not say which image of which patient a file is."""
MODALITIES = {"ct": "ct", "cta": "ct", "mr": "mr", "mri": "mr", "cmr": "mr"}


def is_label(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is a label map by its name or those of the folders that it lies in."""
    return bool(folders_of(file, folder) & LABEL_FOLDERS) or bool(_LABEL.search(stem_of(file)))


def folders_of(file: Path, folder: Path) -> set[str]:
    """Names of the folders between the place and a file, in small letters."""
    return {part.lower() for part in file.relative_to(folder).parts[:-1]}


def key_of(file: Path, folder: Path) -> str:
    """What image and label map of one scan have in common: the path without the words that tell them apart, accents as one
    character each, for macOS writes some names otherwise."""
    parts = [p for p in file.relative_to(folder).parts[:-1] if p.lower() not in IMAGE_FOLDERS | LABEL_FOLDERS]
    stem = file.name if file.is_dir() else stem_of(file)
    if file.is_dir() and (file == folder or stem.lower() in IMAGE_FOLDERS | LABEL_FOLDERS):
        stem = folder.name if file == folder else ""
    stem = _LABEL.sub("", stem)
    stem = stem if folders_of(file, folder) & LABEL_FOLDERS else re.sub(r"_0000$", "", stem)
    if not _IMAGE.sub("", stem):  # a folder for each case: p1/image
        stem = ""
    return unicodedata.normalize("NFC", "/".join(filter(None, (*parts, stem))) or folder.name)


def paired(scans: list[Scan], labels: list[Path], folder: Path) -> tuple[list[Scan], list[str]]:
    """The scans with their label maps, and notes on label maps that belong to none."""
    doubtful: dict[Path, Path] = {}
    for key in (_exact, _short, _case):  # the surest way first
        taken = {s.label for s in scans}
        free = [label for label in labels if label not in taken]
        waiting = [s for s in scans if s.label is None]
        if key is _case:  # one image and one label map in a folder, whatever they are called
            waiting = [s for s in waiting if sum(_case(o.image, folder) == _case(s.image, folder) for o in scans) == 1]
        by_key: dict[str, list[Path]] = {}
        for label in free:
            by_key.setdefault(key(label, folder), []).append(label)
        given: dict[Path, Scan] = {}
        for scan in waiting:
            matches = by_key.get(key(scan.image, folder), [])
            if len(matches) > 1 and key is not _case:
                names = ", ".join(str(m) for m in matches[:3])
                raise DataError(f"{scan.image} has several label maps ({names}); leave one, or write a list.")
            if len(matches) != 1:
                continue
            contradict = _contradict if key is _case else _other_modality
            if contradict(scan.image, matches[0], folder):
                doubtful[scan.image] = matches[0]
                continue
            other = given.setdefault(matches[0], scan)
            if other is not scan:
                raise DataError(f"{matches[0]} may be the label map of {other.image} or of {scan.image}; write a list.")
        scans = [replace(s, label=next((label for label, scan in given.items() if scan is s), s.label)) for s in scans]
    used = {s.label for s in scans}
    scans = [replace(s, problems=(*s.problems, *_contradictions(s.image, doubtful))) for s in scans]
    return scans, [f"{label} is the label map of no image." for label in labels if label not in used]


def _contradict(image: Path, label: Path, folder: Path) -> bool:
    """Whether the names of two files say that they are of different images: p01 and p02_seg, ed and es_label. Each then has
    a word of its own that neither a folder around it nor the file's kind explains."""
    around = {word for part in folders_of(image, folder) | folders_of(label, folder) for word in _words(part)}
    ours, theirs = (_words(stem_of(file)) - UNSPECIFIC - around for file in (image, label))
    return bool(ours - theirs and theirs - ours) or _other_modality(image, label, folder)


def _other_modality(image: Path, label: Path, folder: Path) -> bool:
    """Whether the names of two files say that one is of CT and the other of MR."""
    ours, theirs = (
        {MODALITIES[word] for word in _words(stem_of(file)) if word in MODALITIES} for file in (image, label)
    )
    return bool(ours and theirs and not ours & theirs)


def _contradictions(image: Path, doubtful: dict[Path, Path]) -> list[Verdict]:
    """A problem for an image whose only possible label map is called like that of another."""
    if image not in doubtful:
        return []
    fault = (
        f"{image} has no label map: {doubtful[image]} lies beside it, but their names are those of different images; name "
        "them alike, or write a list."
    )
    return [Verdict(fault, "no_labels", file=image)]


def _words(name: str) -> set[str]:
    """The words of a name, in small letters, numbers without the zeros before them."""
    words = re.split(r"[_\-. ]+", re.sub(r"(?<!\d)0+(?=[1-9])", "", name.lower()))
    return {word for word in words if word}


def _exact(file: Path, folder: Path) -> str:
    return key_of(file, folder).lower()


def _short(file: Path, folder: Path) -> str:
    """The key without the words that name an image, in small letters; never empty."""
    key = key_of(file, folder)
    head, slash, stem = key.rpartition("/")
    return f"{head}{slash}{_IMAGE.sub('', stem)}".strip("/").lower() or key.lower()


def _case(file: Path, folder: Path) -> str:
    """The folder that a file lies in; for a file in the place itself, the file."""
    parts = [p for p in file.relative_to(folder).parts[:-1] if p.lower() not in IMAGE_FOLDERS | LABEL_FOLDERS]
    return "/".join(parts).lower() if parts else str(file)


def stem_of(file: Path) -> str:
    """The name without the suffix of an image or label map; never empty."""
    return split_suffix(file.name, KNOWN)[0] or file.name
