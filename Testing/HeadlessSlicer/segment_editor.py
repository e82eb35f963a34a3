"""Stand-in for the Segment Editor: its widget, and the effects that Python files make.

As Slicer does: an effect's file is loaded into a Python module that is called like the file's folder, its class is called
like the file, and its object becomes `slicer.<folder>`; each editor works on a clone, whose options are set up once.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import ClassVar

import slicer
from PySide6 import QtGui, QtWidgets

from .widgets_ctk import qproperty

UNNAMED = "UnnamedScriptedEffect"


class AbstractScriptedSegmentEditorEffect:
    """SegmentEditorEffects.AbstractScriptedSegmentEditorEffect: what effects in Python inherit."""

    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self) -> None:
        pass


class qSlicerSegmentEditorScriptedEffect(QtWidgets.QWidget):
    """The C++ side of an effect; refuses a Python file that Slicer could not make an effect of.

    The methods that Slicer calls on the Python side are those of METHODS; `clone` must be there.
    """

    METHODS = (
        "icon", "helpText", "clone", "activate", "deactivate", "setupOptionsFrame", "createCursor",
        "processInteractionEvents", "processViewNodeEvents", "setMRMLDefaults", "referenceGeometryChanged",
        "sourceVolumeNodeChanged", "layoutChanged", "interactionNodeModified", "updateGUIFromMRML", "updateMRMLFromGUI",
        "cleanup",
    )  # fmt: skip
    name = qproperty(str, UNNAMED)
    title = qproperty(str, "")
    perSegment = qproperty(bool, True)
    requireSegments = qproperty(bool, False)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._python, self._source, self._node = None, "", None
        self._frame = None
        self._saved = 0  # states for undo

    def setPythonSource(self, source: str) -> bool:
        path = Path(source)
        if "\\" in source or path.suffix not in (".py", ".pyc") or not path.is_file():
            return False
        folder, kind = path.parent.name, path.stem if path.stem.endswith("Effect") else f"{path.stem}Effect"
        module = sys.modules.get(folder)
        if module is None or not hasattr(module, kind):
            spec = importlib.util.spec_from_file_location(folder, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[folder] = module
            spec.loader.exec_module(module)
        python = getattr(module, kind)(self)
        strange = [
            n for n in vars(type(python)) if callable(getattr(python, n)) and n.endswith(("MRML", "GUI", "Changed"))
        ]
        assert set(strange) <= set(self.METHODS), f"Slicer calls none of {set(strange) - set(self.METHODS)}"
        self._python, self._source = python, source
        setattr(slicer, folder, python)
        return True

    def pythonSource(self) -> str:
        return self._source

    def self(self):
        return self._python

    def parameterSetNode(self):
        return self._node

    def optionsFrame(self):
        return self._frame

    def addOptionsWidget(self, widget):
        """Below the options so far; a widget or a layout."""
        if self._frame is None:
            raise RuntimeError(f"{self.name}: options are added in setupOptionsFrame")
        layout = self._frame.layout()
        layout.addWidget(widget) if isinstance(widget, QtWidgets.QWidget) else layout.addLayout(widget)
        return widget

    def saveStateForUndo(self) -> None:
        if self._node is None or self._node.GetSegmentationNode() is None:
            raise RuntimeError("there is no segmentation whose state could be saved")
        self._saved += 1

    # What the editor calls

    def _call(self, method: str):
        own = getattr(self._python, method, None)
        return own() if own is not None else None

    def _cloned(self, node) -> qSlicerSegmentEditorScriptedEffect:
        clone = self._call("clone")
        if not isinstance(clone, qSlicerSegmentEditorScriptedEffect) or clone is self:
            raise TypeError(f"{self.name}: clone must give a new qSlicerSegmentEditorScriptedEffect")
        clone._node, clone._frame = node, QtWidgets.QFrame()
        clone._frame.setLayout(QtWidgets.QVBoxLayout())
        icon, text = clone._call("icon"), clone._call("helpText")
        assert isinstance(icon, QtGui.QIcon) and isinstance(text, str), "icon gives a QIcon, helpText a string"
        clone._call("setupOptionsFrame")
        clone._call("setMRMLDefaults")
        return clone


class qSlicerSegmentEditorEffectFactory:
    """Knows the effects that were registered, by name; one of a name that is taken is refused."""

    _only: ClassVar[qSlicerSegmentEditorEffectFactory | None] = None

    def __init__(self):
        self._effects: dict[str, qSlicerSegmentEditorScriptedEffect] = {}

    @classmethod
    def instance(cls) -> qSlicerSegmentEditorEffectFactory:
        cls._only = cls._only or cls()
        return cls._only

    def registerEffect(self, effect: qSlicerSegmentEditorScriptedEffect) -> bool:
        if effect.name in ("", UNNAMED) or effect.name in self._effects:
            return False
        self._effects[effect.name] = effect
        return True

    def registeredEffects(self) -> list:
        return list(self._effects.values())


class SegmentEditor:
    """The part of qMRMLSegmentEditorWidget that other modules use; its choices stand in a vtkMRMLSegmentEditorNode.

    An effect is active only with a segmentation, and, if it `requireSegments`, with one in it.
    """

    def __init__(self):
        self.segmentation, self.volume = None, None
        self._node, self._effects, self._active = None, {}, None

    def _parameters(self):
        if self._node is None or self._node.GetScene() is None:
            self._node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
            self._effects, self._active = {}, None
        return self._node

    def mrmlSegmentEditorNode(self):
        return self._parameters()

    def setSegmentationNode(self, node) -> None:
        self.segmentation = node
        self._parameters().SetAndObserveSegmentationNode(node)
        self._tell("updateGUIFromMRML")

    def setSourceVolumeNode(self, node) -> None:
        """A segmentation that has no geometry yet takes over the volume's."""
        self.volume = node
        self._parameters().SetAndObserveSourceVolumeNode(node)
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        known = self.segmentation is None or self.segmentation.GetSegmentation().GetConversionParameter(name)
        if not known and node is not None and node.GetImageData() is not None:
            self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
        self._tell("sourceVolumeNodeChanged")

    def effectByName(self, name: str):
        """The editor's own clone of a registered effect; None if there is none of that name."""
        if name not in self._effects:
            known = {e.name: e for e in slicer.qSlicerSegmentEditorEffectFactory.instance().registeredEffects()}
            if name not in known:
                return None
            self._effects[name] = known[name]._cloned(self._parameters())
        return self._effects[name]

    def activeEffect(self):
        return self._active

    def setActiveEffectByName(self, name: str) -> None:
        if self._active is not None:
            self._active._call("deactivate")
        effect = self.effectByName(name) if name else None
        if effect is not None:
            empty = self.segmentation is None or self.segmentation.GetSegmentation().GetNumberOfSegments() == 0
            if self.segmentation is None or (effect.requireSegments and empty):
                effect = None
        self._active = effect
        if effect is not None:
            effect._call("activate")
            effect._call("updateGUIFromMRML")

    def _tell(self, method: str) -> None:
        if self._active is not None:
            self._active._call(method)
