"""The panel, driven as a user drives it: by clicks and choices, in the event loop."""

from __future__ import annotations

from segmentation_panel import add_scan, begin, cells, loaded, panel, run
from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import shutil
import time

import numpy as np
import pytest
import qt
import slicer
import tiny_models
from SIFALib.models import STRUCTURES, Architecture
from SIFALib.support.errors import NoHeartFound
from SIFASegmentationLib.Dependencies import DependencyError

__all__ = ["panel"]  # the fixture
SEGMENTATION = "vtkMRMLSegmentationNode"


def test_apply_says_why_it_cannot_be_pressed(panel):
    apply = panel.ui.applyButton
    assert not apply.enabled and apply.toolTip == "Select an input volume."
    loaded(panel)
    assert apply.enabled and apply.toolTip == "Segment the heart in the input volume."
    for box in panel.ui.structuresFrame.findChildren(qt.QCheckBox):
        box.click()
    assert not apply.enabled and "at least one structure" in apply.toolTip
    panel.ui.structuresFrame.findChildren(qt.QCheckBox)[0].click()
    assert apply.enabled
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    for node, reason in ((None, "Select an input volume."), (empty, "Empty holds no image; load it again.")):
        panel.ui.inputSelector.setCurrentNode(node)
        assert not apply.enabled and apply.toolTip == reason


def test_a_model_that_is_not_installed_is_named_and_without_any_apply_says_how_to_get_one(panel, tmp_path):
    loaded(panel)
    panel._parameterNode.model = "elsewhere@3.0.0"  # of a scene that was loaded
    assert not panel.ui.applyButton.enabled
    assert "elsewhere@3.0.0 is not installed" in panel.ui.applyButton.toolTip
    assert panel.ui.modelSelector.currentIndex == -1
    panel._parameterNode.model = ""
    shutil.rmtree(tmp_path / "bundled" / "tiny")
    panel.enter()
    assert not panel.ui.applyButton.enabled and "import one under Models" in panel.ui.applyButton.toolTip


def test_first_volume_is_chosen_when_the_panel_opens(panel):
    scan = add_scan()
    stage.leave_module("SIFASegmentation")
    stage.open_module("SIFASegmentation")
    assert panel.ui.inputSelector.currentNode() is scan


def test_apply_makes_the_segmentation_shows_it_and_hands_it_to_the_segment_editor(panel):
    scan = loaded(panel)
    run(panel)
    node = panel.ui.outputSelector.currentNode()
    assert node.GetName() == "Patient 7 segmentation"
    assert panel.ui.show3DButton.segmentationNode() is node
    table = cells(panel.ui.resultsTable)
    expected = [[r.name, f"{r.volumeMl:.1f}", f"{100 * r.sure:.0f} %"] for r in panel.logic.results(node)]
    assert "not known for this scan and model" in panel.ui.resultsTable.item(0, 2).toolTip()
    assert table == expected and len(table) == 4 and float(table[0][1]) == pytest.approx(3.0, rel=0.1)
    assert "Left atrium is in 2 pieces; check it." in panel.ui.flagsLabel.text
    assert "tiny 1.0.0 · axial slices · CPU, float32" in panel.ui.provenanceLabel.text
    assert not panel.ui.statusLabel.text
    assert panel.logic.dependencies.asked == 1
    panel.ui.show3DButton.click()
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    panel.ui.editButton.click()
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    assert slicer.util.selectedModule() == "SegmentEditor"
    assert editor.segmentation is node and editor.volume is scan


def test_apply_turns_into_cancel_while_it_runs_and_shows_stage_and_time(panel):
    loaded(panel)
    panel.logic.backend.count = 200
    panel.logic.backend.before_step = lambda _step: time.sleep(0.02)
    panel.ui.applyButton.click()
    assert panel.ui.applyButton.text == "Cancel" and panel.ui.applyButton.enabled
    assert not panel.ui.inputsFrame.enabled
    stage.wait_until(lambda: panel.logic.backend.taken > 20)
    assert panel.ui.progressLabel.text.startswith("Segmenting · about ")
    assert 0 < panel.ui.progressBar.value < 1000
    panel.ui.applyButton.click()
    assert panel.ui.applyButton.text == "Apply" and panel.ui.inputsFrame.enabled


def test_cancel_stops_the_work_and_leaves_nothing(panel):
    loaded(panel)
    panel.logic.backend.before_step = lambda _step: time.sleep(0.001)
    before = slicer.mrmlScene.GetNumberOfNodes()
    begin(panel, 50)
    panel.ui.applyButton.click()
    taken = panel.logic.backend.taken
    assert panel.logic.backend.closed and not panel.runner.running
    for _ in range(20):
        WORLD.app.processEvents()
        time.sleep(0.005)
    assert panel.logic.backend.taken == taken
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert panel.ui.statusLabel.text == "Cancelled; nothing was changed."
    panel.logic.backend.count = 3
    run(panel)  # and it can be started again
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 1


