"""Which scans a place holds: images found, and label maps paired with them by name.

Known layouts: `x.nii.gz` beside `x_label.nii.gz` or `x_seg.nii.gz`; `images/x` and `labels/x`; a folder for each case;
those of ACDC, M&Ms, MM-WHS, nnU-Net and TotalSegmentator (`layouts`); DICOM series, each in a folder of its own; a JSON
list, {"images": [...], "labels": [...]} or [{"image": ..., "label": ..., "heart": ...}, ...], with paths relative to the
list, label and heart if there are any: scans of one heart are never on both sides of a split; the authors' .tfrecords
and .npz files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..imaging.checks import SUFFIXES
from ..imaging.files import MOST_DEPTH, is_dicom_image
from ..support import schema
from ..support.errors import DataError, RecordError
from ..support.files import expanded, read_limited
from ..support.messages import reason
from . import layouts
from .cine_parts import studies, with_moments
from .dicom_parts import join
from .label_forms import with_labelled_phases, with_masks, without_cines
from .pairing import KNOWN, NPZ, folders_of, is_label, key_of, paired, stem_of
from .patients import of_one_heart
from .scans import RECORDS, Scan, Verdict

LONGEST_LIST = 64 * 1024**2  # bytes of JSON


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
    if path.name == layouts.DESCRIPTION and (path.parent / "imagesTr").is_dir():
        path = path.parent
    if path.is_file() and path.suffix.lower() == ".json":
        found = Found(tuple(_listed(path)))
    elif path.is_file():
        found = Found((Scan(stem_of(path), path),))
    else:
        found = _in_folder(path, labelled, cines)
    if cines:
        found = replace(found, scans=tuple(with_moments(found.scans)))
    unknown = [name for name in exclude if name not in {s.name for s in found.scans}]
    scans = tuple(s for s in found.scans if s.name not in exclude)
    if not scans:
        what = "images with label maps" if labelled else "images"
        left = " that are not excluded" if found.scans else ""
        raise DataError(f"{place} holds no {what}{left}; images are {', '.join(SUFFIXES)} files and DICOM series.")
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
        name = stem_of(image)
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
    labels = [f for f in files if is_label(f, folder)]
    images, further = layouts.without_further_channels(sorted(set(files) - set(labels)))
    notes += further
    if labelled:  # a test set without labels beside a training set, as nnU-Net lays them out
        training = [f for f in images if "imagests" not in folders_of(f, folder)]
        images = training or images
    if cines:
        phases = set(layouts.phases_of_cines(images))
        images = [f for f in images if f not in phases]
        notes += _passed_over(sorted(phases), "a single phase of a cine beside it")
    faults = {f: (Verdict(fault, "parts", file=f),) for f, fault in joined.faults.items()}
    hearts, alike = of_one_heart([f for f in images if f.is_dir() and f not in faults], folder)
    notes += alike
    scans = [
        Scan(key_of(f, folder) or stem_of(f), f, problems=faults.get(f, ()), heart=hearts.get(f) or layouts.heart_of(f))
        for f in images
    ]
    scans = _with_unique_names(scans, folder)
    if labelled:
        scans, unpaired = paired(scans, with_masks(labels, images), folder)
        scans, cines_of = without_cines(scans)
        notes += unpaired + _passed_over(cines_of, "a cine beside those of its phases that have label maps")
        scans = list(with_labelled_phases(scans))
    return Found(tuple(sorted(scans, key=lambda s: s.name)), tuple(notes))


def _passed_over(files: Sequence[Path], what: str) -> list[str]:
    """A note on files that are left out for the same reason; none on none."""
    if not files:
        return []
    more = f" and {len(files) - 1} more like it are" if len(files) > 1 else " is"
    return [f"{files[0]}{more} passed over: {what}."]


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


def _with_unique_names(scans: list[Scan], folder: Path) -> list[Scan]:
    """Scans whose names differ: where two do not, the path of the file is the name."""
    names = [s.name for s in scans]
    return [s if names.count(s.name) == 1 else replace(s, name=_relative(s.image, folder)) for s in scans]


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()
