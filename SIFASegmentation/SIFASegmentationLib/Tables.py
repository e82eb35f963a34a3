"""How tables of the panels look."""

from __future__ import annotations

from collections.abc import Sequence

import qt

ROW = 26  # pixels, height of a row and of the header


def prepare(table: qt.QTableWidget, titles: Sequence[str]) -> None:
    """Columns with these titles: the first takes the room that the others leave."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def fitHeight(table: qt.QTableWidget, rows: int) -> None:
    """Make a table as high as its header and that many rows."""
    table.verticalHeader().setDefaultSectionSize(ROW)
    table.setFixedHeight(ROW * (rows + 1) + 2 * table.frameWidth)


def fillRow(
    table: qt.QTableWidget, row: int, texts: Sequence[str], toolTip: str = "", numbersFrom: int | None = None
) -> list[qt.QTableWidgetItem]:
    """Put texts into a row, of which those from the column `numbersFrom` on are numbers; returns the new items."""
    items = [qt.QTableWidgetItem(text) for text in texts]
    for column, item in enumerate(items):
        item.setToolTip(toolTip)
        if numbersFrom is not None and column >= numbersFrom:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        table.setItem(row, column, item)
    return items
