"""Stand-in for the application: slicer.app, its module manager and main window, and the module factory."""

from __future__ import annotations

import importlib
import sys
import tempfile
import types
from pathlib import Path
from typing import ClassVar

import shiboken6
import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from . import segment_editor
from .widgets_ctk import qproperty
from .widgets_mrml import qSlicerScriptedLoadableModuleWidget


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What Slicer hands to a scripted module as `parent`; only these members can be set."""

    title = qproperty(str, "")
    path = qproperty(str, "")
    helpText = qproperty(str, "")
    acknowledgementText = qproperty(str, "")
    categories = qproperty("QStringList", [])
    contributors = qproperty("QStringList", [])
    dependencies = qproperty("QStringList", [])
    associatedNodeTypes = qproperty("QStringList", [])
    icon = qproperty(QtGui.QIcon, None)
    hidden = qproperty(bool, False)
    index = qproperty(int, -1)

    def widgetRepresentation(self):
        return self._representation


class ModuleManager(QtCore.QObject):
    SIGNALS: ClassVar = {"moduleAboutToBeUnloaded(QString)": "moduleAboutToBeUnloaded"}
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def factoryManager(self):
        return self

    def loadedModulesNames(self) -> list[str]:
        return list(vars(slicer.modules))

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)


class MainWindow(QtWidgets.QMainWindow):
    """Shows one module at a time: who selects another leaves the one before."""

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selected = ""

    def moduleSelector(self):
        return self

    def selectModule(self, name: str) -> None:
        for other in list(vars(slicer.modules).values()):
            shown = getattr(other, "_representation", None)
            if shown is not None and shown.isEntered and other is not getattr(slicer.modules, name.lower(), None):
                shown._python.exit()
                shown.isEntered = False
        self._selected = name
        if hasattr(sys.modules.get(name), f"{name}Widget"):
            _enter(name)

    selectedModule = QtCore.Property(str, lambda self: self._selected)


class LayoutManager(QtCore.QObject):
    """The views' arrangement, which the scene's layout node holds; remembers how often the 3D views were fitted."""

    def __init__(self):
        super().__init__()
        self._fitted = 0

    def _node(self):
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")

    def _write(self, layout: int) -> None:
        node = self._node() or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLayoutNode")
        node.SetViewArrangement(layout)

    layout = QtCore.Property(int, lambda self: self._node().GetViewArrangement() if self._node() else 0, _write)

    def setLayout(self, layout: int) -> None:
        self.layout = layout

    def layoutLogic(self):
        return types.SimpleNamespace(GetLayoutNode=self._node)

    def sliceViewNames(self) -> list[str]:
        return [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]

    def resetThreeDViews(self) -> None:
        self._fitted += 1


class Application(QtWidgets.QApplication):
    SIGNALS: ClassVar = {"startupCompleted()": "startupCompleted"}
    startupCompleted = QtCore.Signal()
    revision = qproperty(str, "35000")
    temporaryPath = qproperty(str, tempfile.gettempdir())
    _testing = True  # nobody is there; `stage.person` is

    def testingEnabled(self) -> bool:
        return self._testing

    def moduleManager(self) -> ModuleManager:
        return self._manager

    def applicationLogic(self):
        return self._application_logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager


class _EditorModule:
    """slicer.modules.segmenteditor"""

    name = "SegmentEditor"

    def __init__(self):
        python = types.SimpleNamespace(editor=segment_editor.SegmentEditor())
        self._widget = qSlicerScriptedLoadableModuleWidget()
        self._widget._python = python

    def widgetRepresentation(self):
        return self._widget


def make_application(application_logic) -> Application:
    """slicer.app with settings of its own, empty, in a temporary folder."""
    settings = tempfile.mkdtemp(prefix="slicer-settings-")
    for kind in (QtCore.QSettings.Format.NativeFormat, QtCore.QSettings.Format.IniFormat):
        QtCore.QSettings.setPath(kind, QtCore.QSettings.Scope.UserScope, settings)
    app = Application(["Slicer"])
    app.setApplicationName("Slicer")
    app.setApplicationVersion("5.13.0-2026-11-01")
    app.setStyle("Fusion")
    app._manager = ModuleManager()
    app._application_logic = application_logic
    app._window = MainWindow()
    app._layout_manager = LayoutManager()
    slicer.app = app
    slicer.modules.segmenteditor = _EditorModule()
    return app


def load_module(file: Path) -> object:
    """As the factory does with a module file: its folder onto the path, import it, make its object."""
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    python = importlib.import_module(file.stem)
    parent = qSlicerScriptedLoadableModule()
    parent.path = str(file)
    parent._python = getattr(python, file.stem)(parent)
    parent._representation = None
    setattr(slicer.modules, file.stem.lower(), parent)
    return parent


def open_module(name: str) -> object:
    """Leave the module that is shown, make (once) and enter that one's widget; returns the Python widget."""
    slicer.app._window.selectModule(name)
    return getattr(slicer.modules, name.lower())._representation._python


def _enter(name: str) -> None:
    module = getattr(slicer.modules, name.lower())
    if module._representation is None:
        parent = qSlicerScriptedLoadableModuleWidget()
        parent.setLayout(QtWidgets.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        widget_class = getattr(sys.modules[name], f"{name}Widget")
        parent._python = widget_class(parent)
        parent._python.setup()
        module._representation = parent
    widget = module._representation._python
    module._representation.isEntered = True
    widget.enter()


def leave_module(name: str) -> None:
    module = getattr(slicer.modules, name.lower())
    module._representation._python.exit()
    module._representation.isEntered = False


def end(name: str) -> None:
    """The application ends with that module open: its window takes the widgets with it, then the module is unloaded.

    What the module's `cleanup` raises then is raised here; Slicer prints it.
    """
    module = getattr(slicer.modules, name.lower())
    python, representation = module._representation._python, module._representation
    module._representation = None
    for child in representation.findChildren(QtWidgets.QWidget):
        if hasattr(child, "setMRMLScene"):
            child.blockSignals(True)
            child.setMRMLScene(None)
    representation.deleteLater()
    QtCore.QCoreApplication.sendPostedEvents(representation, QtCore.QEvent.Type.DeferredDelete)
    assert not shiboken6.isValid(representation)
    python.cleanup()


def close_module(name: str) -> None:
    """Throw a module's widget away, as the end of the application does; the next `open_module` makes a new one."""
    module = getattr(slicer.modules, name.lower())
    if module._representation is not None:
        module._representation._python.cleanup()
        module._representation.close()
        for child in module._representation.findChildren(QtWidgets.QWidget):
            if hasattr(child, "setMRMLScene"):  # destroyed with it; here somebody may still look at them
                child.blockSignals(True)
                child.setMRMLScene(None)
        module._representation = None
