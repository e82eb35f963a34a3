"""A result taken along (clipboard, file, table), seen in 3D, and a region of interest that is worth something."""

from __future__ import annotations

from segmentation_panel import cells, loaded, panel, run, stage

# the line above sets the stage on which the others can be imported
# isort: split
import csv

import numpy as np
import pytest
import qt
import slicer
from SIFASegmentationLib import Results
from SIFASegmentationLib.Parameters import Smoothing

__all__ = ["panel"]  # the fixture


@pytest.fixture
def done(panel):
    """A panel with a result; its node."""
    loaded(panel)
    run(panel)
    return panel.ui.outputSelector.currentNode()


def test_volumes_are_copied_for_a_spreadsheet(panel, done):
    panel.ui.copyResultsButton.click()
    lines = [line.split("\t") for line in slicer.app.clipboard().text().splitlines()]
    assert lines[0] == ["Structure", "Volume (ml)", "Expected Dice"]
    assert [line[0] for line in lines[1:]] == [row[0] for row in cells(panel.ui.resultsTable)]
    assert [float(line[1]) for line in lines[1:]] == pytest.approx([r.volumeMl for r in Results.rows(done)], abs=0.01)
    assert panel.ui.resultsStatusLabel.text.startswith("Copied")


def test_volumes_are_saved_where_the_person_says(panel, done, tmp_path):
    with stage.person(str(tmp_path / "volumes")):
        panel.ui.saveResultsButton.click()
    with open(tmp_path / "volumes.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert len(lines) == 5 and lines[0][1] == "Volume (ml)"
    assert panel.ui.resultsStatusLabel.text == f"Saved as {tmp_path / 'volumes.csv'}."
    before = (tmp_path / "volumes.csv").stat().st_mtime_ns
    with stage.person(str(tmp_path / "volumes"), False) as dialogs:  # the window could not ask about volumes.csv
        panel.ui.saveResultsButton.click()
        assert dialogs.asked[-1] == f"There is a file {tmp_path / 'volumes.csv'} already. Replace it?"
    assert (tmp_path / "volumes.csv").stat().st_mtime_ns == before
    with stage.person(""):  # cancelled
        panel.ui.saveResultsButton.click()
    with stage.person(str(tmp_path / "nowhere" / "volumes.csv")):
        panel.ui.saveResultsButton.click()
    assert "nowhere" in panel.ui.resultsStatusLabel.text and panel.ui.resultsStatusLabel.styleSheet


def test_volumes_become_a_table_of_the_scene_that_is_filled_anew(panel, done):
    for _ in range(2):
        panel.ui.tableButton.click()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert table.GetName() == "Patient 7 segmentation volumes"
    assert (table.GetNumberOfRows(), table.GetNumberOfColumns()) == (4, 3)
    volumes = table.GetTable().GetColumnByName("Volume (ml)")
    assert volumes.GetValue(0) == pytest.approx(Results.rows(done)[0].volumeMl, abs=0.01)


def test_a_structure_is_hidden_and_shown_by_its_box(panel, done):
    item = panel.ui.resultsTable.item(1, 0)
    assert item.checkState() == qt.Qt.Checked
    item.setCheckState(qt.Qt.Unchecked)
    assert not done.GetDisplayNode().GetSegmentVisibility("LA") and done.GetDisplayNode().GetSegmentVisibility("LV")
    panel.enter()
    assert panel.ui.resultsTable.item(1, 0).checkState() == qt.Qt.Unchecked
    panel.ui.resultsTable.item(1, 0).setCheckState(qt.Qt.Checked)
    assert done.GetDisplayNode().GetSegmentVisibility("LA")


def has_surfaces(node) -> bool:
    return node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_surfaces_stay_through_a_second_apply(panel, done):
    panel.ui.show3DButton.click()
    assert has_surfaces(done)
    run(panel)
    assert has_surfaces(done) and panel.ui.show3DButton.checked
    panel.ui.show3DButton.click()
    run(panel)
    assert not has_surfaces(done)


def test_surfaces_are_shown_at_once_for_who_wants_that_and_smoothed_as_chosen(panel):
    loaded(panel)
    panel._parameterNode.show3D = True
    panel._parameterNode.smoothing = Smoothing.NONE
    run(panel)
    node = panel.ui.outputSelector.currentNode()
    assert has_surfaces(node) and panel.ui.show3DButton.checked

    def points() -> int:
        return node.GetClosedSurfaceInternalRepresentation("LV").GetPoints().GetBounds()

    before = points()
    voxels = [row.volumeMl for row in Results.rows(node)]
    panel._parameterNode.smoothing = Smoothing.STRONG
    assert points() != before and [row.volumeMl for row in Results.rows(node)] == voxels


def test_new_region_is_fitted_to_the_volume_and_an_empty_one_is_refused_with_the_reason(panel):
    scan = loaded(panel)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Heart")
    panel.ui.roiSelector.setCurrentNode(roi)
    assert not panel.ui.applyButton.enabled and "Heart has no size yet; press Fit" in panel.ui.applyButton.toolTip
    panel.ui.fitRoiButton.click()
    assert panel.ui.applyButton.enabled
    bounds, expected = [0.0] * 6, [0.0] * 6
    roi.GetRASBounds(bounds)
    scan.GetRASBounds(expected)
    assert np.allclose(bounds, expected)
    roi.SetSize(0, 0, 0)
    assert not panel.ui.applyButton.enabled
    made = panel.ui.roiSelector.addNode()
    made.GetRASBounds(bounds)
    assert np.allclose(bounds, expected) and panel.ui.applyButton.enabled
    panel.ui.roiSelector.setCurrentNode(None)
    panel.ui.fitRoiButton.click()
    assert panel.ui.roiSelector.currentNode().GetName() == "Heart region" and panel.ui.applyButton.enabled
