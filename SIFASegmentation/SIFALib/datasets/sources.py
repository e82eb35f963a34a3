"""Which scans a place holds: images found, and label maps paired with them by name.

Known layouts: `x.nii.gz` beside `x_label.nii.gz` or `x_seg.nii.gz`; MM-WHS's `ct_train_1001_image` and
`ct_train_1001_label`; `images/x` and `labels/x`; `imagesTr/x_0000` and `labelsTr/x`; a folder for each case; DICOM
series, each in a folder of its own; a JSON list, {"images": [...], "labels": [...]} or
[{"image": ..., "label": ..., "heart": ...}, ...], with paths relative to the list, label and heart if there are any: scans
of one heart are never on both sides of a split; the authors' .tfrecords and .npz files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..imaging.checks import SUFFIXES
from ..imaging.files import MOST_DEPTH, is_dicom_image
from ..support import schema
from ..support.errors import DataError, RecordError
from ..support.files import expanded, read_limited
from ..support.messages import reason
from .cine_parts import studies, with_moments
from .dicom_parts import join
from .scans import RECORDS, Scan, Verdict

NPZ = ".npz"
LONGEST_LIST = 64 * 1024**2  # bytes of JSON
KNOWN = (*SUFFIXES, *RECORDS, NPZ)
IMAGE_FOLDERS = {"image", "images", "imagestr", "imagests", "img", "imgs", "dicom", "scan", "scans"}
LABEL_FOLDERS = {
    "label", "labels", "labelstr", "labelsts", "mask", "masks", "seg", "segs", "segmentation", "segmentations",
    "gt", "annotations",
}  # fmt: skip
_LABEL = re.compile(r"(?:^|[_\-. ])(?:labels?|labelmap|seg|segmentation|masks?|gt|manual)$", re.IGNORECASE)
_IMAGE = re.compile(r"(?:^|[_\-. ])(?:image|img|scan|ct|mr|0000)$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """What a place holds: scans in the order of their names, and what about it should be said."""

    scans: tuple[Scan, ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The images and label maps."""
        return files_of(self.scans)


def files_of(scans: Iterable[Scan]) -> list[Path]:
    """The images and label maps of scans; an image may be the folder of a DICOM series."""
    return [file for scan in scans for file in (scan.image, scan.label) if file is not None]


def find(place: str, labelled: bool, exclude: tuple[str, ...] = (), cines: bool = False) -> Found:
    """The scans of a folder, a JSON list or one file, without the excluded names. Raises DataError if there are none.

    cines: a cine is three scans, of both ends of its beat and one phase between; else it is one, which nobody can read.
    """
    path = expanded(place)
    if not _exists(path):
        raise DataError(f"{place} does not exist; give a folder of images, a JSON list, or phantom.")
    if path.is_file() and path.suffix.lower() == ".json":
        found = Found(tuple(_listed(path)))
    elif path.is_file():
        found = Found((Scan(_stem(path), path),))
    else:
        found = _in_folder(path, labelled, cines)
    if cines:
        found = replace(found, scans=tuple(with_moments(found.scans)))
    unknown = [name for name in exclude if name not in {s.name for s in found.scans}]
    scans = tuple(s for s in found.scans if s.name not in exclude)
    if not scans:
        what = "images with label maps" if labelled else "images"
        kinds = f"{', '.join(SUFFIXES)}, DICOM series, .tfrecords, .npz"
        left = " that are not excluded" if found.scans else ""
        raise DataError(f"{place} holds no {what}{left}; images are {kinds}.")
    notes = tuple(f"{name} is to be excluded, but {place} holds no such scan." for name in unknown)
    return Found(scans, (*found.notes, *notes))


def _listed(path: Path) -> Iterator[Scan]:
    """The scans of a JSON list."""
    try:
        data = schema.parse(read_limited(path, LONGEST_LIST), str(path))
    except RecordError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({reason(error)}).") from error
    seen: dict[str, Path] = {}
    for number, (image, label, heart) in enumerate(_pairs(path, data)):
        for file in filter(None, (image, label)):
            if not _exists(file):
                raise DataError(f"{file}, which {path} lists, does not exist; mend the list or bring the file back.")
        name = _stem(image)
        if name in seen:
            name = f"{image.parent.name}/{name}" if image != seen[name] else f"{name}#{number}"
        while name in seen:  # case1/mr/image, case2/mr/image, case3/mr/image
            name = f"{name}#{number}"
        seen[name] = image
        yield Scan(name, image, label, heart=heart)


def _exists(path: Path) -> bool:
    """Whether there is such a file or folder; no name, however strange, is an error."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _pairs(path: Path, data: object) -> list[tuple[Path, Path | None, str]]:
    """(image, label map or None, heart or "") for each entry of a list's JSON."""
    wanted = '{"images": [...], "labels": [...]} or [{"image": ..., "label": ...}, ...]'
    refused = DataError(f"{path} is no list of scans; write {wanted}.")
    if isinstance(data, dict) and data.keys() <= {"images", "labels"} and "images" in data:
        images, labels = data["images"], data.get("labels", [])
        if not isinstance(images, list) or not isinstance(labels, list):
            raise refused
        if labels and len(labels) != len(images):
            raise DataError(f"{path} lists {len(images)} images but {len(labels)} labels; pair them.")
        entries = [
            {"image": i, "label": label} for i, label in zip(images, labels or [None] * len(images), strict=True)
        ]
    elif isinstance(data, list):
        entries = [{"image": e} if isinstance(e, str) else e for e in data]
    else:
        raise refused
    pairs = []
    for entry in entries:
        if not isinstance(entry, dict) or not entry.keys() <= {"image", "label", "heart"}:
            raise refused
        image, label, heart = entry.get("image"), entry.get("label"), entry.get("heart", "")
        if not isinstance(image, str) or not (label is None or isinstance(label, str)) or not isinstance(heart, str):
            raise refused
        pairs.append((path.parent / image, path.parent / label if label else None, heart))
    return pairs


