"""Where no model is named, the scan decides between those that come with SIFA, and every result says which one made it."""

from __future__ import annotations

import csv
import json

import pytest
import SimpleITK as sitk
import tiny_models
from cli_helpers import scan
from SIFALib.cli.main import main
from SIFALib.models import store as models
from SIFALib.models.store import ModelStore

MADE_BY = {"stack": "heart@1.1.0", "volume": "heart-phantom@1.1.0"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Scans of which one is a stack of slices far apart, and a store of both models."""
    for id_ in ("heart", "heart-phantom"):
        tiny_models.write_constant(tmp_path / "bundled" / id_, 3, id=id_, version="1.1.0")
    store = ModelStore(tmp_path / "bundled", tmp_path / "user")
    monkeypatch.setattr(models, "default_store", lambda _folder=None: store)
    (tmp_path / "scans").mkdir()
    for name, apart in (("stack", 30.0), ("volume", 6.0)):
        image = scan()
        image.SetSpacing((4.0, 4.5, apart))
        sitk.WriteImage(image, str(tmp_path / "scans" / f"{name}.nrrd"))
    return tmp_path


@pytest.mark.parametrize("name", MADE_BY)
def test_a_segmentation_is_made_by_the_model_that_serves_its_scan_and_says_so(place, name, capsys):
    out, report = place / "out.seg.nrrd", place / "report.json"
    command = ["segment", place / "scans" / f"{name}.nrrd", out, "--modality", "mr", "--report", report]
    assert main([*map(str, command)]) == 0
    assert f"({MADE_BY[name]}, chosen by the scan; cpu, " in capsys.readouterr().err
    model = json.loads(report.read_text())["model"]
    assert f"{model['id']}@{model['version']}" == MADE_BY[name]
    assert MADE_BY[name] in sitk.ReadImage(str(out)).GetMetaData("Segment0_Tags")
    assert main([*map(str, command), "--model", "heart-phantom"]) == 0
    assert "(heart-phantom@1.1.0; cpu, " in capsys.readouterr().err


def test_every_row_of_a_batch_tells_its_model_and_another_choice_does_it_again(place):
    command = ["batch", str(place / "scans"), str(place / "out"), "--modality", "mr", "--quiet"]

    def rows() -> dict[str, tuple[str, str]]:
        assert main(command) == 0
        lines = csv.DictReader((place / "out" / "volumes.csv").read_text(encoding="utf-8").splitlines())
        return {line["scan"]: (line["state"], line["made by"].split(" (")[0]) for line in lines}

    assert rows() == {name: ("done", model) for name, model in MADE_BY.items()}
    assert rows() == {name: ("finished before", model) for name, model in MADE_BY.items()}
    command += ["--model", "heart"]
    assert rows() == dict.fromkeys(MADE_BY, ("done", "heart@1.1.0"))
