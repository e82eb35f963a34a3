"""Labels that are more, or less, than one map for one image: folders of masks, and maps of several phases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..imaging.cine_files import count_of, holds_cine
from ..support.errors import VolumeError
from .label_files import is_mask, labelled_phases
from .layouts import cine_of
from .pairing import stem_of
from .scans import Scan, Verdict

MASKS = "segmentations"  # what TotalSegmentator calls the folder of the masks of one image


def with_masks(labels: Sequence[Path], images: Sequence[Path]) -> list[Path]:
    """The label maps, with the folder in place of those that are masks of the structures of one image.

    Masks are called like structures and not like images, or lie in a folder `segmentations` below that of one image.
    """
    in_folders: dict[Path, list[Path]] = {}
    for label in labels:
        in_folders.setdefault(label.parent, []).append(label)
    names = {stem_of(image).lower() for image in images}
    kept: list[Path] = []
    for folder, files in in_folders.items():
        called = all(is_mask(f) and stem_of(f).lower() not in names for f in files)
        below = folder.name.lower() == MASKS and sum(image.parent == folder.parent for image in images) == 1
        kept += [folder] if len(files) > 1 and (called or below) else files
    return sorted(kept)


def without_cines(scans: Sequence[Scan]) -> tuple[list[Scan], list[Path]]:
    """The scans without cines that have no labels, where phases of them that have some lie beside them by the names of a
    data set; and those cines."""
    whole = {(s.image.parent, cine_of(s.image)) for s in scans if s.label is not None}
    left_out = [
        s
        for s in scans
        if s.label is None and (s.image.parent, stem_of(s.image).lower()) in whole and _has_phases(s.image)
    ]
    return [s for s in scans if s not in left_out], [s.image for s in left_out]


def with_labelled_phases(scans: Sequence[Scan]) -> Iterator[Scan]:
    """The scans, in place of a cine with a map of several volumes one of it for each phase that has labels."""
    for scan in scans:
        if scan.label is None or scan.problems:
            yield scan
        elif scan.label.is_file() and _has_phases(scan.label) and _has_phases(scan.image):
            yield from _phases(scan, scan.label)
        else:
            yield scan


def _phases(scan: Scan, label: Path) -> Iterator[Scan]:
    try:
        images, maps = count_of(scan.image), count_of(label)
        if images != maps:
            fault = (
                f"{label} holds {maps} volumes but {scan.image} has {images}; nobody can tell which of them it labels. "
                "Write a map with a volume for each phase, empty where nothing is labelled."
            )
            yield replace(scan, problems=(Verdict(fault, "other_phases", file=label),))
            return
        phases = labelled_phases(label)
    except (VolumeError, OSError) as error:
        yield replace(scan, problems=(Verdict(str(error), "volume", file=label),))
        return
    if not phases:
        fault = f"{label} labels nothing: every voxel of every volume is background."
        yield replace(scan, problems=(Verdict(fault, "nothing_labelled", file=label),))
    for phase in phases:
        yield replace(scan, name=f"{scan.name} phase {phase + 1}", phase=phase, heart=scan.heart or scan.name)


def _has_phases(file: Path) -> bool:
    """Whether an image or label map has as many volumes as a beat; what cannot be read is told by who reads it."""
    try:
        return file.is_file() and holds_cine(file)
    except (OSError, VolumeError):
        return False
