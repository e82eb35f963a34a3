"""The table of scans: a box to tick, a thumbnail, and what was found about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import qt
from SIFASegmentationLib import Tables
from SIFASegmentationLib.Words import Ink, ink
from slicer.i18n import tr as _

from . import Words
from .Checking import THUMBNAIL, Checked
from .HeartBoxes import Box, Corrected

if TYPE_CHECKING:
    from SIFALib.datasets.scans import Scan

ROWS = 6  # before it scrolls
ROW = THUMBNAIL + 6  # pixels
HEADER = 26  # pixels


@dataclass
class Row:
    """One scan. key: of its node in the scene, or its name; finding: None as long as nobody looked at it. corrected: where
    its heart is, if the person said so."""

    key: str
    name: str
    finding: Scan | None = None
    ticked: bool = True
    corrected: Corrected | None = None

    @property
    def box(self) -> Box:
        """Around the heart, as the person corrected it; () if not."""
        return self.corrected.box if self.corrected is not None else ()

    @property
    def foundBox(self) -> Box:
        """Where the start model sees the heart; () if nowhere, or nobody looked."""
        if self.corrected is not None:
            return self.corrected.found
        return self.finding.heart_mm if self.finding is not None else ()


class ScansTable:
    """Shows rows; `onTicked` is called after the person ticked or unticked one, onOpened(row) after a double click, onChosen
    after another row was chosen."""

    def __init__(
        self,
        table: qt.QTableWidget,
        onTicked: Callable[[], None],
        onOpened: Callable[[Row], None],
        onChosen: Callable[[], None],
    ) -> None:
        self.table, self.onTicked = table, onTicked
        table.connect("cellDoubleClicked(int,int)", lambda number, _column: onOpened(self._rows[number]))
        table.connect("itemSelectionChanged()", onChosen)
        self._rows: Sequence[Row] = ()
        self._shown: tuple[Any, ...] | None = None
        self._filling = False
        Tables.prepare(table, [_("Scan"), _("Kind"), _("Size (mm)"), _("Verdict")])
        table.verticalHeader().setDefaultSectionSize(ROW)
        table.horizontalHeader().setFixedHeight(HEADER)
        table.setWordWrap(False)
        table.setTextElideMode(qt.Qt.ElideMiddle)
        table.horizontalHeaderItem(2).setToolTip(_("Spacing of the voxels, and field of view"))
        table.setIconSize(qt.QSize(THUMBNAIL, THUMBNAIL))
        table.connect("itemChanged(QTableWidgetItem*)", self._onItem)

    @property
    def current(self) -> Row | None:
        """The row that is chosen."""
        number = self.table.currentRow()
        return self._rows[number] if 0 <= number < len(self._rows) else None

    def show(self, rows: Sequence[Row], checked: Checked | None) -> None:
        """Fill the table anew, if it shows anything else: not while one of its own boxes is being ticked."""
        self._rows = rows
        if _state(rows) == self._shown:
            return
        self._shown, self._filling = _state(rows), True
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row, checked.picture(row.finding) if checked and row.finding else None)
        self.table.setFixedHeight(HEADER + ROW * min(ROWS, len(rows)) + 2 * self.table.frameWidth)
        self.table.setVisible(bool(rows))
        self._filling = False

    def _fill(self, number: int, row: Row, picture: qt.QIcon | None) -> None:
        items = Tables.fillRow(self.table, number, (row.name, *_texts(row)), _toolTip(row))
        first = items[0]
        first.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable)
        first.setCheckState(qt.Qt.Checked if row.ticked else qt.Qt.Unchecked)
        if picture is not None:
            first.setIcon(picture)
        if row.finding is not None and row.finding.problems:
            items[-1].setForeground(qt.QBrush(qt.QColor(ink(Ink.BAD, self.table))))

    def _onItem(self, item: qt.QTableWidgetItem) -> None:
        if self._filling or item.column() != 0:
            return
        self._rows[item.row()].ticked = item.checkState() == qt.Qt.Checked
        self._shown = _state(self._rows)
        self.onTicked()


def _state(rows: Sequence[Row]) -> tuple[Any, ...]:
    return tuple((row.key, row.name, row.ticked, row.finding, row.corrected) for row in rows)


def _texts(row: Row) -> tuple[str, str, str]:
    """Kind; spacing above field of view; verdict."""
    f = row.finding
    if f is None:
        return ("", "", _("not looked at"))
    verdict = _("look at it") if f.warnings else _("fine")
    verdict = _("problem") if f.problems else _("corrected") if row.corrected is not None else verdict
    return (f.looks_like, "\n".join(map(Words.times, (f.spacing_mm, f.field_of_view_mm))), verdict)


def _toolTip(row: Row) -> str:
    if row.finding is None:
        return _("Press Check to look at this volume.")
    said = [*row.finding.problems, *(f"{w}." for w in row.finding.warnings)]
    if row.corrected is not None:
        said = [_("You have corrected the box; the training cuts there. Without that:"), *said] if said else []
    return "\n".join([str(row.finding.image), *said, _("A double click shows where the heart is seen.")])
