"""DICOM is read by its own headers: every voxel at the place and with the value that its slice states, or a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import dicom_frames
import dicom_series
import numpy as np
import pytest
from dicom_folders import GREY, OBLIQUE, SIZE, Change, off, refused, removed, written
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
)
from SIFALib.imaging import files, reading
from SIFALib.imaging.geometry import Geometry
from test_seg_nrrd import turn

# Where it lies


@pytest.mark.parametrize("degrees", [0.5, 5, 15, -28])
def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    axes = np.column_stack([(1, 0, 0), (0, c, s), (0, 0, 1)])
    tilted = Geometry(SIZE, (-11.1, 22.3, -33.7), (0.8, 0.9, 3.0), tuple(axes.ravel()))
    volume = reading.read(written(tmp_path / "s", tilted))
    assert off(volume, tilted) < 1e-3
    np.testing.assert_array_equal(volume.array, GREY)


def test_slices_that_are_shifted_more_than_any_gantry_tilts_are_refused(tmp_path):
    def shifted(header: Dataset, k: int) -> None:
        header.ImagePositionPatient = [0, 6.0 * k, 3.0 * k]
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

    refused(written(tmp_path / "s", change=shifted), "shifted sideways, by 63 degrees")


@pytest.mark.parametrize("angles", [(25, -12, 7), (17, 9, 0), (-40, 3, 80)])
def test_cosines_of_three_digits_keep_their_axes(tmp_path, angles):
    geometry = Geometry(SIZE, (-11.1, 22.3, -33.7), (0.8, 0.9, 3.0), tuple(turn(angles).ravel()))

    def rounded(header: Dataset, k: int) -> None:
        header.ImageOrientationPatient = [round(float(x), 3) for x in header.ImageOrientationPatient]

    volume = reading.read(written(tmp_path / "s", geometry, rounded))
    assert off(volume, geometry) < 0.05


@pytest.mark.parametrize("cosines", [[0.99, 0.16, 0, -0.16, 0.97, 0], [0] * 6, [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 2, 0]])
def test_cosines_that_are_no_unit_vectors_at_right_angles_are_refused(tmp_path, cosines):
    refused(written(tmp_path / "s", ImageOrientationPatient=cosines), "not stated by unit vectors at right angles")


def some(value: object) -> Change:
    return lambda header, k: setattr(header, "PixelSpacing", value) if k > 5 else None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (removed("PixelSpacing"), "000.dcm does not state its pixel spacing"),
        (some(None), "006.dcm does not state its pixel spacing"),
        (some([0, 0]), "006.dcm does not state its pixel spacing"),
        (some([0.9, 0.7]), "pixel spacing changes within .* from 0.7 to 0.9 mm"),
    ],
    ids=["none", "some", "zero", "changes"],
)
def test_what_does_not_state_one_pixel_spacing_is_refused(tmp_path, change, sentence):
    refused(written(tmp_path / "s", change=change), sentence)


def moved(k: int, by: tuple[float, float, float]) -> Change:
    def change(header: Dataset, n: int) -> None:
        if n == k:
            place = np.array(header.ImagePositionPatient, float) + turn((25, -12, 7)) @ by
            header.ImagePositionPatient = [round(float(x), 6) for x in place]

    return change


@pytest.mark.parametrize("by", [(0.3, 0, 0), (0, -0.3, 0), (0, 0, 0.15)])
def test_a_slice_beside_its_place_is_refused_by_name(tmp_path, by):
    refused(written(tmp_path / "s", change=moved(4, by)), r"do not lie on one grid: 004\.dcm lies 0\.\d+ mm beside")


def test_places_that_are_rounded_to_a_tenth_are_read(tmp_path):
    def rounded(header: Dataset, k: int) -> None:
        header.ImagePositionPatient = [round(float(x), 1) for x in header.ImagePositionPatient]

    assert off(reading.read(written(tmp_path / "s", change=rounded))) < 0.15


def test_a_slice_that_does_not_say_where_it_lies_is_named(tmp_path):
    gone = removed("ImagePositionPatient")
    folder = written(tmp_path / "s", change=lambda header, k: gone(header, k) if k == 3 else None)
    refused(folder, "003.dcm does not say where its slice lies")


def test_a_single_slice_is_as_thick_as_it_says_or_refused(tmp_path):
    one = Geometry((*SIZE[:2], 1), OBLIQUE.origin, OBLIQUE.spacing, OBLIQUE.direction)
    assert reading.read(written(tmp_path / "s", one)).geometry.spacing == pytest.approx((0.8, 0.9, 3.0))
    refused(written(tmp_path / "t", one, SliceThickness=None), "states no thickness")


# Frames of a file


@pytest.mark.parametrize("order", [range(9), [0, 2, 4, 6, 8, 1, 3, 5, 7], [5, 1, 8, 0, 3, 2, 7, 6, 4]])
def test_frames_are_sorted_by_place(tmp_path, order):
    volume = reading.read(dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, list(order)))
    assert off(volume) < 1e-2
    np.testing.assert_array_equal(volume.array, GREY)


def test_frames_in_the_opposite_order_stay_so_and_at_their_places(tmp_path):
    volume = reading.read(dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, list(range(9))[::-1]))
    np.testing.assert_array_equal(volume.array, GREY[::-1])
    np.testing.assert_allclose(volume.geometry.point((0, 0, 0)), OBLIQUE.point((0, 0, 8)), atol=1e-3)


def test_missing_frames_are_told(tmp_path):
    refused(dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, [0, 1, 2, 3, 7, 8]), "slices are missing")


@pytest.mark.parametrize(
    ("order", "times", "what"),
    [
        ([*range(9)] * 3, [1] * 9 + [2] * 9 + [3] * 9, "3 phases of 9 slices"),
        ([k for k in range(9) for _ in range(3)], [1, 2, 3] * 9, "3 phases of 9 slices"),
        ([*range(9)] * 3, (), "3 phases of 9 slices"),
        ([4] * 25, range(1, 26), "25 phases of 1 slice,"),
    ],
    ids=["slices first", "phases first", "no times", "one slice"],
)
def test_several_volumes_in_a_file_are_called_a_sequence(tmp_path, order, times, what):
    folder = dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, order, list(times), modality="MR")
    error = refused(folder, f"it is a sequence of {what}")
    assert error.fields["kind"] == "sequence" and error.fields["phases"] in (3, 25)


@pytest.mark.parametrize(
    ("storage", "modality"),
    [
        (CTImageStorage, "CT"),
        (MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "OT"),
        (XRayAngiographicImageStorage, "XA"),
    ],
    ids=["ct", "secondary capture", "angiography"],
)
def test_a_file_that_says_nothing_of_the_distance_of_its_slices_is_refused(tmp_path, storage, modality):
    folder = dicom_frames.of_the_old_kind(tmp_path / "s", GREY, storage, modality)
    refused(folder, "holds 9 frames and says nothing of the distance of its slices")


# Sequences, copies and other series in a folder


def test_phases_in_a_folder_are_called_a_sequence(tmp_path):
    headers = []
    for t in range(4):
        phase = dicom_series.slices(GREY, OBLIQUE, Modality="MR", TriggerTime=40 * t)
        for header in phase:
            header.SOPInstanceUID = f"{header.SOPInstanceUID[:60]}.{t}"
        headers += phase
    refused(
        dicom_series.write(tmp_path / "s", headers), "sequence of 4 phases of 9 slices, told apart by their trigger"
    )


def test_series_that_are_the_phases_of_a_sequence_are_called_so(tmp_path):
    headers = []
    for t in range(3):
        phase = dicom_series.slices(GREY, OBLIQUE, TemporalPositionIdentifier=t + 1, SeriesInstanceUID=f"1.2.{t + 1}")
        for header in phase:
            header.SOPInstanceUID = f"{header.SOPInstanceUID[:60]}.{t}"
        headers += phase
    refused(dicom_series.write(tmp_path / "s", headers), "holds 3 DICOM series, which are a sequence of 3 phases")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"PatientID": "Q-1"}, r"of more than one patient \(000\.dcm, 005\.dcm\)"),
        ({"PatientBirthDate": "19620102"}, r"of more than one patient's date of birth \(000\.dcm, 005\.dcm\)"),
        ({"StudyInstanceUID": "1.2.3"}, r"of more than one study \(000\.dcm, 005\.dcm\)"),
        ({"Modality": "CT"}, r"of more than one modality \(000\.dcm, 005\.dcm\)"),
        ({"FrameOfReferenceUID": "1.2.3"}, r"of more than one frame of reference \(000\.dcm, 005\.dcm\)"),
        ({"EchoTime": 4.8}, r"differ in their echo time \(.*echo time 2\.4 ms; .*echo time 4\.8 ms\)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, r"differ in their part of the signal \(.*M, .*P, .*\)"),
    ],
)
def test_slices_of_different_things_are_no_volume_though_they_lie_evenly(tmp_path, said, sentence):
    def change(header: Dataset, k: int) -> None:
        for keyword, value in said.items() if k >= 5 else ():
            setattr(header, keyword, value)

    kind = {"Modality": "MR", "EchoTime": 2.4, "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
    kind |= {} if "PatientID" in said else {"PatientID": ""}
    refused(written(tmp_path / "s", change=change, **kind), sentence)


@pytest.mark.parametrize(
    ("said", "other", "told"),
    [
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 4}, "temporal positions (1 to 4)"),
        (
            {"NominalPercentageOfCardiacPhase": 30},
            {"NominalPercentageOfCardiacPhase": 70},
            "parts of the heart's cycle (30 to 70 %)",
        ),
        ({"NominalPercentageOfCardiacPhase": 69}, {"NominalPercentageOfCardiacPhase": 71}, ""),
    ],
)
def test_slices_of_different_phases_in_one_volume_are_told(tmp_path, said, other, told):
    def change(header: Dataset, k: int) -> None:
        for keyword, value in (said if k < 5 else other).items():
            setattr(header, keyword, value)

    notes = reading.read(written(tmp_path / "s", change=change)).notes
    assert [told in note for note in notes] == ([True] if told else [])


def test_slices_that_do_not_say_whose_they_are_are_read(tmp_path):
    def change(header: Dataset, k: int) -> None:
        if k >= 5:
            del header.PatientID, header.PatientName, header.PatientBirthDate, header.FrameOfReferenceUID
        if k == 3:
            header.PatientName = "MÜLLER^JÖRG^^"

    assert off(reading.read(written(tmp_path / "s", change=change))) < 1e-3


def test_copies_are_named(tmp_path):
    folder = written(tmp_path / "s")
    (folder / "copy.dcm").write_bytes((folder / "003.dcm").read_bytes())
    refused(folder, r"slices that are there twice \(003\.dcm and copy\.dcm\)")


def beside(folder: Path, name: str, **changed: object) -> None:
    """A file of another series, or of no series of images, among those of a scan."""
    (header,) = dicom_series.slices(GREY[:1], Geometry((*SIZE[:2], 1), (0, 0, 0), (1, 1, 1)), **changed)
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.SOPInstanceUID, header.SeriesInstanceUID = "1.2.3.4", "1.2.3"
    header.save_as(folder / name, enforce_file_format=True)


STORAGE = "1.2.840.10008.5.1.4.1.1."


@pytest.mark.parametrize(
    "changed",
    [
        {"SOPClassUID": STORAGE + "481.2", "Modality": "RTDOSE"},
        {"SOPClassUID": STORAGE + "481.3", "Modality": "RTSTRUCT", "PixelData": None, "Rows": None},
        {"SOPClassUID": STORAGE + "88.67", "Modality": "SR", "PixelData": None, "Rows": None},
        {"SOPClassUID": STORAGE + "66.4", "Modality": "SEG"},
        {"SOPClassUID": STORAGE + "7", "ImagePositionPatient": None, "ImageOrientationPatient": None},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"SOPClassUID": "1.2.840.10008.1.3.10", "PixelData": None, "Rows": None},
    ],
    ids=["dose", "structures", "dose report", "segmentation", "picture", "scout", "directory"],
)
def test_other_objects_beside_a_series_do_no_harm(tmp_path, changed):
    folder = written(tmp_path / "s")
    beside(folder, "other.dcm", **changed)
    volume = reading.read(folder)
    np.testing.assert_array_equal(volume.array, GREY)
    assert off(volume) < 1e-2


def test_other_objects_alone_are_called_what_they_are(tmp_path):
    (tmp_path / "s").mkdir()
    beside(tmp_path / "s", "dose.dcm", SOPClassUID=STORAGE + "481.2", Modality="RTDOSE")
    refused(tmp_path / "s", r"holds no DICOM series, only DICOM files that show no slices \(dose\.dcm\)")


def test_a_disc_is_read_from_its_root_and_so_is_a_series_in_several_folders(tmp_path):
    folder = written(tmp_path / "s")
    disc = tmp_path / "disc"
    for n, file in enumerate(sorted(folder.iterdir())):
        (disc / f"DIR{n // 5:03}").mkdir(parents=True, exist_ok=True)
        file.rename(disc / f"DIR{n // 5:03}" / f"IM{n}")
    beside(disc, "DICOMDIR", SOPClassUID="1.2.840.10008.1.3.10", PixelData=None, Rows=None)
    (disc / "autorun.inf").write_text("x")
    np.testing.assert_array_equal(reading.read(disc).array, GREY)
    part = disc / "DIR000" / "IM0"
    assert files.is_part(disc, part) and part in files.members(disc)


@pytest.mark.parametrize("name", ["{}.dicom", "{}.img", "CT.1.{}.abc", "I{}", "{}.IMA"])
@pytest.mark.parametrize("preamble", [True, False], ids=["marked", "unmarked"])
def test_what_is_dicom_is_decided_by_content(tmp_path, name, preamble):
    folder = written(tmp_path / "s")
    for n, file in enumerate(sorted(folder.iterdir())):
        data = file.read_bytes() if preamble else _without_mark(file)
        file.unlink()
        (folder / name.format(n)).write_bytes(data)
    assert all(files.is_dicom_image(file) for file in folder.iterdir())
    np.testing.assert_array_equal(reading.read(folder).array, GREY)


def _without_mark(file: Path) -> bytes:
    """The elements alone, as files were before the mark was invented."""
    data = file.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]


def test_a_series_without_a_uid_is_read(tmp_path):
    np.testing.assert_array_equal(reading.read(written(tmp_path / "s", SeriesInstanceUID=None)).array, GREY)


def test_a_name_that_is_no_text_is_told(tmp_path):
    folder = written(tmp_path / "s")
    os.rename(os.fsencode(folder / "003.dcm"), os.fsencode(folder) + b"/\xff.dcm")
    with pytest.raises(OSError, match="bytes that are no text"):
        reading.read(folder)
