"""What a segmentation says: what was found in an image, put into a node with its report, and read from the node again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support import errors
from slicer.i18n import tr as _

from . import EditorGeometry, SceneConversion, Volumes

if TYPE_CHECKING:
    import numpy as np
    from SIFALib.models.structures import Structure

REPORT = "SIFA.Report"  # attribute of a segmentation node: JSON, saved with the scene
UNCERTAINTY = "SIFA.Uncertainty"  # role of the reference from a segmentation node to its map


class NodeGone(errors.SifaError, RuntimeError):
    """What was being segmented left the scene meanwhile."""

    code = errors.GONE


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
    report: dict[str, Any]


def fill(node: slicer.vtkMRMLSegmentationNode, imageNode: slicer.vtkMRMLVolumeNode, found: Found) -> None:
    """Put what was found in an image into a segmentation node, with the report.

    The node comes under the image's transform, unless that would move what a person has drawn in it.
    """
    model = "{id}@{version}".format(**found.report["model"])
    stays = SceneConversion.isMoved(node, imageNode) and SceneConversion.holdsOwn(node)
    put = EditorGeometry.fillInPlace if stays else SceneConversion.fillSegmentation
    put(node, imageNode, found.labels, found.structures, model)
    voxels = {s.id: SceneConversion.structureVoxels(node, s.id) for s in found.structures}
    node.SetAttribute(REPORT, json.dumps({**found.report, "voxels": voxels}))


def fillUncertainty(
    node: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode, unsure: np.ndarray | None
) -> None:
    """Put the map into the segmentation's volume of it, new or former; without a map there is none any more."""
    mapNode = uncertainty(node)
    if unsure is None:
        if mapNode is not None:
            slicer.mrmlScene.RemoveNode(mapNode)
        return
    if mapNode is None:
        name = slicer.mrmlScene.GenerateUniqueName(_("{volume} uncertainty").format(volume=volumeNode.GetName()))
        mapNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        SceneConversion.placeBeside(mapNode, volumeNode)
        node.SetNodeReferenceID(UNCERTAINTY, mapNode.GetID())
        mapNode.SetAttribute(Volumes.MAP, "uncertainty")
    SceneConversion.fillMap(mapNode, volumeNode, unsure)


def uncertainty(node: slicer.vtkMRMLSegmentationNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume of how unsure the model was of every voxel, 0 to 1, if it was asked for; else None."""
    return node.GetNodeReference(UNCERTAINTY) if node is not None else None


def report(node: slicer.vtkMRMLNode | None) -> dict[str, Any] | None:
    """Model, device, seconds, volumes, flags of a segmentation that SIFA made; None for any other node."""
    text = node.GetAttribute(REPORT) if node is not None else None
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def rows(node: slicer.vtkMRMLSegmentationNode | None) -> list[Row]:
    """Segments with volumes in ml as they are now, edits included."""
    said, found = report(node), []
    if said is None or node is None:
        return []
    for structureId, before in said.get("voxels", {}).items():
        segmentation = node.GetSegmentation()
        segment = segmentation.GetSegment(SceneConversion.segmentIdOf(segmentation, structureId))
        if segment is None:
            continue
        red, green, blue = (round(255 * c) for c in segment.GetColor())
        now = SceneConversion.structureVoxels(node, structureId)
        voxelMl = said["volumes_ml"][structureId] / before if before else said["voxel_ml"]
        sure = (said.get("expected_dice") or {}).get(structureId) if now == before else None
        found.append(Row(structureId, segment.GetName(), (red, green, blue), now * voxelMl, sure))
    return found