def test_cancel_leaves_an_earlier_result_untouched(panel):
    loaded(panel)
    run(panel)
    node = panel.ui.outputSelector.currentNode()
    report, table = node.GetAttribute("SIFA.Report"), cells(panel.ui.resultsTable)
    panel.logic.backend.rule = lambda volume: np.zeros(volume.array.shape, np.uint8)
    begin(panel, 30)
    panel.ui.applyButton.click()
    assert panel.ui.outputSelector.currentNode() is node
    assert node.GetAttribute("SIFA.Report") == report and cells(panel.ui.resultsTable) == table


def test_event_loop_runs_between_the_steps(panel):
    """A timer of somebody else fires many times during one segmentation."""
    loaded(panel)
    panel.logic.backend.count = 60
    panel.logic.backend.before_step = lambda _step: time.sleep(0.01)
    ticks = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(panel.logic.backend.taken))
    timer.start(1)
    run(panel)
    timer.stop()
    assert len({taken for taken in ticks if 0 < taken < 60}) >= 5


def test_closing_the_scene_during_a_run_ends_it_quietly(panel):
    loaded(panel)
    begin(panel)
    stage.clear_scene()
    assert panel.logic.backend.closed and not panel.runner.running
    assert panel.ui.applyButton.text == "Apply" and not panel.ui.applyButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 0
    assert not panel.ui.statusLabel.text
    loaded(panel)
    panel.logic.backend.count = 3
    run(panel)
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 1


def test_deleting_the_volume_during_a_run_ends_it_with_a_sentence(panel):
    scan = loaded(panel)
    begin(panel)
    slicer.mrmlScene.RemoveNode(scan)
    stage.wait_until(lambda: not panel.runner.running)
    assert "removed from the scene" in panel.ui.statusLabel.text
    assert not panel.ui.applyButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 0


def test_closing_the_module_during_a_run_ends_the_work(panel):
    loaded(panel)
    begin(panel)
    stage.close_module("SIFASegmentation")
    assert panel.logic.backend.closed


def test_at_the_end_of_slicer_the_work_ends_and_nothing_is_followed_though_the_widgets_are_gone(panel):
    loaded(panel)
    run(panel)
    begin(panel)
    stage.end_application("SIFASegmentation")
    assert panel.logic.backend.closed and panel.Observations == []


def test_a_panel_that_was_thrown_away_follows_the_scene_no_more(panel):
    parameters = panel._parameterNode
    assert not panel.ui.uncertaintyCheckBox.checked
    stage.close_module("SIFASegmentation")
    parameters.uncertainty = True
    assert not panel.ui.uncertaintyCheckBox.checked


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoHeartFound("No heart was found in Patient 7."), "No heart was found in Patient 7."),
        (MemoryError("Memory ran out on the CPU."), "Memory ran out on the CPU."),
        (KeyError("plane"), "Something went wrong: 'plane'. The error log has the details."),
    ],
)
def test_failure_is_said_in_the_panel_without_a_popup(panel, error, text):
    def fail(_step):
        raise error

    loaded(panel)
    panel.logic.backend.before_step = fail
    run(panel)
    assert panel.ui.statusLabel.text == text
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 0


def test_missing_packages_are_said_in_the_panel_and_nothing_starts(panel, monkeypatch):
    def declined():
        raise DependencyError("PyTorch is missing and was not installed. Press Apply to install it.")

    loaded(panel)
    monkeypatch.setattr(panel.logic.dependencies, "ensure", declined)
    panel.ui.applyButton.click()
    assert not panel.runner.running and panel.ui.applyButton.text == "Apply"
    assert panel.ui.statusLabel.text.startswith("PyTorch is missing")


def test_result_of_another_volume_is_not_overwritten_and_can_be_shown_again(panel):
    loaded(panel, "First")
    run(panel)
    first, table = panel.ui.outputSelector.currentNode(), cells(panel.ui.resultsTable)
    loaded(panel, "Second")
    assert panel.ui.outputSelector.currentNode() is None and panel.ui.resultsTable.rowCount == 0
    run(panel)
    second = panel.ui.outputSelector.currentNode()
    assert {first.GetName(), second.GetName()} == {"First segmentation", "Second segmentation"}
    panel.ui.outputSelector.setCurrentNode(first)
    assert cells(panel.ui.resultsTable) == table


def shown_maps() -> list[tuple[str, float]]:
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(view.GetForegroundVolumeID(), view.GetForegroundOpacity()) for view in views]


