"""Stand-ins for the CTK widgets that our panels use: their properties, signals and slots."""

from __future__ import annotations

import re
from typing import ClassVar

from PySide6 import QtCore, QtGui, QtWidgets

Signal = QtCore.Signal


def qproperty(kind, default, notify: str | None = None):
    """A Q_PROPERTY that keeps its value in Python and emits the signal `notify` when it changes."""
    key = f"_value_{id(object())}_{notify}"

    def read(self):
        return self.__dict__.get(key, default)

    def write(self, value):
        changed = read(self) != value
        self.__dict__[key] = value
        if changed and notify:
            getattr(self, notify).emit(value)

    key = f"_value_{id(read)}"
    return QtCore.Property(kind, read, write)


def with_setters(cls: type) -> type:
    """Add setX() for every Q_PROPERTY x, as the C++ classes have it."""
    for name, member in list(vars(cls).items()):
        setter = "set" + name[:1].upper() + name[1:]
        if isinstance(member, QtCore.Property) and setter not in vars(cls):
            setattr(cls, setter, lambda self, value, name=name: setattr(self, name, value))
    return cls


@with_setters
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section that can be folded away.

    It hides its children when it folds, and shows only those again that nobody has hidden by hand meanwhile: each child
    remembers in its property `visibilityToParent` what was asked of it, as CTK's children do.
    """

    SIGNALS: ClassVar = {"contentsCollapsed(bool)": "contentsCollapsed"}
    contentsCollapsed = Signal(bool)
    flat = qproperty(bool, False)
    collapsedHeight = qproperty(int, 10)
    contentsFrameShape = qproperty(int, 0)
    contentsFrameShadow = qproperty(int, 0)
    indicatorAlignment = qproperty(int, 1)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed, self._forcing, self._open_height = False, False, self.maximumHeight
        self.setCheckable(True)
        self.setChecked(True)  # checked and collapsed are always opposite
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.setContentsMargins(0, self._title_height(), 0, 0)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, lambda self, value: self.setChecked(not value))

    def _title_height(self) -> int:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        style, metric = QtWidgets.QApplication.style(), QtWidgets.QStyle.PixelMetric
        side = style.pixelMetric(metric.PM_IndicatorHeight, option, self)
        size = QtCore.QSize(side, max(side, self.fontMetrics().height()))
        return style.sizeFromContents(QtWidgets.QStyle.ContentsType.CT_PushButton, option, size, self).height()

    def _collapse(self, value: bool) -> None:
        if value == self._collapsed:
            return
        self._collapsed = value
        if value:
            self._open_height = self.maximumHeight
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._open_height)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._show_child(child)
        self.updateGeometry()
        self.contentsCollapsed.emit(value)

    def _show_child(self, child) -> None:
        wanted = child.property("visibilityToParent")
        self._forcing = True
        child.setVisible(not self._collapsed and wanted is not False)
        if wanted is not False:  # it was not shown or hidden by hand
            child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def childEvent(self, event) -> None:
        child = event.child()
        if isinstance(child, QtWidgets.QWidget):
            if event.added():
                child.installEventFilter(self)
            elif event.removed():
                child.removeEventFilter(self)
        super().childEvent(event)

    def eventFilter(self, child, event) -> bool:
        kinds = {QtCore.QEvent.Type.ShowToParent: True, QtCore.QEvent.Type.HideToParent: False}
        if event.type() in kinds and not self._forcing:
            child.setProperty("visibilityToParent", kinds[event.type()])
            if self._collapsed and kinds[event.type()]:
                self._show_child(child)  # it stays away until the section opens
        return False

    def hitButton(self, position) -> bool:
        return position.y() <= self._title_height()

    def _hint(self, hint):
        rest = self._title_height() + (self.collapsedHeight if self._collapsed else 0)
        height = rest if self._collapsed else max(hint.height(), rest)
        return QtCore.QSize(hint.width(), height)

    def sizeHint(self):
        return self._hint(self.layout().totalSizeHint() if self.layout() else QtCore.QSize(120, 0))

    def minimumSizeHint(self):
        return self._hint(self.layout().totalMinimumSize() if self.layout() else QtCore.QSize(0, 0))

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        height = self._title_height()
        option.rect = QtCore.QRect(0, 0, self.width, height)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(7, (height - 10) // 2, 10, 10)
        style = QtWidgets.QStyle.PrimitiveElement
        primitive = style.PE_IndicatorArrowRight if self._collapsed else style.PE_IndicatorArrowDown
        painter.drawPrimitive(primitive, arrow)
        painter.setPen(self.palette.color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(option.rect.adjusted(24, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.text)


@with_setters
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a default text while nothing is chosen; elides long texts."""

    defaultText = qproperty(str, "")
    forceDefault = qproperty(bool, False)
    elideMode = qproperty(int, 0)
    scrollWheelEffect = qproperty(int, 1)


