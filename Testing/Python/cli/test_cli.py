"""Promises of the command `sifa`: what it writes and what it prints."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import sys
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from cli_helpers import case, scan
from SIFALib.cli.console import ProgressLine, table
from SIFALib.cli.main import main
from SIFALib.cli.segment import parse_roi
from SIFALib.imaging.geometry import Geometry
from SIFALib.imaging.seg_nrrd import read_seg_nrrd
from SIFALib.models import archive
from SIFALib.models.card import Architecture
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.support.progress import Progress

__all__ = ["case"]  # the fixture


@pytest.fixture
def sifa(capsys, monkeypatch, case):
    """Run `sifa` in this process with the store of `case`; gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("SIFA_MODELS", str(case / "models"))

    def run(*arguments: object) -> tuple[int, str, str]:
        if arguments[0] == "segment" and "--model" not in arguments:
            arguments = (*arguments, "--model", "tiny")
        code = main([str(a) for a in arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def same_grid(path: Path) -> bool:
    image = sitk.ReadImage(str(path))
    return image.GetSize() == scan().GetSize() and np.allclose(
        [*image.GetOrigin(), *image.GetSpacing(), *image.GetDirection()],
        [*scan().GetOrigin(), *scan().GetSpacing(), *scan().GetDirection()],
        rtol=0,
        atol=1e-12,
    )


# segment


def test_a_scan_becomes_a_segmentation_on_its_own_grid_with_volumes_and_flags(sifa, case, tmp_path):
    code, printed, progress = sifa("segment", case / "scan.nrrd", tmp_path / "out.seg.nrrd", "--model", "tiny")
    assert code == 0
    assert same_grid(tmp_path / "out.seg.nrrd")
    labels, structures = read_seg_nrrd(tmp_path / "out.seg.nrrd")
    assert structures == PAPERS and set(np.unique(labels.array)) <= {0, 3} and (labels.array == 3).any()
    volume_ml = (labels.array == 3).sum() * 4.0 * 4.5 * 6.0 / 1000
    assert f"Left ventricle               {volume_ml:.1f}\n" in printed
    assert "Structure                    Volume (ml)\n" in printed
    assert "Look twice: Left atrium: nothing was found; check that the scan covers it.\n" in printed
    assert "Finding the heart: " in progress and "Segmenting: " in progress and " %" in progress
    assert f"sifa: wrote {tmp_path / 'out.seg.nrrd'} in " in progress


def test_all_that_a_model_of_seven_structures_draws_is_shown_and_the_papers_four_are_a_choice(sifa, case, tmp_path):
    seven = {"architecture": Architecture(width=2, classes=8), "labels": STRUCTURES}
    model = tiny_models.write_constant(tmp_path / "rv", 5, **seven)
    out, report = tmp_path / "out.seg.nrrd", tmp_path / "report.json"
    command = ("segment", case / "scan.nrrd", out, "--model", model.folder, "--report", report)
    code, printed, _ = sifa(*command)
    labels, structures = read_seg_nrrd(out)
    told = json.loads(report.read_text())
    assert (
        code == 0 and structures == STRUCTURES and set(np.unique(labels.array)) <= {0, 5} and (labels.array == 5).any()
    )
    assert re.search(r"^Right ventricle +[1-9][0-9.]*$", printed, re.MULTILINE)
    assert list(told["volumes_ml"]) == list(told["expected_dice"]) == [s.id for s in STRUCTURES]
    assert [f["kind"] for f in told["flags"] if f["structure"] == "RA"] == ["empty"]
    both = (STRUCTURES[2], STRUCTURES[4])
    for wanted, expected in (("papers", PAPERS), ("RV, Papers", STRUCTURES[:5]), ("rv,lv", both)):
        out.unlink()
        assert sifa(*command, "--structures", wanted)[0] == 0
        labels, structures = read_seg_nrrd(out)
        assert structures == expected and (labels.array == 5).any() == (STRUCTURES[4] in expected)
        assert set(json.loads(report.read_text())["volumes_ml"]) == {s.id for s in expected}
    code, _, error = sifa("segment", case / "scan.nrrd", out, "--structures", "papers,RV")
    assert code == 2 and "There is no structure 'RV'; choose from MYO, LA, LV, AA." in error


def test_every_further_output_is_written_when_asked(sifa, case, tmp_path):
    outputs = {
        "--probabilities": tmp_path / "p.nii.gz",
        "--report": tmp_path / "report.json",
        "--picture": tmp_path / "picture.png",
    }
    options = [text for pair in outputs.items() for text in pair]
    assert sifa("segment", case / "scan.nrrd", tmp_path / "labels.nrrd", *options)[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.nrrd", "p.nii.gz", "picture.png", "report.json"]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "labels.nrrd")))
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(outputs["--probabilities"])))
    assert frames.shape == (4, *labels.shape) and frames.dtype == np.float32
    assert frames.min() >= 0 and frames.sum(axis=0).max() <= 1 + 4 * 2**-12  # rounding of float16
    assert (frames.argmax(axis=0)[labels == 3] == 2).all()
    report = json.loads(outputs["--report"].read_text())
    assert report["model"]["id"] == "tiny" and report["input"]["path"] == str(case / "scan.nrrd")
    assert report["volumes_ml"]["LV"] == pytest.approx((labels == 3).sum() * 0.108)
    assert {"read", "write", "network"} <= report["seconds"].keys()
    assert outputs["--picture"].read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_the_labels_of_the_model(sifa, case, tmp_path):
    """A model with one class more and the left ventricle in pure green."""
    green = dataclasses.replace(PAPERS[2], color=(0, 255, 0))
    more = dataclasses.replace(PAPERS[0], value=5, id="RV", name="Right ventricle", color=(1, 2, 3))
    labels = (*PAPERS[:2], green, PAPERS[3], more)
    architecture = Architecture(width=2, classes=6)
    model = tiny_models.write_constant(tmp_path / "green", 3, labels=labels, architecture=architecture)
    picture = tmp_path / "picture.png"
    options = ["--model", model.folder, "--picture", picture, "--quiet"]
    assert sifa("segment", case / "scan.nrrd", tmp_path / "o.nrrd", *options)[0] == 0
    colours = sitk.GetArrayFromImage(sitk.ReadImage(str(picture))).reshape(-1, 3)
    assert (colours == (0, 255, 0)).all(axis=1).any()


def test_voxels_beside_a_header_are_no_place_for_results(sifa, case, tmp_path):
    image = sitk.ReadImage(str(case / "scan.nrrd"))
    sitk.WriteImage(image, str(tmp_path / "n.nhdr"))
    (tmp_path / "n.raw").rename(tmp_path / "data.nrrd")
    header = tmp_path / "n.nhdr"
    header.write_text(header.read_text().replace("n.raw", "data.nrrd"))
    before = (tmp_path / "data.nrrd").read_bytes()
    code, _, said = sifa("segment", header, tmp_path / "data.nrrd")
    assert code == 2 and "data.nrrd is a file of the input" in said
    assert (tmp_path / "data.nrrd").read_bytes() == before


def test_a_folder_of_dicom_files_is_segmented(sifa, tmp_path):
    image = scan()
    headers = dicom_series.slices(sitk.GetArrayFromImage(image), Geometry.of(image))
    folder = dicom_series.write(tmp_path / "series", headers)
    assert sifa("segment", folder, tmp_path / "out.nii.gz", "--quiet")[0] == 0
    report = folder / "report.json"  # which may lie beside the slices, and be written again
    for _ in range(2):
        assert sifa("segment", folder, tmp_path / "out.nii.gz", "--quiet", "--report", report)[0] == 0
    before = (folder / "005.dcm").read_bytes()
    code, _, said = sifa("segment", folder, tmp_path / "o.nii.gz", "--report", folder / "005.dcm")
    assert code == 2 and "005.dcm is a file of the input" in said and not (tmp_path / "o.nii.gz").exists()
    assert (folder / "005.dcm").read_bytes() == before
    out = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert out.GetSize() == image.GetSize()
    np.testing.assert_allclose(out.GetOrigin(), image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(out.GetDirection(), image.GetDirection(), atol=1e-5)


def test_only_the_structures_that_were_asked_for_are_written_and_printed(sifa, case, tmp_path):
    code, printed, _ = sifa("segment", case / "scan.nrrd", tmp_path / "o.seg.nrrd", "--structures", "aa,MYO")
    assert code == 0
    labels, structures = read_seg_nrrd(tmp_path / "o.seg.nrrd")
    assert [s.id for s in structures] == ["MYO", "AA"] and not labels.array.any()
    assert "Left ventricle  " not in printed and "Ascending aorta" in printed


def test_a_region_is_given_in_the_coordinates_that_slicer_shows(sifa, case, tmp_path):
    image = scan()
    point = np.array(image.TransformIndexToPhysicalPoint((20, 22, 10)))  # LPS
    right, front, head = -point[0], -point[1], point[2]
    assert right < 0 or front < 0, "the test needs a number that argparse could take for an option"
    center = f"{right},{front},{head}/60,60,40"
    sides = f"{right - 30},{right + 30},{front - 30},{front + 30},{head - 20},{head + 20}"
    for name, box in (("center.nrrd", center), ("sides.nrrd", sides)):
        assert sifa("segment", case / "scan.nrrd", tmp_path / name, "--roi", box, "--quiet")[0] == 0
    a, b = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{n}.nrrd"))) for n in ("center", "sides"))
    np.testing.assert_array_equal(a, b)
    assert a[10, 22, 20] == 3 and a[0, 0, 0] == 0, "the heart is looked for in the region, and only there"


def test_a_box_in_ras_is_the_same_box_in_lps():
    assert parse_roi("-10,20,-30,40,-50,60") == (-20, 10, -40, 30, -50, 60)
    assert parse_roi("5,5,5/30,70,110") == parse_roi("-10,20,-30,40,-50,60")


def test_a_model_is_found_by_id_by_version_and_by_folder(sifa, case, tmp_path):
    for name in ("tiny", "tiny@1.0.0", case / "models" / "tiny-1.0.0"):
        report = tmp_path / "report.json"
        command = ["segment", case / "scan.nrrd", tmp_path / "out.nrrd", "--model", name, "--report", report]
        assert sifa(*command, "--quiet")[0] == 0
        assert json.loads(report.read_text())["model"]["version"] == "1.0.0"


# models


def test_the_life_of_a_model_from_import_to_deletion(sifa, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path / "own"))
    download = tiny_models.write(tmp_path / "download", version="1.2.0").folder
    assert sifa("models", "folder") == (0, f"{tmp_path / 'own'}\n", "")
    code, printed, _ = sifa("models", "import", download)
    assert (code, printed) == (0, f"tiny@1.2.0 is now in {tmp_path / 'own' / 'tiny-1.2.0'}.\n")
    assert "is there already" in sifa("models", "import", download)[2]
    printed = sifa("models", "list")[1]
    assert any(line.split()[:3] == ["tiny@1.2.0", "CT/MR", "own"] for line in printed.splitlines())
    shown = sifa("models", "show", "tiny")[1]
    for text in ("tiny@1.2.0, Tiny model", "3 LV (Left ventricle)", "Nothing: random weights", "LV 0.100 on random"):
        assert text in shown
    assert sifa("models", "verify", "tiny") == (0, "tiny@1.2.0 is sound.\n", "")
    assert sifa("models", "export", "tiny", tmp_path / "tiny.zip")[0] == 0
    assert sifa("models", "delete", "tiny@1.2.0")[0] == 0
    assert list((tmp_path / "own").iterdir()) == []
    assert sifa("models", "import", tmp_path / "tiny.zip")[0] == 0


def test_broken_models_are_listed_with_the_reason_verified_as_such_and_deleted(sifa, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path))
    package = tiny_models.write(tmp_path / "tiny-1.0.0")
    package.weights.write_bytes(package.weights.read_bytes()[:-1])
    (tmp_path / "rubbish").mkdir()
    code, printed, _ = sifa("models", "list")
    assert code == 0 and f"Broken: {tmp_path / 'rubbish'} is no model: there is no model.json in it.\n" in printed
    code, _, complaint = sifa("models", "verify", "tiny")
    assert code == 4 and "does not belong to its model card" in complaint
    code, _, complaint = sifa("models", "verify")
    assert code == 4 and "rubbish is no model" in complaint
    code, _, complaint = sifa("models", "delete", "rubbish")
    assert code == 4 and "rubbish is no model" in complaint
    (tmp_path / "rubbish" / "model.json").write_text("{")
    assert sifa("models", "delete", "rubbish")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-1.0.0"]


