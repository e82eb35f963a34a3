"""Slice and 3D views, offscreen, through Slicer's own displayable managers; pictures as arrays and PNG files.

A software renderer must be there (libosmesa6), or VTK crashes: `check_renderer` says so in words first.
"""

from __future__ import annotations

import ctypes.util
import itertools

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import stage

_numbers = itertools.count(1)  # a slice node of the same name would be shared
_SLICE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLModelSliceDisplayableManager")
_VIEW_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


def check_renderer() -> None:
    if ctypes.util.find_library("OSMesa") is None:
        raise RuntimeError("No software renderer was found; install the package libosmesa6 to draw pictures.")


def _window(size: tuple[int, int]):
    check_renderer()
    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)  # with more, OSMesa leaves 3D views blank
    window.SetSize(*size)
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.Initialize()
    return renderer, window, interactor


def _managers(factory_class, names, renderer):
    factory = factory_class.GetInstance()
    factory.SetMRMLApplicationLogic(stage.start().application_logic)
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    return group


class View:
    """What slice and 3D views share: a window that can be photographed."""

    def picture(self) -> np.ndarray:
        """RGB uint8 [rows, columns, 3], first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.SetInputBufferTypeToRGB()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()


class SliceView(View):
    """orientation: Axial, Sagittal or Coronal."""

    def __init__(self, orientation: str, size: tuple[int, int] = (420, 420)) -> None:
        world = stage.start()
        self.size = size
        self.renderer, self.window, self._interactor = _window(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper, self._actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory
        self._group = _managers(factory, _SLICE_MANAGERS, self.renderer)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(world.application_logic)
        world.application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(world.scene)
        self.node = self.logic.AddSliceNode(f"{orientation}{next(_numbers)}")
        self.node.SetOrientation(orientation)
        self._group.SetMRMLDisplayableNode(self.node)

    def show(self, volume, center_ras=None, field_of_view_mm: float | None = None) -> None:
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.ResizeSliceNode(*self.size)
        self.logic.FitSliceToBackground()
        if field_of_view_mm:
            self.node.SetFieldOfView(field_of_view_mm, field_of_view_mm * self.size[1] / self.size[0], 1.0)
        if center_ras is not None:
            self.node.JumpSliceByCentering(*center_ras)
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())
        if not self.renderer.HasViewProp(self._actor):
            self.renderer.AddViewProp(self._actor)


class ThreeDView(View):
    def __init__(self, size: tuple[int, int] = (420, 420), background=(0.957, 0.957, 0.965)) -> None:
        world = stage.start()
        self.renderer, self.window, self._interactor = _window(size)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory
        self._group = _managers(factory, _VIEW_MANAGERS, self.renderer)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(world.application_logic)
        world.application_logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(world.scene)
        self.node = self.logic.AddViewNode(f"View{next(_numbers)}")
        self._group.SetMRMLDisplayableNode(self.node)
        self.node.SetBoxVisible(0)
        self.node.SetAxisLabelsVisible(0)
        self.node.SetBackgroundColor(*background)
        self.node.SetBackgroundColor2(*background)

    def look(self, azimuth: float = 0.0, elevation: float = 0.0, zoom: float = 1.0) -> None:
        """From the front of the patient, turned by degrees, at everything there is."""
        self.window.Render()
        manager = self._group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager")
        node = manager.GetCameraNode()
        self.renderer.ResetCamera()
        node.RotateTo(slicer.vtkMRMLCameraNode.Anterior)
        camera = node.GetCamera()
        camera.Azimuth(azimuth)
        camera.Elevation(elevation)
        self.renderer.ResetCamera()
        camera.Zoom(zoom)
        self.renderer.ResetCameraClippingRange()
