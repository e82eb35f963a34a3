"""All time points of a 4D scan: a sequence of segmentations that follows the scan's browser.

The time points are taken from the sequence itself, so that the browser shows what it likes meanwhile. Their world is
that of the volume node that shows them: it alone stands under transforms.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from .Steps import Step

if TYPE_CHECKING:
    from SIFALib.models.card import ModelCard

    from .Logic import Found, SIFASegmentationLogic

FAILED = "failed"  # kind of the flag of a time point that could not be segmented


@dataclass(frozen=True)
class Browsed:
    """A node of the scene that shows one item of a sequence, which its browser selects."""

    node: slicer.vtkMRMLNode
    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode

    @property
    def count(self) -> int:
        return self.sequence.GetNumberOfDataNodes()

    @property
    def items(self) -> list:
        """The nodes of all time points; they are in no scene of the user's."""
        return [self.sequence.GetNthDataNode(number) for number in range(self.count)]

    @property
    def shown(self) -> int:
        """Number of the item that is shown, from 0; -1 if none is."""
        master = self.browser.GetMasterSequenceNode()
        selected = self.browser.GetSelectedItemNumber()
        if master is None or not 0 <= selected < master.GetNumberOfDataNodes():
            return -1
        return self.sequence.GetItemNumberFromIndexValue(master.GetNthIndexValue(selected), True)

    @property
    def name(self) -> str:
        """Of the whole; the node's own may be that of the item that is shown: "Cine [time=80ms]"."""
        if not self.browser.GetOverwriteProxyName(self.sequence):
            return self.node.GetName()
        return self.sequence.GetAttribute("Sequences.BaseName") or self.sequence.GetName()

    def indexText(self, number: int) -> str:
        """ "120 ms": what the sequence says of a time point."""
        return f"{self.sequence.GetNthIndexValue(number)} {self.sequence.GetIndexUnit() or ''}".strip()


def browsed(node) -> Browsed | None:
    """How a node follows a sequence of two items or more; None if it does not."""
    if node is None or node.GetScene() is not slicer.mrmlScene:
        return None
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)
    sequence = browser.GetSequenceNode(node) if browser is not None else None
    if sequence is None or sequence.GetNumberOfDataNodes() < 2:
        return None
    return Browsed(node, browser, sequence)


def segmentSteps(
    logic: SIFASegmentationLogic, volumeNode, outputSegmentation=None, **choices
) -> Generator[Step, None, object]:
    """Segment all time points of the scan that `volumeNode` shows; the return value is the segmentation node.

    It shows the time point that the browser selects, and its references (`HeartFunctionNodes`) lead to tables and chart.
    The scene is changed only at the very end. A time point without a heart becomes an empty segmentation, with a flag
    that says why. outputSegmentation: an earlier result of this scan, whose segments of other ids stay; of any other
    node, which shows no sequence of it, the segments would be lost, so a new one is made. choices: as of `workSteps`,
    but no `uncertainty`.
    Raises ValueError if the volume shows no sequence or a map is asked for, the last reason if no time point could be
    segmented, and what `workSteps` raises.
    """
    scan = browsed(volumeNode)
    if scan is None:
        raise ValueError(
            _("{name} shows no sequence of time points; segment it as a single volume.").format(
                name=volumeNode.GetName()
            )
        )
    if choices.get("uncertainty"):
        raise ValueError(_("A map of the uncertainty is made of single time points only; segment one of them."))
    package = logic.package(choices.get("model", ""))
    wanted = logic.wanted(package, choices.get("structures"))
    yield from logic.dependencies.trySteps()
    yield Step(_("Loading PyTorch and the model"))
    from SIFALib.support.errors import NoHeartFound, VolumeError

    sequence = slicer.vtkMRMLSequenceNode()
    sequence.CopySequenceIndex(scan.sequence)
    values = [scan.sequence.GetNthIndexValue(number) for number in range(scan.count)]
    images, begun = scan.items, time.monotonic()
    failures: list[Exception] = []
    for number, (image, value) in enumerate(zip(images, values, strict=True)):
        work = _overall(logic.workSteps(image, volumeNode, **choices), number, len(images), begun)
        try:
            _raiseIfNoImage(image)
            found = yield from work
        except (NoHeartFound, VolumeError) as error:  # this time point's own trouble
            failures.append(error)
            found = _nothing(image, volumeNode, package.card, wanted, str(error))
        item = slicer.vtkMRMLSegmentationNode()
        logic.fill(item, image, found)
        sequence.SetDataNodeAtValue(item, value)
    if len(failures) == len(images):
        raise failures[-1]
    yield Step(_("Putting the result into the scene"), 1.0)
    _raiseIfGone(scan)
    return _show(logic, scan, outputSegmentation, sequence)


def _overall(steps: Generator, number: int, count: int, begun: float) -> Generator[Step, None, Found]:
    """Steps of time point `number`, as steps of the whole that began at `begun`."""
    here, furthest = time.monotonic(), 0.0
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            furthest = max(furthest, min(step.fraction, 1.0))
            stage = _("Time point {number} of {count}: {stage}").format(
                number=number + 1, count=count, stage=step.stage
            )
            left = _secondsLeft(step, number, count, here - begun, time.monotonic() - here)
            yield Step(stage, (number + furthest) / count, left)
    finally:
        steps.close()


