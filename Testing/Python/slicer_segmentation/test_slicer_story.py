"""The story of both panels in one scene, told by clicks with the bundled model: load, segment, edit, adapt."""

from __future__ import annotations

from slicer_helpers import ReadyDependencies, dice, exported_labels, stage

# the lines above set the stage on which the others can be imported
# isort: split
import numpy as np
import pytest
import slicer
import training_panel
from segmentation_panel import cells, run
from SIFALib import phantom
from SIFALib.imaging import writing
from SIFALib.models import store
from training_panel import said

SPACING_MM = 3.0


@pytest.fixture(scope="module")
def patient():
    return phantom.make(1, "ct", SPACING_MM)


def loaded(path, name: str):
    """The volume node of a file, as Slicer's storage nodes read it."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    assert node.GetStorageNode().ReadData(node)
    return node


@pytest.fixture
def panels(tmp_path):
    """Both panels of a Slicer that was just started, with the model that comes with SIFA."""
    stage.close_module("SIFASegmentation")
    training = training_panel.new_panel(tmp_path, bundled=store.default_store().bundled)
    segmentation = stage.open_module("SIFASegmentation")
    segmentation.logic.dependencies = ReadyDependencies()
    yield segmentation, training
    segmentation.runner.cancel()
    for name in ("SIFASegmentation", "SIFATraining"):
        stage.close_module(name)


def test_a_scan_is_loaded_segmented_edited_and_adapted_to(panels, patient, tmp_path):
    segmentation, training = panels
    writing.write(patient.image, tmp_path / "Patient 7.nrrd")
    scan = loaded(tmp_path / "Patient 7.nrrd", "Patient 7")

    # segment
    stage.open_module("SIFASegmentation")
    ui = segmentation.ui
    assert ui.inputSelector.currentNode() is scan and ui.modelSelector.currentText == "Automatic"
    ui.viewsSelector.currentIndex = 1  # in one plane, which takes seconds
    assert ui.applyButton.enabled, ui.applyButton.toolTip
    run(segmentation)
    result = ui.outputSelector.currentNode()
    assert result.GetName() == "Patient 7 segmentation" and not ui.statusLabel.text
    assert ui.provenanceLabel.text.startswith("<small>heart-phantom ")  # a volume is no stack of short axes
    found = exported_labels(result, scan)
    assert min(dice(found, patient.labels.array, value) for value in range(1, 5)) > 0.75
    before = cells(ui.resultsTable)
    assert [row[0] for row in before][2] == "Left ventricle" and all(float(row[1]) > 0 for row in before)

    # edit
    ui.editButton.click()
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    assert slicer.util.selectedModule() == "SegmentEditor"
    assert editor.segmentation is result and editor.volume is scan
    stage.leave_module("SIFASegmentation")
    array = slicer.util.arrayFromSegmentBinaryLabelmap(editor.segmentation, "LV", editor.volume).copy()
    middle = int(np.argwhere(array)[:, 0].mean())
    array[middle:] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, editor.segmentation, "LV", editor.volume)
    stage.open_module("SIFASegmentation")
    after = cells(ui.resultsTable)
    left = float(np.count_nonzero(array)) * patient.labels.geometry.voxel_ml
    assert float(after[2][1]) == pytest.approx(left, abs=0.06) and left < 0.7 * float(before[2][1])
    assert [row[:2] for n, row in enumerate(after) if n != 2] == [row[:2] for n, row in enumerate(before) if n != 2]
    assert after[2][2] == "" and "Edited since" in ui.flagsLabel.text

    # adapt
    ui.adaptButton.click()
    assert slicer.util.selectedModule() == "SIFATraining"
    ui = training.ui
    assert cells(ui.scansTable)[0][0] == "Patient 7"
    assert ui.startButton.toolTip == "Tick volumes and press Check." and not ui.startButton.enabled
    ui.checkScansButton.click()
    stage.wait_until(lambda: not training.scansStep.busy)
    assert said(ui.scansStateLabel).startswith("One scan (CT) can be adapted to. More would be better")
    assert cells(ui.scansTable)[0][-1] == "fine"
    assert ui.startModelSelector.currentText.startswith("Heart")
    assert ui.startButton.enabled, ui.startButton.toolTip
    assert "free" in said(ui.needsLabel)
