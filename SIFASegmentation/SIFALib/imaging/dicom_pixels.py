"""The grey values of the slices of a DICOM series, each by its own rule.

SimpleITK (GDCM) decodes them. It reads a whole series by the rule of the first slice: into its type of pixel, and a
multi-frame file with its first frame's slope and intercept, which it looks for in functional groups only where the file is
of some classes. Where the slices differ in that, or the class is another one, each is read by itself. So are frames that all
lie at one place, of which it refuses to make an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.errors import VolumeError
from .checks import reason_of
from .dicom_headers import Frame, quiet
from .geometry import Geometry

INVERTED = "MONOCHROME1"
GROUPS_READ = {
    f"1.2.840.10008.5.1.4.1.1.{kind}"
    for kind in (
        *("2.1", "2.2", "4.1", "4.4", "130", "128.1"),  # enhanced CT, MR and PET, also converted from single slices
        *("13.1.1", "13.1.2", "13.1.3"),  # X-ray in 3D
    )
}
"""Classes of files in whose functional groups GDCM 3 finds slope and intercept."""


def read(frames: Sequence[Frame], folder: Path) -> tuple[np.ndarray, Geometry | None]:
    """[k, j, i] for slices in the order of k, in a type that holds them all; the grid that the reader makes of them, if
    it read them in one.

    Raises VolumeError if they cannot be decoded, or if nothing says what their values mean.
    """
    check_rules(frames, folder)
    same = len({(f.rescale, f.bits, f.photometric) for f in frames}) == 1
    if frames[0].photometric == INVERTED or any(f.grouped and f.sop_class not in GROUPS_READ for f in frames):
        return _by_own_rescale(frames), None
    if all(f.count == 1 for f in frames):
        files = [str(f.file) for f in frames]
        if same:
            return _decoded(files, folder)
        return _stacked([_decoded([file], folder)[0][0] for file in files]), None
    if len({f.rescale for f in frames}) > 1 or _is_at_one_place(frames):
        return _by_own_rescale(frames), None
    of_file = {file: _decoded([str(file)], folder) for file in dict.fromkeys(f.file for f in frames)}
    for frame in frames:
        if len(of_file[frame.file][0]) != frame.count:
            raise VolumeError(f"{frame.file} claims to hold {frame.count} frames, but holds others; it is damaged.")
    ordered = len(of_file) == 1 and [f.number for f in frames] == list(range(frames[0].count))
    if ordered:
        return of_file[frames[0].file]
    return _stacked([of_file[f.file][0][f.number] for f in frames]), None


def _is_at_one_place(frames: Sequence[Frame]) -> bool:
    """Whether there is a file whose frames all lie at one place, as times of a beat: SimpleITK refuses a distance of 0."""
    of_file: dict[Path, list[Frame]] = {}
    for frame in frames:
        of_file.setdefault(frame.file, []).append(frame)
    return any(len(each) == each[0].count > 1 and len({f.position for f in each}) == 1 for each in of_file.values())


def check_rules(frames: Sequence[Frame], folder: Path) -> None:
    """VolumeError unless all slices say alike what their stored values mean."""
    stated = [f for f in frames if f.rescale is not None]
    silent = [f for f in frames if f.rescale is None]
    if stated and silent:
        raise VolumeError(
            f"{len(silent)} of the {len(frames)} slices in {folder} state no rescale of their values, as "
            f"{silent[0].file.name}, and the others do; what they show cannot be told. Export the series again."
        )
    shifted = [f for f in frames if f.shifted]
    if shifted:
        raise VolumeError(
            f"{shifted[0].file} keeps its values in other than the lowest bits (HighBit, BitsStored), where they would be "
            "read wrongly. Export the series again."
        )
    tabled = [f for f in frames if f.table]
    if tabled:
        raise VolumeError(
            f"{tabled[0].file} says by a table what its values mean (Modality LUT), which cannot be read here. Export "
            "the series with a rescale slope and intercept."
        )
    for frame in stated:
        if frame.rescale is not None and frame.rescale[0] == 0:
            raise VolumeError(f"{frame.file} has the rescale slope 0, which leaves no image. Export the series again.")
    inverted = [f for f in frames if f.photometric == INVERTED]
    if inverted and (len(inverted) < len(frames) or frames[0].modality != "CT"):
        raise VolumeError(
            f"{inverted[0].file} is stored as {INVERTED}, small values bright; whether its values are to be turned round "
            "cannot be told. Export the series as MONOCHROME2."
        )


def _decoded(files: Sequence[str], folder: Path) -> tuple[np.ndarray, Geometry]:
    """What SimpleITK makes of one file, or of several of a slice each."""
    try:
        image = sitk.ReadImage(list(files) if len(files) > 1 else files[0])
    except (RuntimeError, MemoryError) as error:
        raise VolumeError(f"The DICOM series in {folder} cannot be read: {reason_of(error)}.") from error
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() != 3:
        raise VolumeError(f"{files[0]} holds no grey slices; a grey image is needed.")
    return sitk.GetArrayFromImage(image), Geometry.of(image)


def _stacked(slices: Sequence[np.ndarray]) -> np.ndarray:
    """One array of a type that holds all."""
    return np.stack(slices, dtype=np.result_type(*slices), casting="safe")


def _by_own_rescale(frames: Sequence[Frame]) -> np.ndarray:
    """The values as they are stored, by pydicom, each slice with its own slope and intercept."""
    stored = {file: _stored(file) for file in dict.fromkeys(f.file for f in frames)}
    made = []
    for frame in frames:
        slope, intercept = frame.rescale or (1.0, 0.0)
        plane = stored[frame.file][frame.number]
        whole = slope.is_integer() and intercept.is_integer() and max(abs(slope), abs(intercept)) < 2**15
        made.append(plane.astype(np.int32 if whole else np.float64) * (int(slope) if whole else slope))
        made[-1] += int(intercept) if whole else intercept
    return _stacked(made)


def _stored(file: Path) -> np.ndarray:
    """[frames, rows, columns] as stored."""
    from pydicom import dcmread

    try:
        with quiet():
            header = dcmread(file, force=True)
            pixels = np.asarray(header.pixel_array)
    except Exception as error:  # whatever a decoder says
        raise VolumeError(
            f"The pixels of {file}, whose slices are stored by rules of their own, cannot be decoded. "
            "Save the series without compression."
        ) from error
    return pixels.reshape(-1, *pixels.shape[-2:])
