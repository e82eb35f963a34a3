"""The steps as tabs: which one is shown, how far each is, and the way back and forth between them."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

SCANS, HOW, TRAIN, RESULT, RUNS = range(5)  # in the order of the panel


def _pages() -> tuple[tuple[str, str, str], ...]:
    """Name of the page, what its tab is called, and its tooltip."""
    return (
        ("scansPage", _("Scans"), _("Step 1: your own scans, without labels, to which the model is adapted.")),
        ("howPage", _("How"), _("Step 2: what to learn from, the start model, how long, on which device.")),
        ("trainPage", _("Train"), _("Step 3: start, and the run that is looked at.")),
        ("resultPage", _("Result"), _("What came of the run: before and after on your own scans.")),
        ("runsPage", _("Runs"), _("All runs: open, resume, export, delete.")),
    )


class Tabs:
    """A bar above pages of which one is seen: the panel is as high as that, not as the highest of them."""

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self._hint, self._reasons = "", ("",) * TRAIN
        self._titles = [title for _name, title, _tip in _pages()]
        self._tips = [tip for _name, _title, tip in _pages()]
        self.bar = qt.QTabBar()
        self.bar.documentMode, self.bar.expanding, self.bar.usesScrollButtons = True, False, True
        self.bar.elideMode = qt.Qt.ElideNone
        self.bar.drawBase = True
        for title in self._titles:
            self.bar.addTab(title)
        while ui.tabsFrame.layout().count():  # of a panel that got another logic
            ui.tabsFrame.layout().takeAt(0).widget().deleteLater()
        ui.tabsFrame.layout().addWidget(self.bar)
        self.bar.connect("currentChanged(int)", lambda _index: self._turn())
        ui.backButton.connect("clicked(bool)", lambda _checked: self._go(-1))
        ui.nextButton.connect("clicked(bool)", lambda _checked: self._go(1))
        self._turn()

    def select(self, number: int) -> None:
        self.bar.currentIndex = number

    def _go(self, way: int) -> None:
        number = self.bar.currentIndex + way
        self.select(number if self.bar.isTabEnabled(number) else number + way)

    def hint(self, text: str) -> None:
        """What to do next, until something was done."""
        self._hint = text
        self._say()

    def show(self, reasons: tuple[str, ...], hasResult: bool) -> None:
        """reasons: what is still missing in each of the first two steps, "" where nothing is."""
        self._reasons, none = reasons, _("No run that is open has a result yet.")
        for number, reason in enumerate((*reasons, "", "" if hasResult else none)):
            if number < TRAIN:
                self.bar.setTabText(number, self._titles[number] if reason else f"{self._titles[number]} ✓")
            self.bar.setTabToolTip(number, "\n".join(filter(None, (self._tips[number], reason))))
        if not hasResult and self.bar.currentIndex == RESULT:
            self.select(TRAIN)
        self.bar.setTabEnabled(RESULT, hasResult)
        self._say()

    def _say(self) -> None:
        """Below the page: the hint, or the first step in which something is missing."""
        current = self.bar.currentIndex
        missing = [number for number, reason in enumerate(self._reasons) if reason]
        text = self._hint
        if not text and current == TRAIN and missing:
            text = _("Step {number} is not done yet.").format(number=missing[0] + 1)
        self.ui.stepsLabel.text = text
        self.ui.backButton.enabled = current > SCANS
        self.ui.nextButton.enabled = current < RUNS

    def _turn(self) -> None:
        for number, (name, _title, _tip) in enumerate(_pages()):
            getattr(self.ui, name).setVisible(number == self.bar.currentIndex)
        self._say()
