"""Whole stories of SIFATraining, told by clicks: a night with a crash, another scanner, and what never leaves the site."""

from __future__ import annotations

from slicer_helpers import stage

# the lines above set the stage on which the others can be imported
# isort: split
import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import tiny_models
import tiny_runs
from SIFALib import adaptation, phantom
from SIFALib.adaptation.method import Method
from SIFALib.adaptation.verdict import FEWEST
from SIFALib.imaging import geometry, writing
from SIFALib.models import store
from SIFALib.models.card import Preprocessing
from SIFALib.networks import loading
from SIFALib.runs import RunFolder, control, create, events, launch, loop
from training_panel import cells, checked, choose, made_scans, new_panel, no_new_process, said, start, wait_for

PATIENT, FAMILY_NAME = "mueller_hans_1950", "Mueller"
WATCHMAN = """
import pathlib, sys
NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
place = pathlib.Path(__file__).parent
with open(place / "watched", "a", encoding="utf-8") as file:
    file.write(sys.executable + chr(10))
def watch(event, arguments):
    if event in NETWORK:
        with open(place / "refused", "a", encoding="utf-8") as file:
            file.write(event + repr(arguments) + chr(10))
        raise PermissionError("no network here")
sys.addaudithook(watch)
"""


@pytest.fixture
def folder(tmp_path):
    """Where this site's scans, runs and models are; the panel is thrown away at the end."""
    stage.clear_scene()
    site = tmp_path / "Klinik Süd, 3. Stock"
    site.mkdir()
    yield site
    stage.close_module("SIFATraining")
    for seen in control.runs_in(site / "runs"):
        if seen.status is not None:
            launch.end(seen.status.process)
    stage.clear_scene()


@pytest.mark.usefixtures("one_thread")
def test_a_run_goes_from_start_to_the_end_survives_slicer_and_a_crash_and_ends_as_if_nothing_had_happened(folder):
    scans = made_scans(folder)
    panel = new_panel(folder)
    ui = panel.ui
    assert not ui.startButton.enabled and ui.startButton.toolTip == "Choose the folder that holds your scans."
    choose(panel, scans, iterations=8)
    assert ui.startButton.enabled, ui.startButton.toolTip
    assert [row[0] for row in cells(ui.scansTable)] == ["target0", "target1"]
    assert cells(ui.scansTable)[0][1:] == ["MR", "4 × 4 × 8\n160 × 160 × 80", "fine"]
    assert "2 labelled images" in said(ui.sourceStateLabel) and "free" in said(ui.needsLabel)
    ui.runNameEdit.text = "Our 0.55 T"
    run = start(panel)
    assert run.parent == folder / "runs" and run.name.endswith("our-0-55-t")
    assert panel.runView.state in ("starting", "preparing") and panel.logic.dependencies.asked == 1
    stage.wait_until(lambda: panel.runView.state == "running" and len(panel.runView.reader.losses) >= 1)
    panel.ui.pauseButton.click()
    wait_for(panel, "paused", "finished")
    assert panel.runView.state == "paused" and panel.ui.pauseButton.text == "Resume"
    stage.close_module("SIFATraining")  # Slicer is closed; its runs know nothing of that

    panel = new_panel(folder)
    assert panel.runView.path == run and panel.runView.state == "paused"  # found and shown without being asked
    status = control.look(run).status
    assert status is not None and status.is_active()
    stage.close_module("SIFATraining")  # before the run ends: a panel that saw its end would have told of it
    os.kill(status.pid, signal.SIGKILL)  # the computer is switched off
    stage.wait_until(lambda: not status.is_active())

    panel = new_panel(folder)
    assert panel.runView.path == run and panel.runsPanel.runs[0].state == "interrupted"
    assert "ended without a word" in said(panel.ui.runStateLabel) and panel.ui.pauseButton.text == "Resume"
    panel.ui.pauseButton.click()
    wait_for(panel, "finished", "failed", "lost")
    assert panel.runView.state == "finished", said(panel.ui.runStateLabel) + panel.runView.reader.log()
    assert set(tiny_runs.losses_of(run)) == set(range(1, 9))
    assert panel.ui.runBar.value == panel.ui.runBar.maximum == 8

    undisturbed = create(folder / "undisturbed", RunFolder(run).read().configuration).path  # in this process
    with mock.patch.dict(os.environ, panel.logic.environment):  # where the models are
        assert loop.train(undisturbed) == "finished"
    assert tiny_runs.result_of(undisturbed) == tiny_runs.result_of(run)

    panel.runsPanel.refresh()
    panel.ui.runsTable.selectRow([s.folder.path for s in panel.runsPanel.runs].index(run))
    panel.ui.longerBox.value = 10
    panel.ui.longerRunButton.click()
    wait_for(panel, "finished", "failed", "lost")
    stage.wait_until(lambda: set(tiny_runs.losses_of(run)) == set(range(1, 11)))


