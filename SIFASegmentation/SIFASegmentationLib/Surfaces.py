"""The surfaces of a segmentation in the 3D view."""

from __future__ import annotations

import slicer

DEFAULT = 0.5  # Slicer's own smoothing


def _name() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName())


def areShown(node: slicer.vtkMRMLSegmentationNode) -> bool:
    return bool(node.GetSegmentation().ContainsRepresentation(_name()))


def show(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Make them, as the button Show 3D does."""
    if node.GetSegmentation().GetNumberOfSegments():
        node.CreateClosedSurfaceRepresentation()
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetPreferredDisplayRepresentationName3D(_name())


def smooth(node: slicer.vtkMRMLSegmentationNode, factor: float) -> None:
    """Let them be smoothed so far, 0 to 1; those that are shown are made anew if that is new."""
    rule, segmentation = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule, node.GetSegmentation()
    name, former = rule.GetSmoothingFactorParameterName(), segmentation.GetConversionParameter
    if float(former(name) or DEFAULT) == factor:
        return
    segmentation.SetConversionParameter(name, str(factor))
    if areShown(node):
        node.RemoveClosedSurfaceRepresentation()
        show(node)
