"""SIFATraining's panel, driven by clicks: its four steps, and what each says of what is missing or wrong."""

from __future__ import annotations

from slicer_helpers import WORLD, add_linear_transform, add_volume, ijk_to_ras, rotation, stage

# the lines above set the stage on which the others can be imported
# isort: split
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer
import tiny_models
from SIFALib.imaging import geometry, reading, writing
from SIFALib.models import STRUCTURES, Architecture
from SIFALib.runs import control
from SIFASegmentationLib.Dependencies import DependencyError
from SIFATrainingLib.Parameters import Source
from training_panel import SIX_ITERATIONS, cells, checked, choose, made_scans, no_new_process, opened, said


@pytest.fixture
def panel(tmp_path):
    with opened(tmp_path) as made:
        yield made


def tick(panel, row: int, on: bool) -> None:
    panel.ui.scansTable.item(row, 0).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)


# Step 1


def test_an_empty_folder_is_named_and_a_check_can_be_cancelled(panel, tmp_path):
    (tmp_path / "nothing").mkdir()
    panel.ui.scansPathEdit.currentPath = str(tmp_path / "nothing")
    checked(panel)
    assert said(panel.ui.scansStateLabel).startswith(f"{tmp_path / 'nothing'} holds no images")
    assert panel.ui.startButton.toolTip == said(panel.ui.scansStateLabel) and not panel.ui.startButton.enabled
    panel.ui.scansPathEdit.currentPath = str(tmp_path / "nowhere")
    assert said(panel.ui.scansStateLabel) == f"There is no folder {tmp_path / 'nowhere'}."
    panel.ui.scansPathEdit.currentPath = str(made_scans(tmp_path) / "target")
    assert panel.scansStep.busy and panel.ui.checkScansButton.text == "Cancel"
    panel.ui.checkScansButton.click()
    assert not panel.scansStep.busy and panel.ui.startButton.toolTip == "Press Check."


def test_one_corrupt_file_among_a_dozen_is_named_and_can_be_left_out(panel, tmp_path):
    scans = made_scans(tmp_path)
    for number in range(2, 12):
        image = reading.read(scans / "target" / "target0.nii.gz")
        grey = image.array + np.float32(number)
        writing.write(geometry.Volume(grey, image.geometry), scans / "target" / f"t{number:02d}.nrrd")
    bad = scans / "target" / "t07.nrrd"
    bad.write_bytes(bad.read_bytes()[:400])
    panel.ui.scansPathEdit.currentPath = str(scans / "target")
    assert said(panel.ui.scansStateLabel).startswith("Looking at the scans") and not panel.ui.startButton.enabled
    checked(panel)
    assert str(bad) in said(panel.ui.scansStateLabel) and "untick it" in said(panel.ui.scansStateLabel)
    assert not panel.ui.startButton.enabled and str(bad) in panel.ui.startButton.toolTip
    table = cells(panel.ui.scansTable)
    (row,) = [n for n, line in enumerate(table) if line[-1] == "problem"]
    assert table[row][0] == "t07" and len(table) == 12
    assert not panel.ui.scansTable.item(0, 0).icon().isNull()
    tick(panel, row, False)
    assert "11 scans (MR) can be adapted to" in said(panel.ui.scansStateLabel)
    assert panel.ui.startButton.enabled
    assert panel.howStep.configuration.data.exclude == ("target:t07",)
    for n in range(12):
        tick(panel, n, False)
    assert panel.ui.startButton.toolTip == "Tick at least one scan."


def test_volumes_of_the_scene_are_copied_as_they_stand_in_the_world(panel, tmp_path):
    rng = np.random.default_rng(0)
    nodes = [
        add_volume(rng.integers(0, 900, (24, 40, 40)).astype(np.int16), ijk_to_ras((40, 40, 24)), f"Mueller {n}")
        for n in range(3)
    ]
    turned = add_linear_transform(rotation(0, 0, 30))
    nodes[1].SetAndObserveTransformNodeID(turned.GetID())
    panel.ui.scansKindSelector.currentIndex = 2
    assert [row[0] for row in cells(panel.ui.scansTable)] == ["Mueller 0", "Mueller 1", "Mueller 2"]
    assert panel.ui.startButton.toolTip == "Tick volumes and press Check."
    tick(panel, 2, False)
    panel.ui.checkScansButton.click()
    checked(panel)
    assert said(panel.ui.scansStateLabel).startswith("2 scans (MR) can be adapted to")
    assert panel.ui.startButton.enabled
    copies = sorted((tmp_path / "runs" / ".scans").rglob("*.nrrd"))
    assert len(copies) == 2 and copies[0].parent.stat().st_mode & 0o077 == 0
    read = [reading.read(path) for path in copies]
    assert all(np.array_equal(v.array, slicer.util.arrayFromVolume(n)) for v, n in zip(read, nodes, strict=False))
    assert abs(read[1].geometry.axes[0, 0]) == pytest.approx(np.cos(np.radians(30)))
    tick(panel, 2, True)
    assert "were not looked at" in panel.ui.startButton.toolTip