def name_filters_pattern(filters) -> str:
    """What CTK makes of name filters: `*.x` alone counts, and a filter without any such pattern takes every text."""
    inside = [part for text in filters for part in re.findall(r"\(([^)]*)\)", text) or [text]]
    suffixes = [found for part in inside for word in part.split() for found in re.findall(r"\*\.(\w+)", word)]
    return "|".join(rf"(.*\.{suffix}?$)" for suffix in suffixes) or ".+"


@with_setters
class ctkPathLineEdit(QtWidgets.QWidget):
    """A path that can be typed, browsed for, or taken from the history.

    A text that its validator does not accept (an empty one, or one that no name filter fits) is not told to anybody;
    one that it accepts is, at every letter typed.
    """

    SIGNALS: ClassVar = {
        "currentPathChanged(QString)": "currentPathChanged",
        "validInputChanged(bool)": "validInputChanged",
    }
    Dirs, Files, Drives, NoSymLinks, Readable, Writable, Executable = 1, 2, 4, 8, 16, 32, 64
    AllEntries, NoDotAndDotDot = 7, 0x6000
    MOST_REMEMBERED = 5
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    label = qproperty(str, "")
    filters = qproperty(int, AllEntries | NoDotAndDotDot | Readable | Executable)
    showBrowseButton = qproperty(bool, True)
    showHistoryButton = qproperty(bool, True)
    sizeAdjustPolicy = qproperty(int, 0)
    minimumContentsLength = qproperty(int, 0)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._name_filters, self._key, self._valid = [], "", False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self._edit = QtWidgets.QLineEdit(self._combo)
        self._combo.setLineEdit(self._edit)
        self._edit.setCompleter(None)
        self._validator = QtGui.QRegularExpressionValidator(self)
        self._edit.setValidator(self._validator)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        self._browse.clicked.connect(self.browse)
        layout.addWidget(self._combo)
        layout.addWidget(self._browse)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._set_name_filters([])
        self._edit.textChanged.connect(self._told)

    def _set_name_filters(self, filters) -> None:
        self._name_filters = list(filters)
        self._validator.setRegularExpression(QtCore.QRegularExpression(name_filters_pattern(filters)))

    nameFilters = QtCore.Property("QStringList", lambda self: self._name_filters, _set_name_filters)

    def _set_key(self, key: str) -> None:
        self._key = key
        path = self.currentPath
        blocked = self.blockSignals(True)
        self._combo.clear()
        self._combo.addItems(self._history()[: self.MOST_REMEMBERED])
        if path:
            self.setCurrentPath(path)
            self.blockSignals(blocked)
        else:
            self.blockSignals(blocked)
            self._combo.setCurrentIndex(0)

    settingKey = QtCore.Property(str, lambda self: self._key, _set_key)

    def _settings_key(self) -> str:
        return f"ctkPathLineEdit/{self._key or self.objectName}"

    def _history(self) -> list[str]:
        found = QtCore.QSettings().value(self._settings_key(), [])
        return [found] if isinstance(found, str) else list(found or [])

    def addCurrentPathToHistory(self) -> None:
        path = self.currentPath
        if not path:
            return
        QtCore.QSettings().setValue(self._settings_key(), [path, *(p for p in self._history() if p != path)])
        known = self._combo.findText(path)
        if known >= 0:
            self._combo.removeItem(known)
        while self._combo.count >= self.MOST_REMEMBERED:
            self._combo.removeItem(self._combo.count - 1)
        self._combo.insertItem(0, path)
        self._combo.setCurrentIndex(0)

    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(path)

    currentPath = QtCore.Property(str, lambda self: self._edit.text, setCurrentPath)

    def comboBox(self):
        return self._combo

    def _told(self, text: str) -> None:
        before, self._valid = self._valid, self._edit.hasAcceptableInput()
        if self._valid:
            self.currentPathChanged.emit(text)
        if self._valid != before:
            self.validInputChanged.emit(self._valid)

    def browse(self, _checked: bool = False) -> None:
        ask = QtWidgets.QFileDialog
        if not self.filters & self.Files:
            path = ask.getExistingDirectory(self, "Select a directory...", self.currentPath)
        else:
            path = ask.getOpenFileName(self, "Open a file", self.currentPath, ";;".join(self._name_filters))
        if path:
            self.setCurrentPath(path)


CLASSES = {cls.__name__: cls for cls in (ctkCollapsibleButton, ctkComboBox, ctkPathLineEdit)}