def _in_folder(folder: Path, labelled: bool, cines: bool) -> Found:
    items = sorted(_items(folder))
    joined = join(studies(items, folder) if cines else items)
    files, notes = list(joined.items), list(joined.notes)
    for suffixes in (RECORDS, (NPZ,)):
        special = [f for f in files if f.name.lower().endswith(suffixes)]
        if special and len(special) == len(files):
            return Found(tuple(Scan(_relative(f, folder), f) for f in special))
    files = [f for f in files if not f.name.lower().endswith((*RECORDS, NPZ))]
    labels = [f for f in files if _is_label(f, folder)]
    images = sorted(set(files) - set(labels))
    if labelled:  # a test set without labels beside a training set, as nnU-Net lays them out
        training = [f for f in images if "imagests" not in _folders(f, folder)]
        images = training or images
    faults = {f: (Verdict(fault, "parts", file=f),) for f, fault in joined.faults.items()}
    scans = [Scan(_key(f, folder) or _stem(f), f, problems=faults.get(f, ())) for f in images]
    scans = _with_unique_names(scans, folder)
    if labelled:
        scans, unpaired = _paired(scans, labels, folder)
        notes += unpaired
    return Found(tuple(sorted(scans, key=lambda s: s.name)), tuple(notes))


def _items(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Image files below a folder, and folders that hold DICOM files; links that lead nowhere and folders that cannot be
    read, too, to be told of.

    above: the real paths of the folders on the way, so that a link to one of them ends there.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        if above:  # one of many: whoever reads it says so in its row
            yield folder
            return
        raise DataError(f"The folder {folder} cannot be read ({error.strerror}).") from error
    above = (*above, os.path.realpath(folder))
    folders, files, lost = [], [], []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link in a circle
            is_folder = is_file = False
        if is_folder:
            folders.append(path)
        elif is_file:
            files.append(path)
        elif entry.is_symlink() and not _exists(path):
            lost.append(path)
    images = [f for f in files if f.name.lower().endswith(KNOWN)]
    if any(is_dicom_image(f) for f in files if f not in images):
        yield folder
    yield from (*images, *(f for f in lost if f.name.lower().endswith(KNOWN)))
    if len(above) <= MOST_DEPTH:
        for path in folders:
            if os.path.realpath(path) not in above:
                yield from _items(path, above)


def _is_label(file: Path, folder: Path) -> bool:
    return bool(_folders(file, folder) & LABEL_FOLDERS) or bool(_LABEL.search(_stem(file)))


def _folders(file: Path, folder: Path) -> set[str]:
    """Names of the folders between the place and a file, in small letters."""
    return {part.lower() for part in file.relative_to(folder).parts[:-1]}


def _key(file: Path, folder: Path) -> str:
    """What image and label map of one scan have in common: the path without the words that tell them apart."""
    parts = [p for p in file.relative_to(folder).parts[:-1] if p.lower() not in IMAGE_FOLDERS | LABEL_FOLDERS]
    stem = file.name if file.is_dir() else _stem(file)
    if file.is_dir() and (file == folder or stem.lower() in IMAGE_FOLDERS):
        stem = folder.name if file == folder else ""
    stem = _LABEL.sub("", stem)
    stem = stem if _folders(file, folder) & LABEL_FOLDERS else re.sub(r"_0000$", "", stem)
    if not _IMAGE.sub("", stem):  # a folder for each case: p1/image
        stem = ""
    return "/".join(filter(None, (*parts, stem))) or folder.name


def _paired(scans: list[Scan], labels: list[Path], folder: Path) -> tuple[list[Scan], list[str]]:
    """The scans with their label maps, and notes on label maps that belong to none."""
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
            other = given.setdefault(matches[0], scan)
            if other is not scan:
                raise DataError(f"{matches[0]} may be the label map of {other.image} or of {scan.image}; write a list.")
        scans = [replace(s, label=next((label for label, scan in given.items() if scan is s), s.label)) for s in scans]
    used = {s.label for s in scans}
    return scans, [f"{label} is the label map of no image." for label in labels if label not in used]


def _exact(file: Path, folder: Path) -> str:
    return _key(file, folder).lower()


def _short(file: Path, folder: Path) -> str:
    """The key without the words that name an image, in small letters; never empty."""
    key = _key(file, folder)
    head, slash, stem = key.rpartition("/")
    return f"{head}{slash}{_IMAGE.sub('', stem)}".strip("/").lower() or key.lower()


def _case(file: Path, folder: Path) -> str:
    """The folder that a file lies in; for a file in the place itself, the file."""
    parts = [p for p in file.relative_to(folder).parts[:-1] if p.lower() not in IMAGE_FOLDERS | LABEL_FOLDERS]
    return "/".join(parts).lower() if parts else str(file)


def _with_unique_names(scans: list[Scan], folder: Path) -> list[Scan]:
    """Scans whose names differ: where two do not, the path of the file is the name."""
    names = [s.name for s in scans]
    return [s if names.count(s.name) == 1 else replace(s, name=_relative(s.image, folder)) for s in scans]


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _stem(file: Path) -> str:
    """The name without the suffixes of images and, of Slicer's segmentations, without `.seg`."""
    suffix = next((s for s in KNOWN if file.name.lower().endswith(s)), "")
    return file.name[: len(file.name) - len(suffix)] or file.name