def test_segmentation_panel_hands_its_scan_over(panel):
    scan = add_volume(np.zeros((24, 40, 40), np.int16), ijk_to_ras((40, 40, 24)), name="Odd scan")
    other = add_volume(np.zeros((24, 40, 40), np.int16), ijk_to_ras((40, 40, 24)), name="Other")
    segmentation = stage.open_module("SIFASegmentation")
    result = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    result.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    segmentation.resultsPanel.node = result
    segmentation.ui.adaptButton.click()
    assert slicer.util.selectedModule() == "SIFATraining"
    assert [(row.name, row.ticked) for row in panel.scansStep.rows] == [("Odd scan", True), ("Other", False)]
    assert other is not None and panel.ui.startButton.toolTip == "Tick volumes and press Check."


def test_scans_that_vanish_after_the_check_are_told_before_anything_starts(panel, tmp_path):
    scans = made_scans(tmp_path)
    choose(panel, scans)
    assert panel.ui.startButton.enabled
    (scans / "target").rename(tmp_path / "unplugged")
    panel.ui.startButton.click()
    assert panel.ui.startStatusLabel.text == f"There is no folder {scans / 'target'}."
    assert not runs_below(tmp_path) and not panel.ui.startButton.enabled


def test_a_disk_that_is_full_while_volumes_are_copied_is_told(panel, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    add_volume(np.zeros((24, 40, 40), np.int16), ijk_to_ras((40, 40, 24)), name="Scan")
    panel.ui.scansKindSelector.currentIndex = 2
    monkeypatch.setattr(writing, "write", full)
    panel.ui.checkScansButton.click()
    checked(panel)
    assert "the disk is full" in said(panel.ui.scansStateLabel)


# Step 2


def test_label_values_are_offered_and_those_of_mmwhs_known(panel, tmp_path):
    scans = made_scans(tmp_path)
    for number in range(2):
        path = scans / "source" / f"source{number}_label.nii.gz"
        labels = reading.read(path)
        values = np.array([0, 205, 420, 500, 820], np.int16)[labels.array]
        writing.write(geometry.Volume(values, labels.geometry), path)
    choose(panel, scans)
    assert [row[0] for row in rows_of(panel.ui.labelsTable)] == ["205", "420", "500", "820"]
    shown = [panel.ui.labelsTable.cellWidget(row, 1).currentText for row in range(4)]
    assert shown == ["Left ventricular myocardium", "Left atrium", "Left ventricle", "Ascending aorta"]
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    assert panel.howStep.configuration.data.label_values == {"205": 1, "420": 2, "500": 3, "820": 4}
    panel.ui.labelsTable.cellWidget(3, 1).currentIndex = 0
    assert panel.ui.startButton.toolTip == "Say in the table what the label value 820 means."
    with no_new_process():
        panel.ui.labelsTable.cellWidget(3, 1).currentIndex = 1  # background
        checked(panel)
    assert panel.howStep.configuration.data.label_values["820"] == 0
    assert "never draw it" in said(panel.ui.sourceStateLabel)


def test_what_is_chosen_for_a_value_holds_for_that_value_of_a_data_set(panel, tmp_path):
    scans = made_scans(tmp_path)
    for number in range(2):
        path = scans / "source" / f"source{number}_label.nii.gz"
        labels = reading.read(path)
        values = np.array([0, 2, 0, 1, 3], np.int16)[labels.array]  # as M&Ms has muscle, left and right ventricle
        writing.write(geometry.Volume(values, labels.geometry), path.with_name(f"p{number}_sa_gt.nii.gz"))
        path.unlink()
        (scans / "source" / f"source{number}.nii.gz").rename(scans / "source" / f"p{number}_sa.nii.gz")
    choose(panel, scans)
    boxes = [panel.ui.labelsTable.cellWidget(row, 1) for row in range(3)]
    assert [row[0] for row in rows_of(panel.ui.labelsTable)] == ["1", "2", "3"]
    assert [b.currentText for b in boxes] == ["Left ventricle", "Left ventricular myocardium", "background"]
    boxes[1].currentIndex = boxes[1].findData(255)
    checked(panel)
    assert panel.howStep.configuration.data.label_values == {"1": 3, "2": 255, "3": 0}
    assert [b.currentText for b in boxes] == ["Left ventricle", "not known: teaches nothing", "background"]


def test_label_maps_of_the_whole_heart_mean_what_the_start_model_draws(panel, tmp_path):
    scans = made_scans(tmp_path)
    for number in range(2):
        path = scans / "source" / f"source{number}_label.nii.gz"
        labels = reading.read(path)
        values = np.array([0, 205, 600, 500, 820], np.int16)[labels.array]
        writing.write(geometry.Volume(values, labels.geometry), path)
    choose(panel, scans)
    table = panel.ui.labelsTable
    meanings = {row[0]: table.cellWidget(n, 1).currentText for n, row in enumerate(rows_of(table))}
    assert meanings["600"] == "background" and meanings["500"] == "Left ventricle"
    assert table.cellWidget(0, 1).findText("Right ventricle") < 0
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    architecture = Architecture(width=2, classes=8)
    tiny_models.write(
        panel.logic.store().user / "whole-1.0.0", id="whole", architecture=architecture, labels=STRUCTURES
    )
    panel.howStep.refreshModels()
    with no_new_process():
        panel._parameterNode.startModel = "whole@1.0.0"
        checked(panel)
    meanings = {row[0]: table.cellWidget(n, 1).currentText for n, row in enumerate(rows_of(table))}
    assert meanings["600"] == "Right ventricle"
    data, method = panel.howStep.configuration.data, panel.howStep.configuration.method
    assert data.classes == method.classes == 8 and data.label_values["600"] == 5


def test_label_maps_may_leave_structures_out(panel, tmp_path):
    scans = made_scans(tmp_path)
    for path in (scans / "source").glob("*_label.nii.gz"):
        labels = reading.read(path)
        writing.write(geometry.Volume(np.where(labels.array == 4, 0, labels.array), labels.geometry), path)
    choose(panel, scans)
    box = panel.ui.partialLabelsBox
    assert not panel.howStep.configuration.data.partial_labels and not box.isHidden()
    assert "never draw it" in said(panel.ui.sourceStateLabel)
    with no_new_process():
        box.click()
        checked(panel)
    assert panel.howStep.configuration.data.partial_labels and panel.ui.startButton.enabled
    assert said(panel.ui.sourceStateLabel) == "2 labelled images."
    panel._parameterNode.source = Source.PHANTOM
    assert box.isHidden() and not panel.howStep.configuration.data.partial_labels


def rows_of(table) -> list[list[str]]:
    return [[table.item(row, 0).text()] for row in range(table.rowCount)]


def test_labels_that_are_missing_and_a_scan_in_both_domains_are_refused(panel, tmp_path):
    scans = made_scans(tmp_path)
    again = scans / "target" / "again.nii.gz"
    shutil.copy(scans / "source" / "source0.nii.gz", again)
    choose(panel, scans)
    assert "the target must not hold what the source teaches" in panel.ui.startButton.toolTip
    (scans / "source" / "source1_label.nii.gz").unlink()
    panel.ui.checkSourceButton.click()
    checked(panel)
    assert "source1.nii.gz has no label map" in said(panel.ui.sourceStateLabel)
    assert "source1.nii.gz has no label map" in panel.ui.startButton.toolTip


# Step 3


def test_advanced_settings_are_those_of_the_configuration_with_their_ranges(panel, tmp_path):
    panel.ui.advancedCollapsibleButton.collapsed = False
    table = panel.ui.advancedTable
    lines = {table.item(r, 0).toolTip().splitlines()[0]: r for r in range(table.rowCount)}
    assert table.item(lines["batch"], 2).text() == "1 to 4096 slices"
    assert table.item(lines["data.augmentation.rotation_deg"], 2).text() == "0 to 180 degrees"
    assert table.item(lines["method.segmentation_rate"], 2).text() == "above 0 and at most 0.1"
    assert {"iterations", "seed", "method.cycle_weight", "precision", "method.objective"} <= set(lines)
    batch = table.cellWidget(lines["batch"], 1)
    batch.text = "4"
    batch.editingFinished.emit()
    assert panel.howStep.configuration.batch == 4 and batch.font.bold()
    batch.text = "0"
    batch.editingFinished.emit()
    assert "batch is 0; it must be 1 to 4096" in panel.ui.advancedStatusLabel.text
    assert batch.text == "4" and panel.howStep.configuration.batch == 4
    batch.text = "many"
    batch.editingFinished.emit()
    assert "batch is many; it must be 1 to 4096" in panel.ui.advancedStatusLabel.text
    objective = table.cellWidget(lines["method.objective"], 1)
    objective.currentIndex = objective.findText("image")
    assert panel.howStep.configuration.method.objective == "image"
    panel.ui.resetAdvancedButton.click()
    assert panel.howStep.configuration.batch == 8 and batch.text == "8" and not batch.font.bold()


def test_presets_and_start_model_make_the_configuration(panel):
    found = []
    for index in range(3):
        panel.ui.presetSelector.currentIndex = index
        found.append(panel.howStep.configuration)
    assert [c.iterations for c in found] == [100, 300, 1000]
    assert {(c.method.width, c.start_model, c.data.preprocessing.crop) for c in found} == {(2, "tiny@1.0.0", 32)}
    panel.ui.deviceSelector.currentIndex = 1
    assert panel.howStep.configuration.device == "cpu"


def test_the_time_comes_from_iterations_on_this_computer(panel):
    panel._parameterNode.advanced = json.dumps({**SIX_ITERATIONS, "iterations": 100_000})
    assert "Measure tells" in said(panel.ui.estimateLabel)
    panel.howStep.task._onAnswer(
        {"seconds": 0.5, "memory": 4 * 10**8, "checkpoint": 10**6, "phantom": 0, "device": "cpu"}
    )
    with no_new_process():
        panel.howStep.onMeasure()
        stage.wait_until(lambda: not panel.howStep.task.running)
    assert said(panel.ui.estimateLabel).startswith("About "), said(panel.ui.estimateLabel)
    assert "100000 iterations of" in said(panel.ui.estimateLabel) and "CPU" in said(panel.ui.estimateLabel)
    assert "Thorough" in panel.ui.presetTimesLabel.text
    panel._parameterNode.advanced = json.dumps({**SIX_ITERATIONS, "batch": 4})
    assert "Measure tells" in said(panel.ui.estimateLabel)  # that was of another iteration


# Step 4


@pytest.fixture
def ready(panel, tmp_path):
    """All four steps are fine."""
    choose(panel, made_scans(tmp_path))
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    return panel


def runs_below(folder) -> list:
    return list(control.runs_in(folder / "runs"))


def test_without_torch_nothing_starts_and_the_panel_says_how_to_get_it(ready, tmp_path):
    def ensure():
        raise DependencyError("PyTorch is missing and was not installed. Press Start to install it.")

    ready.logic.dependencies.ensure = ensure
    ready.ui.startButton.click()
    assert ready.ui.startStatusLabel.text.startswith("PyTorch is missing") and ready.ui.startButton.enabled
    ready.logic.dependencies.ensure = lambda: None

    def broken():
        raise DependencyError("PyTorch 2.2 is installed but does not work.")
        yield

    ready.logic.dependencies.trySteps = broken
    ready.ui.startButton.click()
    stage.wait_until(lambda: not ready.startStep.busy)
    assert "does not work" in ready.ui.startStatusLabel.text and not runs_below(tmp_path)


def test_a_full_disk_or_too_little_memory_is_told_before_the_start_with_the_numbers(ready, monkeypatch):
    from SIFALib.runs import resources

    def refused() -> str:
        ready.update()
        assert not ready.ui.startButton.enabled
        return ready.ui.startButton.toolTip

    with monkeypatch.context() as less:
        less.setattr(resources, "free_memory", lambda: 10**8)
        assert "of memory, of which 100 MB are free" in refused()
    full = SimpleNamespace(total=10**12, used=10**12, free=10**7)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    assert "where 10 MB are free; make room" in refused()


def test_a_run_is_packed_for_another_computer(ready, tmp_path):
    ready.startStep.pack(tmp_path / "parcel")
    stage.wait_until(lambda: not ready.startStep.task.running)
    assert str(tmp_path / "parcel") in ready.ui.startStatusLabel.text
    ready.ui.copyCommandButton.click()
    copied = WORLD.app.clipboard().text()
    assert copied == ready.ui.commandEdit.text and "torchrun" in copied
    assert (tmp_path / "parcel" / "target.json").exists()


@pytest.mark.parametrize("end", [stage.close_module, stage.end_application])
def test_closing_the_scene_leaves_the_panel_usable_and_closing_the_panel_no_process(panel, tmp_path, end):
    scans = made_scans(tmp_path) / "target"
    panel.ui.scansPathEdit.currentPath = str(scans)
    stage.clear_scene()
    assert not panel.scansStep.busy
    assert panel.ui.startButton.toolTip == "Choose the folder that holds your scans."
    panel.enter()
    panel.ui.scansPathEdit.currentPath = str(scans)
    child = panel.scansStep.check._process
    assert child.poll() is None
    end("SIFATraining")
    assert child.poll() is not None and panel.Observations == []
