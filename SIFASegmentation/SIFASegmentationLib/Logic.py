"""Segmentation of volume nodes, without any GUI: blocking, or step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import Volumes
from .Backend import Backend, LibraryBackend
from .Dependencies import Dependencies
from .Parameters import SIFASegmentationParameterNode
from .Steps import Step

if TYPE_CHECKING:
    from SIFALib.inference.heart_function import HeartFunction
    from SIFALib.models.store import ModelPackage
    from SIFALib.models.structures import Structure

REPORT = "SIFA.Report"  # attribute of a segmentation node: JSON, saved with the scene
UNCERTAINTY = "SIFA.Uncertainty"  # role of the reference from a segmentation node to its map
RESAMPLING = 0.1  # share of the work on a volume whose axes are skewed, that goes each way


class NodeGone(RuntimeError):
    """The input volume left the scene while it was being segmented."""


@dataclass(frozen=True)
class Row:
    """One line of the results table; color: RGB 0..255; sure: 0..1, None: not known, or edited since."""

    structureId: str
    name: str
    color: tuple[int, int, int]
    volumeMl: float
    sure: float | None = None


@dataclass(frozen=True)
class Found:
    """What was found in one image: labels uint8 [k, j, i] in its own grid, how unsure they are, of which structures."""

    labels: np.ndarray
    unsure: np.ndarray | None
    structures: tuple[Structure, ...]
    report: dict


class SIFASegmentationLogic(ScriptedLoadableModuleLogic):
    """
    logic = SIFASegmentationLogic()
    segmentation = logic.segment(volumeNode)
    for row in logic.results(segmentation): print(row.name, row.volumeMl)
    """

    def __init__(self, backend: Backend | None = None, dependencies: Dependencies | None = None) -> None:
        super().__init__()
        self.backend = backend or LibraryBackend()
        self.dependencies = dependencies or Dependencies()

    def getParameterNode(self) -> SIFASegmentationParameterNode:
        return SIFASegmentationParameterNode(super().getParameterNode())

    def segment(self, volumeNode, onStep: Callable[[Step], None] | None = None, **choices):
        """Segment and return the segmentation node; blocks. `choices` as of `segmentSteps`."""
        self.dependencies.ensure()
        return _blocking(self.segmentSteps(volumeNode, **choices), onStep)

    def segmentSequence(self, volumeNode, onStep: Callable[[Step], None] | None = None, **choices):
        """As `segment`, at every time point of the 4D scan that the volume node shows; `heartFunction` tells the rest."""
        self.dependencies.ensure()
        return _blocking(self.segmentSequenceSteps(volumeNode, **choices), onStep)

    def segmentSteps(self, volumeNode, outputSegmentation=None, **choices) -> Generator[Step, None, object]:
        """Segment in short steps; the generator's return value is the segmentation node.

        The scene is changed only at the very end, so dropping the generator leaves nothing behind.
        outputSegmentation: None makes a new one, named after the volume; so does one that follows a sequence, whose
        other time points would no longer fit. choices: as of `workSteps`.
        Raises DependencyError, NodeGone, and what SIFALib's `inference.segment_steps` and `models` raise.
        """
        from . import SequenceLogic

        found = yield from self.workSteps(volumeNode, volumeNode, **choices)
        if SequenceLogic.browsed(outputSegmentation) is not None:
            outputSegmentation = None
        node = self._show(volumeNode, outputSegmentation, found)
        self._showUncertainty(volumeNode, node, found.unsure)
        return node

    def segmentSequenceSteps(self, volumeNode, outputSegmentation=None, **choices) -> Generator[Step, None, object]:
        """Segment every time point of the 4D scan that the volume node shows, in short steps; see `SequenceLogic`."""
        from . import SequenceLogic

        return SequenceLogic.segmentSteps(self, volumeNode, outputSegmentation, **choices)

    def workSteps(
        self,
        imageNode,
        volumeNode,
        model: str = "",
        device: str = "auto",
        precision: str = "auto",
        roi=None,
        structures: Sequence[str] | None = None,
        views: str = "auto",
        uncertainty: bool = False,
    ) -> Generator[Step, None, Found]:
        """Segment an image as if it stood in the place of a volume node of the scene; the scene is left alone.

        model: `id@version`, empty for the default. roi: a Markups ROI node that holds the heart. structures: ids such
        as "LV", None for all. views: auto, one or three, the planes that are looked in. uncertainty: also make a
        volume of how unsure the model is of every voxel, 0 to 1; `uncertainty` finds it.
        """
        from . import SceneConversion

        package = self.package(model)
        yield from self.dependencies.trySteps()
        yield Step(_("Reading the volume"))
        placement = SceneConversion.Placement.of(imageNode, volumeNode)
        share = 0.0 if placement.geometry() is not None else RESAMPLING
        volume = yield from _converted(
            SceneConversion.volumeSteps(imageNode, placement), _("Straightening the volume"), 0.0, share
        )
        yield Step(_("Loading PyTorch and the model"), share)
        options = self.backend.options(
            device=device,
            precision=precision,
            roi=SceneConversion.roiBox(roi) if roi is not None else None,
            structures=tuple(structures) if structures is not None else None,
            views=views,
            uncertainty=uncertainty,
        )
        work = self.backend.steps(volume, package, options)
        result = yield from _watched(work, volumeNode, share, 1 - share)
        back = _("Taking the result back into the volume's grid")
        labelSteps = SceneConversion.labelSteps(result.labels, placement)
        labels = yield from _converted(labelSteps, back, 1 - share, 1 - share / 2)
        unsure = None
        if result.uncertainty is not None:
            mapSteps = SceneConversion.mapSteps(result.uncertainty, placement)
            unsure = yield from _converted(mapSteps, back, 1 - share / 2, 1.0)
        self._raiseIfGone(volumeNode)
        report = {**result.report.to_json(), "voxel_ml": placement.voxelMl}
        return Found(labels, unsure, self.wanted(package, structures), report)

    @staticmethod
    def wanted(package: ModelPackage, structures: Sequence[str] | None) -> tuple[Structure, ...]:
        """Those of the model's structures that were asked for."""
        return tuple(s for s in package.card.labels if structures is None or s.id in structures)

    def package(self, model: str = "") -> ModelPackage:
        """The model `id@version`, or the default one; raises SIFALib.models.store.ModelError."""
        store = self.backend.store()
        return store.get(model) if model else store.default()

    @staticmethod
    def _raiseIfGone(volumeNode) -> None:
        if volumeNode.GetScene() is None:
            raise NodeGone(_("The volume was removed from the scene, so the segmentation was stopped."))

    def _show(self, volumeNode, outputSegmentation, found: Found):
        from . import SceneConversion

        node = outputSegmentation
        if node is None or node.GetScene() is None:
            node = SceneConversion.newSegmentation(volumeNode)
        self.fill(node, volumeNode, found)
        return node

    @staticmethod
    def fill(node, imageNode, found: Found) -> None:
        """Put what was found in an image into a segmentation node, with the report."""
        from . import SceneConversion

        model = "{id}@{version}".format(**found.report["model"])
        SceneConversion.fillSegmentation(node, imageNode, found.labels, found.structures, model)
        voxels = {s.id: SceneConversion.voxelCount(node, s.id) for s in found.structures}
        node.SetAttribute(REPORT, json.dumps({**found.report, "voxels": voxels}))

    def _showUncertainty(self, volumeNode, segmentationNode, unsure) -> None:
        """Put the map into the segmentation's volume of it, new or former; without a map there is none any more."""
        from . import SceneConversion

        node = self.uncertainty(segmentationNode)
        if unsure is None:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
            return
        if node is None:
            name = _("{volume} uncertainty").format(volume=volumeNode.GetName())
            name = slicer.mrmlScene.GenerateUniqueName(name)
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
            SceneConversion.placeBeside(node, volumeNode)
            segmentationNode.SetNodeReferenceID(UNCERTAINTY, node.GetID())
            node.SetAttribute(Volumes.MAP, "uncertainty")
        SceneConversion.fillMap(node, volumeNode, unsure)

    @staticmethod
    def uncertainty(segmentationNode):
        """The volume of how unsure the model was of every voxel, 0 to 1, if it was asked for; else None."""
        return segmentationNode.GetNodeReference(UNCERTAINTY) if segmentationNode is not None else None

    @staticmethod
    def report(segmentationNode) -> dict | None:
        """Model, device, seconds, volumes, flags of a segmentation that SIFA made; None for any other."""
        text = segmentationNode.GetAttribute(REPORT) if segmentationNode is not None else None
        return json.loads(text) if text else None

    def heartFunction(self, segmentationNode) -> HeartFunction:
        """Of a segmentation of all time points, as its segments are now; ValueError says why there is none."""
        from . import HeartFunctionNodes

        return HeartFunctionNodes.curve(self, segmentationNode).function()

    def results(self, segmentationNode) -> list[Row]:
        """Segments with volumes in ml as they are now, edits included."""
        from . import SceneConversion

        report = self.report(segmentationNode)
        rows = []
        for structureId, before in (report or {}).get("voxels", {}).items():
            segment = segmentationNode.GetSegmentation().GetSegment(structureId)
            if segment is None:
                continue
            color = tuple(round(255 * c) for c in segment.GetColor())
            now = SceneConversion.voxelCount(segmentationNode, structureId)
            voxelMl = report["volumes_ml"][structureId] / before if before else report["voxel_ml"]
            sure = (report.get("expected_dice") or {}).get(structureId) if now == before else None
            rows.append(Row(structureId, segment.GetName(), color, now * voxelMl, sure))
        return rows


def _blocking(steps: Generator[Step, None, object], onStep: Callable[[Step], None] | None):
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if onStep:
            onStep(step)


def _converted(
    steps: Generator[float, None, object], stage: str, begin: float, end: float
) -> Generator[Step, None, object]:
    """Steps of a conversion that is the work from the fraction `begin` to `end` of all."""
    while True:
        try:
            fraction = next(steps)
        except StopIteration as stop:
            return stop.value
        yield Step(stage, begin + (end - begin) * fraction)


def _watched(work: Generator, volumeNode, begin: float, end: float) -> Generator:
    """The library's steps, as long as the volume is in the scene."""
    try:
        while True:
            SIFASegmentationLogic._raiseIfGone(volumeNode)
            try:
                progress = next(work)
            except StopIteration as stop:
                return stop.value
            fraction = begin + (end - begin) * progress.fraction
            yield Step(_(progress.stage), fraction, progress.seconds_left)
    finally:
        work.close()
