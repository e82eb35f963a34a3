"""Studies of the DICOM database to tick for a batch; ticking a patient's first one is not ticking the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from . import DicomStudies, Failures, Tables
from .DicomStudies import Study
from .Runner import Runner

ROWS = 6  # before it scrolls


class StudiesTable:
    """onTicked is called after the person ticked or unticked one, or looked again."""

    def __init__(self, ui: Any, onTicked: Callable[[], None]) -> None:
        self.ui, self.table, self.onTicked = ui, ui.studiesTable, onTicked
        self.studies: list[Study] = []
        self._filling, self._looked = False, False
        self.runner = Runner(lambda _step: None, self._onFound, self._onError)
        self._ticked: set[str] = set()
        Tables.prepare(self.table, [_("Patient"), _("Study"), _("Series")])
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, qt.QHeaderView.Stretch)
        self.table.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        ui.studiesButton.connect("clicked(bool)", self.onLook)
        ui.allStudiesButton.connect("clicked(bool)", self.onAll)

    def show(self, visible: bool) -> None:
        """Show the table, with what the database holds once it is shown first, or nothing of it."""
        if visible and not self._looked:
            self._look()
        self.ui.studiesFrame.setVisible(visible)

    @property
    def chosen(self) -> list[Study]:
        return [study for study in self.studies if study.uid in self._ticked]

    def stop(self) -> None:
        """Look again when it is shown next."""
        if self.runner.running:
            self.runner.cancel()
            self._looked = False

    def onLook(self, _checked: bool = False) -> None:
        """What was imported meanwhile is there; what is ticked stays ticked."""
        self._look()
        self.onTicked()

    def onAll(self, _checked: bool = False) -> None:
        everything = {study.uid for study in self.studies}
        self._ticked = set() if self._ticked >= everything else everything
        self._fill()
        self.onTicked()

    def _look(self) -> None:
        self._looked = True
        self.runner.start(DicomStudies.studySteps())

    def _onFound(self, studies: list[Study]) -> None:
        self.studies = studies
        self._ticked &= {study.uid for study in studies}
        self._fill()
        self.onTicked()

    def _onError(self, error: Exception) -> None:
        """The database cannot be read: there is nothing to tick, and the log says why."""
        Failures.sentence(error)
        self._onFound([])

    def _fill(self) -> None:
        self._filling = True
        self.table.setRowCount(len(self.studies))
        for row, study in enumerate(self.studies):
            named = " · ".join(filter(None, (study.day, study.name)))
            tip = "\n".join([study.patientId, *(series.name for series in study.series)])
            first = Tables.fillRow(self.table, row, (study.patient, named, str(len(study.series))), tip, numbersFrom=2)[
                0
            ]
            first.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable)
            first.setCheckState(qt.Qt.Checked if study.uid in self._ticked else qt.Qt.Unchecked)
        Tables.fitHeight(self.table, min(ROWS, max(1, len(self.studies))))
        self.ui.allStudiesButton.enabled = bool(self.studies)
        self._filling = False

    def _onItem(self, item: qt.QTableWidgetItem) -> None:
        if self._filling or item.column() != 0:
            return
        uid = self.studies[item.row()].uid
        if item.checkState() == qt.Qt.Checked:
            self._ticked.add(uid)
        else:
            self._ticked.discard(uid)
        self.onTicked()
