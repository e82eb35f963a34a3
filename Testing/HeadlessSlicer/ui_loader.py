"""A strict reader of .ui files: what Slicer would silently ignore or refuse at run time is an error here."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import widgets_ctk, widgets_mrml
from .pythonqt import bless

STAND_INS = {**widgets_ctk.CLASSES, **widgets_mrml.CLASSES}


class UiError(RuntimeError):
    """A .ui file names a class, property, signal or slot that does not exist."""


def widget_class(name: str) -> type:
    cls = STAND_INS.get(name) or getattr(QtWidgets, name, None)
    if cls is None:
        raise UiError(f"there is no widget class '{name}' with a Designer plugin on this stage")
    return cls


def _is_widget(member: object) -> bool:
    return isinstance(member, type) and issubclass(member, QtWidgets.QWidget)


def _properties(cls: type) -> set[str]:
    meta = cls.staticMetaObject
    return {meta.property(n).name() for n in range(meta.propertyCount())}


# Now, as PySide6 loses the meta object of a class with the first widget of it that Qt itself destroys.
_KNOWN = {cls: _properties(cls) for cls in [*vars(QtWidgets).values(), *STAND_INS.values()] if _is_widget(cls)}


def _check_properties(widget: ElementTree.Element) -> None:
    known = _KNOWN[widget_class(widget.get("class"))]
    for entry in widget.findall("property"):
        name = entry.get("name")
        if entry.get("stdset") != "0" and name not in known and name != "buttonGroup":
            raise UiError(f"{widget.get('class')} '{widget.get('name')}' has no property '{name}'")


def _check(root: ElementTree.Element) -> None:
    names: set[str] = set()
    custom = {entry.findtext("class"): entry for entry in root.iterfind("customwidgets/customwidget")}
    for widget in root.iter("widget"):
        cls, name = widget.get("class"), widget.get("name")
        _check_properties(widget)
        if name in names:
            raise UiError(f"two widgets are called '{name}'")
        names.add(name)
        if cls in STAND_INS and cls not in custom:
            raise UiError(f"'{cls}' is missing from <customwidgets>")
    for cls, entry in custom.items():
        if entry.findtext("header") != f"{cls}.h":
            raise UiError(f"'{cls}' in <customwidgets> needs the header {cls}.h")


class QUiLoader(QtUiTools.QUiLoader):
    """Drop-in for qt.QUiLoader: makes the stand-ins, blesses every widget, wires <connections> strictly."""

    def createWidget(self, class_name, parent=None, name=""):
        widget = bless(widget_class(class_name)(parent))
        widget.setObjectName(name)
        self._made[name] = widget
        return widget

    def load(self, device, parent=None):
        data = Path(device).read_bytes() if isinstance(device, (str, Path)) else device.readAll().data()
        root = ElementTree.fromstring(data)
        _check(root)
        self._made: dict[str, QtWidgets.QWidget] = {}
        connections = [c for section in root.findall("connections") for c in section]
        for section in root.findall("connections"):
            root.remove(section)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise UiError(self.errorString())
        for connection in connections:
            self._wire(connection)
        return widget

    def _wire(self, connection: ElementTree.Element) -> None:
        sender, signal, receiver, slot = (
            connection.findtext(tag) or "" for tag in ("sender", "signal", "receiver", "slot")
        )
        for name in (sender, receiver):
            if name not in self._made:
                raise UiError(f"a connection names the widget '{name}', which does not exist")
        function = getattr(self._made[receiver], slot.split("(")[0], None)
        if function is None:
            raise UiError(f"'{receiver}' has no slot {slot}")
        if signal.split("(")[1] != slot.split("(")[1]:
            raise UiError(f"{signal} of '{sender}' does not fit {slot} of '{receiver}'")
        self._made[sender].connect(signal, function)
