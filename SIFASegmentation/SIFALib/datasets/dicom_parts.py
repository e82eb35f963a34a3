"""DICOM series that lie in several folders: a series is known by its UID, wherever its files are.

Each half of a series would be read as a scan of half a heart. Such folders are read as one scan, from the folder above
them, where that holds nothing else; where it does, none of them is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..imaging.dicom_grid import grid
from ..imaging.dicom_grouping import STACK, group_frames
from ..imaging.dicom_headers import Frame, read_frames
from ..imaging.files import files_below, is_dicom_image, visible_files
from ..support.errors import VolumeError


@dataclass(frozen=True)
class Joined:
    """items: files, and one folder for each series. faults: why the folders that are a part of one cannot be read."""

    items: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    faults: Mapping[Path, str] = field(default_factory=dict)


def join(items: Sequence[Path]) -> Joined:
    """The items, files and folders of DICOM files, with the parts of each series as one folder."""
    series = {item: _series_of(item) for item in items if item.is_dir()}
    kept, notes, faults = set(items), [], {}
    for uid in sorted({uid for uids in series.values() for uid in uids}):
        folders = {item for item, uids in series.items() if uid in uids}
        if len(folders) < 2 or _are_whole(slices := {f: _slices_of(f, uid) for f in folders}):
            continue
        names = ", ".join(str(f) for f in sorted(folders))
        top = Path(os.path.commonpath(folders))
        below = {item for item in series if item == top or top in item.parents}
        alone = below == folders and top not in folders and all(series[f] == {uid} for f in folders)
        if alone and _fit([frame for each in slices.values() for frame in each], top):
            kept = (kept - folders) | {top}
            notes.append(f"One DICOM series lies in several folders ({names}); it is read as one scan, {top}.")
        else:
            fault = (
                f"One DICOM series lies in several folders ({names}), which do not make one volume or hold others, too; "
                "put all files of the series into a folder of their own."
            )
            faults.update(dict.fromkeys(folders, fault))
    return Joined(tuple(sorted(kept)), tuple(notes), faults)


def _files_of(folder: Path) -> list[Path]:
    try:
        return [file for file in visible_files(folder) if is_dicom_image(file)]
    except OSError:  # told by who reads the folder
        return []


def _frames_of(files: Sequence[Path]) -> list[Frame]:
    """The slices of files, as far as they can be read."""
    frames: list[Frame] = []
    for file in files:
        with suppress(VolumeError, OSError):
            frames += read_frames(file)
    return frames


def _series_of(folder: Path) -> set[str]:
    """The UIDs of the series in a folder, as the first, the middle and the last of its files tell."""
    files = _files_of(folder)
    looked_at = sorted({files[n] for n in (0, len(files) // 2, -1)}) if files else []
    return {frame.series for frame in _frames_of(looked_at)} - {""}


def _slices_of(folder: Path, uid: str) -> list[Frame]:
    return [frame for frame in _frames_of(_files_of(folder)) if frame.series == uid]


def _are_whole(slices: Mapping[Path, Sequence[Frame]]) -> bool:
    """Whether all folders hold the same places: copies, phases of a sequence, or scans whose UIDs were made alike."""
    return len({frozenset((f.position, f.orientation) for f in each) for each in slices.values()}) == 1


def _fit(frames: Sequence[Frame], name: Path) -> bool:
    """Whether slices make one volume."""
    groups = group_frames(frames)
    if len(groups) != 1 or groups[0].kind != STACK:
        return False
    try:
        grid(groups[0].frames, name)
    except VolumeError:
        return False
    return True


def first_frame(folder: Path) -> Frame | None:
    """A slice of the first file that has any, in the folder or below."""
    try:
        for file in files_below(folder):
            if is_dicom_image(file):
                return next(iter(read_frames(file)), None)
    except (OSError, VolumeError):
        pass
    return None
