"""The life that both panels share: the scene's parameter node is found, shown, let go with its scene, and found again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .ActionLog import LOG

GONE = (AttributeError, RuntimeError, ValueError)  # what is raised for a widget that was destroyed


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """A subclass has a `logic`, and shows the parameter node, which may be None, in `onParameters`."""

    logic: Any = None

    def __init__(self, parent: Any = None) -> None:
        self._parameterNode: Any = None
        self._guiTag: int | None = None
        super().__init__(parent)

    def load(self) -> None:
        """Show the module's .ui file, and follow the scene."""
        panel = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)

    def cleanup(self) -> None:
        self.letGo(partial(self._observe, None), self.removeObservers)

    @staticmethod
    def letGo(*parts: Callable[[], None]) -> None:
        """Do all of these, though the widgets may be gone: at Slicer's end its window takes them along before `cleanup`."""
        for part in parts:
            try:
                part()
            except GONE as error:
                logging.debug("SIFA: a widget was gone: %s", error)

    def exit(self) -> None:
        self._observe(None)

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        LOG.remember()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Observe the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Any) -> None:
        self._observe(parameterNode)
        self.onParameters()

    def _observe(self, parameterNode: Any) -> None:
        former, tag = self._parameterNode, self._guiTag
        self._parameterNode, self._guiTag = parameterNode, None
        if former is not None:
            self.removeObserver(former.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            former.disconnectGui(tag)
        if parameterNode is not None:
            # Not connectGui: where that tells no tag, nothing is ever disconnected, and what was bound before writes its
            # first choice into the scene as soon as a list is filled anew.
            bound = {name: w for w in vars(self.ui).values() if (name := w.property("SlicerParameterName"))}
            self._guiTag = parameterNode.connectParametersToGui(bound)
            # The node, not what wraps it: whatever was ever observed is kept, and each scene has another wrapper.
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)

    def onParameters(self, caller: Any = None, event: Any = None) -> None:
        """Bring the panel up to date."""
