"""Segmentation of volume nodes, without any GUI: blocking, or step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .Backend import Backend, LibraryBackend
from .Dependencies import Dependencies
from .Parameters import SIFASegmentationParameterNode
from .Steps import Step

if TYPE_CHECKING:
    from SIFALib.models import ModelPackage

REPORT = "SIFA.Report"  # attribute of a segmentation node: JSON, saved with the scene


class NodeGone(RuntimeError):
    """The input volume left the scene while it was being segmented."""


@dataclass(frozen=True)
class Row:
    """One line of the results table; color: RGB 0..255."""

    structureId: str
    name: str
    color: tuple[int, int, int]
    volumeMl: float


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
        steps = self.segmentSteps(volumeNode, **choices)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if onStep:
                onStep(step)

    def segmentSteps(
        self,
        volumeNode,
        outputSegmentation=None,
        model: str = "",
        device: str = "auto",
        precision: str = "auto",
        roi=None,
        structures: Sequence[str] | None = None,
    ) -> Generator[Step, None, object]:
        """Segment in short steps; the generator's return value is the segmentation node.

        The scene is changed only at the very end, so dropping the generator leaves nothing behind.
        outputSegmentation: None makes a new one, named after the volume. model: `id@version`, empty for the
        default. roi: a Markups ROI node that holds the heart. structures: ids such as "LV", None for all.
        Raises DependencyError, NodeGone, and what SIFALib's `inference.segment_steps` and `models` raise.
        """
        from . import SceneConversion

        package = self.package(model)
        yield from self.dependencies.trySteps()
        yield Step(_("Reading the volume"))
        placement = SceneConversion.Placement.of(volumeNode)
        volume = yield from _converted(
            SceneConversion.volumeSteps(volumeNode, placement), _("Straightening the volume")
        )
        yield Step(_("Loading PyTorch and the model"))
        options = self.backend.options(
            device=device,
            precision=precision,
            roi=SceneConversion.roiBox(roi) if roi is not None else None,
            structures=tuple(structures) if structures is not None else None,
        )
        work = self.backend.steps(volume, package, options)
        result = yield from _watched(work, volumeNode)
        labels = yield from _converted(
            SceneConversion.labelSteps(result.labels, placement),
            _("Taking the result back into the volume's grid"),
        )
        self._raiseIfGone(volumeNode)
        wanted = tuple(s for s in package.card.labels if structures is None or s.id in structures)
        report = {**result.report, "voxel_ml": placement.voxelMl}
        return self._show(volumeNode, outputSegmentation, labels, wanted, report)

    def package(self, model: str = "") -> ModelPackage:
        """The model `id@version`, or the default one; raises SIFALib.models.ModelError."""
        store = self.backend.store()
        return store.get(model) if model else store.default()

    @staticmethod
    def _raiseIfGone(volumeNode) -> None:
        if volumeNode.GetScene() is None:
            raise NodeGone(_("The volume was removed from the scene, so the segmentation was stopped."))

    def _show(self, volumeNode, outputSegmentation, labels, structures, report: dict):
        from . import SceneConversion

        node = outputSegmentation
        if node is None or node.GetScene() is None:
            name = slicer.mrmlScene.GenerateUniqueName(
                _("{volume} segmentation").format(volume=volumeNode.GetName())
            )
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
            SceneConversion.placeBeside(node, volumeNode)
        SceneConversion.fillSegmentation(node, volumeNode, labels, structures)
        voxels = {s.id: SceneConversion.voxelCount(node, s.id) for s in structures}
        node.SetAttribute(REPORT, json.dumps({**report, "voxels": voxels}))
        return node

    @staticmethod
    def report(segmentationNode) -> dict | None:
        """Model, device, seconds, volumes, flags of a segmentation that SIFA made; None for any other."""
        text = segmentationNode.GetAttribute(REPORT) if segmentationNode is not None else None
        return json.loads(text) if text else None

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
            rows.append(Row(structureId, segment.GetName(), color, now * voxelMl))
        return rows


def _converted(steps: Generator[float, None, object], stage: str) -> Generator[Step, None, object]:
    while True:
        try:
            fraction = next(steps)
        except StopIteration as end:
            return end.value
        yield Step(stage, fraction)


def _watched(work: Generator, volumeNode) -> Generator:
    """The library's steps, as long as the volume is in the scene."""
    try:
        while True:
            SIFASegmentationLogic._raiseIfGone(volumeNode)
            try:
                progress = next(work)
            except StopIteration as end:
                return end.value
            yield Step(_(progress.stage), progress.fraction, progress.seconds_left)
    finally:
        work.close()
