"""An edit of a path that speaks once the person means it, and not at every letter of it."""

from __future__ import annotations

import os
from collections.abc import Callable

import ctk
import qt
import slicer

PAUSE_MS = 800  # without a further letter: the person has typed what was meant


class PathEdit:
    """onPath(path) is called with what was typed, once it is meant; at once with what was browsed for or chosen.

    CTK's edit tells of each text that it accepts, so of every beginning of a path that is being typed, and of none that
    it does not accept, an empty one among them. pause: a rest in typing counts as the end of it; without it, only Enter
    and leaving the edit do.
    """

    def __init__(self, edit: ctk.ctkPathLineEdit, onPath: Callable[[str], None], pause: bool = True) -> None:
        self.edit, self._onPath = edit, onPath
        self.typing = False  # something was typed that was not told yet
        self._remembering = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", self.settle)
        lines = slicer.util.findChildren(edit, className="QLineEdit")
        self._pause = pause or not lines  # without the edit inside, nothing else tells of the end
        for line in lines:
            line.connect("textEdited(QString)", self._onTyped)
            line.connect("editingFinished()", self._onFinished)
        edit.connect("currentPathChanged(QString)", self._onText)
        edit.connect("validInputChanged(bool)", self._onValid)

    def settle(self) -> None:
        """What stands there is meant."""
        self.forget()
        self._onPath(self.edit.currentPath.strip())

    def forget(self) -> None:
        """Whatever was being typed: nobody waits for its end any more."""
        self.typing = False
        self._timer.stop()

    def show(self, path: str) -> None:
        """Let that path stand there, unless the person is typing another."""
        if not self.typing and self.edit.currentPath != path:
            self.edit.currentPath = path

    def remember(self) -> None:
        """Put what stands there into the edit's history, if it exists."""
        if os.path.exists(self.edit.currentPath):
            self._remembering = True  # the list shows other paths while it is put in order
            try:
                self.edit.addCurrentPathToHistory()
            finally:
                self._remembering = False

    def _onTyped(self, _text: str) -> None:
        self.typing = True
        if self._pause:
            self._timer.start()

    def _onFinished(self) -> None:
        if self.typing:
            self.settle()

    def _onText(self, _path: str) -> None:
        if not self.typing and not self._remembering:
            self.settle()

    def _onValid(self, valid: bool) -> None:
        if not valid and not self.edit.currentPath and not self.typing and not self._remembering:
            self.settle()
