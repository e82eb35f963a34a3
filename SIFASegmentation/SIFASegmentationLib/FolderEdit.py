"""An edit of a folder, and the text of the parameter node that holds it."""

from __future__ import annotations

from typing import Any

import ctk


class FolderEdit:
    """Keeps edit and parameter the same; parameterNodeWrapper binds no text to a path edit. name: of the parameter."""

    def __init__(self, edit: ctk.ctkPathLineEdit, name: str) -> None:
        self.edit, self.name = edit, name
        self._parameters: Any = None
        edit.filters = ctk.ctkPathLineEdit.Dirs
        edit.connect("currentPathChanged(QString)", self._onPath)

    def show(self, parameters: Any) -> None:
        """The folder of that parameter node; what is typed from now on goes there. None: nowhere."""
        self._parameters = parameters
        if parameters is not None and self.edit.currentPath != getattr(parameters, self.name):
            self.edit.currentPath = getattr(parameters, self.name)

    def _onPath(self, path: str) -> None:
        if self._parameters is not None and path != getattr(self._parameters, self.name):
            setattr(self._parameters, self.name, path)
