"""One scan twice beside each other in the slice views: segmented by the model before, and by the one after."""

from __future__ import annotations

import slicer
from SIFASegmentationLib import PhantomSamples

VIEWS = ("Red", "Yellow")  # of Slicer's layout "Side by side"


def show(
    volumeNode: slicer.vtkMRMLVolumeNode,
    before: slicer.vtkMRMLSegmentationNode | None,
    after: slicer.vtkMRMLSegmentationNode | None,
) -> None:
    """Show the volume in the slice views; before and after: each in a view of its own, None: not found."""
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is not None:
        layout.SetViewArrangement(layout.SlicerLayoutSideBySideView)
    for name, node in zip(VIEWS, (before, after), strict=True):
        view = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        if view is not None:
            view.SetOrientationToAxial()
        if node is not None:
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetViewNodeIDs([f"vtkMRMLSliceNode{name}"])
            node.SetDisplayVisibility(True)
    PhantomSamples.showVolume(volumeNode)
    center = next(filter(None, (n.GetSegmentCenterRAS("LV") for n in (after, before) if n is not None)), None)
    if center is not None:
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *center, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def hide(node: slicer.vtkMRMLSegmentationNode | None) -> None:
    """Take a segmentation out of all views."""
    if node is not None:
        node.SetDisplayVisibility(False)
