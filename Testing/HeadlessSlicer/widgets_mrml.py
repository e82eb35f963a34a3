"""Stand-ins for the MRML widgets that our panels use; they look at the real scene."""

from __future__ import annotations

import functools
from typing import ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .widgets_ctk import qproperty, with_setters

Signal = QtCore.Signal
_SCENE = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}


@functools.cache
def _tag_name(kind: str) -> str:
    """What a list calls nodes of that class."""
    return getattr(slicer, kind)().GetNodeTagName()


class qMRMLWidget(QtWidgets.QWidget):
    SIGNALS: ClassVar = _SCENE
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    pass


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """What Slicer makes for a scripted module; `self()` is the Python object behind it."""

    isEntered = qproperty(bool, False)

    def self(self):
        return self._python


@with_setters
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses a node of the scene. Without "None" it takes the first node that fits, as the original does."""

    SIGNALS: ClassVar = {
        **_SCENE,
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeChangedBool",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
    }
    mrmlSceneChanged = Signal(object)
    currentNodeChanged = Signal(object)
    currentNodeChangedBool = Signal(bool)
    currentNodeIDChanged = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeTypes = qproperty("QStringList", [], "_refill")
    noneEnabled = qproperty(bool, False, "_refill")
    showHidden = qproperty(bool, False, "_refill")
    showChildNodeTypes = qproperty(bool, True, "_refill")
    hideChildNodeTypes = qproperty("QStringList", [], "_refill")
    noneDisplay = qproperty(str, "None", "_refill")
    addEnabled = qproperty(bool, True)
    removeEnabled = qproperty(bool, True)
    editEnabled = qproperty(bool, False)
    renameEnabled = qproperty(bool, False)
    baseName = qproperty(str, "")
    selectNodeUponCreation = qproperty(bool, True)
    sizeAdjustPolicy = qproperty(int, 0)
    _refill = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._tags, self._ids, self._current = None, [], [], None
        self._followed = {}  # node id -> node and tag of its observer
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._combo = QtWidgets.QComboBox(self)
        layout.addWidget(self._combo)
        self._refill.connect(lambda _value: self._update())
        self._combo.activated.connect(self._activated)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._tags = []
        if scene is not None:
            events = slicer.vtkMRMLScene
            for event in (events.EndCloseEvent, events.EndImportEvent):
                self._tags.append(scene.AddObserver(event, lambda *_: self._update()))
            for event in (events.NodeAddedEvent, events.NodeRemovedEvent):
                self._tags.append(scene.AddObserver(event, self._of_node()))
        self._update()
        self.mrmlSceneChanged.emit(scene)

    def _of_node(self):
        """What to do when a node comes or goes: nothing for one that the list does not offer."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def update(_scene, _event, node) -> None:
            if self._fits(node) or node.GetID() in self._ids:
                self._update()

        return update

    def _fits(self, node) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        name = node.GetClassName()
        if name in self.hideChildNodeTypes:
            return False
        return any(node.IsA(kind) if self.showChildNodeTypes else name == kind for kind in self.nodeTypes)

    def _update(self) -> None:
        count = 0 if self._scene is None else self._scene.GetNumberOfNodes()
        nodes = [n for n in (self._scene.GetNthNode(i) for i in range(count)) if self._fits(n)]
        self._ids = [node.GetID() for node in nodes]
        self._combo.clear()
        if self.noneEnabled or not nodes:
            self._combo.addItem(self.noneDisplay, None)
        for node in nodes:
            self._combo.addItem(node.GetName(), node.GetID())
            if node.GetID() not in self._followed:
                self._followed[node.GetID()] = (node, node.AddObserver("ModifiedEvent", lambda n, _e: self._renamed(n)))
        for node_id in [each for each in self._followed if each not in self._ids]:
            node, tag = self._followed.pop(node_id)
            node.RemoveObserver(tag)
        for text, action in self._entries():
            self._combo.addItem(text, action)
        if self._current not in self._ids:
            self._choose(None if self.noneEnabled or not nodes else self._ids[0])
        self._show()

    def _renamed(self, node) -> None:
        index = self._combo.findData(node.GetID())
        if index >= 0 and self._combo.itemText(index) != node.GetName():
            self._combo.setItemText(index, node.GetName())

    def _entries(self) -> list[tuple[str, object]]:
        """What the list offers below the nodes."""
        kind = self._kind()
        entries = [(f"Create new {kind}", self.addNode)] if self.addEnabled else []
        entries += [(f"Rename current {kind}", self.renameCurrentNode)] if self.renameEnabled else []
        entries += [(f"Delete current {kind}", self.removeCurrentNode)] if self.removeEnabled else []
        return entries

    def _kind(self) -> str:
        return _tag_name(self.nodeTypes[0]) if len(self.nodeTypes) == 1 else "node"

    def _activated(self, index: int) -> None:
        data = self._combo.itemData(index)
        if callable(data):
            self._show()
            data()
        else:
            self._choose(data)

    def renameCurrentNode(self) -> None:
        node = self.currentNode()
        name = QtWidgets.QInputDialog.getText(self, "Rename", "New name:") if node is not None else ""
        if name:
            node.SetName(name)

    def removeCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def _show(self) -> None:
        self._combo.setCurrentIndex(max(0, self._combo.findData(self._current)))

    def _choose(self, node_id) -> None:
        if node_id == self._current:
            return
        self._current = node_id
        self._show()
        self.currentNodeChanged.emit(self.currentNode())
        self.currentNodeChangedBool.emit(node_id is not None)
        self.currentNodeIDChanged.emit(node_id or "")

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else None)

    def setCurrentNodeID(self, node_id) -> None:
        self._choose(node_id if node_id in self._ids else None)

    currentNodeID = QtCore.Property(str, lambda self: self._current or "", setCurrentNodeID)

    def nodeCount(self) -> int:
        return len(self._ids)

    def addNode(self, kind=None):
        kind = kind or self.nodeTypes[0]
        prefix = self.baseName or getattr(slicer, kind)().GetDefaultNodeNamePrefix()
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(prefix))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node


