"""The section Batch, by clicks: a folder or the scene in, a folder out, a row for each scan, to be stopped at any time."""

from __future__ import annotations

from segmentation_panel import add_scan, cells, panel
from slicer_helpers import add_linear_transform, add_volume, balls, grid_points, ijk_to_ras, rotation, stage

# the lines above set the stage on which the others can be imported
# isort: split
import csv

import numpy as np
import pytest
import slicer
from SIFALib.imaging import seg_nrrd, writing
from SIFALib.imaging.geometry import Geometry, Volume
from SIFASegmentationLib.Parameters import BatchSource

__all__ = ["panel"]  # the fixture
GRID = Geometry((50, 48, 44), (-25.0, -24.0, -22.0), (1.0, 1.0, 1.0))


@pytest.fixture
def folder(tmp_path):
    """Two scans and a file that is none."""
    place = tmp_path / "Aufnahmen é"
    place.mkdir()
    for seed, name in enumerate(("anna", "bert")):
        noise = np.random.default_rng(seed).normal(0, 50, GRID.shape).astype(np.int16)
        writing.write(Volume(noise, GRID), place / f"{name}.nrrd")
    (place / "torn.nii.gz").write_bytes(b"torn")
    return place


def choose(panel, folder, output) -> None:
    panel.ui.batchCollapsibleButton.collapsed = False
    panel.ui.batchFolderEdit.currentPath = str(folder)
    panel.ui.batchOutputEdit.currentPath = str(output)


def run(panel) -> None:
    panel.ui.batchButton.click()
    stage.wait_until(lambda: not panel.batchPanel.running, 60)


def test_the_button_says_why_it_cannot_be_pressed(panel, folder, tmp_path):
    button = panel.ui.batchButton
    assert not button.enabled and "folder that holds your scans" in button.toolTip
    panel.ui.batchFolderEdit.currentPath = str(tmp_path / "nowhere")
    assert not button.enabled and "There is no folder" in button.toolTip
    panel.ui.batchFolderEdit.currentPath = str(folder)
    assert not button.enabled and "folder for the results" in button.toolTip
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    assert button.enabled and button.text == "Segment all"
    for box in panel._structureBoxes.values():
        box.checked = False
    assert not button.enabled and "at least one structure" in button.toolTip


