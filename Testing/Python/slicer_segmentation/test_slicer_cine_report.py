"""The report of a cine in Slicer: nothing is written over unasked, and none is made of outlines of other time points.

And what the panel says where the scene holds a cine in a form that is not taken.
"""

from __future__ import annotations

from cine_scene import a_volume_a_phase, drawn
from segmentation_panel import add_scan, panel, run
from slicer_helpers import stage

# the lines above set the stage on which the others can be imported
# isort: split
import slicer
from cine_studies import PHASES
from SIFALib.support.progress import drain
from SIFASegmentationLib import CineNodes, Sequences

__all__ = ["panel"]  # the fixture


def outlined(panel) -> Sequences.Browsed:
    """A cine that was assembled and segmented; its segmentation is what the section Results shows."""
    panel.ui.inputSelector.setCurrentNode(a_volume_a_phase()[0])
    stage.wait_until(lambda: not panel.cinePanel.looking)
    panel.ui.cineButton.click()
    stage.wait_until(lambda: not panel.cinePanel.running)
    panel.logic.backend.rule = drawn
    run(panel)
    return Sequences.browsed(panel.ui.inputSelector.currentNode())


def report_into(panel, folder, *answers: bool) -> list[str]:
    """Press Report..., choose the folder and answer; what windows asked after that."""
    with stage.person(str(folder), *answers) as dialogs:
        panel.ui.cineReportButton.click()
        stage.wait_until(lambda: not panel.resultsPanel.cineReport.runner.running)
        return dialogs.asked[1:]


def test_a_report_that_is_there_is_replaced_only_if_the_person_says_so(panel, tmp_path):
    outlined(panel)
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "report.json").write_text("of another heart", encoding="utf-8")
    (question,) = report_into(panel, folder, False)
    assert f"There is report.json in {folder} already" in question
    assert [path.name for path in folder.iterdir()] == ["report.json"]
    assert (folder / "report.json").read_text(encoding="utf-8") == "of another heart"
    report_into(panel, folder, True)
    assert (folder / "report.html").exists()
    assert (folder / "report.json").read_text(encoding="utf-8").startswith("{")
    with stage.person("") as dialogs:
        panel.ui.cineReportButton.click()
    assert len(dialogs.asked) == 1, "who chooses no folder is asked nothing else"


def test_of_time_points_that_changed_since_they_were_outlined_there_is_no_report(panel, tmp_path):
    scan = outlined(panel)
    last = scan.sequence.GetNthDataNode(PHASES - 1)
    scan.sequence.SetDataNodeAtValue(last, "99")
    for change in (lambda: None, lambda: scan.sequence.RemoveDataNodeAtValue(scan.sequence.GetNthIndexValue(0))):
        change()  # one more than were outlined; then as many, and others
        report_into(panel, tmp_path / "report")
        told = panel.ui.resultsStatusLabel.text
        assert "were added, removed or moved" in told and "press Apply again" in told
        assert not (tmp_path / "report").exists()


def test_a_multi_volume_is_named_with_what_to_do(panel):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "5: cine as MultiVolume")
    node.SetAttribute("MultiVolume.FrameLabels", "0,40,80,120,160")
    panel.ui.inputSelector.setCurrentNode(add_scan("Another"))
    stage.wait_until(lambda: not panel.cinePanel.looking)
    for told in (panel.ui.cineLabel.text, panel.ui.cineButton.toolTip):
        assert told.startswith("5: cine as MultiVolume is a MultiVolume") and "folder of its study" in told
    assert not panel.ui.cineButton.enabled and panel.ui.applyButton.enabled


def test_images_that_do_not_say_what_they_are_of_are_read_by_their_grey_values(panel):
    panel.ui.inputSelector.setCurrentNode(a_volume_a_phase()[0])
    stage.wait_until(lambda: not panel.cinePanel.looking)
    panel.ui.cineButton.click()
    stage.wait_until(lambda: not panel.cinePanel.running)
    cine = drain(CineNodes.cineSteps(Sequences.browsed(panel.ui.inputSelector.currentNode())))
    assert (cine.modality, cine.volume(0).modality) == ("", "")
