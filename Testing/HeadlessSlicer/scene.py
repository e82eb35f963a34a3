"""Slicer's real scene and module logics from the wheel slicer-core, wired as the application wires them."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace

import slicer
import vtk

_LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}


class LogicModule:
    """What slicer.modules.<name> is for a C++ module, as far as Python uses it."""

    def __init__(self, name: str, logic):
        self.name = name
        self._logic = logic

    def logic(self):
        return self._logic


class SequencesModule(LogicModule):
    """Remembers which browser the toolbar shows."""

    shown = None

    def showSequenceBrowser(self, browser) -> bool:
        self.shown = browser
        return True


def make_scene() -> SimpleNamespace:
    """A scene with application logic, module logics, colours, orientation presets and remote cache.

    Sets slicer.mrmlScene and slicer.modules. Returns `scene`, `application_logic`, and
    what must be kept alive.
    """
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    keep: list = []
    for name, class_name in _LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        module = {"Sequences": SequencesModule}.get(name, LogicModule)
        setattr(slicer.modules, name.lower(), module(name, logic))
        keep.append(logic)
    scene.RegisterNodeClass(slicer.vtkMRMLCommandLineModuleNode())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    keep += _make_remote_io(scene, application)
    return SimpleNamespace(scene=scene, application_logic=application, keep=keep)


def _make_remote_io(scene, application) -> list:
    """Storage nodes ask the scene for its cache and data manager when they read."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(application)
    cache = tempfile.TemporaryDirectory(prefix="slicer-cache-")
    remote.GetCacheManager().SetRemoteCacheDirectory(cache.name)
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLScene(scene)
    data.SetMRMLApplicationLogic(application)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return [remote, data, cache]
