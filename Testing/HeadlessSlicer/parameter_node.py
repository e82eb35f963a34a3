"""Stand-in for slicer.parameterNodeWrapper: the documented part that our panels use, strictly.

Types: bool, int, float, str, enum.Enum, pathlib.Path and MRML nodes, each optionally Annotated with a range
or a choice. Widgets bind by their dynamic property SlicerParameterName, and only in the documented pairs.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import slicer
import vtk
from PySide6 import QtWidgets

from . import widgets_ctk, widgets_mrml


@dataclass(frozen=True)
class WithinRange:
    minimum: float
    maximum: float

    def validate(self, value) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass(frozen=True)
class Choice:
    choices: tuple

    def validate(self, value) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, is {value!r}")


@dataclass(frozen=True)
class Default:
    value: object


def _is_node(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def _is_enum(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


class Parameter:
    """One typed member of a wrapper class, stored in the parameter node as text or node reference."""

    def __init__(self, name: str, annotation, owner: type):
        notes: tuple = ()
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *notes = typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            (annotation,) = [a for a in typing.get_args(annotation) if a is not type(None)]
        self.name, self.type = name, annotation
        if not (annotation in (bool, int, float, str, pathlib.Path) or _is_enum(annotation) or _is_node(annotation)):
            raise TypeError(f"Unable to create serializer for {owner} member {name}: {annotation}")
        self.checks = [note for note in notes if hasattr(note, "validate")]
        choice = next((note for note in notes if isinstance(note, Choice)), None)
        self.choices = list(annotation) if _is_enum(annotation) else (list(choice.choices) if choice else None)
        self.default = next((note.value for note in notes if isinstance(note, Default)), self._first())
        self.default = owner.__dict__.get(name, self.default)

    def _first(self):
        if _is_node(self.type):
            return None
        return self.choices[0] if self.choices else self.type()

    def read(self, node):
        if _is_node(self.type):
            return node.GetNodeReference(self.name)
        if not node.HasParameter(self.name):  # a scene's end has taken all
            self.write(node, self.default)
        text = node.GetParameter(self.name)
        if self.type is bool:
            return text == "True"
        return self.type[text] if _is_enum(self.type) else self.type(text)

    def write(self, node, value) -> None:
        allowed = (int, float) if self.type is float else self.type
        if not isinstance(value, allowed) and not (value is None and _is_node(self.type)):
            raise TypeError(f"{self.name}: expected {self.type.__name__}, got {type(value).__name__}")
        for check in self.checks:
            check.validate(value)
        if _is_node(self.type):
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))

    def label(self, choice) -> str:
        if _is_enum(self.type):
            return getattr(self.type, "label", lambda member: member.name)(choice)
        return str(choice)


@dataclass
class _Binding:
    signal: object
    read: Callable
    write: Callable
    slot: Callable | None = None


def _bind(parameter: Parameter, widget) -> _Binding:
    kind = type(widget)
    combos = (QtWidgets.QComboBox, widgets_ctk.ctkComboBox)
    if parameter.type is bool and kind is QtWidgets.QCheckBox:
        return _Binding(widget.toggled, lambda: widget.checked, lambda v: setattr(widget, "checked", v))
    if parameter.type is str and kind is QtWidgets.QLineEdit:
        return _Binding(widget.textChanged, lambda: widget.text, lambda v: setattr(widget, "text", v))
    if _is_node(parameter.type) and kind is widgets_mrml.qMRMLNodeComboBox:
        return _Binding(widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    if parameter.type is pathlib.Path and kind is widgets_ctk.ctkPathLineEdit:
        return _Binding(
            widget.currentPathChanged,
            lambda: pathlib.Path(widget.currentPath),
            lambda v: setattr(widget, "currentPath", str(v)),
        )
    if parameter.choices and kind in combos:
        widget.clear()
        for choice in parameter.choices:
            widget.addItem(parameter.label(choice))
        return _Binding(
            widget.currentIndexChanged,
            lambda: parameter.choices[widget.currentIndex],
            lambda v: setattr(widget, "currentIndex", parameter.choices.index(v)),
        )
    raise RuntimeError(f"Unable to create GUI connector from datatype '{parameter.type}' to widget type '{kind}'")


def _update(wrapper: _Wrapper | None) -> None:
    if wrapper is not None:
        wrapper._update_gui()


class _Wrapper:
    """What a class gets from @parameterNodeWrapper."""

    allParameters: typing.ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode):
        self.__dict__.update(parameterNode=parameterNode, _bindings={}, _updating=False)
        for parameter in self.allParameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)
        # Weakly: node, observer and wrapper would be a circle, which Python clears while the scene still has the node.
        me = weakref.ref(self)
        tag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _update(me()))
        weakref.finalize(self, parameterNode.RemoveObserver, tag).atexit = False

    def __getattr__(self, name):
        if name in type(self).allParameters:
            return self.allParameters[name].read(self.parameterNode)
        raise AttributeError(name)

    def __setattr__(self, name, value):
        if name not in self.allParameters:
            raise AttributeError(f"Cannot find a param with the given name: {name}")
        self.allParameters[name].write(self.parameterNode, value)

    def _update_gui(self) -> None:
        if self._updating:
            return
        self.__dict__["_updating"] = True
        try:
            for bindings in list(self._bindings.values()):
                for name, binding in bindings.items():
                    binding.write(getattr(self, name))
        finally:
            self.__dict__["_updating"] = False

    def connectGui(self, gui) -> None:
        """Without the tag that `disconnectGui` wants: not every version of Slicer gives it."""
        widgets = gui.findChildren(QtWidgets.QWidget) if hasattr(gui, "findChildren") else vars(gui).values()
        self.connectParametersToGui({n: w for w in widgets if (n := w.property("SlicerParameterName"))})

    def connectParametersToGui(self, mapping: dict[str, QtWidgets.QWidget]) -> int:
        tag = len(self._bindings) + 1
        self._bindings[tag] = {name: self._connect(name, widget) for name, widget in mapping.items()}
        return tag

    def _connect(self, name: str, widget) -> _Binding:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        binding = _bind(self.allParameters[name], widget)
        binding.write(getattr(self, name))

        def changed(*_values):
            if not self._updating:
                setattr(self, name, binding.read())

        binding.slot = changed
        binding.signal.connect(changed)
        return binding

    def disconnectGui(self, tag) -> None:
        for binding in self._bindings.pop(tag, {}).values():
            binding.signal.disconnect(binding.slot)
            binding.slot = None  # which holds the wrapper

    def AddObserver(self, event, callback, priority: float = 0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was_modifying) -> None:
        self.parameterNode.EndModify(was_modifying)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def parameterNodeWrapper(cls: type) -> type:
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: Parameter(name, hint, cls) for name, hint in hints.items()}
    members = {k: v for k, v in vars(cls).items() if k not in parameters and k not in ("__dict__", "__weakref__")}
    return type(cls.__name__, (_Wrapper,), {**members, "allParameters": parameters})