def test_a_full_disk_is_told_with_the_place_and_what_to_do(sifa, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path / "own"))
    download = tiny_models.write(tmp_path / "download").folder
    assert sifa("models", "import", download)[0] == 0

    other = tiny_models.write(tmp_path / "other", version="2.0.0").folder

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_zip", full)
        code, _, complaint = sifa("models", "export", "tiny", tmp_path / "out.zip")
        assert code == 6 and f"{tmp_path / 'out.zip'} cannot be written (the disk is full)" in complaint
        patch.setattr(os, "fsync", full)
        code, _, complaint = sifa("models", "import", other)
        assert code == 6, complaint
        assert f"cannot be copied into {tmp_path / 'own'} (" in complaint


def test_of_several_versions_the_one_to_delete_must_be_named(sifa, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path))
    for version in ("1.0.0", "2.0.0"):
        tiny_models.write(tmp_path / f"tiny-{version}", version=version)
    code, _, complaint = sifa("models", "delete", "tiny")
    assert code == 2 and "add which one: tiny@2.0.0" in complaint
    assert sifa("models", "delete", "tiny@1.0.0")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-2.0.0"]


# phantom


def test_a_phantom_is_written_with_its_exact_labels_and_the_same_again_for_the_same_seed(sifa, tmp_path):
    for n in (1, 2):
        labels = ["--labels", tmp_path / f"l{n}.seg.nrrd"]
        code, printed, _ = sifa("phantom", tmp_path / f"p{n}.nii.gz", "--seed", 7, "--spacing", 6, *labels)
        assert code == 0
    assert "Left ventricular myocardium" in printed and "Volume (ml)" in printed
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"p{n}.nii.gz"))) for n in (1, 2))
    np.testing.assert_array_equal(first, second)
    labels, structures = read_seg_nrrd(tmp_path / "l1.seg.nrrd")
    assert labels.array.shape == first.shape and structures == STRUCTURES
    assert set(np.unique(labels.array)) == {0, *(s.value for s in STRUCTURES)}
    volume_ml = (labels.array == 3).sum() * 0.216
    assert f"Left ventricle               {volume_ml:.1f}\n" in printed


