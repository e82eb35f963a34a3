"""How tables of the panels look."""

from __future__ import annotations

from collections.abc import Sequence

import qt

ROW = 26  # pixels, height of a row and of the header


def prepare(table, titles: Sequence[str]) -> None:
    """Columns with these titles: the first takes the room that the others leave."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def fitHeight(table, rows: int) -> None:
    """Make a table as high as its header and that many rows."""
    table.verticalHeader().setDefaultSectionSize(ROW)
    table.setFixedHeight(ROW * (rows + 1) + 2 * table.frameWidth)
