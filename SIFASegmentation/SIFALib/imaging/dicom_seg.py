"""Results as DICOM SEG: binary segments on the slices of the DICOM series that was segmented.

highdicom writes it; it is no dependency of the library, and imported only when it is needed. A series is tried before
the long work (`prepare`), so that headers that a DICOM SEG cannot be made of are found out at once.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..models.structures import LONGEST_NAME, Code, Structure
from ..support.errors import NoHeartFound, VolumeError
from ..support.files import written
from . import dicom_series
from .dicom_headers import quiet
from .geometry import Geometry, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ..models.card import ModelCard
    from .dicom_headers import Frame

SUFFIX = ".dcm"
SERIES_STEP = 100  # the segmentation's series number is the scan's and this, as Slicer has it
LARGEST_NUMBER = 2**31 - 1  # of a series (PS3.5, VR IS)
UTF_8 = "ISO_IR 192"
NEAR = 0.5  # voxels by which a slice may lie off its place in the volume
# What every DICOM image has, if only empty (PS3.3, type 2), and anonymised ones sometimes lack
TYPE_2 = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
)

# What highdicom wants all sources to say alike; scanners give each breath-hold of a cine one of its own.
OF_ONE_SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID")


class NothingFound(VolumeError):
    """No structure has a voxel, and a DICOM SEG cannot be without segments."""

    code, exit_code = "nothing_found", NoHeartFound.exit_code


@dataclass(frozen=True, eq=False)
class Reference:
    """What a DICOM SEG refers to: the headers of a series, and the model.

    order: for each slice in the files' own order, where it lies along the volume's axis k. Single slices are in the order
    of k; the frames of a multi-frame file can have any. series: UID of the series of each header, which all say the first
    one's here: slices of a cine may be of a series each.
    """

    folder: Path
    headers: tuple[Dataset, ...]
    order: tuple[int, ...]
    geometry: Geometry
    structures: tuple[Structure, ...]
    card: ModelCard
    series: tuple[str, ...] = ()


def is_dicom(path: str | os.PathLike[str]) -> bool:
    return Path(path).name.lower().endswith(SUFFIX)


def check_library() -> None:
    """ImportError, with a sentence that says what to do, unless highdicom can be used."""
    try:
        from highdicom.color import CIELabColor
        from highdicom.seg import Segmentation  # noqa: F401

        CIELabColor.from_rgb  # noqa: B018  (older ones have none)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"DICOM SEG is written by the package highdicom, which cannot be used ({error}). "
            "Install it, by `pip install --upgrade highdicom`."
        ) from error


def prepare(
    folder: str | os.PathLike[str], geometry: Geometry, structures: Sequence[Structure], card: ModelCard
) -> Reference:
    """The series in `folder`, which was read as a volume of `geometry`, as what segments will refer to.

    Raises VolumeError if its slices do not lie where the volume's do, or if highdicom refuses its headers.
    """
    return prepare_stack(dicom_series.find_stack(Path(folder)), Path(folder), geometry, structures, card)


def prepare_stack(
    stack: Sequence[Frame], folder: Path, geometry: Geometry, structures: Sequence[Structure], card: ModelCard
) -> Reference:
    """The same for slices in the order of k, wherever in `folder` and below it their files lie."""
    files = list(dict.fromkeys(frame.file for frame in stack))
    _check_whole_files(stack, folder)
    headers = tuple(_header(file) for file in files)
    order = sorted(range(len(stack)), key=lambda k: (files.index(stack[k].file), stack[k].number))
    _check_places(folder, headers, geometry, order)
    series = tuple(str(header.get("SeriesInstanceUID", "")) for header in headers)
    for header in headers[1:]:
        for keyword in OF_ONE_SERIES:
            if header.get(keyword) != headers[0].get(keyword) and keyword in headers[0]:
                setattr(header, keyword, headers[0][keyword].value)
    reference = Reference(folder, headers, tuple(order), geometry, tuple(structures), card, series)
    trial = np.zeros(geometry.shape, np.uint8)
    trial.flat[: len(structures)] = [s.value for s in structures]
    try:
        _segmentation(Volume(trial, geometry), reference).save_as(io.BytesIO())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise VolumeError(
            f"No DICOM SEG can be made for the series in {folder}: {reason}. Write another kind of file."
        ) from error
    return reference


def write(labels: Volume, reference: Reference, path: str | os.PathLike[str]) -> None:
    """Write labels as a DICOM SEG, one segment for each structure that has voxels; complete or not at all.

    Raises NothingFound if none has any, OSError (a sentence) when the file cannot be written.
    """
    if labels.geometry != reference.geometry:
        raise ValueError("The labels have another geometry than the series that they are of.")
    segmentation = _segmentation(labels, reference)
    with written(Path(path)) as file:
        segmentation.save_as(file)


def _segmentation(labels: Volume, reference: Reference) -> Any:
    from highdicom import UID
    from highdicom.seg import Segmentation, SegmentationTypeValues

    counts = np.bincount(labels.array.ravel(), minlength=256)
    found = [s for s in reference.structures if counts[s.value]]
    if not found:
        names = ", ".join(s.name for s in reference.structures)
        raise NothingFound(f"{labels.name} shows nothing that could be a segment ({names}); no DICOM SEG is written.")
    numbers = np.zeros(256, np.uint8)  # of the segments: 1, 2, ... without gaps
    numbers[[s.value for s in found]] = range(1, len(found) + 1)
    first, name = reference.headers[0], _text(f"{reference.card.id}@{reference.card.version}")
    with quiet():
        segmentation = Segmentation(
            source_images=reference.headers,
            pixel_array=numbers[_in_order(labels.array, reference.order)],
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(n, s, reference.card) for n, s in enumerate(found, 1)],
            series_instance_uid=UID(),
            series_number=_series_number(first),
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer="SIFA",
            manufacturer_model_name="SIFA",
            software_versions=__version__,
            device_serial_number=name,
            content_label="HEART",
            content_description=_text(f"Made by SIFA with the model {name}"),
            series_description=_text(f"SIFA {name}"),
        )
    _refer_to_series(segmentation, reference)
    segmentation.SpecificCharacterSet = UTF_8  # whatever the scan's own texts were in
    return segmentation


def _refer_to_series(segmentation: Any, reference: Reference) -> None:
    """Let the segmentation say of which series each of its sources truly is."""
    if len(set(reference.series)) < 2:
        return
    from pydicom.dataset import Dataset

    of_instance = {str(h.SOPInstanceUID): uid for h, uid in zip(reference.headers, reference.series, strict=True)}
    (together,) = segmentation.ReferencedSeriesSequence
    items: dict[str, Dataset] = {}
    for instance in together.ReferencedInstanceSequence:
        uid = of_instance[str(instance.ReferencedSOPInstanceUID)]
        item = items.setdefault(uid, Dataset())
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = [*item.get("ReferencedInstanceSequence", []), instance]
    segmentation.ReferencedSeriesSequence = list(items.values())


def _in_order(slices: np.ndarray, order: Sequence[int]) -> np.ndarray:
    return slices if list(order) == list(range(len(slices))) else slices[list(order)]


def _description(number: int, structure: Structure, card: ModelCard) -> Any:
    from highdicom import UID, AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(
        segment_number=number,
        segment_label=_text(structure.name),
        segmented_property_category=_concept(structure.category),
        segmented_property_type=_concept(structure.type),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=_text(f"{card.id}@{card.version}"),
            family=codes.DCM.ArtificialIntelligence,
            version=card.version,
            source="SIFA",
        ),
        tracking_uid=UID(),
        tracking_id=f"SIFA {structure.id}",
        display_color=CIELabColor.from_rgb(*structure.color),
    )


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(value=code.value, meaning=_text(code.meaning), scheme_designator=code.scheme)


def _text(text: str) -> str:
    """As a long string may be: the backslash would divide it, and what is longer is cut."""
    return text.replace("\\", "/")[:LONGEST_NAME]


def _series_number(header: Dataset) -> int:
    number = SERIES_STEP + int(header.get("SeriesNumber") or 0)
    return number if 1 <= number <= LARGEST_NUMBER else SERIES_STEP


def _header(file: Path) -> Dataset:
    """A file without its pixels, texts decoded; VolumeError if pydicom cannot read it."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with quiet():
            header = dcmread(file, stop_before_pixels=True, force=True)
            header.decode()
    except (InvalidDicomError, ValueError, NotImplementedError) as error:
        raise VolumeError(f"{file} cannot be read as DICOM: {error}.") from error
    header.SpecificCharacterSet = UTF_8  # what its texts are now; highdicom knows few others
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _check_whole_files(stack: Sequence[Frame], folder: Path) -> None:
    used = Counter(frame.file for frame in stack)
    for frame in stack:
        if used[frame.file] < frame.count:
            raise VolumeError(
                f"{frame.file.name} in {folder} holds {frame.count} images, of which {used[frame.file]} are of this volume; "
                "a DICOM SEG cannot refer to a part of a file. Write another kind of file."
            )


