"""Which volumes of the scene a person sees as scans."""

from __future__ import annotations

import slicer

MAP = "SIFA.Map"  # attribute of volumes that SIFA made and that are no scans


def isPlain(node: slicer.vtkMRMLVolumeNode) -> bool:
    """No label map, no colours, not hidden, and no map of ours."""
    if node.GetClassName() != "vtkMRMLScalarVolumeNode" or node.GetHideFromEditors():
        return False
    return node.GetAttribute(MAP) is None


def inScene() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The plain volumes of the scene that hold an image."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in nodes if isPlain(node) and node.GetImageData() is not None]
