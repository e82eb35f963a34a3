"""All time points of a 4D scan: a sequence of segmentations that follows the scan's browser.

The time points are taken from the sequence itself, so that the browser shows what it likes meanwhile. Their world is
that of the volume node that shows them: it alone stands under transforms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
from SIFALib.support.errors import NoHeartFound, VolumeError
from SIFALib.support.progress import Progress, Steps, mapped
from slicer.i18n import tr as _

from . import HeartFunctionNodes, Results, SceneConversion, Sequences
from .Results import Found, NodeGone
from .Sequences import Browsed

if TYPE_CHECKING:
    from SIFALib.models import ModelCard
    from SIFALib.models.structures import Structure

FAILED = "failed"  # kind of the flag of a time point that could not be segmented


@dataclass(frozen=True)
class Empty:
    """What is found at a time point that could not be segmented: nothing of the wanted structures, and the reason."""

    volumeNode: slicer.vtkMRMLVolumeNode
    card: ModelCard
    wanted: tuple[Structure, ...]

    def found(self, image: slicer.vtkMRMLVolumeNode, reason: str) -> Found:
        data = image.GetImageData()
        size = data.GetDimensions()[::-1] if data is not None else (1, 1, 1)
        voxelMl = SceneConversion.Placement.of(image, self.volumeNode).voxelMl if data is not None else 0.0
        report = {
            "model": {"id": self.card.id, "version": self.card.version},
            "volumes_ml": {structure.id: 0.0 for structure in self.wanted},
            "voxel_ml": voxelMl,
            "flags": [{"structure": "", "kind": FAILED, "message": reason, "warns": True}],
            "notes": [],
        }
        return Found(np.zeros(size, np.uint8), None, self.wanted, report)


def segmentSteps(
    scan: Browsed,
    outputSegmentation: slicer.vtkMRMLSegmentationNode | None,
    work: Callable[[slicer.vtkMRMLVolumeNode], Steps[Found]],
    empty: Empty,
) -> Steps[slicer.vtkMRMLSegmentationNode]:
    """Segment all time points of a scan, each by `work`; the return value is the segmentation node.

    It shows the time point that the browser selects, and its references (`HeartFunctionNodes`) lead to tables and chart.
    The scene is changed only at the very end. A time point without a heart becomes an empty segmentation, with a flag
    that says why. outputSegmentation: an earlier result of this scan, whose segments of other ids stay; of any other
    node, which shows no sequence of it, the segments would be lost, so a new one is made. So it is for one that holds
    segments of a person's under another transform than the scan's, which would be moved.
    Raises the last reason if no time point could be segmented, and what `work` raises.
    """
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.CopySequenceIndex(scan.sequence)
    images, begun = scan.items, time.monotonic()
    failures: list[Exception] = []
    for number, image in enumerate(images):
        try:
            if image.GetImageData() is None:
                raise VolumeError(_("This time point holds no image; load the scan again."))
            found = yield from mapped(work(image), _Overall(number, len(images), begun).step)
        except (NoHeartFound, VolumeError) as error:  # this time point's own trouble
            failures.append(error)
            found = empty.found(image, str(error))
        addFound(sequence, scan, number, found)
    if len(failures) == len(images):
        raise failures[-1]
    node = yield from showSteps(scan, outputSegmentation, sequence)
    return node


def addFound(sequence: slicer.vtkMRMLSequenceNode, scan: Browsed, number: int, found: Found) -> None:
    """Put what was found at a time point of a scan into a sequence of segmentations."""
    item = slicer.vtkMRMLSegmentationNode()
    Results.fill(item, scan.items[number], found)
    sequence.SetDataNodeAtValue(item, scan.sequence.GetNthIndexValue(number))


def showSteps(
    scan: Browsed, outputSegmentation: slicer.vtkMRMLSegmentationNode | None, sequence: slicer.vtkMRMLSequenceNode
) -> Steps[slicer.vtkMRMLSegmentationNode]:
    """Put a sequence of segmentations into the scene, as `segmentSteps` says. NodeGone."""
    yield Progress(_("Putting the result into the scene"), 1.0)
    if not scan.isThere():
        raise NodeGone(_("The scan was removed from the scene, so the segmentation was stopped."))
    return _show(scan, outputSegmentation, sequence)


class _Overall:
    """Steps of time point `number` as steps of the whole that began at `begun`; the bar never goes back."""

    def __init__(self, number: int, count: int, begun: float) -> None:
        self.number, self.count = number, count
        self.here, self.furthest = time.monotonic(), 0.0
        self.before = self.here - begun

    def step(self, step: Progress) -> Progress:
        self.furthest = max(self.furthest, min(step.fraction, 1.0))
        stage = _("Time point {number} of {count}: {stage}")
        stage = stage.format(number=self.number + 1, count=self.count, stage=step.stage)
        left = _secondsLeft(step, self.number, self.count, self.before, time.monotonic() - self.here)
        return Progress(stage, (self.number + self.furthest) / self.count, left)


def _secondsLeft(step: Progress, number: int, count: int, before: float, since: float) -> float | None:
    """From the time that `number` time points took before, or that the first says it needs."""
    if number:
        each = before / number
        here = max(each - since, 0.0) if step.seconds_left is None else step.seconds_left
    elif step.seconds_left is not None:
        each, here = since + step.seconds_left, step.seconds_left
    else:
        return None
    return here + (count - 1 - number) * each


def _show(
    scan: Browsed, outputSegmentation: slicer.vtkMRMLSegmentationNode | None, sequence: slicer.vtkMRMLSequenceNode
) -> slicer.vtkMRMLSegmentationNode:
    """Put the sequence into the scene, in the place of the output's, and let the scan's browser show it."""
    former = Sequences.result(outputSegmentation)
    if former is not None and former.browser is scan.browser and not _wouldMove(former, scan):
        node = former.node
        _keepOthers(sequence, former.sequence)
        _remove(former)
    else:
        node = SceneConversion.newSegmentation(scan.node, scan.name)
    sequence.SetName(_("{segmentation} sequence").format(segmentation=node.GetName()))
    slicer.mrmlScene.AddNode(sequence)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(scan.node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan.node)  # in this order: see SceneConversion
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
    HeartFunctionNodes.write(node)
    return node


def _wouldMove(former: Browsed, scan: Browsed) -> bool:
    """Whether the scan's transform would take segments of a person's to another place."""
    return SceneConversion.isMoved(former.node, scan.node) and any(map(SceneConversion.holdsOwn, former.items))


def _keepOthers(sequence: slicer.vtkMRMLSequenceNode, former: slicer.vtkMRMLSequenceNode) -> None:
    """Let every time point keep what the former one has besides: what was drawn by hand, or not asked for now."""
    for number in range(sequence.GetNumberOfDataNodes()):
        before = former.GetDataNodeAtValue(sequence.GetNthIndexValue(number), True)
        if before is not None:
            item = sequence.GetNthDataNode(number)
            item.SetAndObserveSegmentation(_merged(before.GetSegmentation(), item.GetSegmentation()))


def _merged(before: slicer.vtkSegmentation, new: slicer.vtkSegmentation) -> slicer.vtkSegmentation:
    """The segments of both; of SIFA's own of an id that both have, the new one. New ones share one layer, as in `new`."""
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
        ours = SceneConversion.segmentIdOf(merged, segmentId)
        if merged.GetSegment(ours) is not None:
            merged.RemoveSegment(ours)
        merged.AddSegment(segment, ours)
    return merged


def _remove(former: Browsed) -> None:
    """Take a sequence out of browser and scene; the node that showed it stays."""
    storage = former.sequence.GetStorageNode()
    former.browser.RemoveSynchronizedSequenceNode(former.sequence.GetID())
    for node in filter(None, (storage, former.sequence)):
        slicer.mrmlScene.RemoveNode(node)
