"""A 4D scan is segmented as a whole: every time point, the heart's function, and a result that follows the browser."""

from __future__ import annotations

from beating_scan import (
    RADII,
    SHELL_ML,
    add_beating,
    follow_every_20_ms,
    node_ids,
    refuse_when_empty,
    table_rows,
    volumes,
)
from segmentation_panel import add_scan
from slicer_helpers import (
    IDS,
    FakeBackend,
    ReadyDependencies,
    add_linear_transform,
    balls,
    by_place,
    by_value,
    exported_labels,
    rotation,
    stage,
    world_points,
)

# the lines above set the stage on which the others can be imported
# isort: split

import itertools

import numpy as np
import pytest
import slicer
import vtk
from SIFALib.models.structures import PAPERS
from SIFALib.support.errors import NoHeartFound
from SIFASegmentationLib import EditorGeometry, HeartFunctionNodes, SceneConversion, SequenceLogic, Sequences
from SIFASegmentationLib.Results import NodeGone

from SIFASegmentation import SIFASegmentationLogic

EF = 1 - (min(RADII) / max(RADII)) ** 3


@pytest.fixture
def logic(tmp_path):
    return SIFASegmentationLogic(FakeBackend(tmp_path, by_value), ReadyDependencies())


def test_volumes_ejection_fraction_and_mass_are_those_of_the_beating_ball(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    assert volumes(logic, node) == pytest.approx(list(scan.lv_ml))
    assert volumes(logic, node, "MYO") == pytest.approx(list(scan.muscle_ml))
    function = logic.heartFunction(node)
    assert function.edv_ml == pytest.approx(scan.lv_ml.max())
    assert function.ejection_fraction == pytest.approx(EF, abs=0.02)
    assert function.mass_g == pytest.approx(1.05 * scan.muscle_ml[0])
    assert function.mass_g == pytest.approx(1.05 * SHELL_ML, rel=0.05)
    assert (function.end_diastole, function.end_systole) == (0, 3)


def test_tables_and_chart_hold_the_curve_and_are_found_from_the_segmentation(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    function = logic.heartFunction(node)
    rows = table_rows(node.GetNodeReference(HeartFunctionNodes.FUNCTION))
    assert [(row[0], row[2]) for row in rows] == [
        ("End-diastolic volume", "ml"),
        ("End-systolic volume", "ml"),
        ("Stroke volume", "ml"),
        ("Ejection fraction", "%"),
        ("Myocardial mass", "g"),
    ]
    told = [function.edv_ml, function.esv_ml, function.stroke_volume_ml, 100 * function.ejection_fraction]
    assert [float(row[1]) for row in rows] == pytest.approx([*told, function.mass_g], abs=0.051)
    curve = node.GetNodeReference(HeartFunctionNodes.CURVE)
    assert np.array_equal(slicer.util.arrayFromTableColumn(curve, "time (ms)"), 40.0 * np.arange(6))
    assert slicer.util.arrayFromTableColumn(curve, "Left ventricle (ml)") == pytest.approx(scan.lv_ml)
    assert np.isnan(slicer.util.arrayFromTableColumn(curve, "Left atrium (ml)")).all()
    chart = node.GetNodeReference(HeartFunctionNodes.CHART)
    series = chart.GetNthPlotSeriesNode(0)
    assert chart.GetNumberOfPlotSeriesNodes() == 1 and series.GetTableNode() is curve
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("time (ms)", "Left ventricle (ml)")
    assert chart.GetXAxisTitle() == "time (ms)"


def test_a_right_ventricle_has_its_function_beside_the_left_ones():
    beat = np.array([150.0, 120.0, 90.0, 140.0])
    left, time = beat[::-1] * 0.8, np.arange(4.0)
    volumes = {"LV": left, "MYO": np.full(4, 100.0), "RV": beat}
    names = dict.fromkeys(volumes, "")
    functions, failures = HeartFunctionNodes.Curve(time, "time", volumes, names, {}).functions()
    assert [name for name, _ in functions] == ["LV", "RV"] and failures == []
    right = functions[1][1]
    assert (right.edv_ml, right.esv_ml, right.end_diastole, right.end_systole) == (150.0, 90.0, 0, 2)
    assert right.ejection_fraction == pytest.approx(0.4) and right.mass_g is None
    rows = HeartFunctionNodes.quantities(functions)
    assert [name for name, _, _ in rows[5:]] == [
        "RV: End-diastolic volume",
        "RV: End-systolic volume",
        "RV: Stroke volume",
        "RV: Ejection fraction",
    ]
    assert rows[8][1:] == (pytest.approx(40.0), "%") and rows[3][0] == "Ejection fraction"
    nothing = HeartFunctionNodes.Curve(time, "time", volumes | {"RV": np.full(4, np.nan)}, names, {})
    functions, failures = nothing.functions()
    assert [name for name, _ in functions] == ["LV"]
    assert "The right ventricle was found at 0 of 4 time points" in failures[0]


def test_segmentation_follows_the_browser_and_is_named_after_the_scan(logic):
    scan = add_beating()
    scan.browser.SetSelectedItemNumber(2)
    node = logic.segmentSequence(scan.volume)
    assert node.GetName() == "Patient 7 segmentation" and node.GetDisplayNode() is not None
    assert scan.browser.GetSelectedItemNumber() == 2, "the browser shows what it showed"
    for number in (3, 0, 5):
        scan.browser.SetSelectedItemNumber(number)
        labels = exported_labels(node, scan.volume)
        assert np.array_equal(labels, slicer.util.arrayFromVolume(scan.volume) // 100)
        assert node.GetName() == "Patient 7 segmentation"
        for index, structure in enumerate(PAPERS):
            segment = node.GetSegmentation().GetNthSegment(index)
            assert segment.GetName() == structure.name
            assert np.allclose(segment.GetColor(), np.array(structure.color) / 255)
            assert segment.GetTerminology() == structure.terminology_tag()
    sequence = scan.browser.GetSequenceNode(node)
    values = [[s.GetNthIndexValue(n) for n in range(6)] for s in (sequence, scan.sequence)]
    assert values[0] == values[1] and sequence.GetIndexUnit() == "ms" and sequence.GetIndexName() == "time"


def test_results_are_named_after_the_whole_scan_where_its_node_is_named_after_a_time_point(logic):
    scan = add_beating(name="Cine")
    scan.browser.SetOverwriteProxyName(scan.sequence, True)
    scan.browser.SetSelectedItemNumber(2)
    assert scan.volume.GetName() == "Cine [time=80ms]"
    node = logic.segmentSequence(scan.volume)
    roles = (HeartFunctionNodes.FUNCTION, HeartFunctionNodes.CURVE, HeartFunctionNodes.CHART)
    names = [each.GetName() for each in (node, *map(node.GetNodeReference, roles))]
    assert names == [
        "Cine segmentation",
        "Cine heart function",
        "Cine volumes over time",
        "Cine left ventricle over time",
    ]
    scan.browser.SetSelectedItemNumber(4)
    scan.sequence.SetAttribute("Sequences.BaseName", "Short axis")
    assert logic.segmentSequence(scan.volume).GetName() == "Short axis segmentation"


def test_transform_of_the_scan_holds_for_every_time_point(logic):
    """`by_place` is right only if each image arrives where the transform puts it."""
    logic.backend.rule = by_place
    scan = add_beating(turn=(20, 10, 0))
    placed = rotation(0, 0, 30)
    placed[:3, 3] = 5, -4, 3
    scan.volume.SetAndObserveTransformNodeID(add_linear_transform(placed).GetID())
    node = logic.segmentSequence(scan.volume)
    assert node.GetTransformNodeID() == scan.volume.GetTransformNodeID()
    expected = balls(world_points(scan.volume))
    for number in range(6):
        scan.browser.SetSelectedItemNumber(number)
        assert np.array_equal(exported_labels(node, scan.volume), expected)
        grid = EditorGeometry.gridOf(node, scan.volume)
        np.testing.assert_allclose(grid.toNode, SceneConversion.Placement.of(scan.volume).toNode, atol=1e-3)


def test_progress_runs_once_over_all_time_points_and_names_them(logic):
    scan = add_beating()
    shear = np.eye(4)
    shear[0, 1] = 0.3  # so that images go into another grid and back, too
    scan.volume.SetAndObserveTransformNodeID(add_linear_transform(shear).GetID())
    steps = list(logic.segmentSequenceSteps(scan.volume))
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and fractions[0] >= 0.0 and fractions[-1] == 1.0
    assert "Time point 1 of 6: Reading the volume" in {step.stage for step in steps}
    third = [step for step in steps if step.stage == "Time point 3 of 6: Segmenting"]
    assert third and all(2 / 6 <= step.fraction <= 3 / 6 for step in third)
    assert all(step.seconds_left is not None for step in third)


def test_time_left_is_that_of_all_time_points():
    from SIFALib.support.progress import Progress

    left = SequenceLogic._secondsLeft
    assert left(Progress("", 0.0), 0, 20, 0.0, 1.0) is None
    assert left(Progress("", 0.5, 6.0), 0, 20, 0.0, 4.0) == pytest.approx(6 + 19 * 10)
    assert left(Progress("", 0.5, 6.0), 5, 20, 60.0, 4.0) == pytest.approx(6 + 14 * 12)
    assert left(Progress("", 0.5), 19, 20, 190.0, 4.0) == pytest.approx(6)


def test_dropping_the_steps_anywhere_leaves_the_scene_as_it_was(logic):
    scan = add_beating(RADII[:2])
    before = node_ids()
    for count in itertools.count(1):  # how many there are may differ from one time to the next
        steps = logic.segmentSequenceSteps(scan.volume)
        taken = sum(1 for _ in itertools.islice(steps, count))
        steps.close()
        if taken < count:  # it had come to its end
            break
        assert node_ids() == before and scan.browser.GetNumberOfSynchronizedSequenceNodes() == 0
    assert count > 10
    assert logic.backend.closed


def test_time_point_without_a_heart_is_empty_and_named_and_the_others_are_kept(logic):
    logic.backend.rule = refuse_when_empty
    scan = add_beating(missing=(1, 4))
    scan.sequence.GetNthDataNode(5).SetAndObserveImageData(None)
    node = logic.segmentSequence(scan.volume)
    left_out = (1, 4, 5)
    assert volumes(logic, node) == pytest.approx([0.0 if n in left_out else ml for n, ml in enumerate(scan.lv_ml)])
    assert node.GetSegmentation().GetNumberOfSegments() == 4
    for number, reason in ((1, "No heart was found."), (5, "This time point holds no image; load the scan again.")):
        scan.browser.SetSelectedItemNumber(number)
        assert logic.report(node)["flags"][0]["message"] == reason
    function = logic.heartFunction(node)
    assert "not found at time points 2, 5 and 6, which are left out" in function.remarks[0]
    assert function.ejection_fraction == pytest.approx(EF, abs=0.02)
    curve = slicer.util.arrayFromTableColumn(node.GetNodeReference(HeartFunctionNodes.CURVE), "Left ventricle (ml)")
    assert np.flatnonzero(np.isnan(curve)).tolist() == [1, 4, 5]


def test_scan_without_any_heart_is_refused_with_the_reason(logic):
    logic.backend.rule = refuse_when_empty
    scan = add_beating(missing=range(6))
    before = node_ids()
    with pytest.raises(NoHeartFound, match="No heart was found"):
        logic.segmentSequence(scan.volume)
    assert node_ids() == before


def test_trouble_that_is_not_of_one_time_point_stops_the_work(logic):
    def fail(_step):
        raise MemoryError("Memory ran out.")

    scan = add_beating()
    for volume, choices, said in (
        (scan.volume, {"model": "other"}, "no model 'other'"),
        (scan.volume, {"uncertainty": True}, "single time points only"),  # a map is refused rather than left out
        (add_scan("Alone"), {}, "shows no sequence of time points"),
    ):
        with pytest.raises(ValueError, match=said):
            logic.segmentSequence(volume, **choices)
    logic.backend.before_step = fail
    with pytest.raises(MemoryError):
        logic.segmentSequence(scan.volume)


def test_scan_whose_browser_is_deleted_meanwhile_stops_with_a_sentence(logic):
    scan = add_beating()
    logic.backend.before_step = lambda _step: slicer.mrmlScene.RemoveNode(scan.browser)
    with pytest.raises(NodeGone, match="removed from the scene"):
        logic.segmentSequence(scan.volume)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_chart_shows_the_right_ventricle_beside_the_left_one_where_it_is_known(logic, monkeypatch):
    node = logic.segmentSequence(add_beating().volume)
    left = HeartFunctionNodes.curve(node)
    both = {**left.volumes, "RV": left.volumes["LV"] * 1.1}
    names, colors = left.names | {"RV": "Right ventricle"}, left.colors | {"RV": (0.6, 0.4, 0.7)}
    with_right = HeartFunctionNodes.Curve(left.time, left.timeName, both, names, colors)
    chart = node.GetNodeReference(HeartFunctionNodes.CHART)
    for found, columns in (
        (with_right, ["Left ventricle (ml)", "Right ventricle (ml)"]),
        (left, ["Left ventricle (ml)"]),
    ):
        monkeypatch.setattr(HeartFunctionNodes, "curve", lambda _node, found=found: found)
        HeartFunctionNodes.write(node)
        shown = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        assert [series.GetYColumnName() for series in shown] == columns
        assert chart.GetLegendVisibility() == (len(columns) == 2)
        assert chart.GetYAxisTitle() == ("Volume (ml)" if len(columns) == 2 else columns[0])


def test_edits_of_a_time_point_stay_with_it_and_count(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    scan.browser.SetSelectedItemNumber(3)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", scan.volume).copy()
    array[: array.shape[0] // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LV", scan.volume)
    assert volumes(logic, node)[3] == pytest.approx(scan.lv_ml[3] / 2, rel=0.01)
    assert logic.heartFunction(node).esv_ml == pytest.approx(scan.lv_ml[3] / 2, rel=0.01)


def test_browsing_where_the_scan_has_no_time_point_adds_none(logic):
    scan = add_beating()
    follow_every_20_ms(scan)
    node = logic.segmentSequence(scan.volume)
    before = logic.heartFunction(node)
    for number in range(12):
        scan.browser.SetSelectedItemNumber(number)
        shown = Sequences.browsed(node)
        there = number % 2 == 0
        assert shown.count == 6 and shown.shown == (number // 2 if there else -1)
        assert node.GetSegmentation().GetNumberOfSegments() == (4 if there else 0)
    assert logic.heartFunction(node) == before
    assert logic.segmentSequence(scan.volume, outputSegmentation=node) is node


def test_index_that_is_text_counts_time_points(logic):
    scan = add_beating(RADII[:3])
    scan.sequence.SetIndexType(scan.sequence.TextIndex)
    for number, text in enumerate(("early", "late", "last")):
        scan.sequence.UpdateIndexValue(scan.sequence.GetNthIndexValue(number), text)
    curve = HeartFunctionNodes.curve(logic.segmentSequence(scan.volume))
    assert curve.timeName == "Time point" and curve.time.tolist() == [1.0, 2.0, 3.0]


def test_results_lie_where_the_scan_lies_in_the_subject_hierarchy(logic):
    scan = add_beating()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(folder, scan.volume)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def list_it(_scene, _event, node):
        """As the application does with what is added."""
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, list_it)
    node = logic.segmentSequence(scan.volume)
    slicer.mrmlScene.RemoveObserver(tag)
    tables = [node.GetNodeReference(r) for r in (HeartFunctionNodes.FUNCTION, HeartFunctionNodes.CURVE)]
    for each in (node, *tables):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(each)) == folder


def test_results_are_found_again_in_a_scene_that_was_saved(logic, tmp_path):
    scan = add_beating()
    scan.browser.SetSelectedItemNumber(2)
    node = logic.segmentSequence(scan.volume)
    before, lv = logic.heartFunction(node), list(scan.lv_ml)
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    stage.clear_scene()
    assert slicer.mrmlScene.ReadFromMRB(file)
    node = slicer.util.getNode("Patient 7 segmentation")
    assert Sequences.browsed(node).shown == 2
    assert volumes(logic, node) == pytest.approx(lv) and logic.heartFunction(node) == before
    assert len(table_rows(node.GetNodeReference(HeartFunctionNodes.FUNCTION))) == 5
    chart = node.GetNodeReference(HeartFunctionNodes.CHART)
    assert chart.GetNthPlotSeriesNode(0).GetTableNode() is node.GetNodeReference(HeartFunctionNodes.CURVE)
    assert list(logic.report(node)["voxels"]) == list(IDS)