def _secondsLeft(step: Step, number: int, count: int, before: float, since: float) -> float | None:
    """From the time that `number` time points took before, or that the first says it needs."""
    if number:
        each = before / number
        here = max(each - since, 0.0) if step.seconds_left is None else step.seconds_left
    elif step.seconds_left is not None:
        each, here = since + step.seconds_left, step.seconds_left
    else:
        return None
    return here + (count - 1 - number) * each


def _raiseIfNoImage(image) -> None:
    from SIFALib.support.errors import VolumeError

    if image.GetImageData() is None:
        raise VolumeError(_("This time point holds no image; load the scan again."))


def _nothing(image, volumeNode, card: ModelCard, wanted, reason: str) -> Found:
    """What is found at a time point that could not be segmented."""
    from . import SceneConversion
    from .Logic import Found

    data = image.GetImageData()
    size = data.GetDimensions()[::-1] if data is not None else (1, 1, 1)
    voxelMl = SceneConversion.Placement.of(image, volumeNode).voxelMl if data is not None else 0.0
    flag = {"structure": "", "kind": FAILED, "message": reason, "warns": True}
    volumes = {structure.id: 0.0 for structure in wanted}
    report = {"volumes_ml": volumes, "voxel_ml": voxelMl, "flags": [flag], "notes": []}
    report["model"] = {"id": card.id, "version": card.version}
    return Found(np.zeros(size, np.uint8), None, wanted, report)


def _raiseIfGone(scan: Browsed) -> None:
    from .Logic import NodeGone

    if any(node.GetScene() is None for node in (scan.node, scan.browser, scan.sequence)):
        raise NodeGone(_("The scan was removed from the scene, so the segmentation was stopped."))


def _show(logic: SIFASegmentationLogic, scan: Browsed, outputSegmentation, sequence):
    """Put the sequence into the scene, in the place of the output's, and let the scan's browser show it."""
    from . import HeartFunctionNodes, SceneConversion

    former = browsed(outputSegmentation)
    if former is not None and former.browser is scan.browser and isResult(logic, former):
        node = former.node
        _keepOthers(sequence, former.sequence)
        _remove(former)
    else:
        node = SceneConversion.newSegmentation(scan.node, scan.name)
    sequence.SetName(_("{segmentation} sequence").format(segmentation=node.GetName()))
    slicer.mrmlScene.AddNode(sequence)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan.node)
    node.SetAndObserveTransformNodeID(scan.node.GetTransformNodeID())
    browser = scan.browser
    wasModifying = browser.StartModify()  # or it would show the sequence by a node of its own at once
    browser.AddSynchronizedSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(node, sequence, False)
    browser.SetOverwriteProxyName(sequence, False)
    # Where the browser has more to show than this scan, a copy of another time point would count as one found.
    browser.SetMissingItemMode(sequence, browser.MissingItemSetToDefault)
    browser.EndModify(wasModifying)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    browser.SetSaveChanges(sequence, True)  # a corrected outline is there when its time point comes again
    HeartFunctionNodes.write(logic, node)
    return node


def isResult(logic: SIFASegmentationLogic, shown: Browsed | None) -> bool:
    """Whether all items are segmentations that SIFA made."""
    return shown is not None and all(
        item.IsA("vtkMRMLSegmentationNode") and logic.report(item) is not None for item in shown.items
    )


def _keepOthers(sequence, former) -> None:
    """Let every time point keep what the former one has besides: what was drawn by hand, or not asked for now."""
    for number in range(sequence.GetNumberOfDataNodes()):
        before = former.GetDataNodeAtValue(sequence.GetNthIndexValue(number), True)
        if before is not None:
            item = sequence.GetNthDataNode(number)
            item.SetAndObserveSegmentation(_merged(before.GetSegmentation(), item.GetSegmentation()))


def _merged(before, new):
    """The segments of both; of an id that both have, the new one. Those that are new share one layer, as in `new`."""
    names = slicer.vtkSegmentationConverter
    labelmap = names.GetSegmentationBinaryLabelmapRepresentationName()
    merged, layer = slicer.vtkSegmentation(), slicer.vtkOrientedImageData()
    merged.DeepCopy(before)
    merged.RemoveRepresentation(names.GetSegmentationClosedSurfaceRepresentationName())
    merged.SetSourceRepresentationName(labelmap)
    for number, segmentId in enumerate(new.GetSegmentIDs()):
        segment, given = slicer.vtkSegment(), new.GetSegment(segmentId)
        if number == 0:
            layer.DeepCopy(given.GetRepresentation(labelmap))
        segment.DeepCopy(given)
        segment.AddRepresentation(labelmap, layer)
        if merged.GetSegment(segmentId) is not None:
            merged.RemoveSegment(segmentId)
        merged.AddSegment(segment, segmentId)
    return merged


def _remove(former: Browsed) -> None:
    """Take a sequence out of browser and scene; the node that showed it stays."""
    storage = former.sequence.GetStorageNode()
    former.browser.RemoveSynchronizedSequenceNode(former.sequence.GetID())
    for node in filter(None, (storage, former.sequence)):
        slicer.mrmlScene.RemoveNode(node)
