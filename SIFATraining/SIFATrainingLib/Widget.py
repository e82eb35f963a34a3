"""The panel of SIFATraining: three steps, the run that is looked at, what came of it, and the list of runs, as tabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from SIFASegmentationLib.HelpPanel import HelpPanel, Told
from SIFASegmentationLib.PanelWidget import PanelWidget
from slicer.i18n import tr as _

from .AfterPanel import AfterPanel
from .HowStep import HowStep
from .Logic import SIFATrainingLogic
from .RunsPanel import RunsPanel
from .RunView import RunView
from .ScansStep import ScansStep
from .SourceStep import SourceStep
from .StartStep import StartStep
from .Tabs import SCANS, TRAIN, Tabs

LINES = 40  # of a run's log that a report holds


class SIFATrainingWidget(PanelWidget):
    """Owns nothing of a training: each step knows its part, the run's folder knows the rest."""

    def __init__(self, parent: Any = None) -> None:
        self._updating = False
        self._nodesTimer = qt.QTimer()
        self._nodesTimer.setSingleShot(True)
        self._nodesTimer.setInterval(0)
        self._nodesTimer.connect("timeout()", self.update)
        super().__init__(parent)

    # Life of the panel

    def setup(self) -> None:
        super().setup()
        self.load()
        self.ui.runsFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        self.useLogic(SIFATrainingLogic())
        for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
            self.addObserver(slicer.mrmlScene, event, self._onNodes)
        self.initializeParameterNode()
        self.findRun()

    def useLogic(self, logic: SIFATrainingLogic) -> None:
        """Make the parts of the panel for that logic."""
        self.logic = logic
        self.tabs = Tabs(self.ui)
        self.scansStep = ScansStep(self.ui, logic, self.update)
        self.sourceStep = SourceStep(self.ui, logic, self.update)
        self.howStep = HowStep(self.ui, logic, self.update)
        self.startStep = StartStep(self.ui, logic, self.update, self.openRun)
        self.afterPanel = AfterPanel(self.ui, logic, self._onUsed)
        self.runView = RunView(self.ui, logic, self._onRunState)
        self.runsPanel = RunsPanel(self.ui, logic, self.openRun, self._onDeleted)
        self.helpPanel = HelpPanel(self.ui.helpFrame.layout(), "SIFA Training", lambda: logic.dependencies, self._told)
        self.howStep.refreshModels()
        self.runsPanel.refresh()

    def _told(self) -> Told:
        """What a report says of this panel, and of the run that is looked at."""
        configuration, reader = self.howStep.configuration, self.runView.reader
        names = [row.name for row in self.scansStep.rows]
        facts = {"Start model": configuration.start_model if configuration is not None else "?"}
        if self.runView.path is None or reader is None:
            return Told(facts, names)
        seen = reader.seen
        facts["Run"] = self.runView.state
        if seen is not None and seen.status is not None:
            facts["Iteration"] = f"{seen.status.iteration} of {seen.status.iterations}"
            facts["Reason"] = seen.status.reason or "none"
        if seen is not None and seen.run is not None:
            facts["Versions of the run"] = ", ".join(f"{k} {v}" for k, v in seen.run.versions.items())
            names.append(seen.run.configuration.name)
            names += [key.partition(":")[2] for key in seen.folder.data()]
        return Told(facts, names, reader.log().splitlines()[-LINES:])

    def cleanup(self) -> None:
        """The panel is thrown away; a training goes on."""
        self._nodesTimer.stop()
        steps = (self.scansStep, self.sourceStep, self.howStep, self.startStep, self.afterPanel, self.helpPanel)
        self.letGo(*(step.stop for step in steps), self.runView.close)
        self.logic.copies.sweep(self.logic.runsFolder)
        super().cleanup()

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
        super().exit()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.scansStep.stop()
        self.afterPanel.forget()
        super().onSceneStartClose(caller, event)

    # What is shown

    def onParameters(self, caller: Any = None, event: Any = None) -> None:
        self.update()

    def _onNodes(self, caller: Any = None, event: Any = None) -> None:
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
            scans = self.scansStep
            self.howStep.show(node, scans.place, scans.excludedNames(), scans.hearts(scans.findings()))
            findings = [*self.scansStep.findings(), *self.sourceStep.findings()]
            timed, configuration = self.howStep.timed, self.howStep.configuration
            active = self.runsPanel.active()
            beside = active.run.configuration.name if active is not None and active.run is not None else ""
            self.startStep.show(self.reason(), configuration if node is not None else None, findings, timed, beside)
            if len(self.scansStep.findings()) > 1:
                self.tabs.hint("")
            reasons = (self.scansStep.reason, self.sourceStep.reason or self.howStep.reason)
            self.tabs.show(reasons, self.afterPanel.hasResult)
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

        checked = checks.cross_check([*source, *self.scansStep.findings()])
        return next((problem for finding in checked for problem in finding.problems), "")

    # Runs

    def openRun(self, path: Path | None) -> None:
        """Look at that run."""
        self.afterPanel.show(None, "")
        self.runView.open(path)
        if path is not None:
            self.tabs.hint("")
            self.tabs.select(TRAIN)
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

    def adaptTo(self, volumeNode: slicer.vtkMRMLVolumeNode) -> None:
        """Begin with scans like this one: the volumes of the scene, this one ticked."""
        self.initializeParameterNode()
        self.tabs.select(SCANS)
        self.scansStep.choose(volumeNode)
        self.update()
        self.tabs.hint(_("Add more scans of the same scanner: load them, or choose a folder."))
