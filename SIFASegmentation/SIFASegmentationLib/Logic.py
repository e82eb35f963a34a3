"""Segmentation of volume nodes, without any GUI: blocking, or step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support.errors import RequestError
from SIFALib.support.progress import Progress, Steps, drain, mapped, within
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import (
    CineLogic,
    CineNodes,
    HeartFunctionNodes,
    Results,
    Samples,
    SceneConversion,
    SequenceLogic,
    Sequences,
    Stages,
)
from .Backend import Backend, Choices, LibraryBackend, load
from .Background import Background
from .Dependencies import Dependencies
from .Parameters import SIFASegmentationParameterNode
from .Results import Found, NodeGone

if TYPE_CHECKING:
    from SIFALib.inference.heart_function import HeartFunction
    from SIFALib.models import Models

RESAMPLING = 0.1  # share of the work on a volume whose axes are skewed, that goes each way


class SIFASegmentationLogic(ScriptedLoadableModuleLogic):
    """
    logic = SIFASegmentationLogic()
    segmentation = logic.segment(volumeNode)
    for row in logic.results(segmentation): print(row.name, row.volumeMl)
    """

    report = staticmethod(Results.report)
    results = staticmethod(Results.rows)
    uncertainty = staticmethod(Results.uncertainty)

    def __init__(self, backend: Backend | None = None, dependencies: Dependencies | None = None) -> None:
        super().__init__()
        self.backend = backend or LibraryBackend()
        self.background = Background()
        self.dependencies = dependencies or Dependencies()

    def getParameterNode(self) -> SIFASegmentationParameterNode:
        return SIFASegmentationParameterNode(super().getParameterNode())  # type: ignore[call-arg]  # the decorator's

    @staticmethod
    def loadSample(name: str) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """Make the sample data of that name, as its button in Sample Data does, and return the nodes; blocks.

        Nothing is downloaded. `SampleData.downloadSample` does not make it, as it only ever downloads. ValueError for
        a name that SIFA does not offer.
        """
        return Samples.load(name)

    def models(self, model: str = "") -> Models:
        """The model `id@version`; of "" or "auto" those of which the scan decides; raises ModelError."""
        from SIFALib.models.choice import models_of

        return models_of(self.backend.store(), model)

    def offered(self) -> Sequence[Models]:
        """What can be chosen: first that the scan decides, where it can, then every model."""
        from SIFALib.models import choice

        store = self.backend.store()
        decided = choice.automatic(store)
        return [*([decided] if decided else []), *map(choice.named, store.packages())]

    def segment(
        self, volumeNode: slicer.vtkMRMLVolumeNode, onStep: Callable[[Progress], None] | None = None, **choices: Any
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segment and return the segmentation node; blocks. `choices` as of `segmentSteps`."""
        self.dependencies.ensure()
        return drain(self.segmentSteps(volumeNode, **choices), onStep)

    def segmentSequence(
        self, volumeNode: slicer.vtkMRMLVolumeNode, onStep: Callable[[Progress], None] | None = None, **choices: Any
    ) -> slicer.vtkMRMLSegmentationNode:
        """As `segment`, at every time point of the 4D scan that the volume node shows; `heartFunction` tells the rest."""
        self.dependencies.ensure()
        return drain(self.segmentSequenceSteps(volumeNode, **choices), onStep)

    def assembleCine(
        self, folder: str = "", near: slicer.vtkMRMLVolumeNode | None = None, stack: str = ""
    ) -> slicer.vtkMRMLScalarVolumeNode:
        """Put a cine together, for `segmentSequence`; returns the volume node that shows it; blocks.

        folder: of a study; "" for the images of the scene that belong to the study of `near`. stack: name of one of
        several stacks. Raises VolumeError, OSError.
        """
        self.dependencies.ensure()
        return drain(CineLogic.readSteps(self, folder, near, stack))

    def writeReport(self, segmentationNode: slicer.vtkMRMLSegmentationNode, folder: str) -> Path:
        """Write the report of a cine's outlines as they are now into a folder; returns its page; blocks."""
        return drain(CineLogic.reportSteps(self, segmentationNode, Path(folder)))

    def segmentSteps(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        outputSegmentation: slicer.vtkMRMLSegmentationNode | None = None,
        **choices: Any,
    ) -> Steps[Any]:
        """Segment in short steps; the generator's return value is the segmentation node.

        The scene is changed only at the very end, so dropping the generator leaves nothing behind.
        outputSegmentation: None makes a new one, named after the volume; so does one that follows a sequence, whose
        other time points would no longer fit. choices: the fields of `Choices`.
        Raises DependencyError, NodeGone, and what SIFALib's `inference.segment_steps` and `models` raise.
        """
        found = yield from self.workSteps(volumeNode, volumeNode, Choices(**choices))
        node = outputSegmentation
        if node is None or node.GetScene() is None or Sequences.browsed(node) is not None:
            node = SceneConversion.newSegmentation(volumeNode)
        Results.fill(node, volumeNode, found)
        Results.fillUncertainty(node, volumeNode, found.unsure)
        return node

    def segmentSequenceSteps(
        self,
        volumeNode: slicer.vtkMRMLVolumeNode,
        outputSegmentation: slicer.vtkMRMLSegmentationNode | None = None,
        **choices: Any,
    ) -> Steps[Any]:
        """Segment every time point of the 4D scan that the volume node shows, in short steps; see `SequenceLogic`.

        A cine that was assembled (`CineLogic`) is segmented as one heart, as `sifa cine` does.

        Raises RequestError if the volume shows no sequence or a map is asked for, and what `segmentSteps` raises.
        """
        chosen, scan = Choices(**choices), Sequences.browsed(volumeNode)
        if scan is None:
            text = _("{name} shows no sequence of time points; segment it as a single volume.")
            raise RequestError(text.format(name=volumeNode.GetName()))
        if chosen.uncertainty:
            raise RequestError(_("A map of the uncertainty is made of single time points only; segment one of them."))
        models = self.models(chosen.model)
        yield from self.dependencies.trySteps()
        yield from self.loadSteps()
        if CineNodes.said(volumeNode) is not None:
            node = yield from CineLogic.segmentSteps(self, scan, outputSegmentation, chosen)
            return node
        node = yield from SequenceLogic.segmentSteps(
            scan,
            outputSegmentation,
            lambda image: self.workSteps(image, volumeNode, chosen),
            SequenceLogic.Empty(volumeNode, models.card, chosen.wanted(models)),
        )
        return node

    def workSteps(
        self, imageNode: slicer.vtkMRMLVolumeNode, volumeNode: slicer.vtkMRMLVolumeNode, choices: Choices
    ) -> Steps[Found]:
        """Segment an image as if it stood in the place of a volume node of the scene; the scene is left alone."""
        models = self.models(choices.model)
        yield from self.dependencies.trySteps()
        yield Progress(_("Reading the volume"), 0.0)
        placement = SceneConversion.Placement.of(imageNode, volumeNode)
        share = 0.0 if placement.geometry() is not None else RESAMPLING
        volume = yield from within(SceneConversion.volumeSteps(imageNode, placement), 0.0, share)
        yield from self.loadSteps(share)

        def watched(step: Progress) -> Progress:
            _raiseIfGone(volumeNode)
            return Progress(Stages.translated(step.stage), share + (1 - 2 * share) * step.fraction, step.seconds_left)

        options = self.backend.options(**choices.options())
        work = self.background.steps(lambda: self.backend.steps(volume, models, options), loading(0.0))
        result = yield from mapped(work, watched)
        back = SceneConversion.labelSteps(result.labels, placement)
        labels = yield from within(back, 1 - share, 1 - share / 2)
        unsure = None
        if result.uncertainty is not None:
            back = SceneConversion.mapSteps(result.uncertainty, placement)
            unsure = yield from within(back, 1 - share / 2, 1.0)
        _raiseIfGone(volumeNode)
        report = {**result.report.to_json(), "voxel_ml": placement.voxelMl}
        return Found(labels, unsure, choices.wanted(models), report)

    def loadSteps(self, fraction: float = 0.0) -> Steps[None]:
        """Import what the library needs for its work, PyTorch above all: seconds at the first time."""
        yield loading(fraction)
        yield from self.background.call(load, loading(fraction))

    def heartFunction(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> HeartFunction:
        """Of a segmentation of all time points, as its segments are now; ValueError says why there is none."""
        return HeartFunctionNodes.curve(segmentationNode).function()


def loading(fraction: float) -> Progress:
    """What is said as long as nothing of the work itself is known."""
    return Progress(_("Loading PyTorch and the model"), fraction)


def _raiseIfGone(volumeNode: slicer.vtkMRMLVolumeNode) -> None:
    if volumeNode.GetScene() is None:
        raise NodeGone(_("The volume was removed from the scene, so the segmentation was stopped."))
