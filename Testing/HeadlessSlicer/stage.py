"""Sets the stage, once a process, and offers what a user at the screen would do."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    from . import application, dialogs, python_modules, segment_editor, ui_loader, widgets_ctk, widgets_mrml

    qt.QUiLoader = ui_loader.QUiLoader
    sys.modules["qt"] = qt
    asked = dialogs.Dialogs()
    dialogs.install(asked)
    python_modules.add_module("ctk", **widgets_ctk.CLASSES, ctkMessageBox=dialogs.message_box(asked))
    for name, cls in widgets_mrml.CLASSES.items():
        setattr(slicer, name, cls)
    factory, effect = (
        segment_editor.qSlicerSegmentEditorEffectFactory,
        segment_editor.qSlicerSegmentEditorScriptedEffect,
    )
    slicer.qSlicerSegmentEditorEffectFactory = factory
    python_modules.add_module("qSlicerSegmentationsEditorEffectsPythonQt", qSlicerSegmentEditorScriptedEffect=effect)
    base = segment_editor.AbstractScriptedSegmentEditorEffect
    python_modules.add_module("SegmentEditorEffects", AbstractScriptedSegmentEditorEffect=base)
    slicer.qSlicerScriptedLoadableModule = application.qSlicerScriptedLoadableModule
    world = scene.make_scene()
    world.app = application.make_application(world.application_logic)
    world.dialogs = asked
    world.packaging = python_modules.install()
    world.qt = qt
    return world


@contextmanager
def person(*answers: object) -> Iterator[object]:
    """Somebody sits at the screen: windows ask, and are answered like this; more answers may be given meanwhile.

    AssertionError for a window that was not answered, and for an answer that nothing has asked for.
    """
    world = start()
    world.dialogs.forget()
    world.dialogs.answer(*answers)
    world.app._testing = False
    try:
        yield world.dialogs
    finally:
        world.app._testing = True
    assert not world.dialogs.unexpected, f"nobody answers {world.dialogs.unexpected}"
    assert not world.dialogs.unanswered, f"nothing asks for {world.dialogs.unanswered}"


def type_text(edit, text: str, enter: bool = False) -> None:
    """Type into an edit, letter by letter, over what stands there; the edit inside a path edit, too."""
    from PySide6 import QtCore, QtGui, QtWidgets

    line = edit if isinstance(edit, QtWidgets.QLineEdit) else edit.findChild(QtWidgets.QLineEdit)
    line.selectAll()
    kinds, none = QtCore.QEvent.Type, QtCore.Qt.KeyboardModifier.NoModifier
    keys = [(QtCore.Qt.Key.Key_A, letter) for letter in text] or [(QtCore.Qt.Key.Key_Delete, "")]
    keys += [(QtCore.Qt.Key.Key_Return, "\r")] if enter else []
    for key, letter in keys:
        for kind in (kinds.KeyPress, kinds.KeyRelease):
            QtWidgets.QApplication.sendEvent(line, QtGui.QKeyEvent(kind, key, none, letter))


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


def end_application(name: str) -> None:
    """As its end is for a module that is open: its widgets are gone before its `cleanup` is called."""
    from . import application

    application.end(name)


def clear_scene() -> None:
    """Close the scene; the application makes its interaction node anew after that."""
    scene = start().scene
    scene.Clear(False)
    if scene.GetFirstNodeByClass("vtkMRMLInteractionNode") is None:
        scene.AddNewNodeByClass("vtkMRMLInteractionNode")


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Run the event loop until the condition holds, the less often the longer it lasts; TimeoutError if it never does."""
    app = start().app
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if waited > seconds:
            raise TimeoutError(f"{condition} did not become true within {seconds} s")
        app.processEvents()
        time.sleep(min(0.05, 0.002 + waited / 100))
