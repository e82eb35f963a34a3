"""A cine as Slicer has loaded it, or in a folder: recognised, put together, segmented as one heart, corrected, reported."""

from __future__ import annotations

from beating_scan import node_ids
from cine_scene import (
    LV,
    RV,
    a_sequence_a_place,
    a_volume_a_phase,
    add_image_sequence,
    drawn,
    one_sequence_of_all,
    slice_of,
)
from segmentation_panel import add_scan, cells, panel, run
from slicer_helpers import add_linear_transform, rotation, stage

# the lines above set the stage on which the others can be imported
# isort: split
import csv
import json
import threading

import cine_studies as studies
import numpy as np
import pytest
import slicer
from cine_studies import PHASES, PLACES, STEP_MS
from SIFALib.support.progress import drain
from SIFASegmentationLib import CineLogic, CineNodes, CinePanel, HeartFunctionNodes, Sequences

__all__ = ["panel"]  # the fixture


@pytest.fixture(autouse=True)
def no_files():
    slicer.dicomDatabase.files.clear()
    yield
    slicer.dicomDatabase.files.clear()


def choose(panel, node) -> None:
    panel.ui.inputSelector.setCurrentNode(node)
    stage.wait_until(lambda: not panel.cinePanel.looking)


def assemble(panel) -> Sequences.Browsed:
    """Press Assemble; the cine that is the input volume then."""
    panel.ui.cineButton.click()
    stage.wait_until(lambda: not panel.cinePanel.running)
    found = Sequences.browsed(panel.ui.inputSelector.currentNode())
    assert found is not None and CineNodes.said(found.node) is not None, panel.ui.cineLabel.text
    return found


def segmented(panel) -> slicer.vtkMRMLSegmentationNode:
    panel.logic.backend.rule = drawn
    run(panel)
    assert panel.ui.statusLabel.text == ""
    return panel.ui.outputSelector.currentNode()


def in_a_folder(panel, folder) -> None:
    panel._parameterNode.cineSource = panel._parameterNode.cineSource.FOLDER
    panel._parameterNode.cineFolder = str(folder)


@pytest.mark.parametrize("load", [a_sequence_a_place, one_sequence_of_all, a_volume_a_phase])
def test_a_cine_is_recognised_however_it_was_loaded_and_put_together_to_the_last_voxel(panel, load):
    panel.ui.cineCollapsibleButton.collapsed = True
    assert not panel.ui.cineButton.enabled
    shown = load()
    choose(panel, shown[0])
    assert panel.ui.cineLabel.text == f"The images of this study make a cine of {PLACES} places and {PHASES} phases."
    assert not panel.ui.cineCollapsibleButton.collapsed and panel.ui.cineButton.enabled
    single = shown[0].GetImageData().GetDimensions()[2] == 1
    assert panel.ui.applyButton.enabled is not single
    assert ("single place of a cine" in panel.ui.applyButton.toolTip) is single
    scan = assemble(panel)
    cine = drain(CineNodes.cineSteps(scan))
    np.testing.assert_array_equal(cine.array, studies.array())
    np.testing.assert_allclose(cine.geometry.corners(), studies.geometry().corners(), atol=1e-3)
    assert panel.ui.cineLabel.text == "Assembled; Apply segments every phase." and panel.ui.applyButton.enabled
    assert "lies as short axes do" in panel.ui.cineNotesLabel.text
    assert panel.ui.allTimePointsCheckBox.text == f"All {PHASES} time points"
    assert all(node.GetScene() is slicer.mrmlScene for node in shown), "what was loaded stays"
    timed = load is not a_volume_a_phase
    assert (cine.times_ms == tuple(STEP_MS * t for t in range(PHASES))) is timed
    assert ("by their temporal position" in panel.ui.cineNotesLabel.text) is not timed


