"""The one DICOM series in a folder, as a volume; refused where GDCM would silently read it with slices missing."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.errors import VolumeError
from .checks import check_header, reason_of
from .files import dicom_class
from .geometry import Volume

SAME_ORIENTATION = 1e-3  # by which the direction cosines of a series' slices may differ
EVEN_STEPS = 0.1  # by which the distances of slices may differ, of their median: rounding, gantry tilt
SUFFIXES = (".dcm", ".ima")
SHOWN = 3  # names in one sentence


def dicom_files(folder: str | os.PathLike) -> tuple[str, ...]:
    """The files of the one DICOM series in a folder, in the order in which they are stacked along k.

    Raises VolumeError, too, if a file beside them seems to be one of the series that cannot be read.
    """
    series = [s for s in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)) if s]
    if not series:
        raise VolumeError(f"{folder} holds no DICOM series; give the folder that the DICOM files lie in.")
    if len(series) > 1:
        raise VolumeError(
            f"{folder} holds {len(series)} DICOM series; put the files of the one that you want into a folder of their own."
        )
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    _check_left_out(Path(folder), files)
    return files


def _check_left_out(folder: Path, files: Sequence[str]) -> None:
    """VolumeError if files beside those of the series belong to it, too: GDCM drops what it cannot read, with no word."""
    names = {Path(file).name for file in files}
    alike = {_without_numbers(name) for name in names}
    kind = _class_of(Path(files[0]))
    lost = []
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") or path.name.upper() == "DICOMDIR"  # ._1.dcm: what macOS leaves on sticks
        if path.name in names or hidden or not path.is_file():
            continue
        found = _class_of(path)
        named_so = path.suffix.lower() in SUFFIXES or _without_numbers(path.name) in alike
        # reports and presentation states may lie beside the images: DICOM of another class
        if (found == kind) if found else (found == "" or named_so):
            lost.append(path.name)
    if lost:
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise VolumeError(
            f"The series in {folder} is incomplete: no slice can be read from {', '.join(lost[:SHOWN])}{more}. "
            "Copy or export the series again."
        )


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "0", name.lower())


def _class_of(path: Path) -> str | None:
    """`dicom_class`; "" for a file that cannot be opened."""
    try:
        return dicom_class(path)
    except OSError:
        return ""


def read_series(folder: Path) -> Volume:
    """The volume of the one DICOM series in a folder; VolumeError."""
    files = dicom_files(folder)
    if len(files) > 1:
        _check_slices(folder, files)
    try:
        image = sitk.ReadImage(files if len(files) > 1 else files[0])
    except RuntimeError as error:
        raise VolumeError(f"The DICOM series in {folder} cannot be read: {reason_of(error)}.") from error
    check_header(folder, image.GetDimension(), image.GetSize(), image.GetNumberOfComponentsPerPixel())
    return Volume.of(image, folder.resolve().name, str(folder))


def _check_slices(folder: Path, files: Sequence[str]) -> None:
    """Raise VolumeError unless the files are the slices of one volume: one orientation, even steps, none twice."""
    positions, orientations = [], []
    reader = sitk.ImageFileReader()
    for file in files:
        reader.SetFileName(file)
        try:
            reader.ReadImageInformation()
            positions.append([float(x) for x in reader.GetMetaData("0020|0032").split("\\")])
            orientations.append([float(x) for x in reader.GetMetaData("0020|0037").split("\\")])
        except (RuntimeError, ValueError) as error:
            raise VolumeError(f"{file} does not say where its slice lies; it is no slice of a volume.") from error
    if np.ptp(orientations, axis=0).max() > SAME_ORIENTATION:
        raise VolumeError(f"The slices in {folder} lie in different orientations; give one stack of slices.")
    along = np.sort(np.array(positions) @ np.cross(orientations[0][:3], orientations[0][3:]))
    steps = np.diff(along)
    if steps.min() < 0.01:
        raise VolumeError(
            f"{folder} holds several slices at the same place: a sequence of volumes, or files that are there twice. "
            "Give one volume."
        )
    if steps.max() - steps.min() > EVEN_STEPS * np.median(steps):
        where = along[int(np.argmax(steps))]
        raise VolumeError(
            f"The slices in {folder} lie {steps.min():.2f} to {steps.max():.2f} mm apart (widest at {where:.1f} mm); "
            "slices are missing. Export the series again."
        )
