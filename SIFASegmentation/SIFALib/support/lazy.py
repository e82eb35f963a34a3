"""The face of a room: names that are imported from its modules when somebody asks for them.

So `from SIFALib.models import ModelStore` needs no torch, and a room costs what is used of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def face(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562). homes: module of the package, or of a room beside it
    (".support.errors"), -> the names that it lends to the face.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def lend(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"{package} has no {name}")
        return getattr(importlib.import_module(f".{home_of[name]}", package), name)

    return lend
