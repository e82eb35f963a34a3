"""Regions of interest: boxes that the person draws around the heart."""

from __future__ import annotations

import numpy as np
import slicer

LEAST_MM = 1.0  # a box that is thinner has not been drawn yet


def fit(roiNode: slicer.vtkMRMLMarkupsROINode, volumeNode: slicer.vtkMRMLVolumeNode) -> None:
    """Make it the upright box around a volume where it stands in the world; its handles make it smaller from there."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    _put(roiNode, (low + high) / 2, high - low)
    if roiNode.GetDisplayNode() is None and roiNode.GetScene() is not None:
        roiNode.CreateDefaultDisplayNodes()


def place(roiNode: slicer.vtkMRMLMarkupsROINode, box: tuple[float, ...]) -> None:
    """Put it where a box is: (xmin, xmax, ymin, ymax, zmin, zmax), LPS mm in the world, as of `roiBox`."""
    low, high = np.array(box[::2]), np.array(box[1::2])
    _put(roiNode, (low + high) / 2 * (-1, -1, 1), high - low)


def _put(roiNode: slicer.vtkMRMLMarkupsROINode, centre: np.ndarray, size: np.ndarray) -> None:
    """An upright box in the world, RAS mm."""
    roiNode.SetAndObserveTransformNodeID(None)
    roiNode.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
    roiNode.SetCenter(*centre)
    roiNode.SetSize(*size)


def isEmpty(roiNode: slicer.vtkMRMLMarkupsROINode) -> bool:
    """Whether nothing fits into it: it was made, and nobody has drawn it."""
    bounds = [0.0] * 6
    roiNode.GetRASBounds(bounds)
    sides = np.array(bounds[1::2]) - np.array(bounds[::2])
    return not bool(np.all(sides >= LEAST_MM))
