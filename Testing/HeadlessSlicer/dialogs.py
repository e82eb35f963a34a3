"""Windows that ask the person something: nobody sees them here, the test answers; and what other programs are asked."""

from __future__ import annotations

from typing import Any

from PySide6 import QtGui, QtWidgets

from .widgets_ctk import qproperty


class Dialogs:
    """asked: what windows said, in that order; opened: addresses given to other programs.

    A question that the test has no answer to is refused with an AssertionError, and kept in `unexpected`, since Qt
    swallows what is raised in a slot.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.opened: list[str] = []
        self.unexpected: list[str] = []
        self._answers: list[Any] = []

    def answer(self, *answers: Any) -> None:
        """What the person says to the next windows: True or False to a question, a path to a file dialog."""
        self._answers += answers

    @property
    def unanswered(self) -> list[Any]:
        """Answers that no window has asked for."""
        return list(self._answers)

    def forget(self) -> None:
        self.asked, self.opened, self.unexpected, self._answers = [], [], [], []

    def ask(self, text: str) -> Any:
        self.asked.append(text)
        if not self._answers:
            self.unexpected.append(text)
            raise AssertionError(f"a window asks {text!r}, and the test has no answer")
        return self._answers.pop(0)


def message_box(dialogs: Dialogs) -> type:
    """ctkMessageBox, as slicer.util uses it."""

    class ctkMessageBox(QtWidgets.QDialog):
        text = qproperty(str, "")
        informativeText = qproperty(str, "")
        detailedText = qproperty(str, "")
        icon = qproperty(QtWidgets.QMessageBox.Icon, QtWidgets.QMessageBox.Icon.NoIcon)
        standardButtons = qproperty(QtWidgets.QMessageBox.StandardButton, QtWidgets.QMessageBox.StandardButton.Ok)
        dontShowAgainSettingsKey = qproperty(str, "")

        def exec_(self):
            kinds = QtWidgets.QMessageBox.StandardButton
            offered = self.standardButtons
            if offered in (kinds.NoButton, kinds.Ok):  # it only tells something
                dialogs.asked.append(self.text)
                return kinds.Ok
            said = dialogs.ask(self.text)
            yes, no = (kinds.Yes, kinds.No) if kinds.Yes in offered else (kinds.Ok, kinds.Cancel)
            return yes if said else no

    return ctkMessageBox


def install(dialogs: Dialogs) -> None:
    """Let file dialogs and addresses come here."""
    for name in ("getOpenFileName", "getSaveFileName", "getExistingDirectory"):

        def ask(_parent=None, caption: str = "", *_rest, name=name, **_keywords) -> str:
            return str(dialogs.ask(caption or name))

        setattr(QtWidgets.QFileDialog, name, staticmethod(ask))
    QtWidgets.QInputDialog.getText = staticmethod(lambda _parent, _title, label, *_rest: str(dialogs.ask(label)))
    QtGui.QDesktopServices.openUrl = staticmethod(lambda url: dialogs.opened.append(url.toLocalFile()) or True)
