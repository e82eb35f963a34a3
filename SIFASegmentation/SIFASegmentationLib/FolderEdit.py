"""An edit of a folder, and the text of the parameter node that holds it."""

from __future__ import annotations

from typing import Any

import ctk

from .PathEdit import PathEdit


class FolderEdit:
    """Keeps edit and parameter the same; parameterNodeWrapper binds no text to a path edit. name: of the parameter."""

    def __init__(self, edit: ctk.ctkPathLineEdit, name: str) -> None:
        self.name = name
        self._parameters: Any = None
        edit.filters = ctk.ctkPathLineEdit.Dirs
        self._edit = PathEdit(edit, self._onPath)

    def show(self, parameters: Any) -> None:
        """The folder of that parameter node; what is typed from now on goes there. None: nowhere."""
        if parameters is None:
            self._edit.forget()
        self._parameters = parameters
        if parameters is not None:
            self._edit.show(getattr(parameters, self.name))

    def _onPath(self, path: str) -> None:
        if self._parameters is not None and path != getattr(self._parameters, self.name):
            setattr(self._parameters, self.name, path)
            self._edit.remember()
