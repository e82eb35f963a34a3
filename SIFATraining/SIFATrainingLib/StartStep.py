"""Step 4: the name, what the run needs of this computer, Start, and the way to another computer."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support.progress import Progress, Steps
from SIFASegmentationLib import Dialogs
from SIFASegmentationLib.ActionLog import LOG
from SIFASegmentationLib.Runner import Runner
from slicer.i18n import tr as _

from . import Words
from .Child import Task
from .Logic import SIFATrainingLogic
from .Words import State

if TYPE_CHECKING:
    from SIFALib.datasets.scans import Scan
    from SIFALib.runs import Configuration


class StartStep:
    """Start is enabled when nothing speaks against it, else its tooltip says what does.

    onAsked() looks once more whether something does, before it starts; onStarted(folder of the run) is called after.
    """

    def __init__(
        self, ui: Any, logic: SIFATrainingLogic, onAsked: Callable[[], None], onStarted: Callable[[Path], None]
    ) -> None:
        self.ui, self.logic, self.onAsked, self.onStarted = ui, logic, onAsked, onStarted
        self.configuration: Configuration | None = None
        self.runner = Runner(self._onStep, self._onTried, self._onError)
        self.task = Task("pack", self._onPacking, self._onPacked, self.say)
        ui.startButton.connect("clicked(bool)", self.onStart)
        ui.packButton.connect("clicked(bool)", self.onPack)
        ui.copyCommandButton.connect("clicked(bool)", self.onCopy)
        ui.commandFrame.setVisible(False)
        self.say("")

    @property
    def busy(self) -> bool:
        return self.runner.running or self.task.running

    def stop(self) -> None:
        self.runner.cancel()
        self.task.cancel()

    def show(
        self,
        reason: str,
        configuration: Configuration | None,
        findings: list[Scan],
        timed: dict[str, Any] | None,
        beside: str,
    ) -> None:
        """reason: what keeps the choices from being trained with, "" if nothing does; beside: a run that is going on."""
        self.configuration = configuration
        text = ""
        if not reason and configuration is not None:
            reason, needed = self._lacks(configuration, findings, timed)
            text = reason or needed
            if beside:
                text += " " + _("“{name}” is being trained now; two at once slow each other down.").format(name=beside)
        Words.show(self.ui.needsLabel, State.PROBLEM if reason and text else State.FINE, text)
        ready = not reason and configuration is not None
        self.ui.startButton.enabled = ready and not self.busy
        self.ui.startButton.toolTip = reason or _("Adapt the model, in the background; Slicer may be closed meanwhile.")
        self.ui.packButton.enabled = ready or self.task.running
        self.ui.packButton.toolTip = reason or _(
            "Write a folder with the scans, the configuration and one command line, to train on a computer with GPUs."
        )

    def _lacks(
        self, configuration: Configuration, findings: list[Scan], timed: dict[str, Any] | None
    ) -> tuple[str, str]:
        """What this computer lacks for the run, "" if nothing; and what the run needs."""
        from SIFALib.runs import resources

        place = self.logic.runsFolder
        if place.exists() and not os.access(place, os.W_OK):
            return _("{folder} cannot be written to; choose another folder of runs.").format(folder=place), ""
        try:
            found = resources.of(configuration, place, findings, timed)
        except OSError as error:
            return Words.forPanel(error), ""
        return found.problem(place), found.sentence()

    def name(self) -> str:
        """What the run is called: what was typed."""
        return self.ui.runNameEdit.text.strip() or _("My scans")

    def say(self, text: str, isError: bool = True) -> None:
        """A sentence below Start."""
        Words.say(self.ui.startStatusLabel, text, isError)
        self.ui.packButton.text = _("Cancel") if self.task.running else _("Export for another computer...")

    # Start

    def onStart(self, _checked: bool = False) -> None:
        """Ask for missing packages, try them in a fresh process, then start."""
        self.say("")
        self.onAsked()
        if not self.ui.startButton.enabled:  # a folder has vanished, or the disk has filled up
            self.say(self.ui.startButton.toolTip)
            return
        if not self.logic.dependencies.ensured(self.say):
            return
        LOG.begin("Start")
        self.ui.startButton.enabled = False
        self.runner.start(self._steps())

    def _steps(self) -> Steps[None]:
        yield Progress(_("Checking PyTorch"), 0.0)
        yield from self.logic.dependencies.trySteps()

    def _onStep(self, step: Progress) -> None:
        self.say(step.stage, isError=False)

    def _onTried(self, _result: None) -> None:
        self.say("")
        try:
            assert self.configuration is not None
            folder = self.logic.create(dataclasses.replace(self.configuration, name=self.name()[:100]))
            self.logic.launch(folder.path)
        except (ValueError, OSError) as error:
            self._onError(error)
            return
        self.ui.runNameEdit.text = ""
        self.onStarted(folder.path)

    def _onError(self, error: Exception) -> None:
        self.say(Words.forPanel(error))
        self.ui.startButton.enabled = True

    # For another computer

    def onPack(self, _checked: bool = False) -> None:
        if self.task.running:
            self.task.cancel()
            self.say(_("Cancelled."), isError=False)
            return
        parent = Dialogs.chosenFolder()
        if parent:
            self.pack(Path(parent) / f"SIFA {Words.slug(self.name())}")

    def pack(self, place: Path) -> None:
        """Write all that the run needs elsewhere into a new folder."""
        assert self.configuration is not None
        self.ui.commandFrame.setVisible(False)
        request = {"configuration": self.logic.text(self.configuration), "place": str(place)}
        try:
            self.task.send(self.logic.dependencies.python, request, self.logic.environment)
        except OSError as error:
            self.say(Words.forPanel(error))
            return
        self.say(_("Copying the scans"), isError=False)

    def _onPacking(self, progress: dict[str, Any]) -> None:
        self.say(f"{progress['stage']} ({progress['fraction']:.0%})", isError=False)

    def _onPacked(self, answer: dict[str, Any]) -> None:
        self.say(
            _("Everything is in {folder}; copy it there, and enter in it:").format(folder=answer["folder"]),
            isError=False,
        )
        self.ui.commandEdit.text = answer["command"]
        self.ui.commandFrame.setVisible(True)

    def onCopy(self, _checked: bool = False) -> None:
        slicer.app.clipboard().setText(self.ui.commandEdit.text)
