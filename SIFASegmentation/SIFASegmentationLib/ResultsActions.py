"""What can be done with the volumes of a result: copy, save, a table in the scene; and which structures are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from SIFALib.support import messages
from slicer.i18n import tr as _

from . import Dialogs, Results, ResultsTable, Words


class ResultsActions:
    """Works on the node that the section Results shows."""

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self.node: slicer.vtkMRMLSegmentationNode | None = None
        ui.copyResultsButton.connect("clicked(bool)", self.onCopy)
        ui.saveResultsButton.connect("clicked(bool)", self.onSave)
        ui.tableButton.connect("clicked(bool)", self.onTable)
        ui.resultsTable.connect("itemChanged(QTableWidgetItem*)", self._onItem)
        Words.say(ui.resultsStatusLabel, "")

    def show(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Fill the boxes of that node's table, which has its rows already."""
        if node is not self.node:
            Words.say(self.ui.resultsStatusLabel, "")
        self.node = node
        rows = Results.rows(node)
        display = node.GetDisplayNode() if node is not None else None
        for number, row in enumerate(rows):
            item = self.ui.resultsTable.item(number, 0)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
            seen = display is None or display.GetSegmentVisibility(row.structureId)
            item.setCheckState(qt.Qt.Checked if seen else qt.Qt.Unchecked)
            item.setToolTip(_("Ticked: the structure is seen in the views."))
        for button in (self.ui.copyResultsButton, self.ui.saveResultsButton, self.ui.tableButton):
            button.enabled = bool(rows)

    def _onItem(self, item: qt.QTableWidgetItem) -> None:
        if item.column() != 0 or self.node is None or self.node.GetDisplayNode() is None:
            return
        row = Results.rows(self.node)[item.row()]
        self.node.GetDisplayNode().SetSegmentVisibility(row.structureId, item.checkState() == qt.Qt.Checked)

    def onCopy(self, _checked: bool = False) -> None:
        slicer.app.clipboard().setText(ResultsTable.text(Results.rows(self.node)))
        Words.say(self.ui.resultsStatusLabel, _("Copied; paste it into a spreadsheet."))

    def onSave(self, _checked: bool = False) -> None:
        place = Dialogs.chosenFile(_("Save the volumes"), _("Table (*.csv)"))
        if place:
            self.save(Path(place))

    def save(self, place: Path) -> None:
        """Write the volumes into a CSV file, and say how that went."""
        try:
            path = ResultsTable.save(Results.rows(self.node), place)
        except OSError as error:
            Words.say(self.ui.resultsStatusLabel, messages.sentence(error, {}), isError=True)
            return
        Words.say(self.ui.resultsStatusLabel, _("Saved as {path}.").format(path=path))

    def onTable(self, _checked: bool = False) -> None:
        assert self.node is not None  # else the button is not enabled
        table = ResultsTable.toScene(self.node, Results.rows(self.node))
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetActiveTableID(table.GetID())
        slicer.app.applicationLogic().PropagateTableSelection()
        said = _("{name} is in the scene, and is saved with it.").format(name=table.GetName())
        Words.say(self.ui.resultsStatusLabel, said)
