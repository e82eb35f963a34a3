"""DICOM series as scanners send them, and what stands in a DICOM SEG, read by pydicom alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from SIFALib.imaging.geometry import Geometry

STUDY, SERIES, FRAME_OF_REFERENCE = (
    generate_uid(entropy_srcs=[name]) for name in ("study", "series", "frame")
)


def slices(array: np.ndarray, geometry: Geometry, **changed: object) -> list[Dataset]:
    """A CT slice for each k of `array` (int16 [k, j, i]); `changed`: DICOM keywords, None for none of it."""
    axes = geometry.axes
    made = []
    for k, plane in enumerate(array):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["slice", str(k)])
        header = Dataset()
        header.file_meta = meta
        fields: dict[str, object] = {
            "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "CT",
            "SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg", "PatientID": "P-4711",
            "PatientBirthDate": "19500102", "PatientSex": "M", "AccessionNumber": "", "StudyID": "1",
            "StudyDate": "20260102", "StudyTime": "101112", "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES,
            "SeriesNumber": 4, "InstanceNumber": k + 1, "FrameOfReferenceUID": FRAME_OF_REFERENCE,
            "PositionReferenceIndicator": "", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "SliceThickness": geometry.spacing[2], "PixelSpacing": [geometry.spacing[1], geometry.spacing[0]],
            "ImageOrientationPatient": [round(float(x), 12) for x in (*axes[:, 0], *axes[:, 1])],
            "ImagePositionPatient": [round(float(x), 6) for x in geometry.point((0, 0, k))],
            "Rows": plane.shape[0], "Columns": plane.shape[1], "SamplesPerPixel": 1, "BitsAllocated": 16,
            "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "PhotometricInterpretation": "MONOCHROME2",
            "RescaleSlope": 1, "RescaleIntercept": 0, "PixelData": plane.astype("<i2").tobytes(),
        }  # fmt: skip
        for keyword, value in (fields | changed).items():
            if value is not None:
                setattr(header, keyword, value)
        made.append(header)
    return made


def write(folder: Path, headers: list[Dataset], backwards: bool = False) -> Path:
    """A file each, named in their order, or in the opposite one."""
    folder.mkdir()
    for n, header in enumerate(headers[::-1] if backwards else headers):
        header.save_as(folder / f"{n:03}.dcm", enforce_file_format=True)
    return folder


def points(path: Path) -> dict[int, np.ndarray]:
    """Segment number -> LPS mm [n, 3] of its pixels, in no order, by the places of the frames that they are in."""
    seg = dcmread(path)
    (shared,) = seg.SharedFunctionalGroupsSequence
    along_row, along_column = np.array(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, float
    ).reshape(2, 3)
    between_rows, between_columns = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    found: dict[int, list[np.ndarray]] = {}
    for frame, groups in zip(
        np.atleast_3d(seg.pixel_array), seg.PerFrameFunctionalGroupsSequence, strict=True
    ):
        rows, columns = np.nonzero(frame)
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        number = _segment(seg, groups)
        found.setdefault(number, []).append(
            origin
            + np.outer(columns * between_columns, along_row)
            + np.outer(rows * between_rows, along_column)
        )
    return {number: np.concatenate(each) for number, each in found.items()}


def _segment(seg: Dataset, groups: Dataset) -> int:
    """The segment's number that a frame is of; with a single one it is said once for all frames."""
    said = groups if "SegmentIdentificationSequence" in groups else seg.SharedFunctionalGroupsSequence[0]
    return said.SegmentIdentificationSequence[0].ReferencedSegmentNumber


def references(path: Path) -> list[tuple[int, np.ndarray, str, int]]:
    """For each frame: its segment's number, its pixels, and the source's instance UID and frame number (from 1)."""
    seg = dcmread(path)
    made = []
    for frame, groups in zip(
        np.atleast_3d(seg.pixel_array), seg.PerFrameFunctionalGroupsSequence, strict=True
    ):
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        number = _segment(seg, groups)
        made.append(
            (number, frame, source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber") or 1)
        )
    return made
