"""Which volumes of the scene a person sees as scans."""

from __future__ import annotations

import slicer


def isPlain(node) -> bool:
    """One that the selectors offer: no label map, no colours, not hidden."""
    return node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()


def inScene() -> list:
    """The plain volumes of the scene that hold an image."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in nodes if isPlain(node) and node.GetImageData() is not None]
