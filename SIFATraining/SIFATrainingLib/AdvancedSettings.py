"""The advanced settings: a table made from the library's configuration, with what each value may be."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import qt
from SIFALib.support.errors import RunError
from SIFALib.support.limits import Choice, Limit, limits
from SIFASegmentationLib import Tables
from slicer.i18n import tr as _

from . import Words
from .Parameters import SIFATrainingParameterNode

if TYPE_CHECKING:
    from SIFALib.runs import Configuration

ROWS = 9  # of the table, before it scrolls
ROW = 28  # pixels
WIDTHS = {1: 72, 2: 118}  # pixels, of the columns with value and range
ELSEWHERE = {  # chosen in the steps of the panel; the preprocessing is the start model's
    "name", "device", "start_model", "data.source", "data.target", "data.classes", "data.target_labels",
    "data.partial_labels", "cache",
    "data.preprocessing", "method.classes", "method.variant", "method.width", "compile", "tensorboard",
}  # fmt: skip
UNITS = (("_mm", "mm"), ("_deg", "degrees"), ("_every", "iterations"))
EXACT_UNITS = {"data.size": "pixels", "batch": "slices", "iterations": "iterations", "data.phantoms": "phantoms"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One value of the configuration: dotted key, type, what it may be (None: its field does not say)."""

    key: str
    kind: type
    limit: Limit | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        return self.limit.options if isinstance(self.limit, Choice) else ()

    @property
    def range(self) -> str:
        """ "1 to 4096 slices", "shared, faithful"; "" if nothing is known, or nothing is to be told."""
        if self.limit is None or isinstance(self.limit, Choice):
            return ", ".join(self.choices)
        unit = next((unit for end, unit in UNITS if self.key.endswith(end)), self.limit.unit)
        unit = EXACT_UNITS.get(self.key, unit)
        return self.limit.rule if unit in self.limit.rule else f"{self.limit.rule} {unit}"


def settings(record: Any, prefix: str = "") -> Iterator[Setting]:
    """Every number, truth value and choice in a configuration that the panel does not ask for elsewhere."""
    kinds, known = typing.get_type_hints(type(record)), limits(type(record))
    for field in dataclasses.fields(record):
        key, value = prefix + field.name, getattr(record, field.name)
        kind, limit = kinds[field.name], known.get(field.name)
        if key in ELSEWHERE:
            continue
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{key}.")
        elif kind in (int, float, bool) or isinstance(limit, Choice):
            yield Setting(key, kind, limit)


def valueOf(configuration: Any, key: str) -> Any:
    """The value of a dotted key."""
    for part in key.split("."):
        configuration = getattr(configuration, part)
    return configuration


class AdvancedSettings:
    """Shows the settings of a configuration and keeps what is changed as JSON in the parameter node."""

    def __init__(self, ui: Any, onChanged: Callable[[], None]) -> None:
        self.ui, self.onChanged = ui, onChanged
        self.parameters: SIFATrainingParameterNode | None = None
        self._editors: dict[str, Any] = {}
        self._configuration: Configuration | None = None
        self._filling = False
        table = ui.advancedTable
        Tables.prepare(table, [_("Setting"), _("Value"), _("Range")])
        table.verticalHeader().setDefaultSectionSize(ROW)
        table.setWordWrap(False)
        for column, width in WIDTHS.items():
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.Fixed)
            table.setColumnWidth(column, width)
        table.setFixedHeight(ROW * (ROWS + 1))
        Words.say(ui.advancedStatusLabel, "")
        ui.resetAdvancedButton.connect("clicked(bool)", self.onReset)

    def show(self, parameters: SIFATrainingParameterNode, configuration: Configuration | None) -> None:
        """The values of that configuration; the table is made once it is looked at."""
        self.parameters, self._configuration = parameters, configuration or self._configuration
        self.ui.resetAdvancedButton.enabled = parameters.advanced != "{}"
        if self.ui.advancedCollapsibleButton.collapsed or self._configuration is None:
            return
        if not self._editors:
            self._build(self._configuration)
        self._filling = True
        changed = json.loads(parameters.advanced)
        for key, editor in self._editors.items():
            _put(editor, valueOf(self._configuration, key))
            font = editor.font
            font.setBold(key in changed)
            editor.setFont(font)
        self._filling = False

    def _build(self, configuration: Configuration) -> None:
        from SIFALib.runs.help_texts import HELP_TEXTS

        table = self.ui.advancedTable
        found = list(settings(configuration))
        table.setRowCount(len(found))
        for row, setting in enumerate(found):
            name = setting.key.rpartition(".")[2].replace("_", " ")
            items = Tables.fillRow(table, row, (name, "", setting.range), setting.range)
            items[0].setToolTip("\n".join(filter(None, (setting.key, HELP_TEXTS.get(setting.key, "")))))
            for item in items:
                item.setFlags(qt.Qt.ItemIsEnabled)
            self._editors[setting.key] = self._editor(setting)
            table.setCellWidget(row, 1, self._editors[setting.key])

    def _editor(self, setting: Setting) -> qt.QWidget:
        if setting.kind is bool:
            editor = qt.QCheckBox()
            editor.connect("toggled(bool)", lambda value: self._onEdited(setting, value))
        elif setting.choices:
            editor = qt.QComboBox()
            for choice in setting.choices:
                editor.addItem(choice)
            editor.connect("currentIndexChanged(int)", lambda index: self._onEdited(setting, setting.choices[index]))
        else:
            editor = qt.QLineEdit()
            editor.setFrame(False)
            editor.connect("editingFinished()", lambda: self._onTyped(setting, editor.text))
        return editor

    def _onTyped(self, setting: Setting, text: str) -> None:
        try:
            value = setting.kind(text.strip().replace(",", "."))
        except ValueError:
            said = _("{name} is {value}; it must be {rule}.")
            rule = setting.range or _("a number")
            self._refuse(setting, said.format(name=setting.key, value=text or _("empty"), rule=rule))
            return
        self._onEdited(setting, value)

    def _onEdited(self, setting: Setting, value: Any) -> None:
        if self._filling or self.parameters is None or self._configuration is None:
            return
        if value == valueOf(self._configuration, setting.key):
            return
        from SIFALib.runs.configuration import changed

        try:
            changed(self._configuration, {setting.key: value})
        except RunError as error:
            self._refuse(setting, Words.forPanel(error))
            return
        Words.say(self.ui.advancedStatusLabel, "")
        self.parameters.advanced = json.dumps({**json.loads(self.parameters.advanced), setting.key: value})
        self.onChanged()

    def _refuse(self, setting: Setting, why: str) -> None:
        """Say why, and show the value that still holds."""
        Words.say(self.ui.advancedStatusLabel, why, isError=True)
        self._filling = True
        _put(self._editors[setting.key], valueOf(self._configuration, setting.key))
        self._filling = False

    def onReset(self, _checked: bool = False) -> None:
        """Back to the preset's values."""
        Words.say(self.ui.advancedStatusLabel, "")
        if self.parameters is not None:
            self.parameters.advanced = "{}"
        self.onChanged()


def _put(editor: qt.QWidget, value: Any) -> None:
    if isinstance(editor, qt.QCheckBox):
        editor.checked = value
    elif isinstance(editor, qt.QComboBox):
        editor.currentIndex = editor.findText(str(value))
    else:
        editor.text = f"{value:g}" if isinstance(value, float) else str(value)
