"""The advanced settings: a table made from the library's configuration, with what each value may be."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import qt
from SIFASegmentationLib import Tables
from slicer.i18n import tr as _

from . import Words
from .Parameters import SIFATrainingParameterNode

if TYPE_CHECKING:
    from SIFALib.runs import Configuration

ROWS = 9  # of the table, before it scrolls
ROW = 28  # pixels
WIDTHS = {1: 72, 2: 118}  # pixels, of the columns with value and range
ELSEWHERE = {  # chosen in the steps of the panel
    "name", "device", "start_model", "data.source", "data.target", "data.classes", "data.target_labels", "cache",
    "method.classes", "method.variant", "method.width", "compile", "tensorboard",
}  # fmt: skip
UNITS = (("_mm", "mm"), ("_deg", "degrees"), ("_every", "iterations"), ("_share", "0 to 1"))
EXACT_UNITS = {"data.size": "pixels", "batch": "slices", "iterations": "iterations", "data.phantoms": "phantoms"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One value of the configuration: dotted key, type, the rule for it, what it may be if that is a choice, help."""

    key: str
    kind: type
    rule: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def unit(self) -> str:
        if self.key in EXACT_UNITS:
            return EXACT_UNITS[self.key]
        return next((unit for end, unit in UNITS if self.key.endswith(end) and unit not in self.rule), "")


def settings(configuration: Configuration) -> Iterator[Setting]:
    """Every number, truth value and choice in there that the panel does not ask for elsewhere."""
    yield from _settings(configuration, configuration, "")


def _settings(root: Configuration, place: Any, prefix: str) -> Iterator[Setting]:
    from SIFALib.runs.help_texts import HELP_TEXTS

    hints = typing.get_type_hints(type(place))
    for field in dataclasses.fields(place):
        key, value = prefix + field.name, getattr(place, field.name)
        if key in ELSEWHERE or key == "data.preprocessing":  # the latter is the start model's
            continue
        if dataclasses.is_dataclass(value):
            yield from _settings(root, value, f"{key}.")
        elif hints[field.name] in (int, float, bool):
            rule = "" if hints[field.name] is bool else _rule(root, key, hints[field.name])
            yield Setting(key, hints[field.name], rule, help=HELP_TEXTS.get(key, ""))
        elif hints[field.name] is str:
            choices = _choices(root, key)
            if choices:
                yield Setting(key, str, "", choices, HELP_TEXTS.get(key, ""))


def _refusal(configuration: Configuration, key: str, value: Any) -> str:
    """What the configuration answers to a value that cannot be, after "must be"; "" if it takes it."""
    from SIFALib.runs.configuration import changed
    from SIFALib.support.errors import RunError

    try:
        changed(configuration, {key: value})
    except RunError as error:
        found = re.search(r"must (?:be )?(.*?)\.?$", str(error))
        return found[1] if found else str(error)
    return ""


def _rule(configuration: Configuration, key: str, kind: type) -> str:
    return _refusal(configuration, key, kind(-(10**9)))


def _choices(configuration: Configuration, key: str) -> tuple[str, ...]:
    words = re.split(r", | or ", _refusal(configuration, key, "no such choice"))
    return tuple(w for w in words if re.fullmatch(r"[a-z0-9_]+", w)) if len(words) > 1 else ()


class AdvancedSettings:
    """Shows the settings of a configuration and keeps what is changed as JSON in the parameter node."""

    def __init__(self, ui, onChanged: Callable[[], None]) -> None:
        self.ui, self.onChanged = ui, onChanged
        self.parameters: SIFATrainingParameterNode | None = None
        self._editors: dict[str, Any] = {}
        self._settings: dict[str, Setting] = {}
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
            _put(editor, _value(self._configuration, key))
            font = editor.font
            font.setBold(key in changed)
            editor.setFont(font)
        self._filling = False

    def _build(self, configuration: Configuration) -> None:
        table = self.ui.advancedTable
        found = list(settings(configuration))
        table.setRowCount(len(found))
        for row, setting in enumerate(found):
            self._settings[setting.key] = setting
            name = setting.key.rpartition(".")[2].replace("_", " ")
            toolTip = "\n".join(filter(None, (setting.key, setting.help)))
            for column, text in ((0, name), (2, _range(setting))):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                item.setToolTip(toolTip if column == 0 else text)
                table.setItem(row, column, item)
            editor = self._editor(setting)
            table.setCellWidget(row, 1, editor)
            self._editors[setting.key] = editor

    def _editor(self, setting: Setting):
        if setting.kind is bool:
            editor = qt.QCheckBox()
            editor.connect("toggled(bool)", lambda value, s=setting: self._onEdited(s, value))
        elif setting.choices:
            editor = qt.QComboBox()
            for choice in setting.choices:
                editor.addItem(choice)
            editor.connect("currentIndexChanged(int)", lambda index, s=setting: self._onEdited(s, s.choices[index]))
        else:
            editor = qt.QLineEdit()
            editor.setFrame(False)
            editor.connect("editingFinished()", lambda s=setting, e=editor: self._onTyped(s, e.text))
        return editor

    def _onTyped(self, setting: Setting, text: str) -> None:
        try:
            value = setting.kind(text.strip().replace(",", "."))
        except ValueError:
            self._refuse(setting, text)
            return
        self._onEdited(setting, value)

    def _onEdited(self, setting: Setting, value: Any) -> None:
        if self._filling or self.parameters is None or self._configuration is None:
            return
        if value == _value(self._configuration, setting.key):
            return
        if _refusal(self._configuration, setting.key, value):
            self._refuse(setting, str(value))
            return
        Words.say(self.ui.advancedStatusLabel, "")
        self.parameters.advanced = json.dumps({**json.loads(self.parameters.advanced), setting.key: value})
        self.onChanged()

    def _refuse(self, setting: Setting, text: str) -> None:
        said = _("{name} cannot be {value}; it must be {rule}.").format(
            name=setting.key, value=text, rule=setting.rule or _("another value")
        )
        Words.say(self.ui.advancedStatusLabel, said, isError=True)
        self._filling = True
        _put(self._editors[setting.key], _value(self._configuration, setting.key))
        self._filling = False

    def onReset(self, _checked: bool = False) -> None:
        """Back to the preset's values."""
        Words.say(self.ui.advancedStatusLabel, "")
        if self.parameters is not None:
            self.parameters.advanced = "{}"
        self.onChanged()


def _range(setting: Setting) -> str:
    """ "1 to 4096 slices"."""
    text = ", ".join(setting.choices) or setting.rule
    return f"{text} {setting.unit}".strip() if setting.unit != "0 to 1" else text


def _value(configuration: Any, key: str) -> Any:
    for part in key.split("."):
        configuration = getattr(configuration, part)
    return configuration


def _put(editor, value: Any) -> None:
    if isinstance(editor, qt.QCheckBox):
        editor.checked = value
    elif isinstance(editor, qt.QComboBox):
        editor.currentIndex = editor.findText(str(value))
    else:
        editor.text = f"{value:g}" if isinstance(value, float) else str(value)