def test_a_phantom_for_which_no_seed_is_given_is_none_of_those_that_models_are_trained_on(sifa, tmp_path):
    for name, seed in (("default.nrrd", ()), ("1000.nrrd", ("--seed", 1000))):
        assert sifa("phantom", tmp_path / name, "--spacing", 8, "--quiet", *seed)[0] == 0
    one, other = (sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in sorted(tmp_path.iterdir()))
    np.testing.assert_array_equal(one, other)


# Text


def test_the_help_says_what_changes_labels_and_how_grey_values_are_read(capsys):
    texts = {}
    for command in ("segment", "phantom"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        texts[command] = " ".join(capsys.readouterr().out.split())
    assert "on the CPU it changes not a single label, on a GPU at most what rounding decides" in texts["segment"]
    assert "ct by the model's fixed window of Hounsfield units (HU), mr by percentiles" in texts["segment"]
    assert "auto takes what DICOM says, else ct where lung, air, fat and soft tissue lie where" in texts["segment"]
    assert "below 1000: the model may have seen it (default: 1000)" in texts["phantom"]


def test_a_terminal_gets_one_line_that_is_written_over_and_cleared(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    line = ProgressLine(quiet=False)
    line(Progress("Segmenting", 0.5, 125.0))
    line(Progress("Writing", 0.99))
    line.end()
    shown = capsys.readouterr().err
    first, second = "Segmenting:  50 %, 2 min 5 s left", "Writing:  99 %"
    assert shown.startswith(f"\r{first}\r{second.ljust(len(first))}\r") and shown.endswith("\r")


def test_a_file_gets_a_line_for_each_stage_and_each_tenth_of_one_that_counts(capsys):
    line = ProgressLine(quiet=False)
    for n in range(5):
        line(Progress("Reading", n / 5))
    for n in range(1, 601):
        line(Progress("Iteration", n / 600, count=f"{n} of 600"))
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == ["Reading:   0 %", "Iteration 1 of 600:   0 %", "Iteration 60 of 600:  10 %"] and len(said) == 12


def test_tables_are_aligned():
    assert table(("A", "Long head"), [("longer text", "1"), ("b", "2")]) == (
        "A            Long head\nlonger text  1\nb            2"
    )


def test_a_folder_of_images_is_for_batch_and_segment_says_so(tmp_path, capsys):
    out = str(tmp_path / "out.seg.nrrd")
    (tmp_path / "scans").mkdir()
    assert main(["segment", str(tmp_path / "scans"), out]) == 3
    assert "sifa batch" not in capsys.readouterr().err
    (tmp_path / "scans" / "one.nii.gz").touch()
    assert main(["segment", str(tmp_path / "scans"), out]) == 3
    assert "holds no DICOM series" in (said := capsys.readouterr().err) and "with `sifa batch`." in said
