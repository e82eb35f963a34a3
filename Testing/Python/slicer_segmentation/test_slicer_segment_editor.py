"""The effect "SIFA heart" in the Segment Editor: structures are added to what is edited, where they are in the world."""

from __future__ import annotations

from slicer_helpers import (
    FakeBackend,
    ReadyDependencies,
    add_linear_transform,
    add_volume,
    by_place,
    dice,
    exported_labels,
    ijk_to_ras,
    rotation,
    stage,
)

# the lines above set the stage on which the others can be imported
# isort: split
import numpy as np
import pytest
import slicer
from SIFASegmentationLib import HeartEffect
from SIFASegmentationLib.Background import Foreground
from SIFASegmentationLib.Dependencies import DependencyError

SHAPE = (48, 56, 64)


@pytest.fixture
def editor():
    return slicer.modules.segmenteditor.widgetRepresentation().self().editor


@pytest.fixture
def tool(editor, tmp_path):
    """The effect's options in an editor of an empty segmentation."""
    volume = add_volume(np.zeros(SHAPE, np.int16), ijk_to_ras(), "Scan")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    segmentation.CreateDefaultDisplayNodes()
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    found = editor.effectByName("SIFA heart").self().tool
    found.logic.backend = FakeBackend(tmp_path, by_place)
    found.logic.dependencies, found.logic.background = ReadyDependencies(), Foreground()
    editor.setActiveEffectByName("SIFA heart")
    yield found
    editor.activeEffect().self().cleanup()


def press(tool) -> None:
    tool.applyButton.click()
    stage.wait_until(lambda: not tool.runner.running)


def ids(segmentation) -> set[str]:
    return {
        segmentation.GetSegmentation().GetNthSegmentID(n)
        for n in range(segmentation.GetSegmentation().GetNumberOfSegments())
    }


def test_the_structures_are_added_and_what_was_there_stays(tool, editor):
    segmentation, volume = editor.segmentation, editor.volume
    own = segmentation.GetSegmentation().AddEmptySegment("Tumour", "Tumour")
    assert tool.applyButton.text == "Segment the heart" and tool.applyButton.enabled and "LV" in tool.modelLabel.text
    press(tool)
    assert own in ids(segmentation) and "LV" in ids(segmentation)
    assert "structures were added." in tool.statusLabel.text and "is in 2 pieces" in tool.statusLabel.text
    assert editor.activeEffect()._saved == 1
    alone = tool.logic.segment(volume)
    there, here = exported_labels(alone, volume), exported_labels(segmentation, volume)
    assert np.count_nonzero(there) and np.array_equal(there > 0, here > 0)
    count = len(ids(segmentation))
    press(tool)
    assert len(ids(segmentation)) == count, "a second time makes them anew"


def test_a_segment_of_a_person_with_the_id_of_a_structure_stays(tool, editor):
    segmentation = editor.segmentation.GetSegmentation()
    segmentation.AddEmptySegment("LV", "Drawn by hand")
    press(tool)
    press(tool)
    assert segmentation.GetSegment("LV").GetName() == "Drawn by hand"
    assert [each for each in sorted(ids(editor.segmentation)) if each.startswith("LV")] == ["LV", "LV SIFA"]
    assert "Not found" not in tool.statusLabel.text


@pytest.mark.parametrize("moved", [False, True])
def test_a_segmentation_with_a_grid_of_its_own_keeps_it(tool, editor, moved):
    segmentation, volume = editor.segmentation, editor.volume
    finer = add_volume(
        np.zeros((60, 70, 50), np.int16), ijk_to_ras((50, 70, 60), (1.1, 0.9, 0.8), turn=(0, 0, 20)), "Grid"
    )
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(finer)
    if moved:
        shift = np.eye(4)
        shift[:3, 3] = (5.0, -4.0, 3.0)
        transform = add_linear_transform(shift @ rotation(0, 10, 0))
        segmentation.SetAndObserveTransformNodeID(transform.GetID())
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    before = segmentation.GetSegmentation().GetConversionParameter(name)
    press(tool)
    assert segmentation.GetSegmentation().GetConversionParameter(name) == before
    assert (segmentation.GetParentTransformNode() is not None) == moved
    wanted, found = (exported_labels(each, volume) for each in (tool.logic.segment(volume), segmentation))
    values = [v for v in np.unique(wanted) if v]
    assert values and all(dice(wanted, found, v) > 0.8 for v in values)


def test_what_is_missing_is_said_and_cancel_changes_nothing(tool, editor):
    segmentation = editor.segmentation
    editor.setSourceVolumeNode(None)
    assert not tool.applyButton.enabled and tool.applyButton.toolTip == "Select a source volume."
    editor.setSourceVolumeNode(slicer.util.getNode("Scan"))
    tool.logic.backend.count = 10**9
    tool.applyButton.click()
    stage.wait_until(lambda: tool.logic.backend.taken > 5)
    assert tool.applyButton.text == "Cancel"
    tool.applyButton.click()
    assert not tool.runner.running and not ids(segmentation) and "nothing was changed" in tool.statusLabel.text
    tool.applyButton.click()
    stage.wait_until(lambda: tool.logic.backend.taken > 5)
    tool.logic.backend.count = 3
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("Scan"))
    stage.wait_until(lambda: not tool.runner.running)
    assert "removed from the scene" in tool.statusLabel.text and not ids(segmentation)


def test_nothing_is_added_to_a_scene_that_is_being_closed(tool, monkeypatch):
    """The editor brings its effects up to date with each node that leaves it."""
    asked, known = [], tool.logic.getParameterNode
    monkeypatch.setattr(tool.logic, "getParameterNode", lambda: asked.append("a new node") or known())
    scene = slicer.mrmlScene
    tag = scene.AddObserver(scene.StartCloseEvent, lambda *_: tool.show())
    stage.clear_scene()
    scene.RemoveObserver(tag)
    assert asked == []
    tool.show()
    assert asked


def test_missing_packages_are_told_in_the_editor(tool, monkeypatch):
    def missing():
        raise DependencyError("PyTorch is missing.")

    monkeypatch.setattr(tool.logic.dependencies, "ensure", missing)
    tool.applyButton.click()
    assert tool.statusLabel.text == "PyTorch is missing." and not tool.runner.running


def test_it_is_registered_once_under_a_name_that_no_language_changes():
    factory = slicer.qSlicerSegmentEditorEffectFactory.instance()
    assert [effect.name for effect in factory.registeredEffects()].count(HeartEffect.NAME) == 1
    effect = HeartEffect.made()
    assert (
        not effect.perSegment and not effect.requireSegments and effect.pythonSource() == HeartEffect.SOURCE.as_posix()
    )
    assert not factory.registerEffect(effect)
