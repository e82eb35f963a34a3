"""The heart within the Segment Editor: its structures become segments of what is edited there, in its geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from SIFALib.support.errors import ModelError
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _

from . import EditorGeometry, Failures, SceneConversion, Words
from .ActionLog import LOG
from .Backend import Choices
from .Logic import SIFASegmentationLogic
from .Results import NodeGone
from .Runner import Runner

if TYPE_CHECKING:
    import numpy as np

    from .Results import Found

NAME = "SIFA heart"
SOURCE = Path(__file__).parents[1] / "SegmentEditorSIFAHeartLib" / "SegmentEditorEffect.py"


def made() -> Any:
    """A new effect, as Slicer makes it of a Python file."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(SOURCE.as_posix())
    return effect


def register() -> None:
    """Offer the effect in every Segment Editor."""
    made().self().register()


@dataclass(frozen=True)
class Placed:
    """What was found, and its labels in the grid of the segmentation."""

    found: Found
    labels: np.ndarray
    grid: SceneConversion.Placement


class HeartTool:
    """The effect's options: a button, what it is doing, and what came of it."""

    def __init__(self, effect: Any, logic: SIFASegmentationLogic | None = None) -> None:
        self.effect, self.logic = effect, logic or SIFASegmentationLogic()
        self.runner = Runner(self._onStep, self._onDone, self._onError)
        self._segmentation: slicer.vtkMRMLSegmentationNode | None = None  # that is being added to
        self.modelLabel, self.statusLabel = qt.QLabel(), qt.QLabel()
        for label in (self.modelLabel, self.statusLabel):
            label.wordWrap = True
            label.textInteractionFlags = qt.Qt.TextSelectableByMouse
        self.bar = qt.QProgressBar()
        self.bar.maximum, self.bar.textVisible = 1000, False
        self.applyButton = qt.QPushButton()
        self.applyButton.connect("clicked(bool)", self.onApply)
        for widget in (self.modelLabel, self.applyButton, self.bar, self.statusLabel):
            effect.addOptionsWidget(widget)
        self._say("")
        self.show()

    def stop(self) -> None:
        self.runner.cancel()

    # What is shown

    def show(self) -> None:
        """Bring the options up to date with what is edited and with the choices of SIFA Segmentation."""
        if slicer.mrmlScene.IsClosing():  # whoever asks for choices then adds a node to it
            return
        reason, running = self._whyNot(), self.runner.running
        self.applyButton.enabled = running or not reason
        self.applyButton.text = _("Cancel") if running else _("Segment the heart")
        start = _("Add the structures of the heart to this segmentation; those that SIFA added before are made anew.")
        self.applyButton.toolTip = _("Stop; nothing is changed.") if running else reason or start
        self.bar.setVisible(running)
        try:
            choices, models = self._choices()
        except ModelError as error:
            self.modelLabel.text = Failures.sentence(error)
            return
        structures = ", ".join(s.id for s in choices.wanted(models))
        text = _(
            "Model: {model} ({structures}). SIFA Segmentation is where it is chosen, as are structures and device."
        )
        self.modelLabel.text = text.format(model=Words.modelsName(models), structures=structures)

    def _choices(self) -> tuple[Choices, Any]:
        """What SIFA Segmentation says, and its models. ModelError."""
        node = self.logic.getParameterNode()
        models = self.logic.models(node.model)
        return Choices.of(node, models), models

    def _edited(self) -> tuple[Any, Any]:
        """The segmentation and the volume of the editor; None where none is chosen."""
        node = self.effect.parameterSetNode()
        return (node.GetSegmentationNode(), node.GetSourceVolumeNode()) if node is not None else (None, None)

    def _whyNot(self) -> str:
        segmentation, volume = self._edited()
        if segmentation is None:
            return _("Select a segmentation.")
        if volume is None or volume.GetImageData() is None:
            return _("Select a source volume.")
        try:
            choices, models = self._choices()
        except ModelError as error:
            return Failures.sentence(error)
        return (
            "" if choices.wanted(models) else _("Select at least one structure in SIFA Segmentation, under Advanced.")
        )

    def _say(self, text: str, isError: bool = False) -> None:
        Words.say(self.statusLabel, text, isError)

    # What the person does

    def onApply(self, _checked: bool = False) -> None:
        if self.runner.running:
            self.runner.cancel()
            self._say(_("Cancelled; nothing was changed."))
            self.show()
            return
        if not self.logic.dependencies.ensured(self._say):
            return
        LOG.begin("Segment Editor")
        self._segmentation, volume = self._edited()
        self.runner.start(self._steps(self._segmentation, volume))
        self._say(_("Starting"))
        self.show()

    def _steps(self, segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLVolumeNode) -> Steps[Placed]:
        choices, _models = self._choices()
        found = yield from self.logic.workSteps(volume, volume, choices)
        if segmentation.GetScene() is None:
            raise NodeGone(_("The segmentation was removed from the scene, so nothing was added."))
        grid = EditorGeometry.gridOf(segmentation, volume)
        labels = yield from EditorGeometry.labelSteps(found.labels, SceneConversion.Placement.of(volume), grid)
        return Placed(found, labels, grid)

    # What the runner says

    def _onStep(self, step: Progress) -> None:
        self.bar.value = round(1000 * step.fraction)
        self._say(Words.step(step))

    def _onDone(self, placed: Placed) -> None:
        segmentation = self._segmentation
        if segmentation is None or segmentation.GetScene() is None:
            self._onError(NodeGone(_("The segmentation was removed from the scene, so nothing was added.")))
            return
        if self._edited()[0] is segmentation:
            self.effect.saveStateForUndo()
        model = "{id}@{version}".format(**placed.found.report["model"])
        structures = placed.found.structures
        SceneConversion.putSegments(segmentation, placed.grid.toNode, placed.labels, structures, model)
        empty = [s.name for s in structures if not SceneConversion.structureVoxels(segmentation, s.id)]
        text = _("{count} structures were added.").format(count=len(structures) - len(empty))
        notes = [*([_("Not found: {names}.").format(names=", ".join(empty))] if empty else []), *self._notes(placed)]
        self._say(" ".join([text, *notes]))
        self.show()

    @staticmethod
    def _notes(placed: Placed) -> list[str]:
        """What SIFA Segmentation would warn of beside the result."""
        flags = placed.found.report.get("flags", ())
        return [str(flag["message"]) for flag in flags if isinstance(flag, dict) and "message" in flag]

    def _onError(self, error: Exception) -> None:
        self._say(Failures.sentence(error), isError=True)
        self.show()
