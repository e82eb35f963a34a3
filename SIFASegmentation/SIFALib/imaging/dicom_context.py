"""What a DICOM header says of the study around a slice: whose it is, which series, how fast the heart beat."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TAGS = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientSize", "PatientWeight", "StudyInstanceUID"),
    *("SeriesNumber", "SeriesDescription", "ScanningSequence", "NominalInterval", "HeartRate", "FrameOfReferenceUID"),
    "CardiacRRIntervalSpecified",
)
HEIGHTS_M, WEIGHTS_KG = (0.3, 2.5), (1.0, 400.0)  # what a person can have; some headers say cm, or nothing by a 0
BMI = (7.0, 90.0)  # kg/m2, of a person; beyond it the height is in another unit, as inches, or another one's
SLOWEST_MS, FASTEST_MS = 2500.0, 200.0  # a beat: 24 to 300 a minute


@dataclass(frozen=True)
class Context:
    """What is not stated, or cannot be, is None or "".

    patient, study, patient_id, patient_name, born, frame_of_reference: what tells one from others, for no other use.
    patient is patient_id or, where there is none, the name, in small letters and without signs; born: a date; the places of
    slices of one frame_of_reference can be compared. description, number: of
    the series. technique: of the MR sequence (SE, IR, GR, EP). interval_ms: from an R wave to the next. height_m, weight_kg:
    of the patient.
    """

    patient: str = ""
    patient_id: str = ""
    patient_name: str = ""
    born: str = ""
    study: str = ""
    frame_of_reference: str = ""
    description: str = ""
    number: int | None = None
    technique: tuple[str, ...] = ()
    interval_ms: float | None = None
    sex: str = ""
    height_m: float | None = None
    weight_kg: float | None = None


def context_of(header: Dataset) -> Context:
    """The context in a header that was read with TAGS; of a multi-frame file, what it says of all frames."""
    number = number_in(header, "SeriesNumber")
    technique = header.get("ScanningSequence") or ()
    height, weight = number_in(header, "PatientSize"), number_in(header, "PatientWeight")
    if height is not None and height > HEIGHTS_M[1]:
        height /= 100.0
    height, weight = _within(height, HEIGHTS_M), _within(weight, WEIGHTS_KG)
    sex = str(header.get("PatientSex") or "").strip().upper()[:1]
    patient_id = str(header.get("PatientID") or "").strip()
    name = " ".join(re.findall(r"\w+", str(header.get("PatientName") or "").lower()))
    born = "".join(re.findall(r"\w+", str(header.get("PatientBirthDate") or "")))
    return Context(
        patient=patient_id or name,
        patient_id=patient_id,
        patient_name=name,
        born=born,
        study=str(header.get("StudyInstanceUID") or ""),
        frame_of_reference=str(header.get("FrameOfReferenceUID") or "").strip(),
        description=" ".join(str(header.get("SeriesDescription") or "").split()),
        number=None if number is None else int(number),
        technique=(technique,) if isinstance(technique, str) else tuple(map(str, technique)),
        interval_ms=interval_of(header),
        sex=sex if sex in ("F", "M") else "",
        height_m=height if is_body(height, weight) else None,
        weight_kg=weight,
    )


def _within(number: float | None, limits: tuple[float, float]) -> float | None:
    return number if number is not None and limits[0] <= number <= limits[1] else None


def is_body(height_m: float | None, weight_kg: float | None) -> bool:
    """Whether a person can have both; True if one is not known."""
    return height_m is None or weight_kg is None or BMI[0] <= weight_kg / height_m**2 <= BMI[1]


def interval_of(place: Dataset) -> float | None:
    """ms of a beat, by the interval of R waves as the header of a slice has it, or the functional group of a frame; else by
    the heart rate, else by the interval that was measured for the whole file."""
    rate = number_in(place, "HeartRate")
    intervals = (number_in(place, name) for name in ("NominalInterval", "RRIntervalTimeNominal"))
    for ms in (*intervals, 60_000.0 / rate if rate else None, number_in(place, "CardiacRRIntervalSpecified")):
        if ms is not None and FASTEST_MS <= ms <= SLOWEST_MS:
            return ms
    return None


def number_in(place: Dataset, keyword: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(place.get(keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
