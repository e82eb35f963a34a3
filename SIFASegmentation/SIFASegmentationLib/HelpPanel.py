"""The section "Help and packages" at the end of both panels: what is installed, whether it works, repair, and a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import ctk
import qt
from SIFALib import __version__
from SIFALib.support.progress import Progress
from slicer.i18n import tr as _

from . import ActionLog, BugReport, Dialogs, Failures, Words
from .Dependencies import Dependencies
from .Runner import Runner


@dataclass(frozen=True)
class Told:
    """What a panel adds to a report. facts: by what they are. names: of scans that are no nodes. lines: of its own log."""

    facts: dict[str, str] = field(default_factory=dict)
    names: Iterable[str] = ()
    lines: Iterable[str] = ()


class HelpPanel:
    """Made for a module's layout; tell() is what that module knows, asked when a report is copied."""

    def __init__(
        self, layout: qt.QLayout, module: str, dependencies: Callable[[], Dependencies], tell: Callable[[], Told]
    ) -> None:
        ActionLog.attach(BugReport.sceneNames)
        self.module, self.dependencies, self.tell = module, dependencies, tell
        self.runner = Runner(self._onStep, self._onTried, self._onError)
        self.section = ctk.ctkCollapsibleButton()
        self.section.text = _("Help and packages")
        self.section.collapsed = True
        self.packagesLabel = qt.QLabel()
        self.packagesLabel.wordWrap = True
        self.packagesLabel.textInteractionFlags = qt.Qt.TextSelectableByMouse
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        self.copyButton = _button(
            _("Copy report"),
            _(
                "Copy what somebody needs who is to find a fault: versions, this computer, the model, what was logged last. "
                "Names of patients and scans, of you, and of folders are left out; read it before you send it."
            ),
            self.onCopy,
        )
        self.tryButton = _button(
            _("Try PyTorch"),
            _("Try PyTorch in a process of its own, and say what to do if it does not work."),
            self.onTry,
        )
        self.repairButton = _button(
            _("Reinstall packages"),
            _(
                "Install the Python packages besides PyTorch anew. PyTorch itself is repaired in the module PyTorch Utils."
            ),
            self.onReinstall,
        )
        buttons = qt.QHBoxLayout()
        for button in (self.copyButton, self.tryButton, self.repairButton):
            buttons.addWidget(button)
        inside = qt.QVBoxLayout(self.section)
        inside.addWidget(self.packagesLabel)
        inside.addLayout(buttons)
        inside.addWidget(self.statusLabel)
        while layout.count():  # of a panel that got another logic
            layout.takeAt(0).widget().deleteLater()
        layout.addWidget(self.section)
        self.section.connect("contentsCollapsed(bool)", lambda _collapsed: self.refresh())
        self._say("")
        self.refresh()

    def refresh(self) -> None:
        """What is installed now."""
        found = [
            f"{name} {_('missing') if version == BugReport.ABSENT else version}"
            for name, version in BugReport.packages().items()
        ]
        self.packagesLabel.text = " · ".join([f"SIFA {__version__}", *found])

    def stop(self) -> None:
        self.runner.cancel()

    def onCopy(self, _checked: bool = False) -> None:
        told = self.tell()
        BugReport.copy(BugReport.text(self.module, told.facts, told.names, told.lines))
        self._say(_("The report is in the clipboard. Read it before you send it."))

    def onTry(self, _checked: bool = False) -> None:
        if self.runner.running:
            self.runner.cancel()
            self._say("")
            return
        dependencies = self.dependencies()
        dependencies.again()
        self.runner.start(dependencies.trySteps())
        self._say(_("Checking PyTorch"))

    def onReinstall(self, _checked: bool = False) -> None:
        if not Dialogs.confirmed(_("Install the Python packages of SIFA anew? Slicer has to be restarted after that.")):
            return
        try:
            self.dependencies().reinstall()
        except Exception as error:
            self._onError(error)
        else:
            self.refresh()
            self._say(_("The packages were installed anew. Restart Slicer before you go on."))

    def _onStep(self, step: Progress) -> None:
        self._say(Words.step(step))

    def _onTried(self, _result: None) -> None:
        self.refresh()
        self._say(_("PyTorch works."))

    def _onError(self, error: Exception) -> None:
        self._say(Failures.sentence(error), isError=True)

    def _say(self, text: str, isError: bool = False) -> None:
        Words.say(self.statusLabel, text, isError)
        self.tryButton.text = _("Cancel") if self.runner.running else _("Try PyTorch")
        self.repairButton.enabled = not self.runner.running


def _button(text: str, toolTip: str, onClicked: Callable[[bool], Any]) -> qt.QPushButton:
    button = qt.QPushButton()
    button.text, button.toolTip = text, toolTip
    button.connect("clicked(bool)", onClicked)
    return button