def test_where_slicers_database_knows_the_files_they_are_read(panel, tmp_path):
    """Only they say how tall the patient is."""
    files = studies.write(tmp_path / "study", studies.images())
    for number, image in enumerate(studies.images()):
        slicer.dicomDatabase.files[str(image.SOPInstanceUID)] = str(files / f"{number:03}.dcm")
    shown = a_sequence_a_place()
    choose(panel, shown[0])
    cine = drain(CineNodes.cineSteps(assemble(panel)))
    np.testing.assert_array_equal(cine.array, studies.array())
    assert (cine.body.height_m, cine.heart_rate) == (1.8, 75.0)
    turned = add_linear_transform(rotation(0, 0, 5))
    shown[1].SetAndObserveTransformNodeID(turned.GetID())
    assert CineNodes.files(CineNodes.parts(shown[0])) == [], "the files know nothing of a transform"


def test_the_images_of_another_study_and_what_is_no_cine_are_left_alone(panel):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for study, places in (("one", range(3)), ("other", range(3, PLACES))):
        item = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), study)
        for node in a_sequence_a_place(places):
            hierarchy.CreateItem(item, node)
    near = slicer.util.getNode("3: MR cine sax")
    assert {part.series for part in CineNodes.parts(near)} == {f"{k}: MR cine sax" for k in (3, 4, 5)}
    assert CinePanel.sentence(near) == f"The images of this study make a cine of 3 places and {PHASES} phases."
    for sequence in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
        sequence.SetIndexName("EchoTime")
        sequence.SetIndexUnit("ms")
    assert CinePanel.sentence(near) == "", "echoes are no phases of a beat"
    choose(panel, add_scan("Alone"))
    assert panel.ui.cineLabel.text == "" and not panel.ui.cineButton.enabled
    assert "no cine beside the input volume" in panel.ui.cineButton.toolTip and panel.ui.applyButton.enabled


def test_what_is_left_out_is_told_with_the_reason(panel):
    shown = a_sequence_a_place((0, 1, 3, 4, 5, 6))
    add_image_sequence("19: MR cine sax", [slice_of(t, 2) for t in range(3)])
    choose(panel, shown[0])
    assemble(panel)
    told = panel.ui.cineNotesLabel.text
    assert "Place 3 of 7 is missing and was filled from its neighbours" in told
    assert "Not a part of it:" in told and "series 19 MR cine sax: 3 images at places without a beat" in told


def test_a_study_in_a_folder_is_read_while_the_panel_answers_and_another_stack_can_be_chosen(panel, tmp_path):
    def other(t: int, k: int) -> dict[str, object]:
        place = studies.geometry().point((5, 0, k))
        return {
            "SeriesDescription": "short again", "SeriesNumber": 3, "SeriesInstanceUID": "1.2.3",
            "ImagePositionPatient": [round(float(x), 6) for x in place + 55.0 * studies.geometry().axes[:, 2]],
        }  # fmt: skip

    again = [studies.image(t, k, **other(t, k), Rows=24) for k in range(3) for t in range(PHASES)]
    turned = [round(float(x), 6) for x in -studies.geometry().axes[:, :2].T.ravel()]
    for image in again:
        image.ImageOrientationPatient = turned
    folder = studies.write(tmp_path / "study", [*studies.images(), *again, *studies.long_view(30.0)])
    in_a_folder(panel, tmp_path / "nowhere")
    assert "There is no folder" in panel.ui.cineButton.toolTip and not panel.ui.cineButton.enabled
    in_a_folder(panel, folder)
    seen: list[str] = []
    panel.logic.background = type(panel.logic).__init__.__globals__["Background"]()  # the thread of the application
    panel.ui.cineButton.click()
    assert panel.ui.cineButton.text == "Cancel" and not panel.ui.applyButton.enabled
    stage.wait_until(lambda: seen.append(panel.ui.cineLabel.text) or not panel.cinePanel.running)
    assert threading.active_count() > 1 and "Reading the study" in seen
    assert "four-chamber view" in panel.ui.cineNotesLabel.text and not panel.ui.cineStackSelector.isHidden()
    first = panel.ui.inputSelector.currentNode()
    assert first.GetImageData().GetDimensions() == (studies.SIZE, studies.SIZE, PLACES)
    box = panel.ui.cineStackSelector
    assert [box.itemText(n) for n in range(box.count)] == ["The likeliest short axis", "series 3 short again"]
    box.currentIndex = 1
    second = assemble(panel)
    assert second.node is not first and second.node.GetImageData().GetDimensions()[2] == 3
    assert "Chosen by its name." in panel.ui.cineNotesLabel.text


