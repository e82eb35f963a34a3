"""What a setting may be, as metadata of its field: read by the validator, the command line and the panels alike.

@dataclass(frozen=True)
class Settings:
    batch: Annotated[int, Range(1, 4096)] = 8
    precision: Annotated[str, Choice("auto", "float32", "bfloat16")] = "auto"

    def __post_init__(self) -> None:
        check_limits(self)

limits(Settings)["batch"].rule  # "1 to 4096"
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .schema import require


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; open_low, open_high: these ends excluded; even: only even ones; multiple: only
    multiples of that. unit: for people.
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False
    even: bool = False
    unit: str = ""
    multiple: int = 0

    def holds(self, value: Any) -> bool:
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        whole = not (self.even and value % 2) and not (self.multiple and value % self.multiple)
        return bool(above and below and whole)

    @property
    def rule(self) -> str:
        """ "1 to 4096", "above 0 and at most 1", "0 to below 1", "an even number from 2 to 32", "0.1 to 20 mm"."""
        unit = f" {self.unit}" if self.unit else ""
        if self.open_low:
            return f"above {self.low:g} and {'below' if self.open_high else 'at most'} {self.high:g}{unit}"
        to = "to below" if self.open_high else "to"
        low, high = (f"{v:.0f}" if float(v).is_integer() else f"{v:g}" for v in (self.low, self.high))
        kind = "an even number from " if self.even else f"a multiple of {self.multiple} from " if self.multiple else ""
        return f"{kind}{low} {to} {high}{unit}"


class Choice:
    """One of some texts."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def holds(self, value: Any) -> bool:
        return value in self.options

    @property
    def rule(self) -> str:
        """ "a or b", "a, b, c"."""
        return " or ".join(self.options) if len(self.options) == 2 else ", ".join(self.options)


Limit = Range | Choice


def limits(kind: type) -> Mapping[str, Limit]:
    """The limits of a dataclass's fields, by name; fields without one are left out."""
    return _limits(kind)


@cache  # a list of a hundred runs would take half a second otherwise
def _limits(kind: type) -> Mapping[str, Limit]:
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: m for name, all_ in found.items() for m in all_ if isinstance(m, (Range, Choice))}


def check_limits(record: Any) -> None:
    """RecordError, "<field> is <value>; it must be <rule>.", for the first field of a dataclass that breaks its limit.

    None, of a field that may be nothing (`Annotated[int | None, Range(1, 8)]`), breaks none.
    """
    for name, limit in limits(type(record)).items():
        value = getattr(record, name)
        require(value is None or limit.holds(value), name, value, f"must be {limit.rule}")
