"""No result takes the place of what it is made from, by whatever name that is called: refused before the work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from SIFALib.cli import evaluate, main, segment
from SIFALib.imaging.geometry import Geometry


def link(file: Path, name: Path) -> Path:
    name.symlink_to(file)
    return name


def hard_link(file: Path, name: Path) -> Path:
    os.link(file, name)
    return name


def other_case(file: Path, name: Path) -> Path:
    """As a file system has it that takes A for a: the same file under both names."""
    return hard_link(file, file.with_name(file.name.upper().replace(".NII.GZ", ".nii.gz")))


def other_way(file: Path, name: Path) -> Path:
    name.symlink_to(file.parent, target_is_directory=True)
    return name / file.name


NAMES = (link, hard_link, other_case, other_way)


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    """A scan with a label map, a list of them, a model; whoever begins to work fails."""
    for name in ("scan", "scan_label"):
        (tmp_path / "data").mkdir(exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(np.ones((9, 9, 9), np.int16)), str(tmp_path / "data" / f"{name}.nii.gz"))
    (tmp_path / "data" / "list.json").write_text('[{"image": "scan.nii.gz", "label": "scan_label.nii.gz"}]')
    tiny_models.write(tmp_path / "model")

    def works(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(segment, "segmenting", works)
    monkeypatch.setattr(evaluate, "check_device", works)
    return tmp_path


def refused(capsys, command: list[object]) -> str:
    assert main([str(word) for word in command]) in (2, 6), capsys.readouterr().err
    return capsys.readouterr().err


@pytest.mark.parametrize("named", NAMES)
def test_a_segmentation_does_not_take_its_scans_place(place, capsys, named: Callable[[Path, Path], Path]):
    scan = place / "data" / "scan.nii.gz"
    before, other = scan.read_bytes(), named(scan, place / "other.nii.gz")
    for words in ([other], [place / "o.nrrd", "--uncertainty", other], [place / "o.nrrd", "--report", other]):
        assert "is the input, which is never written over" in refused(capsys, ["segment", scan, *words])
    assert scan.read_bytes() == before


@pytest.mark.parametrize("named", NAMES)
@pytest.mark.parametrize("file", ["scan.nii.gz", "scan_label.nii.gz", "list.json"])
def test_figures_do_not_take_the_place_of_what_is_evaluated(place, capsys, named, file: str):
    source = place / "data" / file
    other = named(source, place / "other")
    command = ["evaluate", "--model", place / "model", "--images", place / "data" / "list.json"]
    for option in ("--json", "--csv"):
        assert "is the input, which is never written over" in refused(capsys, [*command, option, other])


@pytest.mark.parametrize("named", [link, hard_link, other_way])
@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_no_result_takes_the_place_of_the_model_that_makes_it(place, capsys, named, file: str):
    other = named(place / "model" / file, place / "other")
    scan, model = place / "data" / "scan.nii.gz", ["--model", place / "model"]
    for command in (
        ["segment", scan, place / "o.nrrd", "--report", other, *model],
        ["evaluate", "--images", place / "data" / "list.json", "--json", other, *model],
    ):
        assert "is the input, which is never written over" in refused(capsys, command)


@pytest.mark.parametrize("named", [link, hard_link])
def test_a_segmentation_does_not_take_the_place_of_a_slice_of_its_series(place, capsys, named):
    series = dicom_series.slices(np.ones((9, 9, 9), np.int16), Geometry((9, 9, 9), (0.0,) * 3, (2.0, 2.0, 2.0)))
    dicom_series.write(place / "series", series)
    slice_ = sorted((place / "series").iterdir())[0]
    other = named(slice_, place / "other.seg.nrrd")
    assert "is a file of the input" in refused(capsys, ["segment", place / "series", other])
    note = place / "series" / "o.seg.nrrd"
    note.touch()  # of an earlier call
    with pytest.raises(AssertionError, match="the work has begun"):
        main(["segment", "--debug", str(place / "series"), str(note)])
