"""Cines that lie in one file: NIfTI with four axes, NRRD with a list of volumes (Slicer's .seq.nrrd, MultiVolumes)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.errors import VolumeError
from . import headers, nifti
from .checks import SUFFIXES, check_grid
from .cine import BEAT_OF_IMAGES, Cine
from .cine_blanks import without_blanks
from .cine_places import LEAST_PHASES
from .dicom_context import FASTEST_MS, SLOWEST_MS
from .files import split_suffix
from .geometry import Geometry
from .reading import notes_of, open_image, voxels_of

NAMES = (".seq.nrrd", *SUFFIXES)
_INDEX = re.compile(r"^axis (\d+) index values$")
MULTI_VOLUME, MULTI_VOLUME_UNIT = "MultiVolume.FrameLabels", "MultiVolume.FrameIdentifyingDICOMTagUnits"
MILLISECONDS = {"ms": 1.0, "msec": 1.0, "s": 1000.0, "sec": 1000.0}
SWAPPED = 0.3  # of the changes along the axis of time, below which those along the slices are too small: cines have 10
NO_BEAT = (
    "The times of the volumes, {:g} to {:g} ms, cannot be those of one beat, one after the other, and were not taken: there "
    "is no heart rate and no cardiac output."
)
PLACES = ("domain", "space", "???", "none")  # kinds of an axis along which voxels lie


def read_file(path: Path) -> Cine:
    """The cine in a file. VolumeError, OSError."""
    name, suffix = split_suffix(path.name, NAMES)
    if not suffix:
        raise VolumeError(
            f"{path} is no cine: give the folder of a DICOM study, or a NIfTI, NRRD or MetaImage file of several volumes."
        )
    array, geometry, stated, notes = _volumes(path)
    _check(path, array)
    if len(stated) not in (0, len(array)):
        raise VolumeError(
            f"{path} states {len(stated)} times of {len(array)} volumes; whose they are cannot be told. Mend its header."
        )
    order = _in_time(stated)
    if order is not None:
        array, stated = array[order], [stated[n] for n in order]
        notes = (*notes, "The volumes do not follow each other in time as the file lists them; their times order them.")
    array, filled, _ = without_blanks(array)
    notes = (*notes, *filled)
    within = _times(stated)
    if any(stated) and not within and len(stated) >= LEAST_PHASES:
        notes = (*notes, NO_BEAT.format(stated[0], stated[-1]))
    beat = within[-1] - within[0] + float(np.median(np.diff(within))) if within else 0.0
    rate = round(60_000.0 / beat, 1) if beat else None
    notes = (*notes, *([BEAT_OF_IMAGES] if rate else []))
    return Cine(array, geometry, within, rate, name or path.name, str(path), "", notes)


def read_volumes(path: Path) -> tuple[np.ndarray, Geometry]:
    """The volumes [t, k, j, i] of a file, whatever they show, and their grid. VolumeError, OSError."""
    array, geometry, *_ = _volumes(path)
    return array, geometry


def _volumes(path: Path) -> tuple[np.ndarray, Geometry, Sequence[float], tuple[str, ...]]:
    """The volumes of a file, their grid, the times in ms that it states, and notes. VolumeError, OSError."""
    if path.stat().st_size == 0:
        raise VolumeError(f"{path} is empty (0 bytes); copy it again from where it came.")
    if path.name.lower().endswith(nifti.SUFFIXES):
        array, geometry, step, notes = nifti.read_nifti_sequence(path)
        return array, geometry, [n * step for n in range(len(array))], notes
    return _listed(path)


def holds_cine(path: Path) -> bool:
    """Whether the header of a file says that it holds as many volumes as a beat has. OSError, VolumeError."""
    return count_of(path) >= LEAST_PHASES


def count_of(path: Path) -> int:
    """How many volumes the header of a file claims; 0 for one that has none along a fourth axis. OSError, VolumeError."""
    name = path.name.lower()
    if name.endswith(nifti.SUFFIXES):
        return nifti.count_of(path)
    header = headers.read_header(path)
    if header is None:
        return 0
    sizes = (header.fields.get("sizes") or header.fields.get("dimsize") or "").split()
    if len(sizes) != 4 or not all(size.isdigit() for size in sizes):
        return 0
    kinds = _kinds(header)
    if not kinds or kinds[0] in PLACES:
        return int(sizes[3])
    return int(sizes[0]) if _are_volumes(kinds[0], int(sizes[0])) else 0


def _kinds(header: headers.Header) -> list[str]:
    """What the axes of an NRRD file are, in small letters; empty where it does not say so."""
    return str(header.fields.get("kinds", "")).lower().split()


def _are_volumes(kind: str, count: int) -> bool:
    """Whether the values of a voxel are those of so many volumes: a list of them, or more than colours or directions are."""
    return kind == "list" or (kind == "vector" and count >= LEAST_PHASES)


def _listed(path: Path) -> tuple[np.ndarray, Geometry, Sequence[float], tuple[str, ...]]:
    """Volumes [t, k, j, i] of an NRRD or MetaImage file, their grid, the times in ms that it names, and notes."""
    own, reader = open_image(path)
    dimension, count = reader.GetDimension(), reader.GetNumberOfComponents()
    if reader.HasMetaDataKey("Segment0_ID"):
        raise VolumeError(f"{path} is a segmentation and no cine; give the images that it was made of.")
    header = headers.read_header(path) if dimension == 3 and count > 1 else None
    kind = next((kind for kind in _kinds(header) if kind not in PLACES), "") if header is not None else ""
    if dimension not in (3, 4) or (count > 1 and (dimension == 4 or not _are_volumes(kind or "vector", count))):
        raise VolumeError(
            f"{path} has {dimension} dimensions of {count} values a voxel; a cine has four, of one value."
        )
    axes = np.reshape(reader.GetDirection(), [dimension] * 2)[:3, :3]
    spacing, origin, size = reader.GetSpacing()[:3], reader.GetOrigin()[:3], reader.GetSize()[:3]
    check_grid(path, np.abs(spacing), origin, axes)
    array = sitk.GetArrayFromImage(voxels_of(path, reader))
    if dimension == 3:
        array = array[None] if count == 1 else np.ascontiguousarray(np.moveaxis(array, -1, 0))
    i, j, k = size
    x, y, z = origin
    a, b, c = (abs(s) for s in spacing)
    geometry = Geometry((i, j, k), (x, y, z), (a, b, c), tuple(float(v) for v in axes.ravel()))
    return array, geometry, _stated_times(reader), notes_of(own)


def _stated_times(reader: sitk.ImageFileReader) -> Sequence[float]:
    """Of the volumes in ms, as Slicer writes them; none if they are not stated as numbers with a unit of time."""
    for key in reader.GetMetaDataKeys():
        if key == MULTI_VOLUME or _INDEX.match(key):
            try:
                told = [float(text) for text in re.split(r"[,\s]+", reader.GetMetaData(key).strip()) if text]
            except ValueError:
                return ()
            factor = MILLISECONDS.get(_unit(reader, key))
            return () if factor is None else [factor * value for value in told]
    return ()


def _unit(reader: sitk.ImageFileReader, key: str) -> str:
    """Of the numbers under a key of the metadata, "" if it is not stated."""
    index = _INDEX.match(key)  # ITK calls an axis that is no direction in space "pixel"
    names = ("NRRD_units[pixel]", f"NRRD_units[{index[1]}]") if index else (MULTI_VOLUME_UNIT,)
    stated = [reader.GetMetaData(name).strip().lower() for name in names if reader.HasMetaDataKey(name)]
    return stated[0] if stated else ""


def _in_time(stated: Sequence[float]) -> np.ndarray | None:
    """The order of volumes by their times; None if that is theirs already, or if the times are none that order."""
    times = np.array(stated, float)
    order = np.argsort(times, kind="stable")
    ordering = np.isfinite(times).all() and len(np.unique(times)) == len(times)
    return order if ordering and np.diff(order).min(initial=1) < 0 else None


def _times(stated: Sequence[float]) -> tuple[float, ...]:
    """The times in ms, if they grow and can be those of one beat; else none.

    Fewer than LEAST_PHASES are none, whatever a file says of them: ED and ES do not follow each other in even steps, and a
    second between volumes is what ITK writes where nothing is known.
    """
    times = np.array(stated, float)
    if len(times) < LEAST_PHASES or not np.isfinite(times).all() or np.diff(times).min() <= 0:
        return ()
    beat = times[-1] - times[0] + np.median(np.diff(times))
    if not FASTEST_MS <= beat <= SLOWEST_MS:
        return ()
    begin = times[0] if times[0] < 0 else beat * (times[0] // beat)  # counted on from an earlier R wave
    return tuple(round(float(t), 2) for t in times - begin)


def _changes(values: np.ndarray, axis: int) -> np.ndarray:
    """How much changes from each image along an axis of [t, k, j, i] to the next."""
    steps = np.abs(np.diff(values, axis=axis))
    mean: np.ndarray = steps.mean(axis=tuple(n for n in range(4) if n != axis))
    return mean


def _check(path: Path, array: np.ndarray) -> None:
    """VolumeError unless these are the phases of a beat.

    No two phases differ as much as two slices beside each other: both ends of 14 beats 0.2 to 0.4 as much, and 0.9 cut 10
    voxels around the heart; slices differ from the first by 8 times as much as both ends of the beat, cut so by 2.4
    (Sunnybrook).
    """
    count, slices = array.shape[:2]
    if count < 2:
        raise VolumeError(f"{path} holds a single volume and no cine; segment it as an ordinary scan.")
    if slices < 2:
        return
    values = array[:, :, ::4, ::4].astype(np.float32)
    in_time, across = (float(np.median(_changes(values, axis))) for axis in (0, 1))  # a single image may be blank
    from_first = [float(np.abs(values[:, k] - values[:, 0]).mean()) for k in range(1, slices)]
    round_trip = count >= LEAST_PHASES and across < SWAPPED * in_time and from_first[-1] < in_time
    if round_trip or max(from_first) < in_time:
        raise VolumeError(
            f"{path} seems to have its phases where slices should be, and slices for its phases (size "
            f"{array.shape[::-1]}): along the third axis less changes than along the fourth, as in a beat. Write it with "
            "the axes columns, rows, slices, phases."
        )