def test_stop_saves_and_a_second_stop_ends_everything_at_once(folder):
    panel = new_panel(folder)
    choose(panel, made_scans(folder), iterations=100_000, save_every=100_000)
    run = start(panel)
    stage.wait_until(lambda: panel.runView.state == "running" and len(panel.runView.reader.losses) >= 2)
    panel.ui.stopButton.click()
    assert panel.ui.stopButton.text == "Stop at once" and "it saves first" in said(panel.ui.runStateLabel)
    wait_for(panel, "stopped")
    assert any(RunFolder(run).checkpoints.glob("*.pt"))
    panel.ui.pauseButton.click()  # go on, and be ended the hard way
    stage.wait_until(lambda: panel.runView.state == "running")
    process = control.look(run).status.process
    panel.ui.stopButton.click()
    panel.ui.stopButton.click()
    assert not process.is_alive()
    wait_for(panel, "interrupted", "stopped")


def dicom_series(place: Path, seed: int) -> None:
    """A scan as a scanner sends it, with the patient's name in every file."""
    place.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(10):
        image = sitk.GetImageFromArray(rng.integers(0, 900, (1, 40, 40)).astype(np.uint16))
        image.SetSpacing((4.0, 4.0, 8.0))
        tags = {
            "0010|0010": f"{FAMILY_NAME}^Hans", "0010|0020": "P-4711", "0008|0060": "MR",
            "0020|000d": f"1.2.3.{seed}", "0020|000e": f"1.2.3.{seed}.1", "0008|0018": f"1.2.3.{seed}.1.{number}",
            "0020|0013": str(number), "0020|0032": f"0\\0\\{8 * number}", "0020|0037": "1\\0\\0\\0\\1\\0",
        }  # fmt: skip
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(place / f"{number:02d}.dcm"))
        writer.Execute(image)


def network_of(pid: int) -> list[str]:
    """The sockets that a process has open (Linux)."""
    found = []
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(os.readlink(path))
        except OSError:
            continue
    return [link for link in found if link.startswith("socket:")]


def test_nothing_leaves_the_site(folder):
    """A whole run may not open a connection; neither headers nor names get into what is passed on."""
    scans = made_scans(folder)
    for number in range(2):
        dicom_series(folder / "scans" / "dicom" / f"{PATIENT}_{number}", number)
    watch = folder / "watch"
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(WATCHMAN)
    control_run = launch.start(
        sys.executable, "socket_user", [], folder / "said", {"PYTHONPATH": str(_socket_user(watch))}
    )
    assert control_run.wait() != 0 and (watch / "refused").exists()  # the watchman does refuse
    (watch / "refused").unlink()

    panel = new_panel(folder)
    choose(panel, scans)
    panel.ui.scansKindSelector.currentIndex = 1
    panel.ui.scansPathEdit.currentPath = str(folder / "scans" / "dicom")
    stage.wait_until(lambda: not panel.scansStep.busy)
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    environment = {**panel.logic.environment, "PYTHONPATH": str(watch)}
    type(panel.logic).environment, before = property(lambda _self: environment), type(panel.logic).environment
    try:
        run = start(panel)
        stage.wait_until(lambda: panel.runView.state in ("running", "finished", "failed"))
        assert network_of(control.look(run).status.pid) == []
        wait_for(panel, "finished", "failed", "lost")
    finally:
        type(panel.logic).environment = before
    assert panel.runView.state == "finished", said(panel.ui.runStateLabel) + panel.runView.reader.log()
    assert (watch / "watched").read_text(encoding="utf-8").count("\n") >= 2
    assert not (watch / "refused").exists()

    for path in run.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert FAMILY_NAME.encode() not in content and b"P-4711" not in content, path
    if panel.ui.useModelButton.enabled:
        panel.ui.useModelButton.click()
    else:
        panel.ui.useAnywayButton.click()
    (package,) = [p for p in panel.logic.store().packages() if p.card.id == "my-scans"]
    for path in package.folder.iterdir():
        content = path.read_bytes().lower()
        for word in (PATIENT, FAMILY_NAME.lower(), "source0", str(folder).lower(), "p-4711"):
            assert word.encode() not in content, f"{word} in {path}"


