"""The double of the Segment Editor refuses what Slicer would not make an effect of."""

from __future__ import annotations

from slicer_helpers import stage

# the line above sets the stage on which the others can be imported
# isort: split
import pytest
import slicer
from HeadlessSlicer.segment_editor import SegmentEditor, qSlicerSegmentEditorScriptedEffect

EFFECT = """
import qt
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect

class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    def __init__(self, scriptedEffect):
        scriptedEffect.name = "{name}"
        scriptedEffect.requireSegments = {needs}
        super().__init__(scriptedEffect)
        self.told = []

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects
        other = effects.qSlicerSegmentEditorScriptedEffect(None)
        other.setPythonSource(__file__)
        return {clone}

    def icon(self):
        return qt.QIcon()

    def helpText(self):
        return "help"

    def setupOptionsFrame(self):
        self.button = self.scriptedEffect.addOptionsWidget(qt.QPushButton("Go"))

    def activate(self):
        self.told.append("activate")

    def deactivate(self):
        self.told.append("deactivate")
"""


@pytest.fixture
def effect(tmp_path):
    """An effect of a file, registered under a name of its own."""

    def made(name: str, needs: bool = False, clone: str = "other"):
        folder = tmp_path / f"{name}Lib"
        folder.mkdir()
        (folder / "SegmentEditorEffect.py").write_text(EFFECT.format(name=name, needs=needs, clone=clone))
        found = qSlicerSegmentEditorScriptedEffect(None)
        assert found.setPythonSource((folder / "SegmentEditorEffect.py").as_posix())
        found.self().register()
        return found

    before = slicer.qSlicerSegmentEditorEffectFactory._only
    slicer.qSlicerSegmentEditorEffectFactory._only = None
    yield made
    slicer.qSlicerSegmentEditorEffectFactory._only = before
    stage.clear_scene()


def test_an_effect_is_loaded_cloned_and_told_of(effect):
    registered = effect("Alpha")
    assert slicer.AlphaLib is registered.self()
    editor = SegmentEditor()
    assert editor.effectByName("Beta") is None
    clone = editor.effectByName("Alpha")
    assert clone is not registered and clone.self().button.text == "Go" and clone.parameterSetNode() is not None
    editor.setActiveEffectByName("Alpha")
    assert editor.activeEffect() is None, "without a segmentation there is nothing to work on"
    editor.setSegmentationNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    editor.setActiveEffectByName("Alpha")
    editor.setActiveEffectByName("")
    assert clone.self().told == ["activate", "deactivate"]


def test_an_effect_that_needs_segments_waits_for_one(effect):
    effect("Gamma", needs=True)
    editor = SegmentEditor()
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    editor.setSegmentationNode(segmentation)
    editor.setActiveEffectByName("Gamma")
    assert editor.activeEffect() is None
    segmentation.GetSegmentation().AddEmptySegment("A", "A")
    editor.setActiveEffectByName("Gamma")
    assert editor.activeEffect() is not None


def test_what_slicer_refuses_is_refused(effect, tmp_path):
    fresh = qSlicerSegmentEditorScriptedEffect(None)
    assert not fresh.setPythonSource(str(tmp_path / "none.py")) and not fresh.setPythonSource("C:\\effects\\x.py")
    with pytest.raises(RuntimeError, match="setupOptionsFrame"):
        fresh.addOptionsWidget(stage.start().qt.QLabel())
    with pytest.raises(RuntimeError, match="no segmentation"):
        fresh.saveStateForUndo()
    effect("Delta", clone="None")
    with pytest.raises(TypeError, match="clone must give"):
        SegmentEditor().effectByName("Delta")
    assert not slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(fresh), "it has no name"
