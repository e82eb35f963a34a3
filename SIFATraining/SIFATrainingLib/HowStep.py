"""Step 3, how: the start model, how long, on which device, and the advanced settings; how long that takes is measured."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from SIFALib.models.choice import named
from SIFASegmentationLib import Words as Common
from SIFASegmentationLib.ModelChoice import ModelChoice
from slicer.i18n import tr as _

from . import Presets, Words
from .AdvancedSettings import AdvancedSettings, valueOf
from .Child import Task
from .Logic import SIFATrainingLogic
from .Parameters import Preset, SIFATrainingParameterNode
from .Words import State

if TYPE_CHECKING:
    from SIFALib.datasets import HeartBox
    from SIFALib.runs import Configuration

TIMED_BY = (  # what the time of an iteration depends on
    "device", "precision", "threads", "batch", "accumulate", "data.size", "data.source", "method.width",
    "method.variant", "method.objective", "method.schedule",
)  # fmt: skip


class HowStep:
    """`reason` says why the choices cannot be ("": they can); `timed` is what was measured for them, if it was."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic, onChanged: Callable[[], None]) -> None:
        self.ui, self.logic, self.onChanged = ui, logic, onChanged
        self.parameters: SIFATrainingParameterNode | None = None
        self.configuration: Configuration | None = None
        self.reason = ""
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._measured: tuple[Any, ...] = ()  # what is being measured
        self._problem = ""
        self.models = ModelChoice(ui.startModelSelector, ui.startModelLabel, self._onModel)
        self.advanced = AdvancedSettings(ui, onChanged)
        self.task = Task("time", lambda progress: None, self._onTimed, self._onError)
        ui.measureButton.connect("clicked(bool)", self.onMeasure)
        ui.advancedCollapsibleButton.connect("contentsCollapsed(bool)", lambda _collapsed: self.onChanged())

    def stop(self) -> None:
        self.task.cancel()

    def refreshModels(self) -> None:
        """Fill the list of start models anew."""
        self.models.fill(map(named, self.logic.store().packages()))

    def show(
        self,
        parameters: SIFATrainingParameterNode | None,
        target: str,
        exclude: list[str],
        hearts: Mapping[str, HeartBox],
    ) -> None:
        """Bring the step up to date; target: the place of the scans that are used; hearts: boxes that were corrected."""
        self.parameters = parameters
        if parameters is None:
            return
        self.models.show(parameters.startModel)
        try:
            self.configuration = self.logic.configuration(parameters, target or "phantom", exclude, hearts=hearts)
            self.reason = ""
        except ValueError as error:  # RunError, ModelError, RecordError
            self.configuration, self.reason = None, Words.forPanel(error)
        self.advanced.show(parameters, self.configuration)
        self._say()

    def _say(self) -> None:
        self.ui.measureButton.text = _("Cancel") if self.task.running else _("Measure")
        label = self.ui.estimateLabel
        if self.reason:
            Words.show(label, State.PROBLEM, self.reason)
        elif self.task.running:
            Words.show(label, State.CHECKING, _("Timing a few iterations on this computer"))
        elif self._problem:
            Words.show(label, State.PROBLEM, self._problem)
        elif self.timed is not None:
            assert self.configuration is not None
            seconds = Presets.seconds(self.configuration, self.timed)
            each = _("{count} iterations of {seconds:.1f} s on {device}").format(
                count=self.configuration.iterations, seconds=self.timed["seconds"], device=self.timed["device"].upper()
            )
            text = _("{time} on this computer: {each}, and a little to look at your scans.").format(
                time=Common.duration(seconds).capitalize(), each=each
            )
            Words.show(label, State.FINE, text)
        else:
            Words.show(label, State.EMPTY, _("Measure tells how long it takes on this computer, by trying it."))
        self._compare()

    def _compare(self) -> None:
        """How long each preset takes, once that can be told."""
        timed = self.timed if not self.reason else None
        times = [f"{p.label()} {Common.duration(Presets.of(p, timed))}" for p in Preset] if timed is not None else []
        self.ui.presetTimesLabel.text = f"<small>{html.escape(' · '.join(times))}</small>"
        self.ui.presetTimesLabel.setVisible(timed is not None)

    # What was measured

    def _key(self) -> tuple[Any, ...]:
        return tuple(valueOf(self.configuration, key) for key in TIMED_BY) if self.configuration is not None else ()

    @property
    def timed(self) -> dict[str, Any] | None:
        return self._known.get(self._key())

    def onMeasure(self, _checked: bool = False) -> None:
        """Do a few iterations in a process of its own; a second press stops that."""
        if self.task.running:
            self.task.cancel()
        elif self.configuration is not None:
            self._problem, self._measured = "", self._key()
            try:
                self.logic.dependencies.ensure()
                request = {"configuration": self.logic.text(self.configuration)}
                self.task.send(self.logic.dependencies.python, request, self.logic.environment)
            except (RuntimeError, OSError) as error:  # DependencyError, or no process could be started
                self._problem = Words.forPanel(error)
        self._say()

    def _onTimed(self, answer: dict[str, Any]) -> None:
        self._known[self._measured] = answer
        self._say()
        self.onChanged()

    def _onError(self, sentence: str) -> None:
        self._problem = sentence
        self._say()

    def _onModel(self, key: str) -> None:
        if self.parameters is not None:
            self.parameters.startModel = key
