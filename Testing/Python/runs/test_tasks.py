"""What a panel lets other processes do: time iterations, compare two models, pack a run for another computer."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
import tiny_runs
from SIFALib.cli.main import main
from SIFALib.datasets import DataSettings
from SIFALib.imaging import reading
from SIFALib.models import store
from SIFALib.networks import loading
from SIFALib.runs import Best, RunFolder, best, create, resources, tasks
from SIFALib.runs.configuration import new_run_file
from SIFALib.runs.resources import GIB, Needs
from SIFALib.support.errors import DataError, RunError

pytestmark = pytest.mark.usefixtures("one_thread")
SECRET = "mueller_hans_1950"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    tiny_runs.make_scans(tmp_path / "scans")
    return tmp_path / "scans"


def done(name: str, folder: Path, **request: Any) -> dict[str, Any]:
    """The answer of a task."""
    folder.mkdir(exist_ok=True)
    (folder / tasks.REQUEST).write_text(json.dumps(request))
    return tasks.run(name, folder)


def test_an_iteration_is_timed_and_weighed(scans: Path, tmp_path: Path):
    configuration = tiny_runs.configuration(scans)
    answer = done("time", tmp_path / "task", configuration=new_run_file(configuration).to_json())
    assert 0 < answer["seconds"] < 60 and answer["device"] == "cpu" and answer["phantom"] == 0
    assert answer["memory"] > 50e6
    weights = sum(a.nbytes for a in tiny_models.state().values())
    assert answer["checkpoint"] > 3 * weights  # weights and both moments of Adam
    progress = json.loads((tmp_path / "task" / tasks.PROGRESS).read_text())
    assert progress["stage"] == "Timing iterations" and 0 < progress["fraction"] <= 1


def test_two_models_are_compared_scan_by_scan(scans: Path, tmp_path: Path):
    pre = tiny_runs.configuration(scans).data.preprocessing
    before = tiny_models.write_constant(tmp_path / "before", 3, preprocessing=pre)
    run = create(tmp_path / "run", tiny_runs.configuration(scans))
    best.write(run.best, Best(6, 0.7), models_state(before))
    paths = [str(scans / "target" / f"target{n}.nii.gz") for n in (0, 1)]
    answer = done("compare", tmp_path / "e", run=str(run.path), model=str(before.folder), count=3)
    assert [s["path"] for s in answer["scans"]] == paths
    for found in answer["scans"]:
        assert found["agreement"] == {"LV": 1.0}  # both say left ventricle everywhere
        assert found["before"]["volumes_ml"]["LV"] == pytest.approx(found["after"]["volumes_ml"]["LV"])
        labels = reading.read(found["after"]["file"])
        assert labels.geometry == reading.read(found["path"]).geometry
        assert set(np.unique(labels.array)) <= {0, 3} and (labels.array == 3).any()
    nothing = tiny_models.write_constant(tmp_path / "nothing", 0, preprocessing=pre)
    answer = done("compare", tmp_path / "e2", run=str(run.path), model=str(nothing.folder), count=1)
    (found,) = answer["scans"]
    assert "No heart was found" in found["before"]["note"] and "file" in found["after"]
    assert "agreement" not in found
    phantoms = create(tmp_path / "phantoms", tiny_runs.configuration(scans, data=DataSettings("phantom", "phantom")))
    best.write(phantoms.best, Best(6, 0.7), models_state(before))
    with pytest.raises(DataError, match="there are no scans to compare on"):
        done("compare", tmp_path / "e3", run=str(phantoms.path), model=str(before.folder), count=3)


def models_state(package: store.ModelPackage) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in loading.load_segmenter(package).state_dict().items()}


def test_a_run_travels_with_its_scans_and_without_their_names(scans: Path, tmp_path: Path):
    (scans / "target" / "target0.nii.gz").rename(scans / "target" / f"{SECRET}.nii.gz")
    image = sitk.ReadImage(str(scans / "target" / f"{SECRET}.nii.gz"))
    image.SetMetaData("0010|0010", "Mueller^Hans")
    sitk.WriteImage(image, str(scans / "target" / "b.nrrd"))
    model = tiny_models.write(tmp_path / "model")
    configuration = tiny_runs.configuration(scans, start_model=str(model.folder))
    place = tmp_path / "parcel"
    answer = done("pack", tmp_path / "task", configuration=new_run_file(configuration).to_json(), place=str(place))
    assert answer["folder"] == str(place)
    for path in place.rglob("*"):
        assert SECRET not in path.name
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content and b"Mueller" not in content, path
            assert str(tmp_path).encode() not in content, path
    create_run, train = answer["command"].split(" && ")
    assert re.fullmatch(r"torchrun --standalone --nproc-per-node 1 -m SIFALib\.runs run", train)
    assert train in (place / "READ ME.txt").read_text(encoding="utf-8")
    assert arrived(place, create_run.split()[1:]) == configuration.method
    originals = [reading.read(p).array for p in sorted((scans / "target").iterdir())]
    copies = [reading.read(p).array for p in sorted((place / "target").iterdir())]
    assert len(copies) == 3
    assert all(any(np.array_equal(o, c) for o in originals) for c in copies)


def arrived(place: Path, arguments: list[str]):
    """The method of the run that the command line makes in that folder; all that it names must lie there."""
    import os

    here = Path.cwd()
    os.chdir(place)
    try:
        assert main(arguments) == 0
        made = RunFolder(place / "run").read().configuration
    finally:
        os.chdir(here)
    for path in (made.data.source, made.data.target, made.start_model):
        assert Path(path).resolve().is_relative_to(place.resolve()) and Path(path).exists()
    return made.method


def test_a_parcel_does_not_overwrite_anything(scans: Path, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    text = new_run_file(tiny_runs.configuration(scans)).to_json()
    with pytest.raises(RunError, match="is not empty"):
        done("pack", tmp_path / "task", configuration=text, place=str(tmp_path / "full"))


def test_an_errand_that_fails_answers_with_a_sentence(scans: Path, tmp_path: Path, monkeypatch):
    configuration = tiny_runs.configuration(scans, device="abacus")
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / tasks.REQUEST).write_text(json.dumps({"configuration": new_run_file(configuration).to_json()}))
    monkeypatch.setattr(sys, "argv", ["tasks", "time", str(folder)])
    assert tasks.main() == 1
    assert "There is no device 'abacus'" in json.loads((folder / tasks.ANSWER).read_text())["error"]


def test_needs_are_told_with_their_numbers(scans: Path, tmp_path: Path):
    configuration = tiny_runs.configuration(scans)
    known = resources.of(configuration, tmp_path / "not" / "there", (), {"memory": 3 * GIB, "checkpoint": 10**9})
    assert known.memory == 3 * GIB and known.disk > 4e9 and known.disk_free > 0
    assert known.memory_free > 0
    wide = resources.of(tiny_runs.configuration(scans), tmp_path)
    assert 0 < wide.memory < known.memory and 0 < wide.disk < known.disk
    assert Needs(1, 2, 3, 4).problem(tmp_path) == ""
    assert Needs(1, 0, 3, 0).problem(tmp_path) == ""  # nobody knows what is free
    full = Needs(1, 2, int(5e9), int(1.2e9)).problem(Path("/runs"))
    assert full.startswith("The run needs about 5.0 GB in /runs, where 1.2 GB are free; make room")
    short = Needs(int(9e9), int(4e9), 1, 2).problem(Path("/runs"))
    assert "about 9.0 GB of memory, of which 4.0 GB are free" in short


def test_needs_of_the_papers_size_are_those_that_were_measured():
    from SIFALib.runs import presets

    memory = []
    for batch in (8, 1):
        paper = presets.configuration("tmi2020", "phantom:mr", "phantom:ct")
        memory.append(resources.of(replace(paper, batch=batch), Path()).memory / GIB)
    assert memory == [pytest.approx(4.7, rel=0.15), pytest.approx(1.8, rel=0.15)]
    default = presets.configuration("compact", "phantom:mr", "phantom:ct")
    assert resources.of(default, Path()).memory / GIB == pytest.approx(1.1, rel=0.15)
    card = store.default_store().get("heart").card
    for size, batch, measured in ((128, 4, 0.65), (128, 16, 1.10), (192, 8, 1.16), (256, 8, 1.56)):
        adapted = presets.adaptation("phantom", "phantom:mr", card)
        adapted = replace(adapted, batch=batch, data=replace(adapted.data, size=size))
        assert resources.of(adapted, Path()).memory / GIB == pytest.approx(measured, rel=0.15)
