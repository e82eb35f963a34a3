"""DICOM series of one patient are scans of one heart: none of them judges what another one taught."""

from __future__ import annotations

from pathlib import Path

import dicom_series
import numpy as np
import pytest
import training_data
from SIFALib.datasets.sources import find
from SIFALib.imaging.geometry import Geometry
from training_data import prepared

GEOMETRY = Geometry((20, 20, 12), (0.0,) * 3, (1.0,) * 3)


def series(folder: Path, number: int, patient: str | None, study: str | None) -> None:
    """A DICOM series, each slice brighter than the last and lit from one side; None: not stated."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    grey = np.add.outer(np.arange(12) + 30 * number, np.broadcast_to(np.arange(20), (20, 20))).astype(np.int16)
    stated = {"PatientID": patient, "PatientName": None, "StudyInstanceUID": study}
    uid = f"1.2.826.0.1.99.{number}"
    slices = dicom_series.slices(grey, GEOMETRY, SeriesInstanceUID=uid, FrameOfReferenceUID=uid, **stated)
    dicom_series.write(folder, slices)


def hearts(site: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    found = find(str(site), labelled=False)
    return {scan.name: scan.heart for scan in found.scans}, found.notes


@pytest.mark.parametrize(
    ("of", "expected"),
    [  # patient and study of three series, a to c
        (["P1 1.1", "P1 1.2", "P2 1.3"], ["a", "a", ""]),
        (["P1 1.1", "P1 1.1", "P1 1.1"], ["a", "a", "a"]),
        (["- 1.1", "- 1.2", "- 1.2"], ["", "b", "b"]),
        (["P1 -", "P2 -", "P2 -"], ["", "b", "b"]),
        (["P1 1.1", "P2 1.1", "P3 1.1"], ["", "", ""]),  # an anonymiser's study
        (["- -", "- -", "- -"], ["", "", ""]),
    ],
)
def test_scans_of_one_patient_or_of_one_study_are_of_one_heart(tmp_path, of, expected):
    for number, (name, whose) in enumerate(zip("abc", of, strict=True), start=1):
        series(tmp_path / name, number, *(None if said == "-" else said for said in whose.split()))
    found, notes = hearts(tmp_path)
    assert found == dict(zip("abc", expected, strict=True)) and not notes


def test_studies_that_all_say_the_same_patient_are_hearts_of_their_own_and_it_is_said(tmp_path):
    for number, (name, study) in enumerate(zip("abc", ("1.1", "1.2", "1.2"), strict=True), start=1):
        series(tmp_path / name, number, "ANONYMOUS", study)
    found, (note,) = hearts(tmp_path)
    assert found == {"a": "", "b": "b", "c": "b"}
    assert note.startswith(f"All 2 studies in {tmp_path} say that they are of one patient") and "ANONYMOUS" not in note


def test_what_one_patients_scan_taught_no_other_of_hers_judges(tmp_path):
    for number, (name, patient) in enumerate(zip("abcd", ("P1", "P1", "P2", "P2"), strict=True), start=1):
        series(tmp_path / "site" / name, number, patient, f"1.{number}")
    training_data.source(tmp_path / "source", 2)
    settings = training_data.settings(tmp_path, source=str(tmp_path / "source"), target=str(tmp_path / "site"))
    domains = prepared(settings, tmp_path / "cache")
    assert {frozenset(domains.target.names), frozenset(domains.target_validation.names)} == {
        frozenset("ab"),
        frozenset("cd"),
    }
    assert domains.hearts == {"a": "a", "b": "a", "c": "c", "d": "c"}
