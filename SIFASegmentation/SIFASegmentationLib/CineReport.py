"""The button that writes the report of a cine: a page to read and print, a table, curves, and the same for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from SIFALib.support.progress import Progress
from slicer.i18n import tr as _

from . import CineLogic, Dialogs, Failures, Words
from .Logic import SIFASegmentationLogic
from .Runner import Runner


class CineReport:
    """Works on the node that the section Results shows; of any other than the outlines of a cine there is no report."""

    def __init__(self, ui: Any, logic: SIFASegmentationLogic) -> None:
        self.ui, self.logic = ui, logic
        self.node: slicer.vtkMRMLSegmentationNode | None = None
        self.runner = Runner(self._onStep, self._onDone, self._onError)
        ui.cineReportButton.connect("clicked(bool)", self.onReport)

    def show(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        """A report that is being written of another node is dropped."""
        if node is not self.node:
            self.runner.cancel()
        self.node = node
        self.ui.cineReportButton.setVisible(CineLogic.canReport(node))
        self.ui.cineReportButton.enabled = not self.runner.running

    def onReport(self, _checked: bool = False) -> None:
        from SIFALib.inference import cine_outputs

        folder = Dialogs.chosenFolder()
        if not folder:
            return
        there = [name for name in cine_outputs.FILES if (Path(folder) / name).exists()]
        question = _("There is {name} in {folder} already, of this heart or another. Replace the report there?")
        if not there or Dialogs.confirmed(question.format(name=there[0], folder=folder)):
            self.write(Path(folder))

    def write(self, folder: Path) -> None:
        """Begin to write the report of the outlines as they are now into a folder."""
        assert self.node is not None  # else the button is hidden
        self.runner.start(CineLogic.reportSteps(self.logic, self.node, folder))
        self.ui.cineReportButton.enabled = False

    def _onStep(self, step: Progress) -> None:
        Words.say(self.ui.resultsStatusLabel, Words.step(step))

    def _onDone(self, page: Path) -> None:
        self.ui.cineReportButton.enabled = True
        Words.say(self.ui.resultsStatusLabel, _("Written as {path}, with files beside it.").format(path=page))
        Dialogs.openFolder(page)

    def _onError(self, error: Exception) -> None:
        self.ui.cineReportButton.enabled = True
        Words.say(self.ui.resultsStatusLabel, Failures.sentence(error), isError=True)
