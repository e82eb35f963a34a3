"""The panel with a 4D scan, by clicks: all time points or one, the function of the heart, the browser that is followed."""

from __future__ import annotations

from beating_scan import RADII, Scan, add_beating, follow_every_20_ms, node_ids, refuse_when_empty, table_rows
from segmentation_panel import add_scan, cells, panel, run
from slicer_helpers import by_value, stage

# the lines above set the stage on which the others can be imported
# isort: split
import time

import pytest
import slicer
from SIFASegmentationLib import HeartFunctionNodes, SceneConversion, Sequences

__all__ = ["panel"]  # the fixture
EF = 1 - (min(RADII) / max(RADII)) ** 3


@pytest.fixture
def beating(panel) -> Scan:
    panel.logic.backend.rule = by_value
    scan = add_beating()
    panel.ui.inputSelector.setCurrentNode(scan.volume)
    return scan


def test_choice_of_all_time_points_is_there_for_sequences_alone(panel, beating):
    box = panel.ui.allTimePointsCheckBox
    assert not box.isHidden() and box.text == "All 6 time points" and box.checked
    assert not panel.ui.uncertaintyCheckBox.enabled and "single time points" in panel.ui.uncertaintyCheckBox.toolTip
    panel.ui.inputSelector.setCurrentNode(add_scan("Alone"))
    assert box.isHidden() and panel.ui.uncertaintyCheckBox.enabled
    run(panel)
    assert Sequences.browsed(panel.ui.outputSelector.currentNode()) is None
    assert panel.ui.functionFrame.isHidden() and panel.ui.showCurveButton.isHidden()
    assert panel.ui.timePointLabel.isHidden()


def test_panel_shows_the_function_and_the_volumes_of_the_time_point_that_is_shown(panel, beating):
    run(panel)
    assert panel.ui.statusLabel.text == "" and not panel.ui.functionFrame.isHidden()
    function = dict(cells(panel.ui.functionTable))
    assert function["End-diastolic volume"] == f"{beating.lv_ml.max():.1f} ml"
    assert function["Ejection fraction"] == f"{100 * (1 - beating.lv_ml.min() / beating.lv_ml.max()):.1f} %"
    assert function["Myocardial mass"] == f"{1.05 * beating.muscle_ml[0]:.1f} g"
    assert "End-diastole at time point 1 (0 ms), end-systole at time point 4 (120 ms)." in panel.ui.functionLabel.text
    assert "Quality flags at time points 1 to 6." in panel.ui.functionLabel.text
    for number in (3, 1):
        beating.browser.SetSelectedItemNumber(number)
        assert panel.ui.timePointLabel.text == f"Time point {number + 1} of 6 ({40 * number} ms)"
        assert cells(panel.ui.resultsTable)[2][1] == f"{beating.lv_ml[number]:.1f}"
    node, count = panel.ui.outputSelector.currentNode(), len(node_ids())
    panel.ui.showCurveButton.click()
    selection = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    assert selection.GetActivePlotChartID() == node.GetNodeReference(HeartFunctionNodes.CHART).GetID()
    panel.ui.show3DButton.click()
    beating.browser.SetSelectedItemNumber(3)  # the surfaces stay when the browser goes on
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert SceneConversion.voxelCount(node, "LV") > 0 and panel.ui.show3DButton.checked
    run(panel)
    assert panel.ui.outputSelector.currentNode() is node and len(node_ids()) == count, "Apply again keeps one result"


def test_panel_stays_with_the_result_where_the_scan_has_no_time_point(panel, beating):
    follow_every_20_ms(beating)
    run(panel)
    panel.ui.show3DButton.click()
    beating.browser.SetSelectedItemNumber(5)
    assert "has no time point where the browser is" in panel.ui.timePointLabel.text
    assert panel.ui.resultsTable.rowCount == 0 and not panel.ui.flagsLabel.text
    panel.ui.deviceSelector.currentIndex = 1  # a change of the choices brings the panel up to date
    beating.browser.SetSelectedItemNumber(6)
    assert panel.ui.timePointLabel.text == "Time point 4 of 6 (120 ms)"
    assert cells(panel.ui.resultsTable)[2][1] == f"{beating.lv_ml[3]:.1f}"
    assert panel.ui.outputSelector.currentNode().GetSegmentation().ContainsRepresentation("Closed surface")