@with_setters
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Makes the surfaces of a segmentation and shows them in 3D: at `toggled`, so also when a program presses it.

    Follows its node: it is pressed while there are surfaces, and enabled while there is a segment.
    """

    locked = qproperty(bool, False)
    EVENTS = ("SegmentAdded", "SegmentRemoved", "ContainedRepresentationNamesModified", "SourceRepresentationModified")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._segmentation, self._tags = None, []
        self.setText("Show 3D")
        self.setCheckable(True)
        self.toggled.connect(self._toggled)
        self._follow()

    def segmentationNode(self):
        return self._segmentation

    def setSegmentationNode(self, node) -> None:
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._segmentation, self._tags = node, []
        if node is not None:
            numbers = [getattr(slicer.vtkSegmentation, name) for name in self.EVENTS]
            self._tags = [(node, node.AddObserver(number, lambda *_: self._follow())) for number in numbers]
        self._follow()

    def _follow(self) -> None:
        node = self._segmentation
        segmentation = node.GetSegmentation() if node is not None else None
        self.setEnabled(segmentation is not None and segmentation.GetNumberOfSegments() > 0)
        blocked = self.blockSignals(True)
        self.setChecked(segmentation is not None and segmentation.ContainsRepresentation("Closed surface"))
        self.blockSignals(blocked)

    def _toggled(self, shown: bool) -> None:
        if self._segmentation is None:
            return
        if shown:
            self._segmentation.CreateClosedSurfaceRepresentation()
        else:
            self._segmentation.RemoveClosedSurfaceRepresentation()


CLASSES = {
    cls.__name__: cls
    for cls in (
        qMRMLWidget,
        qSlicerWidget,
        qSlicerScriptedLoadableModuleWidget,
        qMRMLNodeComboBox,
        qMRMLSegmentationShow3DButton,
    )
}
