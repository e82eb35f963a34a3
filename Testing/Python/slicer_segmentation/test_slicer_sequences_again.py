"""What becomes of an earlier result, and of what a person drew, when a 4D scan is segmented again."""

from __future__ import annotations

from beating_scan import SPACING, add_beating, node_ids, table_rows, volumes
from slicer_helpers import IDS, FakeBackend, ReadyDependencies, add_linear_transform, by_value, rotation

# the lines above set the stage on which the others can be imported
# isort: split

import numpy as np
import pytest
import slicer
from SIFASegmentationLib import HeartFunctionNodes, SceneConversion

from SIFASegmentation import SIFASegmentationLogic


@pytest.fixture
def logic(tmp_path):
    return SIFASegmentationLogic(FakeBackend(tmp_path, by_value), ReadyDependencies())


def test_applying_again_replaces_the_earlier_result(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    count = len(node_ids())
    logic.backend.rule = lambda volume: np.where(by_value(volume) == 3, 3, 0).astype(np.uint8)
    assert logic.segmentSequence(scan.volume, outputSegmentation=node) is node
    assert len(node_ids()) == count
    assert scan.browser.GetNumberOfSynchronizedSequenceNodes() == 1
    assert volumes(logic, node, "MYO") == [0.0] * 6
    assert volumes(logic, node) == pytest.approx(list(scan.lv_ml))
    assert logic.heartFunction(node).mass_g is None
    assert len(table_rows(node.GetNodeReference(HeartFunctionNodes.FUNCTION))) == 4
    logic.segmentSequence(scan.volume, outputSegmentation=node, structures=["AA"])
    for role in (HeartFunctionNodes.FUNCTION, HeartFunctionNodes.CHART, HeartFunctionNodes.SERIES):
        assert node.GetNodeReference(role) is None, "old numbers of a new result would lie"


def test_applying_again_keeps_what_was_drawn_by_hand_or_not_asked_for_now(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    drawn = []
    for number in range(6):
        scan.browser.SetSelectedItemNumber(number)
        outline = np.zeros(slicer.util.arrayFromVolume(scan.volume).shape, np.uint8)
        outline[2 : 4 + number, 3:9, 3:9] = 1
        node.GetSegmentation().AddEmptySegment("RV", "Right ventricle")
        slicer.util.updateSegmentBinaryLabelmapFromArray(outline, node, "RV", scan.volume)
        drawn.append(int(outline.sum()))
    node.CreateClosedSurfaceRepresentation()
    before = volumes(logic, node)
    assert logic.segmentSequence(scan.volume, outputSegmentation=node, structures=["MYO"]) is node
    for number in range(6):
        scan.browser.SetSelectedItemNumber(number)
        segmentation = node.GetSegmentation()
        assert sorted(segmentation.GetSegmentIDs()) == sorted([*IDS, "RV"])
        assert segmentation.GetSegment("RV").GetName() == "Right ventricle"
        assert SceneConversion.voxelCount(node, "RV") == drawn[number]
        lv = SceneConversion.voxelCount(node, "LV") * np.prod(SPACING) / 1000
        assert lv == pytest.approx(before[number])
        assert [row.structureId for row in logic.results(node)] == ["MYO"]
    assert logic.segmentSequence(scan.volume, outputSegmentation=node) is node
    assert volumes(logic, node) == pytest.approx(list(scan.lv_ml))
    assert node.GetSegmentation().GetNumberOfLayers() == 2, "ours share one; each run adds no other"
    assert SceneConversion.voxelCount(node, "RV") == drawn[5]


def test_segments_of_another_kind_of_result_are_not_overwritten(logic):
    scan = add_beating()
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    mine.GetSegmentation().AddEmptySegment("lesion", "Lesion")
    node = logic.segmentSequence(scan.volume, outputSegmentation=mine)
    assert node is not mine and mine.GetSegmentation().GetNumberOfSegments() == 1
    single = logic.segment(scan.volume, outputSegmentation=node)
    assert single is not node and volumes(logic, node) == pytest.approx(list(scan.lv_ml))


def test_what_a_person_has_drawn_under_another_transform_is_not_moved(logic):
    scan = add_beating()
    node = logic.segmentSequence(scan.volume)
    placed = add_linear_transform(rotation(0, 0, 30))
    node.SetAndObserveTransformNodeID(placed.GetID())
    again = logic.segmentSequence(scan.volume, outputSegmentation=node)
    assert again is node and node.GetTransformNodeID() is None, "nothing of a person's: it follows the scan"
    node.SetAndObserveTransformNodeID(placed.GetID())
    node.GetSegmentation().AddEmptySegment("lesion", "Lesion")
    other = logic.segmentSequence(scan.volume, outputSegmentation=node)
    assert other is not node and other.GetTransformNodeID() is None
    assert node.GetTransformNodeID() == placed.GetID() and node.GetSegmentation().GetSegment("lesion") is not None
