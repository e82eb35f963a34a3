"""A scan's labels, read in whatever form they are kept, with their values as what they mean.

A label map of values; one of a data set whose values mean something else than the classes here (`layouts`); one phase of
a map with four axes; a segmentation of 3D Slicer; or a folder of masks, one for each structure, as TotalSegmentator
writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..imaging import reading
from ..imaging.cine_files import read_volumes
from ..imaging.files import split_suffix
from ..imaging.geometry import Volume
from ..imaging.seg_nrrd import is_segmentation
from ..imaging.segments import read_segments
from ..models.structures import UNKNOWN
from ..support.errors import DataError, VolumeError
from . import label_values, layouts
from .grids import mismatch


@dataclass(frozen=True, eq=False)
class Labels:
    """volume: values of `models.structures` if `of` says who tells what they mean; else the values of the file.

    overlap: voxels that are in several segments or masks, which the later one has. stored: value in the file -> value in
    `volume`; None if all are the same, empty where the file has no value for each structure (masks, layers).
    """

    volume: Volume
    of: str = ""
    overlap: int = 0
    stored: Mapping[int, int] | None = None


def read_labels(path: Path, phase: int | None = None, as_stored: bool = False, by_layout: bool = True) -> Labels:
    """The labels in a file, or in a folder of masks. phase: of a map with four axes. as_stored: the values of a label map
    or segmentation, whatever its data set or its segments say; by_layout: values as the data set has them.

    Raises VolumeError or DataError with what to do, FileNotFoundError, OSError.
    """
    if path.is_dir():
        return _of_masks(path)
    if not as_stored and is_segmentation(path):
        found = read_segments(path)
        if found is not None:
            return Labels(found.labels, "its segments", found.overlap, found.meanings)
    volume = reading.read(path) if phase is None else phase_of(path, phase)
    meaning = layouts.meaning_of(path) if by_layout and not as_stored else None
    values = None if meaning is None else label_values.found(volume.array)
    if meaning is None or values is None:
        return Labels(volume)
    _check_all_called(path, values, meaning)
    if meaning.are_classes(values):
        return Labels(volume)
    _check_all_told(path, values, meaning)
    table = {0: 0, UNKNOWN: UNKNOWN, **meaning.labels}
    told = replace(volume, array=label_values.mapped(volume.array, table))
    return Labels(told, meaning.of, stored={value: table[value] for value in values})


def _check_all_called(path: Path, values: tuple[int, ...], meaning: layouts.Meaning) -> None:
    """DataError for a value that a data set calls something that is none of the structures."""
    unknown = [v for v in values if v in meaning.names]
    if unknown:
        value = unknown[0]
        raise DataError(
            f"{path}: {meaning.of} calls the value {value} {meaning.names[value]!r}, which is none of the seven structures; "
            f"{_to_complete(meaning, unknown)}"
        )


def _check_all_told(path: Path, values: tuple[int, ...], meaning: layouts.Meaning) -> None:
    """DataError for values of which a data set says nothing: what the others are would be lost with them."""
    unknown = [v for v in values if v not in meaning.labels and v not in (0, UNKNOWN)]
    if unknown:
        shown = ", ".join(map(str, unknown[: label_values.MOST_NAMED]))
        more = " ..." if len(unknown) > label_values.MOST_NAMED else ""
        many = "s" if len(unknown) > 1 else ""
        raise DataError(
            f"{path}: {meaning.of} says nothing of the value{many} {shown}{more}; "
            f"{_to_complete(meaning, unknown[: label_values.MOST_NAMED])}"
        )


def _to_complete(meaning: layouts.Meaning, unknown: list[int]) -> str:
    """What to do about values without a meaning."""
    known = "".join(f"{v}={label}," for v, label in meaning.labels.items())
    open_ = ",".join(f"{v}=?" for v in unknown)
    return (
        f"add --label-values {known}{open_} with a class for each ?, 0 for background, {UNKNOWN} for what is not known."
    )


def phase_of(path: Path, phase: int) -> Volume:
    """One of the volumes of a file with four axes, from 0. VolumeError, OSError."""
    array, geometry = read_volumes(path)
    if phase >= len(array):
        raise VolumeError(f"{path} holds {len(array)} volumes and no number {phase + 1}; it has been changed.")
    return Volume(array[phase], geometry, f"{path.name}, phase {phase + 1}", str(path))


def labelled_phases(path: Path) -> tuple[int, ...]:
    """Which volumes of a label map with four axes have a voxel that is not background, from 0. VolumeError, OSError."""
    array, _ = read_volumes(path)
    return tuple(n for n, each in enumerate(array) if each.any())


def is_mask(file: Path) -> bool:
    """Whether a file is called as the mask of one of the seven structures, or of what shares voxels with them."""
    return bool(label_of_mask(file))


def masks_in(folder: Path) -> list[Path]:
    """The masks in a folder that say something of the seven structures, the vague ones first."""
    found = [(label != UNKNOWN, f.name, f) for f in folder.iterdir() if (label := label_of_mask(f))]
    return [file for *_, file in sorted(found)]


def label_of_mask(file: Path) -> int:
    """What a mask shows by its name: a label of `models.structures`, or UNKNOWN; 0 for none of these, and no mask."""
    name = file.name.lower()
    stem, suffix = split_suffix(name)
    return (layouts.label_called(stem) or 0) if suffix and not name.startswith(".") else 0


def _check_mask(file: Path, values: tuple[int, ...] | None) -> None:
    """VolumeError unless values are 0, around the structure, and at most one other. None: some are no whole numbers."""
    if values is None or len(set(values) - {0}) > 1:
        raise VolumeError(
            f"{file} is no mask: it holds more than 0 and one other value; put label maps beside their images."
        )
    if 0 not in values:
        shown = ", ".join(map(str, values))
        raise VolumeError(
            f"{file} is no mask: no voxel of it is 0, all are {shown}, so that the structure would fill the whole scan. "
            "Write 0 around the structure, or leave the mask out."
        )


def _of_masks(folder: Path) -> Labels:
    """The structures in a folder of masks. What one holds that only shares voxels with them, as the whole aorta with its
    ascending part, is not known where none of them is."""
    files = masks_in(folder)
    if not any(label_of_mask(file) != UNKNOWN for file in files):
        raise VolumeError(
            f"{folder} holds masks, but none of a chamber of the heart, of its muscle or of the pulmonary artery "
            "(heart_atrium_left.nii.gz and so on: TotalSegmentator makes them in the task heartchambers_highres). Put "
            "them there, or leave the scan out."
        )
    first: Volume | None = None
    labels, overlap = np.zeros(0, np.uint8), 0
    for file in files:
        mask = reading.read(file)
        if first is None:
            first, labels = mask, np.zeros(mask.geometry.shape, np.uint8)
        difference = mismatch(first.geometry, mask.geometry)
        if difference:
            raise VolumeError(
                f"{file} has {difference[1]} but {first.source} has {difference[0]}; resample one of them."
            )
        _check_mask(file, label_values.found(mask.array))
        inside, label = mask.array != 0, label_of_mask(file)
        known = inside & (labels != 0) & (labels != UNKNOWN) & (labels != label)
        overlap += int(np.count_nonzero(known))
        labels[inside] = label
    assert first is not None  # there is at least one
    return Labels(Volume(labels, first.geometry, folder.name, str(folder)), "its masks", overlap, {})
