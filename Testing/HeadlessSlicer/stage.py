"""Sets the stage, once a process, and offers what a user at the screen would do."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("SIFASegmentation", "SIFATraining")


def _choose_offscreen() -> None:
    """Before Qt and VTK load: no display is needed. VTK must find a software renderer, or it crashes."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")


@functools.cache
def start() -> SimpleNamespace:
    """Scene, application, qt, ctk and the Python modules of Slicer. Returns them for tests to look at."""
    _choose_offscreen()
    import slicer

    from . import pythonqt, scene

    qt = pythonqt.install()
    from . import application, python_modules, ui_loader, widgets_ctk, widgets_mrml

    qt.QUiLoader = ui_loader.QUiLoader
    sys.modules["qt"] = qt
    python_modules.add_module("ctk", **widgets_ctk.CLASSES)
    for name, cls in widgets_mrml.CLASSES.items():
        setattr(slicer, name, cls)
    slicer.qSlicerScriptedLoadableModule = application.qSlicerScriptedLoadableModule
    world = scene.make_scene()
    world.app = application.make_application(world.application_logic)
    world.packaging = python_modules.install()
    world.qt = qt
    return world


def load_modules(root: Path = REPOSITORY, names: tuple[str, ...] = MODULES) -> None:
    """Load our modules from a source tree or an installed one (all in one folder); end the start-up."""
    from . import application

    world = start()
    for name in names:
        nested = root / name / f"{name}.py"
        application.load_module(nested if nested.exists() else root / f"{name}.py")
    world.app.startupCompleted.emit()


def open_module(name: str):
    from . import application

    return application.open_module(name)


def leave_module(name: str) -> None:
    from . import application

    application.leave_module(name)


def close_module(name: str) -> None:
    from . import application

    application.close_module(name)


def clear_scene() -> None:
    """Close the scene; the application makes its interaction node anew after that."""
    scene = start().scene
    scene.Clear(False)
    if scene.GetFirstNodeByClass("vtkMRMLInteractionNode") is None:
        scene.AddNewNodeByClass("vtkMRMLInteractionNode")


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Run the event loop until the condition holds; TimeoutError if it never does."""
    app = start().app
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} did not become true within {seconds} s")
        app.processEvents()
        time.sleep(0.005)