def test_one_time_point_alone_can_be_segmented(panel, beating):
    beating.browser.SetSelectedItemNumber(3)
    panel.ui.allTimePointsCheckBox.click()
    run(panel)
    assert Sequences.browsed(panel.ui.outputSelector.currentNode()) is None
    assert cells(panel.ui.resultsTable)[2][1] == f"{beating.lv_ml[3]:.1f}"


def test_cancel_leaves_nothing(panel, beating):
    before = node_ids()
    panel.logic.backend.count = 40
    panel.logic.backend.before_step = lambda _step: time.sleep(0.002)
    panel.ui.applyButton.click()
    stage.wait_until(lambda: panel.logic.backend.taken > 60)
    assert panel.ui.progressLabel.text.startswith("Time point 2 of 6: Segmenting")
    assert 1000 / 6 <= panel.ui.progressBar.value <= 2000 / 6
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text == "Cancelled; nothing was changed." and node_ids() == before
    assert beating.browser.GetNumberOfSynchronizedSequenceNodes() == 0


def test_failed_time_point_is_named_in_the_panel(panel, beating):
    panel.logic.backend.rule = refuse_when_empty
    scan = add_beating(name="Gap", missing=(2,))
    panel.ui.inputSelector.setCurrentNode(scan.volume)
    run(panel)
    assert "Time point 3 of 6 (80 ms): No heart was found." in panel.ui.functionLabel.text
    assert "not found at time point 3, which is left out" in panel.ui.functionLabel.text
    scan.browser.SetSelectedItemNumber(2)
    assert "No heart was found." in panel.ui.flagsLabel.text and not panel.ui.provenanceLabel.text


def test_without_the_ventricle_the_panel_says_why_there_is_no_function(panel, beating):
    panel._parameterNode.excludedStructures = "LV"
    run(panel)
    assert panel.ui.functionTable.isHidden() and panel.ui.showCurveButton.isHidden()
    assert "Without the left ventricle" in panel.ui.functionLabel.text


def test_edits_are_in_the_function_when_the_panel_is_opened_again(panel, beating):
    run(panel)
    node = panel.ui.outputSelector.currentNode()
    stage.leave_module("SIFASegmentation")
    beating.browser.SetSelectedItemNumber(3)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", beating.volume).copy()
    array[: array.shape[0] // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LV", beating.volume)
    stage.open_module("SIFASegmentation")
    halved = panel.logic.heartFunction(node).esv_ml
    assert halved < 0.6 * beating.lv_ml.min()
    assert dict(cells(panel.ui.functionTable))["End-systolic volume"] == f"{halved:.1f} ml"
    stored = table_rows(node.GetNodeReference(HeartFunctionNodes.FUNCTION))
    assert float(stored[1][1]) == pytest.approx(halved, abs=0.051)
    assert panel.ui.timePointLabel.text.startswith("Time point 4 of 6")


def test_results_of_a_scene_that_is_loaded_are_shown_at_once(panel, beating, tmp_path):
    run(panel)
    before = cells(panel.ui.functionTable)
    result = panel.ui.outputSelector.currentNode()
    tables = [result.GetNodeReference(r) for r in (HeartFunctionNodes.FUNCTION, HeartFunctionNodes.CURVE)]
    times = [table.GetMTime() for table in tables]
    stage.leave_module("SIFASegmentation")
    stage.open_module("SIFASegmentation")
    assert [table.GetMTime() for table in tables] == times, "nothing changed that would have to be saved"
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    stage.clear_scene()
    assert panel.ui.resultsCollapsibleButton.isHidden()
    assert slicer.mrmlScene.ReadFromMRB(file)
    node = slicer.util.getNode("Patient 7 segmentation")
    assert panel.ui.outputSelector.currentNode() is node
    assert not panel.ui.resultsCollapsibleButton.isHidden() and not panel.ui.functionFrame.isHidden()
    assert cells(panel.ui.functionTable) == before
    Sequences.browsed(node).browser.SetSelectedItemNumber(3)
    assert panel.ui.timePointLabel.text.startswith("Time point 4 of 6")
    run(panel)
    assert panel.ui.statusLabel.text == "" and panel.ui.outputSelector.currentNode() is node


def test_sequence_that_ends_while_another_module_is_open_is_there_on_return(panel, beating):
    panel.ui.applyButton.click()
    stage.leave_module("SIFASegmentation")
    stage.wait_until(lambda: not panel.runner.running)
    beating.browser.SetSelectedItemNumber(2)
    stage.open_module("SIFASegmentation")
    assert panel.ui.functionTable.rowCount == 5
    assert panel.ui.timePointLabel.text.startswith("Time point 3 of 6")
