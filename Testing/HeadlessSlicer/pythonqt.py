"""PySide6 under the conventions of PythonQt, the Qt binding inside Slicer; stricter than PySide6 itself.

- A Q_PROPERTY is an attribute (`button.text`): calling it fails, as does writing a read-only or unknown one.
- `object.connect("clicked(bool)", function)` takes the exact C++ signature; a wrong one is refused.
- Every QObject has `name`, `className()` and `delete()`.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)
# PythonQt keeps the first two callable; the others are virtual: PySide6 looks for overrides of that name
_METHODS_ANYWAY = {"parent", "singleShot", "sizeHint", "minimumSizeHint"}
_VIRTUAL_GETTERS = {("QProgressBar", "text")}  # reading the property calls the method, which would look for itself
_read, _write = QtCore.QObject.property, QtCore.QObject.setProperty
_connect_statically = QtCore.QObject.connect
_connections: dict[tuple[int, str], list[tuple[Callable, Callable]]] = {}


class _Attribute:
    """A Q_PROPERTY as PythonQt shows it."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, instance, owner=None):
        return self if instance is None else _read(instance, self.name)

    def __set__(self, instance, value):
        meta = instance.metaObject()
        if not meta.property(meta.indexOfProperty(self.name)).isWritable():
            raise AttributeError(f"property '{self.name}' of {meta.className()} is read-only")
        if not _write(instance, self.name, value):
            raise TypeError(f"property '{self.name}' of {meta.className()} refuses {value!r}")


def _own_properties(cls: type) -> list[str]:
    meta = getattr(cls, "staticMetaObject", None)
    return [] if meta is None else [meta.property(n).name() for n in range(meta.propertyOffset(), meta.propertyCount())]


def show_properties_as_attributes(cls: type) -> None:
    for name in _own_properties(cls):
        if name in _METHODS_ANYWAY or (cls.__name__, name) in _VIRTUAL_GETTERS:
            continue
        if isinstance(inspect.getattr_static(cls, name, None), QtCore.Signal):
            continue
        setattr(cls, name, _Attribute(name))


def signatures(qobject: QtCore.QObject) -> dict[str, str]:
    """Every signal that may be connected: C++ signature -> name. Stand-ins name theirs in SIGNALS."""
    declared = getattr(type(qobject), "SIGNALS", {})
    meta = qobject.metaObject()
    found = {}
    for n in range(meta.methodCount()):
        method = meta.method(n)
        name = bytes(method.name()).decode()
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and name not in declared.values():
            found[bytes(method.methodSignature()).decode()] = name
    return {**found, **declared}


def _normal(signature: str) -> str:
    return bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()


def _positional(function: Callable) -> int | None:
    """How many arguments `function` takes; None if any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _connect(self, signal, function=None, *rest):
    if not isinstance(signal, str):
        return _connect_statically(signal, function, *rest)
    known = signatures(self)
    if _normal(signal) not in known:
        raise ValueError(f"{self.className()} has no signal '{signal}'; it has {sorted(known)}")
    arguments = signal[signal.index("(") + 1 : signal.rindex(")")]
    count = len(arguments.split(",")) if arguments.strip() else 0
    wanted = _positional(function)
    taken = count if wanted is None else min(count, wanted)

    # PySide6 counts a slot's own parameters to choose among a signal's overloads, so each arity needs its own
    slot = (lambda: function(), lambda a: function(*(a,)[:taken]), lambda a, b: function(*(a, b)[:taken]))[count]
    key = (shiboken6.getCppPointer(self)[0], _normal(signal))
    _connections.setdefault(key, []).append((function, slot))
    getattr(self, known[_normal(signal)]).connect(slot)
    return True


def _disconnect(self, signal, function=None):
    key = (shiboken6.getCppPointer(self)[0], _normal(signal))
    for pair in _connections.get(key, []):
        if function is None or pair[0] == function:
            getattr(self, signatures(self)[_normal(signal)]).disconnect(pair[1])
            _connections[key].remove(pair)
            return True
    return False


def bless(qobject: QtCore.QObject) -> QtCore.QObject:
    """Give one object PythonQt's connect and disconnect; PySide6 looks these up on the instance first."""
    if "connect" not in qobject.__dict__:
        qobject.__dict__["connect"] = types.MethodType(_connect, qobject)
        qobject.__dict__["disconnect"] = types.MethodType(_disconnect, qobject)
    return qobject


def _blessing(initialise):
    def __init__(self, *arguments, **keywords):
        initialise(self, *arguments, **keywords)
        bless(self)

    return __init__


def _refuse_unknown(self, name: str, value) -> None:
    member = inspect.getattr_static(type(self), name, None)
    if isinstance(member, QtCore.Property):
        if member.fset is None:
            raise AttributeError(f"property '{name}' of {self.className()} is read-only")
        member.fset(self, value)
    elif hasattr(type(member), "__set__"):
        member.__set__(self, value)
    elif name.startswith("_") or member is not None:
        self.__dict__[name] = value
    else:
        raise AttributeError(f"{self.className()} has no attribute '{name}'; PythonQt refuses to make one")


class _FirstOnly:
    """PythonQt's static file dialogs answer with a string, PySide6's with (string, filter)."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments, **keywords):
        answer = self.function(*arguments, **keywords)
        return answer[0] if isinstance(answer, tuple) else answer


def install() -> types.ModuleType:
    """Change PySide6's classes (once a process) and return the module `qt`."""
    members = {name: getattr(module, name) for module in QT_MODULES for name in dir(module) if name[0] != "_"}
    classes = {cls for cls in members.values() if isinstance(cls, type) and issubclass(cls, QtCore.QObject)}
    for cls in sorted(classes, key=lambda c: len(c.__mro__)):
        show_properties_as_attributes(cls)
        cls.__setattr__ = _refuse_unknown
        if "__init__" in cls.__dict__:
            cls.__init__ = _blessing(cls.__init__)
    QtCore.QObject.name = property(lambda self: self.objectName, lambda self, value: self.setObjectName(value))
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = lambda self: shiboken6.delete(self)
    for name in ("getOpenFileNames",):  # the others are answered by the test, see dialogs.py
        setattr(QtWidgets.QFileDialog, name, staticmethod(_FirstOnly(getattr(QtWidgets.QFileDialog, name))))
    qt = types.ModuleType("qt")
    vars(qt).update(members)
    return qt