def test_a_folder_without_a_cine_says_so_and_cancelling_leaves_nothing(panel, tmp_path):
    in_a_folder(panel, studies.write(tmp_path / "still", [studies.image(0, k) for k in range(PLACES)]))
    before = node_ids()
    panel.ui.cineButton.click()
    stage.wait_until(lambda: not panel.cinePanel.running)
    assert "holds no stack of cine images" in panel.ui.cineLabel.text and node_ids() == before
    panel.ui.cineButton.click()
    panel.ui.cineButton.click()
    assert panel.ui.cineLabel.text == "Stopped; nothing was changed." and node_ids() == before
    assert panel.ui.cineButton.text == "Assemble" and not panel.cinePanel.running


def test_all_phases_are_segmented_as_one_heart_with_both_ventricles_beside_each_other(panel):
    choose(panel, a_sequence_a_place()[0])
    scan = assemble(panel)
    node = segmented(panel)
    labels = drawn_everywhere()
    ml = studies.geometry().voxel_ml
    expected = {s: (labels == value).sum(axis=(1, 2, 3)) * ml for s, value in (("LV", LV), ("RV", RV))}
    curve = HeartFunctionNodes.curve(node)
    for structure, volumes in expected.items():
        np.testing.assert_allclose(curve.volumes[structure], volumes)
    table = panel.ui.functionTable
    assert [table.horizontalHeaderItem(n).text() for n in range(3)] == ["Heart function", "LV", "RV"]
    rows = {name: values for name, *values in cells(table)}
    assert rows["End-diastolic volume"] == [f"{v.max():.1f} ml" for v in expected.values()]
    assert rows["Ejection fraction"] == [f"{100 * (1 - v.min() / v.max()):.1f} %" for v in expected.values()]
    assert rows["Cardiac output"][0] == f"{np.ptp(expected['LV']) * 75 / 1000:.1f} l/min"
    assert rows["Myocardial mass"][1] == ""
    chart = node.GetNodeReference(HeartFunctionNodes.CHART)
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    scan.browser.SetSelectedItemNumber(1)
    assert "✓" not in panel.ui.flagsLabel.text, "only both ends of the beat were checked"
    assert panel.ui.provenanceLabel.text == "<small>tiny 1.0.0 · CPU, float32 · 0 s</small>"


def drawn_everywhere() -> np.ndarray:
    """What the segmenter of these tests draws, uint8 [t, k, j, i]."""
    from SIFALib.imaging.geometry import Volume

    return np.stack([drawn(Volume(phase, studies.geometry())) for phase in studies.array()])


