"""The panel of SIFASegmentation."""

from __future__ import annotations

import html

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from . import Failures, Volumes, Words
from .BatchPanel import BatchPanel
from .Dependencies import DependencyError
from .Logic import SIFASegmentationLogic
from .ModelsPanel import ModelsPanel
from .ResultsPanel import ResultsPanel
from .SequencePanel import offerTimePoints
from .Steps import Runner, Step
from .StructureBoxes import offerStructures


class SIFASegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Input, model, Apply that turns into Cancel, output; results; advanced settings; models."""

    def __init__(self, parent=None) -> None:
        self.logic: SIFASegmentationLogic | None = None
        self._parameterNode = None
        self._guiTag = None
        self._input = None
        self._models: list = []
        self._structureBoxes: dict = {}
        self._updating = False
        super().__init__(parent)

    # Life of the panel

    def setup(self) -> None:
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/SIFASegmentation.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = SIFASegmentationLogic()
        self.runner = Runner(self.onStep, self.onDone, self.onError)
        self.resultsPanel = ResultsPanel(self.ui, self.logic)
        self.modelsPanel = ModelsPanel(self.ui, self.logic, self.refreshModels)
        self.batchPanel = BatchPanel(self.ui, self.logic, self._choices, self._whyNoBatch, self._showBatchRunning)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.modelSelector.connect("currentIndexChanged(int)", self.onModelSelected)
        self._showStatus("")
        self.refreshModels()
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.runner.cancel()
        self.batchPanel.stop()
        self.resultsPanel.leave()
        self._observe(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()
        self.modelsPanel.refresh()
        self.refreshModels()
        self.resultsPanel.show(self._parameterNode.outputSegmentation)

    def exit(self) -> None:
        self._observe(None)
        self.resultsPanel.leave()

    def onSceneStartClose(self, caller, event) -> None:
        self.runner.cancel()
        self.batchPanel.stop()
        self._showRunning(False)
        self._showStatus("")
        self.resultsPanel.show(None)
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        """A scene that was loaded brings choices and results of its own."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.resultsPanel.show(self._parameterNode.outputSegmentation)

    def initializeParameterNode(self) -> None:
        """Observe the scene's parameter node; take the first volume if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            volumes = filter(Volumes.isPlain, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
            first = next(volumes, None)
            if first is not None:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, parameterNode) -> None:
        self._observe(parameterNode)
        self._onParametersChanged()

    def _observe(self, parameterNode) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._parameterNode, self._guiTag = parameterNode, None
        if parameterNode is not None:
            self._input = parameterNode.inputVolume
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)

    # What can be applied, and what is shown of it

    def _onParametersChanged(self, caller=None, event=None) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            if self._parameterNode is not None:
                offerTimePoints(self.ui, self._parameterNode)
                self._selectModel()
                self._protectOtherResults()
                output = self._parameterNode.outputSegmentation
                if output is not self.resultsPanel.node:
                    self.resultsPanel.show(output)
            self._checkCanApply()
            self.batchPanel.show(self._parameterNode)
        finally:
            self._updating = False

    def _protectOtherResults(self) -> None:
        """After a change of the input, the earlier result stays: the next one gets a node of its own."""
        volume, output = self._parameterNode.inputVolume, self._parameterNode.outputSegmentation
        changed, self._input = volume is not self._input, volume
        if changed and volume is not None and output is not None:
            reference = output.GetNodeReference(output.GetReferenceImageGeometryReferenceRole())
            if reference is not None and reference is not volume:
                self._parameterNode.outputSegmentation = None

    def _checkCanApply(self) -> None:
        """Enable Apply, or say in its tooltip why not."""
        reason = self._whyNot()
        running = self.runner.running
        self.ui.applyButton.enabled = running or not reason
        self.ui.applyButton.text = _("Cancel") if running else _("Apply")
        if running:
            self.ui.applyButton.toolTip = _("Stop; nothing is changed in the scene.")
        else:
            self.ui.applyButton.toolTip = reason or _("Segment the heart in the input volume.")

    def _whyNot(self) -> str:
        node = self._parameterNode
        if node is None:
            return _("The scene is being closed.")
        if self.batchPanel.running:
            return _("A batch is running; wait for its end, or cancel it under Batch.")
        if node.inputVolume is None:
            return _("Select an input volume.")
        if node.inputVolume.GetImageData() is None:
            return _("{name} holds no image; load it again.").format(name=node.inputVolume.GetName())
        return self._whyNoModel()

    def _whyNoBatch(self) -> str:
        return _("A segmentation is running.") if self.runner.running else self._whyNoModel()

    def _whyNoModel(self) -> str:
        """What keeps the chosen model from drawing anything; "" if nothing does."""
        node, card = self._parameterNode, self._card()
        if card is None and node.model:
            return _("The model {model} is not installed; select another, or import it under Models.").format(
                model=node.model
            )
        if card is None:
            return _("No model is installed; import one under Models.")
        if not self._structures():
            return _("Select at least one structure under Advanced.")
        return ""

    def _card(self):
        """The card of the chosen model; None if it is not installed."""
        wanted = self._parameterNode.model
        return next((p.card for p in self._models if not wanted or p.card.key == wanted), None)

    def _structures(self) -> list[str]:
        excluded = self._parameterNode.excludedStructures.split()
        return [s.id for s in self._card().labels if s.id not in excluded]

    def refreshModels(self) -> None:
        """Fill the list of models anew."""
        self._models = list(self.logic.backend.store().packages())
        self._updating = True
        self.ui.modelSelector.clear()
        for package in self._models:
            self.ui.modelSelector.addItem(Words.modelName(package.card), package.card.key)
        self._updating = False
        self._onParametersChanged()

    def _selectModel(self) -> None:
        card = self._card()
        index = next((i for i, p in enumerate(self._models) if p.card is card), -1)
        self.ui.modelSelector.currentIndex = index
        self.ui.modelInfoLabel.text = f"<small>{html.escape(Words.modelLine(card))}</small>" if card else ""
        self.ui.modelInfoLabel.toolTip = Words.modelToolTip(card) if card else ""
        structures, excluded = card.labels if card else (), self._parameterNode.excludedStructures.split()
        frame, boxes = self.ui.structuresFrame, self._structureBoxes
        offerStructures(frame, boxes, structures, excluded, self.onStructureToggled)

    # What the user does

    def onModelSelected(self, index: int) -> None:
        if self._parameterNode is not None and not self._updating and 0 <= index < len(self._models):
            self._parameterNode.model = self._models[index].card.key

    def onStructureToggled(self, _checked: bool) -> None:
        if self._parameterNode is not None and not self._updating:
            excluded = [structureId for structureId, box in self._structureBoxes.items() if not box.checked]
            self._parameterNode.excludedStructures = " ".join(excluded)

    def onApplyButton(self, _checked: bool = False) -> None:
        if self.runner.running:
            self.runner.cancel()
            self._showRunning(False)
            self._showStatus(_("Cancelled; nothing was changed."))
            return
        node = self._parameterNode
        try:
            self.logic.dependencies.ensure()
        except DependencyError as error:
            self._showStatus(str(error), isError=True)
            return
        self._showStatus("")
        choices = {"outputSegmentation": node.outputSegmentation, "roi": node.roi, **self._choices()}
        if offerTimePoints(self.ui, node):
            self.runner.start(self.logic.segmentSequenceSteps(node.inputVolume, **choices))
        else:
            steps = self.logic.segmentSteps(node.inputVolume, uncertainty=node.uncertainty, **choices)
            self.runner.start(steps)
        self._showRunning(True)
        self.onStep(Step(_("Starting")))

    def _choices(self) -> dict:
        """What holds for one scan and for a batch."""
        node = self._parameterNode
        return {
            "model": self._card().key,
            "device": node.device.value,
            "precision": node.precision.value,
            "structures": self._structures(),
            "views": node.views.value,
        }

    # What the runner says

    def onStep(self, step: Step) -> None:
        self.ui.progressBar.value = round(1000 * step.fraction)
        left = Words.timeLeft(step.seconds_left)
        self.ui.progressLabel.text = f"{step.stage} · {left}" if left else step.stage

    def onDone(self, segmentationNode) -> None:
        """The panel may have been left meanwhile; what it made is there when it is opened again."""
        self._showRunning(False)
        self.logic.getParameterNode().outputSegmentation = segmentationNode
        if self._parameterNode is not None:
            self.resultsPanel.show(segmentationNode)

    def onError(self, error: Exception) -> None:
        self._showRunning(False)
        self._showStatus(Failures.sentence(error), isError=True)

    def _showRunning(self, running: bool) -> None:
        self.ui.progressFrame.setVisible(running)
        self.ui.batchCollapsibleButton.enabled = not running
        self._showBusy(running)

    def _showBatchRunning(self, running: bool) -> None:
        self.ui.resultsCollapsibleButton.enabled = not running
        self._showBusy(running)

    def _showBusy(self, busy: bool) -> None:
        """Lock what a segmentation that is going on depends on."""
        for part in (self.ui.inputsFrame, self.ui.advancedCollapsibleButton, self.ui.modelsCollapsibleButton):
            part.enabled = not busy
        self._checkCanApply()
        self.batchPanel.show(self._parameterNode)

    def _showStatus(self, text: str, isError: bool = False) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.setStyleSheet(f"color: {Words.BAD}" if isError else "")
        self.ui.statusLabel.setVisible(bool(text))
        if not self.runner.running:
            self.ui.progressFrame.setVisible(False)