def _check_places(folder: Path, headers: Sequence[Dataset], geometry: Geometry, order: Sequence[int]) -> None:
    """VolumeError unless each slice lies where that of the volume does that it is in `order`, to NEAR of a voxel."""
    try:
        corners = np.array([_corners(frame) for header in headers for frame in _frames(header)])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise VolumeError(
            f"The DICOM series in {folder} does not say where its slices lie, as DICOM SEG must. "
            "Write another kind of file."
        ) from error
    i, j, _ = geometry.size
    ends = np.array([[(0, 0, n), (i - 1, 0, n), (0, j - 1, n)] for n in order])
    if corners.shape != ends.shape or not np.abs(geometry.index(corners) - ends).max() < NEAR:
        raise VolumeError(
            f"The slices in {folder} do not lie on the even grid that a volume has, and a DICOM SEG would show the segments "
            "beside their place. Write another kind of file."
        )


def _frames(header: Dataset) -> Iterator[tuple[Dataset, Dataset, Dataset, int, int]]:
    """What tells the position, the orientation, and the pixel size of each frame; then rows and columns."""
    size = int(header.Rows), int(header.Columns)
    if "PerFrameFunctionalGroupsSequence" not in header:
        yield header, header, header, *size
        return
    (shared,) = header.SharedFunctionalGroupsSequence
    for own in header.PerFrameFunctionalGroupsSequence:
        position, orientation, measures = (
            (own if name in own else shared)[name].value[0]
            for name in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        )
        yield position, orientation, measures, *size


def _corners(frame: tuple[Dataset, Dataset, Dataset, int, int]) -> np.ndarray:
    """[3, 3] LPS mm: the centres of the first pixel, of the last one of its row, of the last one of its column."""
    position, orientation, measures, rows, columns = frame
    origin = np.array(position.ImagePositionPatient, float)
    along_row, along_column = np.array(orientation.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = (float(x) for x in measures.PixelSpacing)
    last_of_row = origin + along_row * between_columns * (columns - 1)
    last_of_column = origin + along_column * between_rows * (rows - 1)
    return np.array([origin, last_of_row, last_of_column])