def test_a_folder_becomes_a_folder_and_the_scene_stays_as_it_is(panel, folder, tmp_path):
    choose(panel, folder, tmp_path / "out")
    before = slicer.mrmlScene.GetNumberOfNodes()
    run(panel)
    assert cells(panel.ui.batchTable) == [["anna", "✓ done"], ["bert", "✓ done"], ["torn", "✗ failed"]]
    assert "torn.nii.gz" in panel.ui.batchTable.item(2, 1).toolTip()
    assert "LV: " in panel.ui.batchTable.item(0, 0).toolTip()
    assert "2 of 3 scans are done" in panel.ui.batchLabel.text
    labels, _ = seg_nrrd.read_seg_nrrd(tmp_path / "out" / "anna.seg.nrrd")
    assert labels.geometry == GRID and np.array_equal(labels.array, balls(grid_points(GRID)))
    with open(tmp_path / "out" / "volumes.csv", encoding="utf-8", newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["done", "done", "failed"]
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert panel.ui.batchOpenFolderButton.enabled and panel.ui.batchBar.isHidden()


def test_stopped_it_goes_on_where_it_was(panel, folder, tmp_path):
    choose(panel, folder, tmp_path / "out")
    panel.ui.batchButton.click()
    stage.wait_until(lambda: any(row.state == "done" for row in panel.batchPanel.rows.values()), 60)
    assert panel.ui.batchButton.text == "Cancel" and not panel.ui.batchBar.isHidden()
    panel.ui.batchButton.click()
    assert not panel.batchPanel.running and "goes on from there" in panel.ui.batchLabel.text
    assert panel.ui.inputsFrame.enabled and panel.ui.batchButton.text == "Segment all"
    run(panel)
    assert [state for _, state in cells(panel.ui.batchTable)] == ["✓ finished before", "✓ done", "✗ failed"]


def test_volumes_of_the_scene_are_written_where_they_stand_in_the_world(panel, tmp_path):
    panel.ui.batchCollapsibleButton.collapsed = False
    add_scan("Straight")
    turned = add_volume(
        np.random.default_rng(0).normal(0, 9, (48, 56, 64)).astype(np.int16), ijk_to_ras(), name="Turned"
    )
    turned.SetAndObserveTransformNodeID(add_linear_transform(rotation(10, 20, 30)).GetID())
    assert not panel.ui.batchFolderEdit.isHidden()
    panel._parameterNode.batchSource = BatchSource.SCENE
    assert panel.ui.batchFolderEdit.isHidden()
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    run(panel)
    states = dict(cells(panel.ui.batchTable))
    assert states["Turned"] == "✓ done"
    assert states["Straight"] == "✗ failed"  # a volume of zeros shows nothing
    labels, _ = seg_nrrd.read_seg_nrrd(tmp_path / "out" / "Turned.seg.nrrd")
    assert np.array_equal(labels.array, balls(grid_points(labels.geometry)))
    panel.ui.batchButton.click()
    stage.wait_until(lambda: panel.batchPanel.rows)
    slicer.mrmlScene.RemoveNode(turned)
    stage.wait_until(lambda: not panel.batchPanel.running, 60)
    assert "was removed" in " ".join(row.message for row in panel.batchPanel.rows.values())


def test_one_thing_at_a_time(panel, folder, tmp_path):
    add_scan()
    panel.enter()
    choose(panel, folder, tmp_path / "out")
    panel.ui.applyButton.click()
    assert not panel.ui.batchCollapsibleButton.enabled
    assert not panel.ui.batchButton.enabled and "segmentation is running" in panel.ui.batchButton.toolTip
    stage.wait_until(lambda: not panel.runner.running)
    assert panel.ui.batchButton.enabled
    panel.ui.batchButton.click()
    assert not panel.ui.applyButton.enabled and "batch is running" in panel.ui.applyButton.toolTip
    assert not panel.ui.inputsFrame.enabled
    stage.wait_until(lambda: not panel.batchPanel.running, 60)
    assert panel.ui.applyButton.enabled and panel.ui.inputsFrame.enabled


def test_what_ends_a_batch_is_said_in_the_panel(panel, folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    choose(panel, folder, tmp_path / "file" / "out")
    run(panel)
    assert "cannot be written to" in panel.ui.batchLabel.text
    empty = tmp_path / "empty"
    empty.mkdir()
    choose(panel, empty, tmp_path / "out")
    run(panel)
    assert "holds no" in panel.ui.batchLabel.text
    assert panel.ui.applyButton.text == "Apply"


def test_closing_the_scene_ends_a_batch_and_what_is_done_stays(panel, folder, tmp_path):
    choose(panel, folder, tmp_path / "out")
    panel.ui.batchButton.click()
    stage.wait_until(lambda: any(row.state == "done" for row in panel.batchPanel.rows.values()), 60)
    slicer.mrmlScene.Clear(0)
    assert not panel.batchPanel.running
    assert (tmp_path / "out" / "anna.seg.nrrd").exists()
    panel.enter()
    assert not panel.ui.batchFolderEdit.currentPath


def test_choices_of_the_panel_hold_for_the_batch(panel, folder, tmp_path):
    panel._structureBoxes["LA"].checked = False
    choose(panel, folder, tmp_path / "out")
    run(panel)
    given = panel.logic.backend.given
    assert given.structures == ("MYO", "LV", "AA") and given.roi is None
    labels, structures = seg_nrrd.read_seg_nrrd(tmp_path / "out" / "anna.seg.nrrd")
    assert [s.id for s in structures] == ["MYO", "LV", "AA"] and not (labels.array == 2).any()


def test_maps_of_uncertainty_are_no_scans(panel, tmp_path):
    volume_node = add_volume(
        np.random.default_rng(0).normal(0, 9, (48, 56, 64)).astype(np.int16), ijk_to_ras(), name="Scan"
    )
    panel._parameterNode.inputVolume = volume_node
    panel._parameterNode.uncertainty = True
    panel.ui.applyButton.click()
    stage.wait_until(lambda: not panel.runner.running)
    assert slicer.util.getNode("Scan uncertainty")
    panel._parameterNode.batchSource = BatchSource.SCENE
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    run(panel)
    assert cells(panel.ui.batchTable) == [["Scan", "✓ done"]]
