"""Promises of dicom_seg.py: every voxel at its place on the series' slices, with codes, colours and references."""

from __future__ import annotations

import builtins
import os
from pathlib import Path

import dicom_series
import highdicom
import numpy as np
import pytest
import tiny_models
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts
from SIFALib.cli.main import main
from SIFALib.imaging import dicom_seg, reading, writing
from SIFALib.imaging.dicom_series import find_stack
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.structures import STRUCTURES
from SIFALib.support.errors import VolumeError
from test_seg_nrrd import turn

GEOMETRIES = {
    "axial": Geometry((40, 30, 18), (-100.0, 20.0, -33.5), (0.8, 0.9, 3.0)),
    "oblique": Geometry((40, 30, 18), (-11.1, 22.3, -33.7), (0.8, 0.9, 3.0), tuple(turn((25, -12, 7)).ravel())),
    "sagittal": Geometry((40, 30, 18), (9.0, -5.0, 7.0), (0.7, 0.6, 5.0), (0, 0, 1, 1, 0, 0, 0, -1, 0)),
}
GREY = 100  # of a voxel with label 1; of label n: n times as much


def truth(geometry: Geometry, values: tuple[int, ...] = tuple(range(1, 8))) -> np.ndarray:
    """Random labels, with a margin of background that differs from side to side."""
    array = np.zeros(geometry.shape, np.int16)
    inner = array[2:-3, 4:-2, 1:-6]
    inner[:] = np.random.default_rng(1).choice((0, *values), inner.shape)
    return array


def card():
    return type("Card", (), {"id": "tiny", "version": "1.0.0"})()