def test_uncertainty_is_laid_over_the_slices_and_taken_away_again(panel):
    for _ in range(2):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    loaded(panel)
    run(panel)
    assert panel.ui.showUncertaintyButton.isHidden()
    panel.ui.uncertaintyCheckBox.click()
    run(panel)
    found = panel.logic.uncertainty(panel.ui.outputSelector.currentNode())
    assert not panel.ui.showUncertaintyButton.isHidden() and not panel.ui.showUncertaintyButton.checked
    panel.ui.showUncertaintyButton.click()
    assert shown_maps() and all(shown[0] == found.GetID() and shown[1] > 0.3 for shown in shown_maps())
    panel.enter()
    assert panel.ui.showUncertaintyButton.checked
    panel.ui.showUncertaintyButton.click()
    assert not any(shown[0] and shown[1] > 0 for shown in shown_maps())


def test_choices_of_the_panel_reach_the_library_and_stay_in_the_scene(panel):
    loaded(panel)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Heart")
    roi.SetSize(60, 60, 60)
    panel.ui.roiSelector.setCurrentNode(roi)
    panel.ui.deviceSelector.currentIndex = 1
    panel.ui.precisionSelector.currentIndex = 1
    panel.ui.viewsSelector.currentIndex = 2
    panel.ui.uncertaintyCheckBox.click()
    panel.ui.structuresFrame.findChildren(qt.QCheckBox)[1].click()
    run(panel)
    given = panel.logic.backend.given
    assert (given.device, given.precision) == ("cpu", "float32")
    assert (given.views, given.uncertainty) == ("three", True)
    assert given.structures == ("MYO", "LV", "AA")
    assert given.roi == pytest.approx((-30, 30, -30, 30, -30, 30))
    stored = slicer.mrmlScene.GetSingletonNode("SIFASegmentation", "vtkMRMLScriptedModuleNode")
    assert stored.GetParameter("device") == "CPU" and stored.GetParameter("excludedStructures") == "LA"


def test_choices_stay_when_the_panel_is_left_and_opened_again(panel):
    panel.ui.deviceSelector.currentIndex = 1
    panel.ui.viewsSelector.currentIndex = 2
    for _ in range(2):
        stage.leave_module("SIFASegmentation")
        stage.open_module("SIFASegmentation")
        assert [panel.ui.deviceSelector.currentIndex, panel.ui.viewsSelector.currentIndex] == [1, 2]


def test_a_model_of_seven_structures_offers_all_and_the_papers_four_by_one_click(panel, tmp_path):
    loaded(panel)
    assert panel.ui.papersButton.isHidden(), "a model that has no others"
    architecture = Architecture(width=2, classes=8)
    tiny_models.write(tmp_path / "user" / "whole-1.0.0", id="whole", architecture=architecture, labels=STRUCTURES)
    panel.enter()
    panel._parameterNode.model = "whole@1.0.0"
    panel.ui.advancedCollapsibleButton.collapsed = False
    boxes = panel.ui.structuresFrame.findChildren(qt.QCheckBox)
    assert [box.text for box in boxes] == [s.name for s in STRUCTURES] and all(box.checked for box in boxes)
    assert not panel.ui.papersButton.isHidden()
    panel.ui.papersButton.click()
    assert [box.checked for box in boxes] == [True] * 4 + [False] * 3
    run(panel)
    assert panel.logic.backend.given.structures == ("MYO", "LA", "LV", "AA")
    boxes[4].click()
    run(panel)
    assert panel.logic.backend.given.structures == ("MYO", "LA", "LV", "AA", "RV")
    assert [row[0] for row in cells(panel.ui.resultsTable)] == [s.name for s in STRUCTURES[:5]]


def test_result_of_a_run_that_ends_while_another_module_is_open_is_there_on_return(panel):
    loaded(panel)
    panel.ui.applyButton.click()
    stage.leave_module("SIFASegmentation")
    stage.wait_until(lambda: not panel.runner.running)
    node = slicer.util.getNode("Patient 7 segmentation")
    stage.open_module("SIFASegmentation")
    assert panel.ui.outputSelector.currentNode() is node
    assert not panel.ui.resultsCollapsibleButton.isHidden() and panel.ui.resultsTable.rowCount == 4
    run(panel)
    assert slicer.mrmlScene.GetNumberOfNodesByClass(SEGMENTATION) == 1, "it is brought up to date"


def test_edits_are_noticed_when_the_panel_is_opened_again(panel):
    scan = loaded(panel)
    run(panel)
    node = panel.ui.outputSelector.currentNode()
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", scan).copy()
    array[:24] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LV", scan)
    before = cells(panel.ui.resultsTable)
    panel.enter()
    assert cells(panel.ui.resultsTable)[2][1] != before[2][1]
    assert before[2][2] == "60 %" and [row[2] for row in cells(panel.ui.resultsTable)] == ["80 %", "70 %", "", "50 %"]
    assert "Edited since" in panel.ui.flagsLabel.text


def test_a_stage_is_shown_before_its_first_step_runs(panel):
    """Loading PyTorch may block for seconds; the panel says so before, not afterwards."""
    seen = []
    panel.logic.backend.before_step = lambda step: seen.append(panel.ui.progressLabel.text)
    loaded(panel)
    run(panel)
    assert seen[0] == "Loading PyTorch and the model"
