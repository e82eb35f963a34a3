"""The panel of SIFATraining: four steps, the run that is looked at, what came of it, and the list of runs."""

from __future__ import annotations

from pathlib import Path

import ctk
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .AfterPanel import AfterPanel
from .HowStep import HowStep
from .Logic import SIFATrainingLogic
from .RunsPanel import RunsPanel
from .RunView import RunView
from .ScansStep import ScansStep
from .SourceStep import SourceStep
from .StartStep import StartStep

PREPARATION = ("scansCollapsibleButton", "sourceCollapsibleButton", "howCollapsibleButton")


class SIFATrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Owns nothing of a training: each step knows its part, the run's folder knows the rest."""

    def __init__(self, parent=None) -> None:
        self.logic: SIFATrainingLogic | None = None
        self._parameterNode = None
        self._guiTag = None
        self._updating = False
        self._nodesTimer = qt.QTimer()
        self._nodesTimer.setSingleShot(True)
        self._nodesTimer.setInterval(0)
        self._nodesTimer.connect("timeout()", self.update)
        super().__init__(parent)

    # Life of the panel

    def setup(self) -> None:
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/SIFATraining.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        for edit in (self.ui.scansPathEdit, self.ui.sourcePathEdit, self.ui.runsFolderEdit):
            edit.filters = ctk.ctkPathLineEdit.Dirs
        self.useLogic(SIFATrainingLogic())
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
            self.addObserver(slicer.mrmlScene, event, self._onNodes)
        self.initializeParameterNode()
        self.findRun()

    def useLogic(self, logic: SIFATrainingLogic) -> None:
        """Make the parts of the panel for that logic."""
        self.logic = logic
        self.scansStep = ScansStep(self.ui, logic, self.update)
        self.sourceStep = SourceStep(self.ui, logic, self.update)
        self.howStep = HowStep(self.ui, logic, self.update)
        self.startStep = StartStep(self.ui, logic, self.update, self.openRun)
        self.afterPanel = AfterPanel(self.ui, logic, self._onUsed)
        self.runView = RunView(self.ui, logic, self._onRunState)
        self.runsPanel = RunsPanel(self.ui, logic, self.openRun, self._onDeleted)
        self.howStep.refreshModels()
        self.runsPanel.refresh()

    def cleanup(self) -> None:
        """The panel is thrown away; a training goes on."""
        for part in (self.scansStep, self.sourceStep, self.howStep, self.startStep, self.afterPanel):
            part.stop()
        self.runView.close()
        self._nodesTimer.stop()
        self.logic.copies.sweep(self.logic.runsFolder)
        self._observe(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()
        self.howStep.refreshModels()
        self.runsPanel.refresh()
        self.runView.watch(True)
        self.update()
        if self.runView.path is None:
            self.findRun()

    def exit(self) -> None:
        self.runView.watch(False)
        self._observe(None)

    def onSceneStartClose(self, caller, event) -> None:
        self.scansStep.stop()
        self.afterPanel.forget()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode) -> None:
        self._observe(parameterNode)
        self.update()

    def _observe(self, parameterNode) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameters)
        self._parameterNode, self._guiTag = parameterNode, None
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameters)

    # What is shown

    def _onParameters(self, caller=None, event=None) -> None:
        self.update()

    def _onNodes(self, caller=None, event=None) -> None:
        if self.parent.isEntered and self._parameterNode is not None:
            self._nodesTimer.start()  # once for all the nodes of a scene that is being loaded

    def update(self) -> None:
        """Bring all steps up to date with what is chosen and found."""
        if self._updating:
            return
        self._updating = True
        try:
            node = self._parameterNode
            self.scansStep.show(node)
            self.sourceStep.show(node)
            self.howStep.show(node, self.scansStep.place, self.scansStep.excludedNames())
            findings = [*self.scansStep.findings(), *self.sourceStep.findings()]
            timed, configuration = self.howStep.timed, self.howStep.configuration
            active = self.runsPanel.active()
            beside = active.run.configuration.name if active is not None and active.run is not None else ""
            self.startStep.show(self.reason(), configuration if node is not None else None, findings, timed, beside)
        finally:
            self._updating = False

    def reason(self) -> str:
        """What keeps the training from being started; "" if nothing does."""
        parts = (self.scansStep.reason, self.sourceStep.reason, self.howStep.reason)
        return next(filter(None, parts), "") or self._inBothDomains()

    def _inBothDomains(self) -> str:
        """The sentence about a scan that is there twice, which only shows when both steps are looked at together."""
        source = self.sourceStep.findings()
        if not source:
            return ""
        from SIFALib.datasets import checks

        judged = checks.cross_check([*source, *self.scansStep.findings()])
        return next((problem for finding in judged for problem in finding.problems), "")

    # Runs

    def openRun(self, path: Path | None) -> None:
        """Look at that run; the steps that led to it fold away."""
        self.afterPanel.show(None, "")
        self.runView.open(path)
        if path is not None:
            for name in PREPARATION:
                getattr(self.ui, name).collapsed = True
        self.runsPanel.refresh()
        self.update()

    def findRun(self) -> None:
        """After a start of Slicer: a run that is still going, or has ended meanwhile, is shown at once."""
        active = self.runsPanel.active()
        path = active.folder.path if active is not None else self.logic.changedMeanwhile()
        if path is not None:
            self.openRun(path)

    def _onRunState(self, state: str) -> None:
        assert self.runView.path is not None
        self.logic.remember(self.runView.path, state)
        self.afterPanel.show(self.runView.reader, state)
        self.runsPanel.refresh()
        self.update()

    def _onDeleted(self, path: Path) -> None:
        if self.runView.path == path:
            self.openRun(None)

    def _onUsed(self) -> None:
        """A new model is there: it can be started from, too."""
        self.howStep.refreshModels()
        self.update()

    # From SIFA Segmentation

    def adaptTo(self, volumeNode) -> None:
        """Begin with scans like this one: the volumes of the scene, this one ticked."""
        self.initializeParameterNode()
        for name in PREPARATION:
            getattr(self.ui, name).collapsed = False
        self.scansStep.choose(volumeNode)
        self.update()
        self.startStep.say(_("Add more scans of the same scanner: load them, or choose a folder."), isError=False)