def segmented(folder: Path, path: Path) -> Volume:
    """Write the SEG of a series whose greys are its labels; the labels."""
    scan = reading.read(folder)
    labels = Volume((scan.array // GREY).astype(np.uint8), scan.geometry, scan.name)
    dicom_seg.write(labels, dicom_seg.prepare(folder, scan.geometry, STRUCTURES, card()), path)
    return labels


def in_order(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(np.round(points, 2).T)]


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "files backwards"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_voxel_stands_at_its_place_on_the_slice_that_it_was_seen_on(tmp_path, name, backwards):
    geometry, array = GEOMETRIES[name], truth(GEOMETRIES[name])
    headers = dicom_series.slices(GREY * array, geometry)
    folder = dicom_series.write(tmp_path / "series", headers, backwards)
    segmented(folder, tmp_path / "out.dcm")
    found = dicom_series.points(tmp_path / "out.dcm")
    assert sorted(found) == [s.value for s in STRUCTURES]
    for value, points in found.items():
        expected = geometry.point(np.argwhere(array == value)[:, ::-1])
        np.testing.assert_allclose(in_order(points), in_order(expected), atol=1e-3)
    sources = {h.SOPInstanceUID: k for k, h in enumerate(headers)}
    for number, frame, instance, _ in dicom_series.references(tmp_path / "out.dcm"):
        np.testing.assert_array_equal(frame == 1, array[sources[instance]] == number)


def test_highdicom_reads_the_labels_back_as_a_volume(tmp_path):
    geometry = GEOMETRIES["oblique"]
    folder = dicom_series.write(tmp_path / "series", dicom_series.slices(GREY * truth(geometry), geometry))
    labels = segmented(folder, tmp_path / "out.dcm")
    back = highdicom.seg.segread(tmp_path / "out.dcm").get_volume(combine_segments=True)
    index = np.argwhere(back.array)
    there = back.map_indices_to_reference(index)
    own = np.round(labels.geometry.index(there)).astype(int)
    np.testing.assert_array_equal(back.array[tuple(index.T)], labels.array[tuple(own[:, ::-1].T)])
    assert np.count_nonzero(back.array) == np.count_nonzero(labels.array)


def test_frames_of_a_multi_frame_series_are_found_and_named(tmp_path):
    geometry, array = GEOMETRIES["oblique"], truth(GEOMETRIES["oblique"])
    headers = dicom_series.slices(GREY * array, geometry)
    uid = highdicom.UID
    together = highdicom.legacy.LegacyConvertedEnhancedCTImage(headers, uid(), 5, uid(), 1)
    folder = dicom_series.write(tmp_path / "series", [together])
    labels = segmented(folder, tmp_path / "out.dcm")
    for value, points in dicom_series.points(tmp_path / "out.dcm").items():
        expected = geometry.point(np.argwhere(array == value)[:, ::-1])
        np.testing.assert_allclose(in_order(points), in_order(expected), atol=1e-3)
    for number, frame, _, source in dicom_series.references(tmp_path / "out.dcm"):
        np.testing.assert_array_equal(frame == 1, labels.array[int(source) - 1] == number)
    groups = together.PerFrameFunctionalGroupsSequence
    groups[3], groups[9] = groups[9], groups[3]
    pixels = np.frombuffer(together.PixelData, np.int16).reshape(len(groups), -1).copy()
    pixels[[3, 9]] = pixels[[9, 3]]
    together.PixelData = pixels.tobytes()
    shuffled = dicom_series.write(tmp_path / "shuffled", [together])
    segmented(shuffled, tmp_path / "again.dcm")
    for value, points in dicom_series.points(tmp_path / "again.dcm").items():
        expected = geometry.point(np.argwhere(array == value)[:, ::-1])
        np.testing.assert_allclose(in_order(points), in_order(expected), atol=1e-3)
    for number, frame, _, source in dicom_series.references(tmp_path / "again.dcm"):
        np.testing.assert_array_equal(frame.ravel() == 1, pixels[int(source) - 1] == GREY * number)


def test_a_part_of_the_images_of_a_multi_frame_file_is_refused_as_that(tmp_path):
    headers = dicom_series.slices(GREY * truth(GEOMETRIES["oblique"]), GEOMETRIES["oblique"])
    uid = highdicom.UID
    together = highdicom.legacy.LegacyConvertedEnhancedCTImage(headers, uid(), 5, uid(), 1)
    folder = dicom_series.write(tmp_path / "series", [together])
    stack = find_stack(folder)
    with pytest.raises(VolumeError, match=f"holds {len(stack)} images, of which {len(stack) - 1} are of this volume"):
        dicom_seg.prepare_stack(stack[:-1], folder, GEOMETRIES["oblique"], STRUCTURES, card())


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A SEG that lacks the left atrium."""
    folder = tmp_path_factory.mktemp("seg")
    geometry = GEOMETRIES["axial"]
    headers = dicom_series.slices(GREY * truth(geometry, (1, 3, 4, 5, 6, 7)), geometry)
    segmented(dicom_series.write(folder / "series", headers), folder / "out.dcm")
    return folder / "out.dcm"


def test_segments_carry_names_codes_colours_and_the_model(written):
    seg = dcmread(written)
    present = [s for s in STRUCTURES if s.id != "LA"]
    assert seg.SegmentationType == "BINARY" and seg.Modality == "SEG"
    assert [s.SegmentNumber for s in seg.SegmentSequence] == [1, 2, 3, 4, 5, 6], "no gap where a structure is missing"
    for segment, structure in zip(seg.SegmentSequence, present, strict=True):
        assert segment.SegmentLabel == structure.name
        (kind,) = segment.SegmentedPropertyTypeCodeSequence
        assert (kind.CodingSchemeDesignator, kind.CodeValue) == ("SCT", structure.type.value)
        (category,) = segment.SegmentedPropertyCategoryCodeSequence
        assert (category.CodeValue, category.CodeMeaning) == ("123037004", "Anatomical Structure")
        assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "tiny@1.0.0")
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmVersion, algorithm.AlgorithmSource) == ("1.0.0", "SIFA")
        colour = highdicom.color.CIELabColor(*_lab(segment.RecommendedDisplayCIELabValue))
        np.testing.assert_allclose(colour.to_rgb(), structure.color, atol=1)
        assert segment.TrackingID == f"SIFA {structure.id}" and segment.TrackingUID


def _lab(values) -> tuple[float, float, float]:
    """L*, a*, b* of DICOM's 16-bit numbers (PS3.3, C.10.7.1.1)."""
    lightness, a, b = (v / 65535 for v in values)
    return 100 * lightness, 255 * a - 128, 255 * b - 128


def test_patient_study_and_source_are_those_of_the_series(written):
    seg, source = dcmread(written), dcmread(written.parent / "series" / "000.dcm")
    assert str(seg.PatientName) == str(source.PatientName) == "Müller^Jörg"
    for keyword in ("PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[keyword].value == source[keyword].value
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID != seg.SeriesInstanceUID
    assert seg.SeriesNumber == source.SeriesNumber + 100
    assert [p.name for p in written.parent.iterdir() if p.name.startswith(".")] == []


def test_an_anonymised_series_may_lack_what_may_be_empty(tmp_path):
    geometry = GEOMETRIES["axial"]
    lacking = dict.fromkeys(("PatientName", "PatientID", "PatientSex", "StudyID", "StudyDate", "SeriesNumber"))
    headers = dicom_series.slices(GREY * truth(geometry), geometry, **lacking)
    segmented(dicom_series.write(tmp_path / "series", headers), tmp_path / "out.dcm")
    assert dcmread(tmp_path / "out.dcm").PatientID == ""


def test_no_structure_at_all_is_told_and_nothing_written(tmp_path):
    geometry = GEOMETRIES["axial"]
    folder = dicom_series.write(tmp_path / "s", dicom_series.slices(truth(geometry), geometry))
    reference = dicom_seg.prepare(folder, reading.read(folder).geometry, STRUCTURES, card())
    empty = Volume(np.zeros(geometry.shape, np.uint8), reference.geometry, "scan")
    with pytest.raises(dicom_seg.NothingFound, match="scan shows nothing that could be a segment"):
        dicom_seg.write(empty, reference, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()


def test_headers_that_cannot_be_referred_to_are_told_before_the_work(tmp_path):
    geometry = GEOMETRIES["axial"]
    headers = dicom_series.slices(truth(geometry), geometry, PatientSex="X")
    folder = dicom_series.write(tmp_path / "s", headers)
    with pytest.raises(VolumeError, match=r"No DICOM SEG can be made for the series in .*PatientSex"):
        dicom_seg.prepare(folder, reading.read(folder).geometry, STRUCTURES, card())


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.id)
def test_dicom_knows_every_code(structure):
    known = {code for entry in concepts["SCT"].values() for code in entry}
    assert structure.type.scheme == "SCT" and structure.type.value in known


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.id)
def test_the_tag_of_every_structure_has_slicers_seven_parts(structure):
    context, category, kind, modifier, anatomy, region, region_modifier = structure.terminology_tag().split("~")
    assert context and anatomy and category == "SCT^123037004^Anatomical Structure"
    assert all(kind.split("^")) and len(kind.split("^")) == 3
    assert modifier == region == region_modifier == "^^", "Slicer takes these for none"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    """A folder with a series, and a model that finds the left ventricle everywhere."""
    folder = tmp_path_factory.mktemp("case")
    geometry = Geometry((40, 44, 20), (-71.3, -82.1, 33.7), (4.0, 4.5, 6.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    noise = np.random.default_rng(0).normal(0, 300, geometry.shape).astype(np.int16)
    dicom_series.write(folder / "series", dicom_series.slices(noise, geometry), backwards=True)
    tiny_models.write_constant(folder / "model", 3)
    return folder


def command(case: Path, out: Path, *options: str, source: Path | None = None) -> int:
    return main([*map(str, ("segment", source or case / "series", out, "--model", case / "model")), *options])


def test_the_command_writes_what_it_writes_as_a_label_map(case, tmp_path):
    assert command(case, tmp_path / "out.dcm", "--quiet") == 0
    assert command(case, tmp_path / "out.nrrd", "--quiet") == 0
    labels = reading.read(tmp_path / "out.nrrd")
    (points,) = dicom_series.points(tmp_path / "out.dcm").values()
    expected = labels.geometry.point(np.argwhere(labels.array == 3)[:, ::-1])
    np.testing.assert_allclose(in_order(points), in_order(expected), atol=1e-2)
    (segment,) = dcmread(tmp_path / "out.dcm").SegmentSequence
    assert segment.SegmentAlgorithmName == "tiny@1.0.0"


def told(capsys, code: int, sentence: str, case: Path, out: Path, *options: str, **more: Path) -> None:
    assert command(case, out, "--quiet", *options, **more) == code
    shown = capsys.readouterr().err
    assert sentence in shown and "Traceback" not in shown and not out.exists()


def test_an_input_that_is_no_series_is_refused_by_name(case, tmp_path, capsys):
    scan = tmp_path / "scan.nrrd"
    writing.write(reading.read(case / "series"), scan)
    sentence = "scan.nrrd is no DICOM series, and DICOM SEG"
    told(capsys, 2, sentence, case, tmp_path / "out.dcm", source=scan)


def test_a_second_series_is_not_put_among_the_scans_files(case, capsys):
    told(capsys, 2, "would lie among the files of the scan", case, case / "series" / "out.dcm")


def test_a_structure_that_is_not_found_leaves_nothing_with_code_5(case, tmp_path, capsys):
    told(capsys, 5, "(Ascending aorta)", case, tmp_path / "out.dcm", "--structures", "AA")


def test_a_missing_package_is_told_before_the_work_with_what_to_do(case, tmp_path, capsys, monkeypatch):
    real = builtins.__import__

    def without(name: str, *arguments, **more):
        if name.split(".")[0] == "highdicom":
            raise ImportError("No module named 'highdicom'")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    told(capsys, 1, "Install it, by `pip install --upgrade highdicom`.", case, tmp_path / "out.dcm")


def test_a_full_disk_leaves_nothing(case, tmp_path, capsys, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told(capsys, 6, "the disk is full.", case, tmp_path / "out.dcm")
    assert list(tmp_path.iterdir()) == []
