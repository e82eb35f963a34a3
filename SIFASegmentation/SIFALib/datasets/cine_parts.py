"""Cines among what lies in a folder: each becomes three scans of one heart, and a study's folders become one study."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..imaging import cine_stacks
from ..imaging.cine_files import holds_cine
from ..imaging.dicom_headers import Frame, read_frames
from ..imaging.files import files_below
from ..imaging.moments import MOMENTS
from ..support.errors import VolumeError
from .dicom_parts import first_frame
from .scans import Scan


def studies(items: Sequence[Path], folder: Path) -> list[Path]:
    """The items, files and folders of DICOM files, with the folders of each study that holds a cine stack as one."""
    of_study: dict[str, list[Path]] = {}
    for item in items:
        first = first_frame(item) if item.is_dir() else None
        if first is not None and _is_timed(first):
            of_study.setdefault(f"{first.context.patient} {first.context.study}", []).append(item)
    kept = list(items)
    for parts in of_study.values():
        top = Path(os.path.commonpath(parts))
        below = [item for item in kept if item == top or top in item.parents]
        if top == folder and len(below) > len(parts):
            continue  # other scans lie beside it
        if _holds_cine(top):
            kept = [item for item in kept if item not in below] + [top]
    return sorted(kept)


def with_moments(scans: Sequence[Scan]) -> Iterator[Scan]:
    """The scans, in place of each cine one of it for each of the MOMENTS."""
    for scan in scans:
        if scan.problems or not _is_cine(scan.image):
            yield scan
            continue
        for moment in MOMENTS:
            yield replace(scan, name=f"{scan.name} {moment}", moment=moment)


def _is_cine(path: Path) -> bool:
    try:
        if not path.is_dir():
            return holds_cine(path)
        first = first_frame(path)
        return first is not None and _is_timed(first) and _holds_cine(path)
    except (OSError, VolumeError):  # told by who reads it
        return False


def _is_timed(frame: Frame) -> bool:
    """Whether a slice may be one of several of its place."""
    return frame.trigger_ms is not None or frame.phase is not None or frame.count > 1


def _holds_cine(folder: Path) -> bool:
    """Whether the DICOM images in a folder and below hold a stack of cine images, of one patient."""
    frames: list[Frame] = []
    try:
        for file in files_below(folder):
            frames += read_frames(file)
        persons = zip(*((f.context.patient, f.context.born, f.context.study) for f in frames), strict=True)
        if any(len(set(stated) - {""}) > 1 for stated in persons):
            return False
        cine_stacks.choose(cine_stacks.stacks_of(frames), "")
    except (OSError, VolumeError):
        return False
    return True
