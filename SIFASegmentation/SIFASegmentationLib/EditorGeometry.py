"""The grid that a segmentation is edited in, which need not be that of the volume, and labels taken over into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from SIFALib.support.progress import Progress, Steps, drain
from slicer.i18n import tr as _

from . import GridResampling
from .SceneConversion import Placement, putSegments

if TYPE_CHECKING:
    from SIFALib.models.structures import Structure

SAME = 0.01  # of a voxel, how far two grids may lie apart to be one


def gridOf(segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode) -> Placement:
    """The segmentation's reference geometry under its own transform; one without takes over the volume's."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    if not segmentationNode.GetSegmentation().GetConversionParameter(name):
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    image = slicer.vtkOrientedImageData()
    text = segmentationNode.GetSegmentation().GetConversionParameter(name)
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    matrix, extent = vtk.vtkMatrix4x4(), image.GetExtent()
    image.GetImageToWorldMatrix(matrix)
    toNode = slicer.util.arrayFromVTKMatrix(matrix)
    toNode[:3, 3] += toNode[:3, :3] @ np.array(extent[::2])
    i, j, k = (high - low + 1 for low, high in zip(extent[::2], extent[1::2], strict=True))
    return Placement((i, j, k), toNode, *Placement.transformOf(segmentationNode))


def labelSteps(labels: np.ndarray, source: Placement, grid: Placement) -> Steps[np.ndarray]:
    """Labels uint8 [k, j, i] of the grid `source` in another one: in each voxel that of the nearest; takes steps."""
    ends = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(source.size) - 1)
    if source.size == grid.size and np.abs(grid.indices(source.worldPoints(ends)) - ends).max() < SAME:
        return labels
    own = np.zeros(grid.size[::-1], np.uint8)
    planes = GridResampling.sourceIndexPlanes(grid.size, lambda index: source.indices(grid.worldPoints(index)))
    for k, plane in enumerate(planes):
        own[k] = GridResampling.nearest(labels, plane, 0)
        yield Progress(_("Taking the result over into the segmentation's grid"), (k + 1) / len(own))
    return own


def fillInPlace(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLVolumeNode,
    labels: np.ndarray,
    structures: tuple[Structure, ...],
    model: str = "",
) -> None:
    """As `SceneConversion.fillSegmentation`, but the node stays under its own transform, and so do its other segments.

    Voxel for voxel, unless what lies between the two transforms is no right-angled grid.
    """
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    grid = gridOf(segmentationNode, volumeNode)
    own = drain(labelSteps(labels, Placement.of(volumeNode), grid))
    putSegments(segmentationNode, grid.toNode, own, structures, model)
