"""Dataclasses from JSON, strictly: unknown or missing keys, wrong types and impossible values are refused.

A record is a frozen dataclass whose fields are text, numbers, truth values, tuples, dictionaries of text to
something, records, or one of these or nothing (`int | None`). Its `__post_init__` states with `require` which
values can be; `decode` adds where in the file the value stands. Where a key had another name in files of earlier
versions, the class says so: `RENAMED: ClassVar = {"old": "new"}`; both are read, the new one is written.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from .errors import RecordError

MAX_TEXT = 4000  # characters in one text
MAX_ITEMS = 100  # in one list


def require(holds: bool, field: str, value: Any, rule: str) -> None:
    """Raise RecordError, "<field> is <value>; it <rule>.", unless `holds`."""
    if not holds:
        raise RecordError(f"{field} is {shown(value)}; it {rule}.")


def shown(value: Any, length: int = 60) -> str:
    """A value from a file in a message: short, and with nothing in it that could move a terminal's cursor.

    Letters of any language stay as they are; what `str.isprintable` does not take is escaped.
    """
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def parse(text: str | bytes, source: str) -> Any:
    """JSON with no key twice and finite numbers only; RecordError says what is wrong in `source`."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        text = text.removeprefix("\ufeff")  # with which Windows' editors begin
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError:
        raise RecordError(f"{source} is not valid UTF-8 text; it is damaged.") from None
    except RecursionError:
        raise RecordError(f"{source} is nested too deeply; it is damaged or hostile.") from None
    except RecordError as error:
        raise RecordError(f"{source}: {error}") from None
    except ValueError as error:
        raise RecordError(f"{source} is not valid JSON ({error}); it is damaged.") from None


def load(kind: Any, text: str | bytes, source: str) -> Any:
    """`parse`, then `decode_file`."""
    return decode_file(kind, parse(text, source), source)


def decode_file(kind: Any, value: Any, source: str) -> Any:
    """All that stands in a file as the type `kind`; RecordError names the file, then the key."""
    try:
        return decode(kind, value)
    except RecordError as error:
        raise RecordError(f"{source}: {error}") from None


def decode(kind: Any, value: Any, where: str = "") -> Any:
    """`value` from `parse` as the annotated type `kind`; RecordError names the key `where` it fails."""
    if dataclasses.is_dataclass(kind):
        return _decode_record(typing.cast(type, kind), value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(arguments, value, where)
    if origin is tuple and isinstance(value, list) and len(value) <= MAX_ITEMS:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(decode(k, v, f"{where}[{n}]") for n, (k, v) in enumerate(zip(kinds, value, strict=True)))
    elif origin is dict and isinstance(value, dict):
        return {_text(k, where): decode(arguments[1], v, f"{where}.{shown(k)}") for k, v in value.items()}
    elif kind is float and type(value) in (int, float) and abs(value) < 1e300:
        return float(value)
    elif kind in (int, bool) and type(value) is kind:
        return value
    elif kind is str and isinstance(value, str):
        return _text(value, where)
    raise RecordError(f"{where} is {shown(value)}; {_wanted(kind)} is needed.")


def _decode_optional(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """`value` as the one kind that is not None, or None."""
    (kind,) = [k for k in kinds if k is not type(None)]
    return None if value is None else decode(kind, value, where)


def _decode_record(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise RecordError(f"{where or 'The file'} is {shown(value)}; an object with named values is needed.")
    prefix = f"{where}." if where else ""
    for old, new in getattr(kind, "RENAMED", {}).items():
        if old in value:
            if new in value:
                raise RecordError(f"{prefix}{old} and {new} are the same key; it stands twice.")
            value = {new if key == old else key: item for key, item in value.items()}
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(value.keys() - fields.keys())
    if unknown:
        raise RecordError(f"{prefix}{ascii(unknown[0])[1:61].rstrip(chr(39))} is no key that this SIFA knows.")
    missing = [n for n, f in fields.items() if n not in value and _has_no_default(f)]
    if missing:
        raise RecordError(f"{prefix}{missing[0]} is missing.")
    hints = _hints(kind)
    decoded = {name: decode(hints[name], item, prefix + name) for name, item in value.items()}
    try:
        return kind(**decoded)
    except RecordError as error:
        raise RecordError(f"{prefix}{error}") from None


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _text(value: str, where: str) -> str:
    if len(value) > MAX_TEXT:
        raise RecordError(f"{where} has {len(value)} characters; {MAX_TEXT} are allowed.")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" for c in value):
        raise RecordError(f"{where} contains control characters; it must be plain text.")
    return value


def _wanted(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        length = "" if Ellipsis in typing.get_args(kind) else f" of {len(typing.get_args(kind))}"
        return f"a list{length or f' of at most {MAX_ITEMS}'}"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(kind, "an object with named values")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise RecordError(f"the key {shown(next(n for n in names if names.count(n) > 1))} stands twice.")
    return result


def _no_number(text: str) -> float:
    raise RecordError(f"{shown(text)} is no number that may stand here.")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
