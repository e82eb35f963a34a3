"""The panel of SIFASegmentation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from SIFALib.support.progress import Progress
from slicer.i18n import tr as _

from . import Failures, Regions, Results, SceneConversion, Surfaces, Volumes, Words
from .ActionLog import LOG
from .Backend import Choices
from .BatchPanel import BatchPanel
from .CinePanel import CinePanel
from .HelpPanel import HelpPanel, Told
from .Logic import SIFASegmentationLogic
from .ModelChoice import ModelChoice
from .ModelsPanel import ModelsPanel
from .PanelWidget import PanelWidget
from .ResultsPanel import ResultsPanel
from .Runner import Runner
from .SequencePanel import offerTimePoints
from .StructureBoxes import hasMoreThanPapers, notOfPapers, offerStructures

if TYPE_CHECKING:
    from SIFALib.models import Models


class SIFASegmentationWidget(PanelWidget):
    """Input, model, Apply that turns into Cancel, output; results; advanced settings; models."""

    def __init__(self, parent: Any = None) -> None:
        self._input: slicer.vtkMRMLScalarVolumeNode | None = None
        self._structureBoxes: dict[str, qt.QCheckBox] = {}
        self._roi: slicer.vtkMRMLMarkupsROINode | None = None  # that is followed
        self._updating = False
        super().__init__(parent)

    # Life of the panel

    def setup(self) -> None:
        super().setup()
        self.load()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.logic = SIFASegmentationLogic()
        self.runner = Runner(self.onStep, self.onDone, self.onError)
        self.resultsPanel = ResultsPanel(self.ui, self.logic)
        self.modelsPanel = ModelsPanel(self.ui, self.logic, self._keepModel, self.refreshModels)
        self.batchPanel = BatchPanel(self.ui, self.logic, self._choices, self._whyNoBatch, self._showBatchRunning)
        self.cinePanel = CinePanel(self.ui, self.logic, self._whyNoCine, self._showCineRunning, self._checkCanApply)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.papersButton.connect("clicked(bool)", self.onPapers)
        self.ui.fitRoiButton.connect("clicked(bool)", self.onFitRoi)
        self.ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onRoiAdded)
        self.modelChoice = ModelChoice(self.ui.modelSelector, self.ui.modelInfoLabel, self.onModelSelected)
        self.helpPanel = HelpPanel(
            self.ui.helpFrame.layout(), "SIFA Segmentation", lambda: self.logic.dependencies, self._told
        )
        self._showStatus("")
        self.refreshModels()
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.runner.cancel()
        self.letGo(self.batchPanel.stop, self.cinePanel.stop, self.helpPanel.stop, self.resultsPanel.close)
        super().cleanup()

    def enter(self) -> None:
        self.initializeParameterNode()
        self.modelsPanel.refresh()
        self.refreshModels()
        self.resultsPanel.show(self._parameterNode.outputSegmentation)

    def exit(self) -> None:
        super().exit()
        self.resultsPanel.leave()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.runner.cancel()
        self.batchPanel.stop()
        self.cinePanel.stop()
        self._showRunning(False)
        self._showStatus("")
        self.resultsPanel.close()
        super().onSceneStartClose(caller, event)

    def onSceneEndImport(self, caller: Any, event: Any) -> None:
        """A scene that was loaded brings choices and results of its own."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.resultsPanel.show(self._parameterNode.outputSegmentation)

    def initializeParameterNode(self) -> None:
        """Observe the scene's parameter node; take the first volume if none is chosen."""
        super().initializeParameterNode()
        if not self._parameterNode.inputVolume:
            volumes = filter(Volumes.isPlain, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
            first = next(volumes, None)
            if first is not None:
                self._parameterNode.inputVolume = first

    def _observe(self, parameterNode: Any) -> None:
        super()._observe(parameterNode)
        if parameterNode is not None:
            self._input = parameterNode.inputVolume

    def _told(self) -> Told:
        """What a report says of this panel."""
        node = self._parameterNode
        report = Results.report(node.outputSegmentation) if node is not None else None
        models = self._models() if node is not None else None
        facts = {
            "Model": models.key if models is not None else "none",
            "Device": node.device.value if node is not None else "?",
            "Last result": Words.provenance(report) if report else "none",
        }
        return Told(facts, [row.name for row in self.batchPanel.rows.values()])

    # What can be applied, and what is shown of it

    def onParameters(self, caller: Any = None, event: Any = None) -> None:
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
                if self.resultsPanel.node is not None:
                    Surfaces.smooth(self.resultsPanel.node, self._parameterNode.smoothing.value)
            self._followRoi()
            self.cinePanel.show(self._parameterNode)
            self._checkCanApply()
            self.batchPanel.show(self._parameterNode)
        finally:
            self._updating = False

    def _protectOtherResults(self) -> None:
        """After a change of the input, the earlier result stays: the next one gets a node of its own."""
        volume, output = self._parameterNode.inputVolume, self._parameterNode.outputSegmentation
        changed, self._input = volume is not self._input, volume
        if changed and volume is not None and output is not None:
            reference = SceneConversion.referenceVolume(output)
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
        if self.cinePanel.running:
            return _("A study is being read; wait for its end, or cancel it under Cine MR.")
        if node.inputVolume is None:
            return _("Select an input volume.")
        if node.inputVolume.GetImageData() is None:
            return _("{name} holds no image; load it again.").format(name=node.inputVolume.GetName())
        if node.roi is not None and Regions.isEmpty(node.roi):
            return _("The region of interest {name} has no size yet; press Fit under Advanced, or draw it.").format(
                name=node.roi.GetName()
            )
        if self.cinePanel.isPart():
            return _("This is a single place of a cine; press Assemble under Cine MR, and all of it is segmented.")
        return self._whyNoModel()

    def _whyNoBatch(self) -> str:
        if self.cinePanel.running:
            return _("A study is being read.")
        return _("A segmentation is running.") if self.runner.running else self._whyNoModel()

    def _whyNoCine(self) -> str:
        if self.batchPanel.running:
            return _("A batch is running.")
        return _("A segmentation is running.") if self.runner.running else ""

    def _whyNoModel(self) -> str:
        """What keeps the chosen model from drawing anything; "" if nothing does."""
        node, models = self._parameterNode, self._models()
        if models is None and node.model:
            return _("The model {model} is not installed; select another, or import it under Models.").format(
                model=node.model
            )
        if models is None:
            return _("No model is installed; import one under Models.")
        if not Choices.of(node, models).structures:
            return _("Select at least one structure under Advanced.")
        return ""

    def _models(self) -> Models | None:
        """What is chosen; None if it is not installed."""
        return self.modelChoice.models(self._parameterNode.model)

    def refreshModels(self) -> None:
        """Fill the list of models anew."""
        self.modelChoice.fill(self.logic.offered())
        self.onParameters()

    def _keepModel(self) -> None:
        """What this scene takes now it takes afterwards, too, whatever is imported."""
        models = self._models() if self._parameterNode is not None else None
        if models is not None and not self._parameterNode.model:
            self._parameterNode.model = models.name

    def _selectModel(self) -> None:
        models = self.modelChoice.show(self._parameterNode.model)
        structures, excluded = models.card.labels if models else (), self._parameterNode.excludedStructures.split()
        frame, boxes = self.ui.structuresFrame, self._structureBoxes
        offerStructures(frame, boxes, structures, excluded, self.onStructureToggled)
        self.ui.papersButton.setVisible(hasMoreThanPapers(structures))

    # What the user does

    def onModelSelected(self, key: str) -> None:
        if self._parameterNode is not None and not self._updating:
            self._parameterNode.model = key

    def onStructureToggled(self, _checked: bool) -> None:
        if self._parameterNode is not None and not self._updating:
            excluded = [structureId for structureId, box in self._structureBoxes.items() if not box.checked]
            self._parameterNode.excludedStructures = " ".join(excluded)

    def onPapers(self, _checked: bool = False) -> None:
        models = self._models()
        if models is not None:
            self._parameterNode.excludedStructures = " ".join(notOfPapers(models.card.labels))

    def onFitRoi(self, _checked: bool = False) -> None:
        """Around the whole input volume, from where its handles make it smaller; without a region, a new one."""
        node = self._parameterNode
        if node.roi is None:
            name = slicer.mrmlScene.GenerateUniqueName(_("Heart region"))
            node.roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
        Regions.fit(node.roi, node.inputVolume)
        self._checkCanApply()

    def onRoiAdded(self, roiNode: slicer.vtkMRMLMarkupsROINode) -> None:
        """A new one would be an empty one."""
        if self._parameterNode is not None and self._parameterNode.inputVolume is not None:
            Regions.fit(roiNode, self._parameterNode.inputVolume)

    def _followRoi(self) -> None:
        """Whether Apply can be pressed depends on the region's size."""
        roi = self._parameterNode.roi if self._parameterNode is not None else None
        volume = self._parameterNode.inputVolume if self._parameterNode is not None else None
        self.ui.fitRoiButton.enabled = volume is not None and volume.GetImageData() is not None
        if roi is not self._roi:
            if self._roi is not None:
                self.removeObserver(self._roi, vtk.vtkCommand.ModifiedEvent, self._onRoi)
            if roi is not None:
                self.addObserver(roi, vtk.vtkCommand.ModifiedEvent, self._onRoi)
            self._roi = roi

    def _onRoi(self, _caller: Any = None, _event: Any = None) -> None:
        if self._parameterNode is not None and not self._updating:
            self._checkCanApply()

    def onApplyButton(self, _checked: bool = False) -> None:
        if self.runner.running:
            self.runner.cancel()
            self._showRunning(False)
            self._showStatus(_("Cancelled; nothing was changed."))
            return
        node = self._parameterNode
        if not self.logic.dependencies.ensured(self._showStatus):
            return
        self._showStatus("")
        LOG.begin("Apply")
        everything = offerTimePoints(self.ui, node)
        choices = replace(self._choices(), roi=node.roi, uncertainty=node.uncertainty and not everything)
        work = self.logic.segmentSequenceSteps if everything else self.logic.segmentSteps
        self.runner.start(work(node.inputVolume, node.outputSegmentation, **vars(choices)))
        self._showRunning(True)
        self.onStep(Progress(_("Starting"), 0.0))

    def _choices(self) -> Choices:
        """What holds for one scan and for a batch."""
        models = self._models()
        assert models is not None  # else no button is enabled
        return Choices.of(self._parameterNode, models)

    # What the runner says

    def onStep(self, step: Progress) -> None:
        self.ui.progressBar.value = round(1000 * step.fraction)
        self.ui.progressLabel.text = Words.step(step)

    def onDone(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """The panel may have been left meanwhile; what it made is there when it is opened again."""
        self._showRunning(False)
        parameters = self.logic.getParameterNode()
        Surfaces.smooth(segmentationNode, parameters.smoothing.value)
        if parameters.show3D:
            Surfaces.show(segmentationNode)
        parameters.outputSegmentation = segmentationNode
        if self._parameterNode is not None:
            self.resultsPanel.show(segmentationNode)

    def onError(self, error: Exception) -> None:
        self._showRunning(False)
        self._showStatus(Failures.sentence(error), isError=True)

    def _showRunning(self, running: bool) -> None:
        self.ui.progressFrame.setVisible(running)
        self.ui.batchCollapsibleButton.enabled = not running
        self.ui.cineCollapsibleButton.enabled = not running
        self._showBusy(running)

    def _showBatchRunning(self, running: bool) -> None:
        self.ui.resultsCollapsibleButton.enabled = not running
        self.ui.cineCollapsibleButton.enabled = not running
        self._showBusy(running)

    def _showCineRunning(self, running: bool) -> None:
        self.ui.batchCollapsibleButton.enabled = not running
        self._showBusy(running)

    def _showBusy(self, busy: bool) -> None:
        """Lock what a segmentation that is going on depends on."""
        for part in (self.ui.inputsFrame, self.ui.advancedCollapsibleButton, self.ui.modelsCollapsibleButton):
            part.enabled = not busy
        self._checkCanApply()
        self.batchPanel.show(self._parameterNode)

    def _showStatus(self, text: str, isError: bool = False) -> None:
        Words.say(self.ui.statusLabel, text, isError)
        if not self.runner.running:
            self.ui.progressFrame.setVisible(False)
