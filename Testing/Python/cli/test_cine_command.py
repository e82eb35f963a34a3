"""`sifa cine`: what it writes, and that it says what is wrong before the work."""

from __future__ import annotations

import csv
import json

import cine_hearts
import cine_studies as studies
import nibabel
import nrrd
import numpy as np
import pytest
import tiny_models
from pydicom import dcmread
from SIFALib.cli import cine as command
from SIFALib.cli import main
from SIFALib.imaging import dicom_seg


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_models.write(tmp_path_factory.mktemp("model") / "tiny").folder)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return studies.write(tmp_path_factory.mktemp("study") / "P1", studies.images())


def test_everything_is_written_and_agrees(monkeypatch, tmp_path, model, study, capsys):
    cine_hearts.use(monkeypatch)
    out = tmp_path / "out"
    assert main(["cine", str(study), str(out), "--model", model, "--quiet", "--sex", "F"]) == 0
    assert sorted(p.name for p in out.iterdir()) == sorted(command.FILES)
    report = json.loads((out / "report.json").read_text())
    truth = cine_hearts.labels_of(studies.array())
    nifti = nibabel.load(out / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(nifti.dataobj).transpose(3, 2, 1, 0), truth)
    corner = np.diag([-1, -1, 1, 1]) @ nifti.affine @ [3, 2, 1, 1]  # RAS to LPS
    np.testing.assert_allclose(corner[:3], studies.geometry().point((3, 2, 1)), atol=0.02)
    sequence, header = nrrd.read(str(out / "labels.seq.nrrd"))
    np.testing.assert_array_equal(sequence.transpose(0, 3, 2, 1), truth)
    assert header["axis 0 index values"].split()[:3] == ["0", "100", "200"]
    lv = report["ventricles"]["LV"]
    rows = list(csv.DictReader((out / "volumes.csv").open()))
    assert float(rows[lv["end_diastole"]]["LV (ml)"]) == lv["edv_ml"]
    assert report["input"]["body"]["surface_m2"] == 2.0
    for name, key in (("ED.dcm", "end_diastole"), ("ES.dcm", "end_systole")):
        segments = dcmread(out / name)
        drawn = sum(int(frame.sum()) for frame in segments.pixel_array)
        assert drawn == np.count_nonzero(truth[lv[key]])


def test_it_says_how_many_files_there_are_where_some_could_not_be_made(monkeypatch, tmp_path, model, study, capsys):
    def missing() -> None:
        raise ImportError("no highdicom")

    cine_hearts.use(monkeypatch)
    monkeypatch.setattr(dicom_seg, "check_library", missing)
    assert main(["cine", str(study), str(tmp_path / "out"), "--model", model]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 6 and not (tmp_path / "out" / "ED.dcm").exists()
    assert " and 5 files beside it: volumes.csv, " in capsys.readouterr().err


def test_a_study_of_a_series_for_each_place_refers_to_all_of_them(monkeypatch, tmp_path, model):
    cine_hearts.use(monkeypatch)
    uids = [f"1.2.3.{k}" for k in range(studies.PLACES)]
    slices = studies.images(lambda t, k: {"SeriesInstanceUID": uids[k], "FrameOfReferenceUID": f"1.2.4.{k}"})
    out = tmp_path / "out"
    assert main(["cine", str(studies.write(tmp_path / "P2", slices)), str(out), "--model", model, "--quiet"]) == 0
    referred = dcmread(out / "ED.dcm").ReferencedSeriesSequence
    assert {item.SeriesInstanceUID for item in referred} == set(uids)
    assert all(len(item.ReferencedInstanceSequence) == 1 for item in referred)


def test_what_is_wrong_is_said_before_the_work(monkeypatch, tmp_path, model, study, capsys):
    seen = cine_hearts.use(monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").mkdir()
    for arguments, code, words in (
        ([str(study), str(tmp_path / "out")], 6, "it is a folder"),
        ([str(study), str(study)], 2, "is the study itself"),
        ([str(study), str(tmp_path / "a"), "--stack", "7"], 3, "There is no single stack '7'"),
        ([str(study), str(tmp_path / "b"), "--height", "1.8"], 2, "--height 1.8 cannot be; give 30 to 250 cm"),
        ([str(study), str(tmp_path / "b"), "--height", "68"], 2, "No person is 68 cm tall and weighs 80 kg"),
        ([str(tmp_path / "none"), str(tmp_path / "c")], 3, "does not exist"),
    ):
        assert main(["cine", *arguments, "--model", model]) == code, arguments
        assert words in capsys.readouterr().err
    assert not seen


def test_segment_says_that_there_is_a_command_for_cines(tmp_path, model, study, capsys):
    assert main(["segment", str(study), str(tmp_path / "x.nii.gz"), "--model", model]) == 3
    told = capsys.readouterr().err
    assert "told apart by their trigger time" in told
    assert "segment all phases of a cine with `sifa cine`" in told