def _socket_user(folder: Path) -> Path:
    (folder / "socket_user.py").write_text("import socket\nsocket.create_connection(('127.0.0.1', 9))\n")
    return folder


# Another scanner

SIDE = 64  # pixels
GRID = Preprocessing(spacing_mm=2.25, slice_spacing_mm=6.0, crop=SIDE)
ADAPT = 4  # iterations: whether so few gain anything is rounding; that adapting pays, `make bench-gain` proves
PHANTOMS, SCANS, VOXEL_MM = 2, 2, 5.0
FAST = {"method.segmentation_rate": 1e-3, "method.adversarial_rate": 1e-3, "method.average_decay": 0.95}


def other_scanner(image: geometry.Volume, seed: int) -> geometry.Volume:
    """The same patient on a scanner with other grey values, uneven brightness and much noise."""
    rng = np.random.default_rng(seed)
    grey = np.clip((image.array.astype(float) + 200) / 800, 0, 1) ** 0.35
    uneven = 1 + 0.15 * np.linspace(-1, 1, grey.shape[2])
    shown = grey * uneven + rng.normal(0, 0.04, grey.shape)
    return geometry.Volume((800 * shown - 200).astype(np.int16), image.geometry)


def start_model(folder: Path) -> store.ModelPackage:
    """Of this site's grid, and untrained: whether anything is gained is no matter of the panel."""
    method = Method(width=4, objective="source_only")
    state = adaptation.start(method, 1, ADAPT)
    architecture = store.Architecture(width=4)
    return store.write_package(
        folder / "models" / "ct-1.0.0",
        loading.state_arrays(state.average),
        **tiny_models.card_fields(id="ct", name="CT", architecture=architecture, preprocessing=GRID, quality=()),
    )


@pytest.mark.usefixtures("one_thread")
@pytest.mark.timeout(1800)
def test_another_scanner_is_adapted_to_and_the_panel_judges_by_the_scores_of_the_run(folder):
    start_model(folder)
    for seed in range(12_000, 12_000 + SCANS):
        scan = other_scanner(phantom.make(seed, "ct", VOXEL_MM).image, seed)
        (folder / "site").mkdir(exist_ok=True)
        writing.write(scan, folder / "site" / f"scan{seed}.nrrd")
    panel = new_panel(folder)
    panel.ui.startModelSelector.currentIndex = panel.ui.startModelSelector.findData("ct@1.0.0")
    panel.ui.sourceSelector.currentIndex = 2  # CT phantoms
    panel.ui.presetSelector.currentIndex = 0  # quick look
    with no_new_process():
        panel.ui.scansPathEdit.currentPath = str(folder / "site")
        checked(panel)
    shorter = {
        "iterations": ADAPT, "judge_every": ADAPT // 2, "save_every": ADAPT // 2, "preview_every": ADAPT // 2,
        "batch": 2, "threads": 1, "workers": 0, "data.size": SIDE, "data.coarse_share": 0.0, "data.phantoms": PHANTOMS,
        "data.phantom_seed": 11_000, "data.phantom_spacing_mm": VOXEL_MM, "cache": str(folder / "cache"), **FAST,
    }  # fmt: skip
    panel._parameterNode.advanced = json.dumps(shorter)
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    panel.ui.runNameEdit.text = "Other scanner"
    run = start(panel)
    wait_for(panel, "finished", "failed", "lost")
    assert panel.runView.state == "finished", said(panel.ui.runStateLabel) + panel.runView.reader.log()
    assert len(list(RunFolder(run).previews.glob("*.png"))) == 2 and not panel.ui.previewLabel.pixmap.isNull()
    scores = [event for event in events.read(run / "events.jsonl") if event["kind"] == "score"]
    assert [event["iteration"] for event in scores] == [0, ADAPT // 2, ADAPT]
    assert scores[0]["value"] == 0.0 and all(event["verdict"]["hearts"] == SCANS < FEWEST for event in scores)
    assert said(panel.ui.verdictLabel).startswith("Too few scans to tell") and not panel.ui.useModelButton.enabled
    panel.ui.useAnywayButton.click()
    parameters = slicer.mrmlScene.GetSingletonNode("SIFASegmentation", "vtkMRMLScriptedModuleNode")
    assert parameters.GetParameter("model") == "other-scanner@1.0.0"
    assert panel.logic.store().get("other-scanner").card.preprocessing == GRID