def erase_half(node, scan, phase: int) -> None:
    """Correct the left ventricle of a phase: nothing in the first half of its rows."""
    scan.browser.SetSelectedItemNumber(phase)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", scan.node).copy()
    array[:, : array.shape[1] // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LV", scan.node)


def test_a_corrected_outline_changes_the_figures_at_once_in_the_panel_and_beside_it(panel):
    choose(panel, a_sequence_a_place()[0])
    scan = assemble(panel)
    node = segmented(panel)
    function = panel.logic.heartFunction(node)
    before = {name: value for name, value, _ in cells(panel.ui.functionTable)}
    erase_half(node, scan, function.end_systole)
    stage.wait_until(lambda: cells(panel.ui.functionTable)[1][1] != before["End-systolic volume"])
    smaller = panel.logic.heartFunction(node)
    assert smaller.esv_ml < 0.7 * function.esv_ml
    rows = {name: left for name, left, _ in cells(panel.ui.functionTable)}
    assert rows["End-systolic volume"] == f"{smaller.esv_ml:.1f} ml"
    assert rows["Ejection fraction"] == f"{100 * smaller.ejection_fraction:.1f} %"
    assert "Edited since" in panel.ui.flagsLabel.text
    stage.leave_module("SIFASegmentation")  # to the Segment Editor; table and chart of the scene go on
    erase_half(node, scan, function.end_diastole)
    table = node.GetNodeReference(HeartFunctionNodes.FUNCTION).GetTable()
    stage.wait_until(lambda: table_value(node) != f"{function.edv_ml:.1f}")
    assert table is not None and table_value(node) == f"{panel.logic.heartFunction(node).edv_ml:.1f}"


def table_value(node) -> str:
    """End-diastolic volume in the scene's own table."""
    return f"{node.GetNodeReference(HeartFunctionNodes.FUNCTION).GetTable().GetValue(0, 1).ToDouble():.1f}"


def test_the_report_is_the_librarys_of_the_outlines_as_they_are(panel, tmp_path):
    choose(panel, a_sequence_a_place()[0])
    assert panel.ui.cineReportButton.isHidden()
    scan = assemble(panel)
    node = segmented(panel)
    assert not panel.ui.cineReportButton.isHidden()
    with stage.person(str(tmp_path / "report")) as dialogs:
        panel.ui.cineReportButton.click()
        stage.wait_until(lambda: not panel.resultsPanel.cineReport.runner.running)
        assert dialogs.opened == [str(tmp_path / "report" / "report.html")]
    assert "Written as" in panel.ui.resultsStatusLabel.text
    made = tmp_path / "report"
    assert sorted(p.name for p in made.iterdir()) == ["curves.png", "report.html", "report.json", "volumes.csv"]
    report = json.loads((made / "report.json").read_text(encoding="utf-8"))
    shown = panel.logic.heartFunction(node)
    assert report["ventricles"]["LV"]["ef_percent"] == pytest.approx(100 * shown.ejection_fraction, abs=0.01)
    assert set(report["ventricles"]) == {"LV", "RV"} and report["edited_phases"] == []
    assert report["flags"][0]["message"] == "Left ventricle is in 2 pieces; check it." and "Note." in report["notes"]
    assert report["input"]["times_ms"] == [STEP_MS * t for t in range(PHASES)]
    rows = list(csv.DictReader((made / "volumes.csv").open(encoding="utf-8")))
    assert len(rows) == PHASES and "LV end-systole" in rows[shown.end_systole]["what"]
    erase_half(node, scan, shown.end_systole)
    drain(CineLogic.reportSteps(panel.logic, node, made))
    again = json.loads((made / "report.json").read_text(encoding="utf-8"))
    assert again["edited_phases"] == [shown.end_systole]
    assert f"corrected by hand at phase {shown.end_systole + 1};" in " ".join(again["notes"])
    assert again["ventricles"]["LV"]["esv_ml"] == pytest.approx(panel.logic.heartFunction(node).esv_ml, abs=0.01)


def test_a_scene_that_was_saved_still_gives_the_report(panel, tmp_path):
    choose(panel, a_volume_a_phase()[0])
    assemble(panel)
    node = segmented(panel)
    drain(CineLogic.reportSteps(panel.logic, node, tmp_path / "before"))
    name = node.GetName()
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    stage.clear_scene()
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    assert not panel.ui.cineReportButton.isHidden() and "lies as short axes do" in panel.ui.cineNotesLabel.text
    drain(CineLogic.reportSteps(panel.logic, slicer.util.getNode(name), tmp_path / "after"))
    before, after = (
        json.loads((tmp_path / w / "report.json").read_text(encoding="utf-8")) for w in ("before", "after")
    )
    spacing = [report["input"].pop("spacing_mm") for report in (before, after)]
    np.testing.assert_allclose(*spacing)  # matrices of nodes are rounded
    assert before == after
