"""The logic works on the real scene without any panel, and changes the scene only when it is done."""

from __future__ import annotations

from beating_scan import node_ids
from slicer_helpers import (
    IDS,
    FakeBackend,
    ReadyDependencies,
    add_volume,
    balls,
    by_place,
    exported_labels,
    ijk_to_ras,
    stage,
    world_points,
)

# the lines above set the stage on which the others can be imported
# isort: split
import json

import numpy as np
import pytest
import slicer
from SIFALib.models.structures import PAPERS
from SIFALib.support.progress import Progress, drain
from SIFASegmentationLib import SceneConversion
from SIFASegmentationLib.Results import NodeGone

from SIFASegmentation import SIFASegmentationLogic

SHAPE = (48, 56, 64)


@pytest.fixture(autouse=True)
def empty_scene():
    stage.clear_scene()
    yield
    stage.clear_scene()


@pytest.fixture
def scan():
    return add_volume(np.zeros(SHAPE, np.int16), ijk_to_ras(), name="Patient 7")


@pytest.fixture
def logic(tmp_path):
    return SIFASegmentationLogic(FakeBackend(tmp_path, by_place), ReadyDependencies())


def test_result_is_a_new_segmentation_named_after_the_volume_with_names_colours_and_codes(logic, scan):
    first, second = logic.segment(scan), logic.segment(scan)
    assert first.GetName() == "Patient 7 segmentation"
    assert second is not first and second.GetName().startswith("Patient 7 segmentation")
    assert logic.dependencies.asked == 2, "they are asked for before the work"
    assert first.GetSegmentation().GetNumberOfSegments() == 4
    for index, structure in enumerate(PAPERS):
        segment = first.GetSegmentation().GetNthSegment(index)
        assert segment.GetName() == structure.name
        assert np.allclose(segment.GetColor(), np.array(structure.color) / 255)
        assert segment.GetTerminology() == structure.terminology_tag()


def test_steps_say_what_is_done_and_end_in_the_node(logic, scan):
    seen: list[Progress] = []
    node = drain(logic.segmentSteps(scan), seen.append)
    assert node.GetClassName() == "vtkMRMLSegmentationNode"
    assert "Segmenting" in {step.stage for step in seen}
    assert all(0.0 <= step.fraction <= 1.0 and step.stage for step in seen)


def test_dropping_the_steps_anywhere_leaves_the_scene_as_it_was(logic, scan):
    before, count = node_ids(), 0
    total = sum(1 for _ in logic.segmentSteps(scan))
    stage.clear_scene()
    scan = add_volume(np.zeros(SHAPE, np.int16), ijk_to_ras())
    before = node_ids()
    for stop in range(total):
        steps = logic.segmentSteps(scan)
        for _ in range(stop + 1):
            next(steps)
            count += 1
        steps.close()
        assert node_ids() == before
    assert count >= total and logic.backend.closed


def test_chosen_output_is_filled_and_what_is_not_ours_stays_in_it(logic, scan):
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    output.CreateDefaultDisplayNodes()
    output.GetSegmentation().AddEmptySegment("lesion", "Lesion")
    for _ in range(2):
        assert logic.segment(scan, outputSegmentation=output) is output
    ids = [output.GetSegmentation().GetNthSegmentID(n) for n in range(5)]
    assert ids == ["lesion", *IDS] and output.GetSegmentation().GetNumberOfSegments() == 5
    assert np.array_equal(exported_labels(output, scan), balls(world_points(scan)))


def test_output_that_was_deleted_meanwhile_is_made_anew(logic, scan):
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    logic.backend.before_step = lambda _step: slicer.mrmlScene.RemoveNode(output)
    node = logic.segment(scan, outputSegmentation=output)
    assert node is not output and node.GetScene() is slicer.mrmlScene


def test_volume_that_is_deleted_meanwhile_stops_the_work_with_a_sentence(logic, scan):
    def delete(step):
        if step == 1:
            slicer.mrmlScene.RemoveNode(scan)

    logic.backend.before_step = delete
    with pytest.raises(NodeGone, match="removed from the scene"):
        logic.segment(scan)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert logic.backend.taken == 2 and logic.backend.closed


