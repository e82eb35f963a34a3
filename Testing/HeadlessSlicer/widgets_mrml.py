"""Stand-ins for the MRML widgets that our panels use; they look at the real scene."""

from __future__ import annotations

from typing import ClassVar

import slicer
from PySide6 import QtCore, QtWidgets

from .widgets_ctk import qproperty, with_setters

Signal = QtCore.Signal
_SCENE = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}


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
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._combo = QtWidgets.QComboBox(self)
        layout.addWidget(self._combo)
        self._refill.connect(lambda _value: self._update())
        self._combo.activated.connect(lambda index: self._choose(self._combo.itemData(index)))
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        events = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent")
        observe = [] if scene is None else [getattr(slicer.vtkMRMLScene, event) for event in events]
        self._tags = [scene.AddObserver(event, lambda *_: self._update()) for event in observe]
        self._update()
        self.mrmlSceneChanged.emit(scene)

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
        if self._current not in self._ids:
            self._choose(None if self.noneEnabled or not nodes else self._ids[0])
        self._show()

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
        name = self._scene.GenerateUniqueName(self.baseName or "node")
        node = self._scene.AddNewNodeByClass(kind or self.nodeTypes[0], name)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node


@with_setters
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Makes the surfaces of a segmentation and shows them in 3D."""

    locked = qproperty(bool, False)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._segmentation = None
        self.setText("Show 3D")
        self.setCheckable(True)
        self.clicked.connect(self._apply)

    def segmentationNode(self):
        return self._segmentation

    def setSegmentationNode(self, node) -> None:
        self._segmentation = node
        self.setEnabled(node is not None)
        self.setChecked(node is not None and node.GetSegmentation().ContainsRepresentation("Closed surface"))

    def _apply(self, shown: bool) -> None:
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
