"""Stand-ins for the CTK widgets that our panels use: their properties, signals and slots."""

from __future__ import annotations

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
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section that can be folded away; draws its title, hides its children."""

    SIGNALS: ClassVar = {"contentsCollapsed(bool)": "contentsCollapsed", "clicked(bool)": "clicked"}
    contentsCollapsed = Signal(bool)
    clicked = Signal(bool)
    text = qproperty(str, "")
    flat = qproperty(bool, False)
    checkable = qproperty(bool, True)
    collapsedHeight = qproperty(int, 10)
    contentsFrameShape = qproperty(int, 0)
    contentsFrameShadow = qproperty(int, 0)
    indicatorAlignment = qproperty(int, 1)
    BUTTON_HEIGHT = 24

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self.setContentsMargins(0, self.BUTTON_HEIGHT, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)

    def _set_collapsed(self, value: bool) -> None:
        if value == self._collapsed:
            return
        self._collapsed = value
        self._show_children()
        self.contentsCollapsed.emit(value)

    def _show_children(self) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not self._collapsed and not child.property("hiddenByModule"))
        self.setMaximumHeight(self.BUTTON_HEIGHT if self._collapsed else 16777215)
        self.updateGeometry()

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)
    checked = QtCore.Property(
        bool, lambda self: not self._collapsed, lambda self, value: self._set_collapsed(not value)
    )

    def click(self) -> None:
        self._set_collapsed(not self._collapsed)
        self.clicked.emit(not self._collapsed)

    def mousePressEvent(self, event) -> None:
        if event.position().y() <= self.BUTTON_HEIGHT:
            self.click()

    def showEvent(self, event) -> None:
        if self._collapsed:
            self._show_children()
        super().showEvent(event)

    def sizeHint(self):
        hint = super().sizeHint()
        return QtCore.QSize(hint.width(), self.BUTTON_HEIGHT) if self._collapsed else hint

    def minimumSizeHint(self):
        hint = super().minimumSizeHint()
        return QtCore.QSize(hint.width(), self.BUTTON_HEIGHT) if self._collapsed else hint

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self.BUTTON_HEIGHT)
        option.features = QtWidgets.QStyleOptionButton.ButtonFeature.Flat
        painter.fillRect(option.rect, self.palette.color(QtGui.QPalette.ColorRole.Button).darker(106))
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(7, 7, 10, 10)
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


@with_setters
class ctkPathLineEdit(QtWidgets.QWidget):
    """A path that can be typed or browsed for."""

    SIGNALS: ClassVar = {
        "currentPathChanged(QString)": "currentPathChanged",
        "validInputChanged(bool)": "validInputChanged",
    }
    Dirs, Files, Drives, Readable, Writable, Executable = 1, 2, 4, 16, 32, 64
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    label = qproperty(str, "")
    filters = qproperty(int, 0)
    nameFilters = qproperty("QStringList", [])
    settingKey = qproperty(str, "")
    showBrowseButton = qproperty(bool, True)
    showHistoryButton = qproperty(bool, True)
    sizeAdjustPolicy = qproperty(int, 0)
    minimumContentsLength = qproperty(int, 0)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QLineEdit(self)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        layout.addWidget(self._edit)
        layout.addWidget(self._browse)
        self._edit.textChanged.connect(self.currentPathChanged.emit)

    currentPath = QtCore.Property(str, lambda self: self._edit.text, lambda self, value: self._edit.setText(value))

    def addCurrentPathToHistory(self) -> None:
        pass


CLASSES = {cls.__name__: cls for cls in (ctkCollapsibleButton, ctkComboBox, ctkPathLineEdit)}