def test_choices_reach_the_library_and_only_chosen_structures_come_out(logic, scan):
    node = logic.segment(scan, structures=["LV", "AA"], device="cpu", precision="float32")
    given = logic.backend.given
    assert (given.device, given.precision, given.structures, given.roi) == ("cpu", "float32", ("LV", "AA"), None)
    assert [node.GetSegmentation().GetNthSegmentID(n) for n in range(2)] == ["LV", "AA"]
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert [row.structureId for row in logic.results(node)] == ["LV", "AA"]
    assert set(np.unique(exported_labels(node, scan))) == {0, 3, 4}


def test_uncertainty_comes_as_a_volume_of_its_own_in_the_grid_of_the_scan(logic, scan):
    node = logic.segment(scan)
    assert logic.uncertainty(node) is None
    logic.segment(scan, outputSegmentation=node, uncertainty=True)
    found = logic.uncertainty(node)
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", scan)
    values = slicer.util.arrayFromVolume(found)
    assert values.shape == slicer.util.arrayFromVolume(scan).shape and values.dtype == np.float32
    assert np.all(values[labels > 0] == 0.5) and values.min() == 0
    assert matrix_of(found) == matrix_of(scan)
    assert found.GetTransformNodeID() == scan.GetTransformNodeID()
    logic.segment(scan, outputSegmentation=node, uncertainty=True)
    assert logic.uncertainty(node) is found, "the former map is filled anew"
    logic.segment(scan, outputSegmentation=node)
    assert logic.uncertainty(node) is None and found.GetScene() is None, "an old map of a new result would lie"


def matrix_of(node) -> list[list[float]]:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix).tolist()


def test_uncertainty_of_a_sheared_scan_is_taken_back_into_its_grid(logic, scan):
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Shear")
    shear = np.eye(4)
    shear[0, 1] = 0.3
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, shear)
    transform.SetMatrixTransformToParent(matrix)
    scan.SetAndObserveTransformNodeID(transform.GetID())
    node = logic.segment(scan, uncertainty=True)
    found = logic.uncertainty(node)
    values = slicer.util.arrayFromVolume(found)
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(node, "MYO", scan)
    assert found.GetTransformNodeID() == transform.GetID()
    assert values.shape == labels.shape and labels.any()
    assert values[labels > 0].mean() > 0.35 and values.mean() < 0.25


def test_structure_that_was_not_found_is_an_empty_segment(logic, scan):
    logic.backend.rule = lambda volume: np.where(by_place(volume) == 2, 0, by_place(volume)).astype(np.uint8)
    node = logic.segment(scan)
    assert SceneConversion.voxelCount(node, "LA") == 0
    assert {row.structureId: row.volumeMl for row in logic.results(node)}["LA"] == 0.0


def test_volumes_follow_edits_of_the_segments(logic, scan):
    node = logic.segment(scan)
    before = {row.structureId: row.volumeMl for row in logic.results(node)}
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", scan)
    half = array.copy()
    half[: array.shape[0] // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, node, "LV", scan)
    after = {row.structureId: row.volumeMl for row in logic.results(node)}
    assert after["LV"] == pytest.approx(before["LV"] * half.sum() / array.sum())
    assert after["MYO"] == pytest.approx(before["MYO"])


def test_report_stays_with_the_node(logic, scan):
    node = logic.segment(scan)
    report = json.loads(node.GetAttribute("SIFA.Report"))
    assert (report["model"]["id"], report["model"]["version"]) == ("tiny", "1.0.0")
    assert report["volumes_ml"].keys() == set(IDS)
    assert logic.report(node) == report
    assert logic.report(scan) is None and logic.report(None) is None


def test_unknown_model_is_refused_before_anything_runs(logic, scan):
    with pytest.raises(ValueError, match="no model 'other'"):
        logic.segment(scan, model="other")
    assert logic.backend.taken == 0


def test_broken_weights_are_refused_with_the_reason(tmp_path, scan):
    from SIFASegmentationLib.Backend import LibraryBackend

    class Store(LibraryBackend):
        def store(self):
            return FakeBackend(tmp_path).store()

    logic = SIFASegmentationLogic(Store(), ReadyDependencies())
    weights = logic.package().weights
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        logic.segment(scan)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
