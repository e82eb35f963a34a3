"""Step 2, what to learn from: the built-in phantom, or a folder of labelled images whose label values get a meaning."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from SIFALib.support.errors import ModelError
from SIFASegmentationLib import Tables
from SIFASegmentationLib import Words as Common
from SIFASegmentationLib.FolderEdit import FolderEdit
from slicer.i18n import tr as _

from . import Words
from .Checking import Check, Checked
from .Logic import SIFATrainingLogic
from .Parameters import SIFATrainingParameterNode, Source
from .Words import State

if TYPE_CHECKING:
    from SIFALib.datasets.scans import Scan
    from SIFALib.models.structures import Structure

ROWS = 6  # of the table of label values, before it scrolls
UNDECIDED = -1


class SourceStep:
    """`reason` says what keeps the source from being learned from ("": nothing)."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic, onChanged: Callable[[], None]) -> None:
        self.ui, self.logic, self.onChanged = ui, logic, onChanged
        self.parameters: SIFATrainingParameterNode | None = None
        self.checked: Checked | None = None
        self._of: tuple[Any, ...] = ()
        self._classes = 0  # of the start model
        self._boxes: dict[int, qt.QComboBox] = {}
        self._filling = False
        self.check = Check("source", self._onStep, self._onChecked)
        Tables.prepare(ui.labelsTable, [_("Value in the label maps"), _("Means")])
        ui.labelsTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self._edit = FolderEdit(ui.sourcePathEdit, "sourceFolder")
        ui.checkSourceButton.connect("clicked(bool)", self.onCheck)

    @property
    def busy(self) -> bool:
        return self.check.running

    def stop(self) -> None:
        self.check.cancel()
        self.check.forget()

    # What is shown

    def show(self, parameters: SIFATrainingParameterNode | None) -> None:
        """Bring the step up to date with the scene's choices; a folder that is new is looked at once."""
        self.parameters = parameters
        self._edit.show(parameters)
        if parameters is None:
            return
        own = parameters.source is Source.FOLDER
        for part in (
            self.ui.sourcePathLabel, self.ui.sourcePathEdit, self.ui.checkSourceButton, self.ui.partialLabelsBox,
        ):  # fmt: skip
            part.setVisible(own)
        self._classes = len(self._structures()) + 1
        choice = (
            parameters.source, parameters.sourceFolder if own else "", self._classes, own and parameters.partialLabels,
        )  # fmt: skip
        if choice != self._of:
            before, self._of = self._of, choice
            self.stop()
            self.checked, self._boxes = None, {}
            if before and before[1] != choice[1]:
                parameters.labelValues = "{}"
            if own and os.path.isdir(parameters.sourceFolder):
                self.onCheck()
        self._fill()
        self._say()

    def _values(self) -> list[int]:
        """The values in the label maps, without the background; none where the same one means different things in different
        files that say themselves what they mean: one table cannot."""
        told = self._told()
        return [] if any(len(meanings) > 1 for meanings in told.values()) else sorted(told.keys() - {0})

    def _told(self) -> dict[int, set[int]]:
        """Value in the label maps -> what the files say that it is: labels of structures, or itself."""
        told: dict[int, set[int]] = {}
        for finding in self.checked.findings if self.checked else ():
            meanings = finding.label_meanings or finding.label_values
            for value, meaning in zip(finding.label_values, meanings, strict=False):
                told.setdefault(value, set()).add(meaning)
        return told

    def _mapping(self) -> dict[str, int]:
        found: dict[str, int] = json.loads(self.parameters.labelValues) if self.parameters is not None else {}
        return found

    def _built_in(self) -> str:
        """The source that comes with the model, if that is chosen; else "phantom"."""
        assert self.parameters is not None
        if self.parameters.source is not Source.OF_MODEL:
            return "phantom"
        try:
            return self.logic.package(self.parameters.startModel).card.built_in_source
        except ModelError:  # the next step says that it is gone
            return "phantom"

    def _structures(self) -> tuple[Structure, ...]:
        """What the start model draws."""
        from SIFALib.models.structures import STRUCTURES

        try:
            return self.logic.package(self.parameters.startModel if self.parameters is not None else "").card.labels
        except ModelError:  # the next step says that it is gone
            return STRUCTURES

    def _meaning(self, value: int, mapping: dict[str, int]) -> int:
        """The class that a value is, UNDECIDED if that is open; a structure that the start model lacks is background."""
        from SIFALib.datasets import label_values

        label = value if mapping else next(iter(self._told().get(value, ())), value)
        found = label_values.table([label], mapping, self._classes)
        return UNDECIDED if found is None else found[label]

    def _fill(self) -> None:
        """The table of label values, each with what it means."""
        table, values = self.ui.labelsTable, self._values()
        shown = bool(values) and self.parameters is not None and self.parameters.source is Source.FOLDER
        table.setVisible(shown)
        if not shown or (list(self._boxes) == values and table.rowCount == len(values)):
            self._select()
            return
        table.setRowCount(len(values))
        self._boxes = {}
        for row, value in enumerate(values):
            item = qt.QTableWidgetItem(str(value))
            item.setFlags(qt.Qt.ItemIsEnabled)
            table.setItem(row, 0, item)
            box = qt.QComboBox()
            box.addItem(_("choose ..."), UNDECIDED)
            box.addItem(_("background"), 0)
            for structure in self._structures():
                box.addItem(Common.swatch(structure.color), structure.name, structure.value)
            box.addItem(_("not known: teaches nothing"), 255)
            box.connect("currentIndexChanged(int)", self._onMeaning)
            table.setCellWidget(row, 1, box)
            self._boxes[value] = box
        Tables.fitHeight(table, min(ROWS, len(values)))
        self._select()

    def _select(self) -> None:
        self._filling = True
        mapping = self._mapping()
        for value, box in self._boxes.items():
            box.currentIndex = max(0, box.findData(self._meaning(value, mapping)))
        self._filling = False

    def _say(self) -> None:
        label = self.ui.sourceStateLabel
        self.ui.sourceBar.setVisible(self.busy)
        self.ui.checkSourceButton.text = _("Cancel") if self.busy else _("Check")
        if self.busy:
            Words.show(label, State.CHECKING, _("Looking at the labelled images"))
            return
        reason = self.reason
        if not reason:
            Words.show(label, State.FINE, self._summary())
        else:
            Words.show(label, State.EMPTY if self.checked is None else State.PROBLEM, reason)

    def _summary(self) -> str:
        assert self.parameters is not None
        if self.parameters.source is not Source.FOLDER:
            if self._built_in() == "phantom+contours":
                return _(
                    "Phantoms with exact labels, and real hearts whose left ventricle experts outlined; nothing is needed."
                )
            return _("Made on this computer, with exact labels; nothing is needed.")
        assert self.checked is not None
        text = _("{count} labelled images.").format(count=len(self.checked.findings))
        return " ".join([text, *self.checked.warnings])

    # Whether it can be learned from

    @property
    def reason(self) -> str:
        """What keeps it from being learned from, with the file's name; "" if nothing does."""
        if self.parameters is None:
            return _("The scene is being closed.")
        if self.parameters.source is not Source.FOLDER:
            return ""
        if self.busy:
            return _("The labelled images are being looked at.")
        if not self.parameters.sourceFolder:
            return _("Choose the folder that holds the labelled images.")
        if not os.path.isdir(self.parameters.sourceFolder):
            return _("There is no folder {path}.").format(path=self.parameters.sourceFolder)
        if self.checked is None:
            return _("Press Check.")
        open_ = [value for value, box in self._boxes.items() if box.currentData == UNDECIDED]
        if open_ and self._values():
            return _("Say in the table what the label value {value} means.").format(value=open_[0])
        bad = [f for f in self.checked.findings if f.problems]
        if bad:
            more = _(" Others with problems: {count}.").format(count=len(bad) - 1) if len(bad) > 1 else ""
            return f"{bad[0].problems[0]}{more}"
        return self.checked.problems[0] if self.checked.problems else ""

    def findings(self) -> list[Scan]:
        if self.parameters is None or self.parameters.source is not Source.FOLDER or self.checked is None:
            return []
        return list(self.checked.findings)

    # What the person does

    def _onMeaning(self, _index: int) -> None:
        if self._filling or self.parameters is None:
            return
        meanings = {str(value): box.currentData for value, box in self._boxes.items()}
        chosen = {value: meaning for value, meaning in meanings.items() if meaning != UNDECIDED}
        self.parameters.labelValues = json.dumps(chosen)
        if len(chosen) == len(meanings):
            self.onCheck()
        self._say()
        self.onChanged()

    def onCheck(self, _checked: bool = False) -> None:
        assert self.parameters is not None
        if self.busy and self.checked is None:
            self.stop()
        else:
            try:
                folder, python = self.parameters.sourceFolder, self.logic.dependencies.python
                partial = self.parameters.partialLabels
                self.check.look(python, folder, self._mapping(), self._classes, partial=partial)
            except OSError as error:
                self._onChecked(Checked((), (Words.forPanel(error),)))
        self._say()
        self.onChanged()

    # What the background says

    def _onStep(self, count: int) -> None:
        text = _("Looking at the labelled images; {count} done").format(count=count)
        Words.show(self.ui.sourceStateLabel, State.CHECKING, text)

    def _onChecked(self, checked: Checked) -> None:
        self.checked = checked
        values = self._values()
        mapping = self._mapping()
        open_ = any(self._meaning(v, {}) == UNDECIDED for v in values)
        if self.parameters is not None and values and not mapping and open_:
            guessed = self._guess(values)
            self.parameters.labelValues = json.dumps(guessed)
            if len(guessed) == len(values):  # all have a meaning now: look again with it
                self.onCheck()
        self._fill()
        self._say()
        self.onChanged()

    def _guess(self, values: list[int]) -> dict[str, int]:
        """What values may mean: those of MM-WHS, or of the classes; the others are left open."""
        from SIFALib.datasets.settings import MMWHS

        if all(str(v) in MMWHS for v in values):
            return {str(v): MMWHS[str(v)] for v in values}
        meanings = {str(v): self._meaning(v, {}) for v in values}
        return {value: meaning for value, meaning in meanings.items() if meaning != UNDECIDED}
