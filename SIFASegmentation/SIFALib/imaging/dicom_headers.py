"""What the headers of DICOM images say of each slice: where it lies, when it was taken, how its values are stored.

pydicom reads them, without the pixels. A file holds one slice or, if it is multi-frame, several; what a multi-frame
file says for all frames at once and what it says for each is brought together here, so that nobody else has to know.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..support.errors import VolumeError
from . import dicom_bytes, dicom_context
from .dicom_context import Context, context_of, interval_of, number_in
from .files import dicom_class, is_image_class

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST_PIXELS = 2**26  # of a slice: eight thousand rows and columns, twice as many as any scanner's
MOST_FRAMES = 100_000
FARTHEST = 1e6  # mm or cosines: a number beyond is no place
DEFLATED = "1.2.840.10008.1.2.1.99"  # the syntax that packs all elements in one
TAGS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "InstanceNumber",
    *("TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "EchoTime", "ModalityLUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence"),
    *("ComplexImageComponent", "NominalPercentageOfCardiacPhase", "NominalCardiacTriggerDelayTime"),
    "ActualCardiacTriggerDelayTime",
    *dicom_context.TAGS,
)  # fmt: skip


TIME_DIMENSIONS = (
    *("TemporalPositionIndex", "TemporalPositionTimeOffset", "NominalCardiacTriggerDelayTime"),
    *("ActualCardiacTriggerDelayTime", "NominalPercentageOfCardiacPhase", "TriggerTime", "FrameReferenceDateTime"),
    "FrameAcquisitionDateTime",
)
"""What the frames of a multi-frame file are numbered by where they are numbered in time (PS3.3, C.7.6.17)."""


class Unreadable(VolumeError):
    """A DICOM file that should hold an image, and of which no slice can be read."""


@dataclass(frozen=True)
class Frame:
    """One slice: a file, or frame `number` (from 0) of the `count` frames of a file. What is not stated is None or "".

    position: LPS mm of the centre of its first pixel. orientation: direction cosines along a row, then along a column.
    pixel_spacing: mm between rows, between columns. thickness, between: mm, of the slice and to its neighbours.
    rescale: slope and intercept; unit: of what they give, as "HU"; grouped: whether a functional group states them; shifted:
    whether stored values do not lie in the lowest bits; table: whether a table (Modality LUT) says
    what stored values mean. trigger_ms: after the R wave; percent: of the cardiac cycle; phase: its number in a
    sequence; index: its numbers where a multi-frame file numbers frames in time; offset_ms: after the first phase;
    acquired: a time of the day, as text. instance: its number in the series. contrast: what tells images of
    one place and time apart: kind of image, echo time; echo_ms: the latter. context: of the series and the patient.
    """

    file: Path
    number: int
    count: int
    uid: str
    series: str
    modality: str
    sop_class: str
    rows: int
    columns: int
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    pixel_spacing: tuple[float, ...] | None = None
    thickness: float | None = None
    between: float | None = None
    rescale: tuple[float, float] | None = None
    unit: str = ""
    shifted: bool = False
    grouped: bool = False
    table: bool = False
    photometric: str = ""
    samples: int = 1
    bits: tuple[int, int, int] = (16, 16, 0)
    instance: int | None = None
    trigger_ms: float | None = None
    percent: float | None = None
    phase: int | None = None
    index: tuple[int, ...] = ()
    offset_ms: float | None = None
    acquired: str = ""
    contrast: tuple[str, ...] = ()
    echo_ms: float | None = None
    context: Context = field(default=Context(), compare=False, repr=False)

    @property
    def scout(self) -> bool:
        """Whether it says itself that it is an overview, from which others were planned."""
        return "LOCALIZER" in self.contrast


def read_frames(file: Path) -> tuple[Frame, ...]:
    """The slices of a file; none if it is no DICOM image (a report, a plan, a segmentation, or no DICOM at all).

    Raises Unreadable if it is one, or seems to be, and is damaged; OSError; VolumeError without pydicom.
    """
    kind = dicom_class(file)
    if kind is None or not is_image_class(kind):
        return ()
    with open(file, "rb") as stream, quiet():
        header = _header(file, stream)
        try:
            frames = tuple(_frames(file, header))
            if frames:
                _check_pixels(file, header, stream)
        except Unreadable:
            raise
        except Exception as error:  # pydicom converts values when they are asked for: anything may come
            raise Unreadable(f"{file} cannot be read as DICOM: its header is damaged. Copy it again.") from error
    return frames


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings about values in the scan's own headers, which nobody can mend here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _header(file: Path, stream: BinaryIO) -> Dataset:
    try:
        from pydicom import dcmread
    except ImportError as error:
        raise VolumeError(
            f"DICOM is read with the package pydicom, which cannot be used ({error}). Install it, by `pip install pydicom`."
        ) from error
    try:
        return dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(TAGS))
    except Exception as error:  # hostile bytes raise whatever they like in there
        raise Unreadable(f"{file} cannot be read as DICOM: its header is damaged. Copy it again.") from error


def _frames(file: Path, header: Dataset) -> Iterator[Frame]:
    """The slices of a header; none if it has no rows and columns."""
    rows, columns = _whole(header, "Rows") or 0, _whole(header, "Columns") or 0
    count = _whole(header, "NumberOfFrames") or 1
    if rows < 1 or columns < 1:
        return
    if rows * columns > MOST_PIXELS or not 1 <= count <= MOST_FRAMES:
        raise Unreadable(f"{file} claims to hold {columns} x {rows} x {count} pixels; its header is damaged.")
    context = context_of(header)
    own = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])[:1]
    if own and len(own) != count:
        raise Unreadable(f"{file} describes {len(own)} frames but claims to hold {count}; its header is damaged.")
    dimensions = _time_dimensions(header)
    for number in range(count):
        groups = [*own[number : number + 1], *shared]
        frame = _frame(file, number, count, groups, header, (rows, columns))
        yield replace(frame, context=_with_beat(context, groups), index=_index(groups, dimensions))


def _time_dimensions(header: Dataset) -> list[int]:
    """Which of the numbers that each frame of a multi-frame file has are in time."""
    from pydicom.datadict import keyword_for_tag

    numbered = [
        keyword_for_tag(d.get("DimensionIndexPointer") or 0) for d in header.get("DimensionIndexSequence") or []
    ]
    return [n for n, keyword in enumerate(numbered) if keyword in TIME_DIMENSIONS]


def _index(groups: list[Dataset], dimensions: list[int]) -> tuple[int, ...]:
    """The numbers of a frame in these dimensions."""
    content = next((g.FrameContentSequence[0] for g in groups if g.get("FrameContentSequence")), None)
    values = content.get("DimensionIndexValues") if content is not None else None
    numbers = [values] if isinstance(values, int) else list(values or ())
    return tuple(int(numbers[n]) for n in dimensions if n < len(numbers))


def _with_beat(context: Context, groups: list[Dataset]) -> Context:
    """The context of a frame, with the interval of R waves that its groups state, if they do."""
    beats = [g.CardiacSynchronizationSequence[0] for g in groups if g.get("CardiacSynchronizationSequence")]
    interval = next(filter(None, map(interval_of, beats)), None)
    return context if interval is None else replace(context, interval_ms=interval)


def _frame(file: Path, number: int, count: int, groups: list[Dataset], header: Dataset, size: tuple[int, int]) -> Frame:
    """groups: what is said of this frame alone, then of all; the header itself comes last."""

    def place(sequence: str) -> Dataset:
        """Where a matter is dealt with: in the frame's own groups, the shared ones, or the header."""
        for group in groups:
            if group.get(sequence):
                found: Dataset = group[sequence].value[0]
                return found
        return header

    measures, content, beat = (
        place(f"{n}Sequence") for n in ("PixelMeasures", "FrameContent", "CardiacSynchronization")
    )
    values, echo_ms = place("PixelValueTransformationSequence"), _echo_ms(place("MREchoSequence"))
    slope, intercept = number_in(values, "RescaleSlope"), number_in(values, "RescaleIntercept")
    allocated, stored, signed = (
        _whole(header, name) or 0 for name in ("BitsAllocated", "BitsStored", "PixelRepresentation")
    )
    kind = next((p.FrameType for p in map(place, FRAME_TYPES) if "FrameType" in p), header.get("ImageType"))
    component = place(FRAME_TYPES[0]).get("ComplexImageComponent") or header.get("ComplexImageComponent")
    offset_s = number_in(place("TemporalPositionSequence"), "TemporalPositionTimeOffset")
    triggers = (
        number_in(beat, "NominalCardiacTriggerDelayTime"),
        number_in(content, "NominalCardiacTriggerDelayTime"),
        number_in(beat, "ActualCardiacTriggerDelayTime"),
        number_in(header, "TriggerTime"),
    )
    taken = (content.get(name) for name in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"))
    acquired = next(filter(None, taken), None) or header.get("AcquisitionTime") or ""
    return Frame(
        file=file,
        number=number,
        count=count,
        uid=str(header.get("SOPInstanceUID") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        modality=str(header.get("Modality") or "").strip().upper(),
        sop_class=str(header.get("SOPClassUID") or ""),
        rows=size[0],
        columns=size[1],
        position=_numbers(place("PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=_numbers(place("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        pixel_spacing=_numbers(measures, "PixelSpacing", 2),
        thickness=number_in(measures, "SliceThickness"),
        between=number_in(measures, "SpacingBetweenSlices"),
        rescale=None if slope is None and intercept is None else (1.0 if slope is None else slope, intercept or 0.0),
        unit=str(values.get("RescaleType") or "").strip().upper(),
        shifted=(_whole(header, "HighBit") or 0) >= stored > 0,
        grouped=values is not header,
        table=bool(header.get("ModalityLUTSequence")),
        photometric=str(header.get("PhotometricInterpretation") or ""),
        samples=_whole(header, "SamplesPerPixel") or 1,
        bits=(allocated, stored, signed),
        instance=_whole(header, "InstanceNumber"),
        trigger_ms=next((trigger for trigger in triggers if trigger is not None), None),
        percent=number_in(beat, "NominalPercentageOfCardiacPhase"),
        phase=_whole(content, "TemporalPositionIndex") or _whole(header, "TemporalPositionIdentifier"),
        offset_ms=None if offset_s is None else 1000.0 * offset_s,
        acquired=str(acquired),
        contrast=(
            *map(str, kind if kind and not isinstance(kind, str) else [kind or ""]),
            *([str(component)] if component else []),
            "" if echo_ms is None else f"echo time {echo_ms:g} ms",
        ),
        echo_ms=echo_ms,
    )


FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")


def _echo_ms(place: Dataset) -> float | None:
    time = number_in(place, "EffectiveEchoTime")
    return number_in(place, "EchoTime") if time is None else time


def _numbers(place: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many numbers, none beyond FARTHEST, or None."""
    try:
        value: Any = place.get(keyword)
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == count and all(abs(n) <= FARTHEST for n in numbers) else None


def _whole(place: Dataset, keyword: str) -> int | None:
    number = number_in(place, keyword)
    return None if number is None else int(number)


def _check_pixels(file: Path, header: Dataset, stream: BinaryIO) -> None:
    """Unreadable unless the elements lead to the pixels, and the file holds as many bytes of them as they claim.

    stream: at the element of the pixels.
    """
    meta = getattr(header, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID") or "") if meta else ""
    if syntax == DEFLATED:
        return
    place = stream.tell()
    head = stream.read(dicom_bytes.LONGEST_HEAD)
    order: dicom_bytes.Order = "big" if syntax == dicom_bytes.BIG_ENDIAN else "little"
    stream.seek(0)
    found = dicom_bytes.element(head, head[4:6] in dicom_bytes.LONG, order)
    group = dicom_bytes.PIXELS if order == "little" else dicom_bytes.PIXELS[::-1]
    if found is None or head[:2] != group or not dicom_bytes.is_sound(stream.read(place), syntax):
        raise Unreadable(f"{file} cannot be read as DICOM: it is cut off, or its header is damaged. Copy it again.")
    before, claimed = found
    there = os.fstat(stream.fileno()).st_size - place - before
    if claimed == dicom_bytes.UNDEFINED:  # compressed
        return
    pixels = (header.Rows * header.Columns) * (_whole(header, "NumberOfFrames") or 1)
    bits = pixels * (_whole(header, "SamplesPerPixel") or 1) * (_whole(header, "BitsAllocated") or 0)
    if there < max(bits // 8, claimed):
        raise Unreadable(f"{file} is cut off: bytes of its pixels are missing at its end. Copy it again.")
