"""Nodes of the scene that show one item of a sequence at a time, as a browser selects it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _

from . import Results, SceneConversion

if TYPE_CHECKING:
    from SIFALib.imaging.geometry import Volume


@dataclass(frozen=True)
class Browsed:
    """A node of the scene that shows one item of a sequence, which its browser selects."""

    node: slicer.vtkMRMLNode
    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode

    @property
    def count(self) -> int:
        return int(self.sequence.GetNumberOfDataNodes())

    @property
    def items(self) -> list[Any]:
        """The nodes of all time points; they are in no scene of the user's."""
        return [self.sequence.GetNthDataNode(number) for number in range(self.count)]

    @property
    def shown(self) -> int:
        """Number of the item that is shown, from 0; -1 if none is."""
        master = self.browser.GetMasterSequenceNode()
        selected = self.browser.GetSelectedItemNumber()
        if master is None or not 0 <= selected < master.GetNumberOfDataNodes():
            return -1
        return int(self.sequence.GetItemNumberFromIndexValue(master.GetNthIndexValue(selected), True))

    @property
    def name(self) -> str:
        """Of the whole; the node's own may be that of the item that is shown: "Cine [time=80ms]"."""
        if not self.browser.GetOverwriteProxyName(self.sequence):
            return str(self.node.GetName())
        return str(self.sequence.GetAttribute("Sequences.BaseName") or self.sequence.GetName())

    def indexText(self, number: int) -> str:
        """ "120 ms": what the sequence says of a time point."""
        return f"{self.sequence.GetNthIndexValue(number)} {self.sequence.GetIndexUnit() or ''}".strip()

    def isResult(self) -> bool:
        """Whether all items are segmentations that SIFA made."""
        return all(item.IsA("vtkMRMLSegmentationNode") and Results.report(item) is not None for item in self.items)

    def isThere(self) -> bool:
        """Whether node, browser and sequence are still in the scene."""
        return all(node.GetScene() is not None for node in (self.node, self.browser, self.sequence))


def browsed(node: slicer.vtkMRMLNode | None) -> Browsed | None:
    """How a node follows a sequence of two items or more; None if it does not."""
    if node is None or node.GetScene() is not slicer.mrmlScene:
        return None
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)
    sequence = browser.GetSequenceNode(node) if browser is not None else None
    if sequence is None or sequence.GetNumberOfDataNodes() < 2:
        return None
    return Browsed(node, browser, sequence)


def result(node: slicer.vtkMRMLNode | None) -> Browsed | None:
    """The same if it is a segmentation of all time points by SIFA, else None."""
    shown = browsed(node)
    return shown if shown is not None and shown.isResult() else None


def add(name: str, index: tuple[str, str], images: Iterable[tuple[str, Volume]]) -> slicer.vtkMRMLScalarVolumeNode:
    """Put images into the scene as a sequence with a browser; returns the volume node that shows the first.

    index: its name and unit; images: value of the index, and the volume.
    """
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", _("{scan} sequence").format(scan=name))
    sequence.SetIndexName(index[0])
    sequence.SetIndexUnit(index[1])
    for value, volume in images:
        item = slicer.vtkMRMLScalarVolumeNode()
        item.SetName(name)
        matrix = vtk.vtkMatrix4x4()
        slicer.util.updateVTKMatrixFromArray(matrix, SceneConversion.ijkToRas(volume.geometry))
        item.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(item, volume.array)
        sequence.SetDataNodeAtValue(item, value)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", _("{scan} browser").format(scan=name))
    browser.AddSynchronizedSequenceNodeID(sequence.GetID())
    browser.SelectFirstItem()
    node = browser.GetProxyNode(sequence)
    node.SetName(name)
    node.CreateDefaultDisplayNodes()
    slicer.modules.sequences.showSequenceBrowser(browser)
    return node
