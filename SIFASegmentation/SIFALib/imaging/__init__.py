"""One scan read, checked, written; its geometry goes with it everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .checks import check
    from .geometry import Geometry, Volume
    from .reading import read
    from .writing import write

__all__ = ["Geometry", "Volume", "check", "read", "write"]

__getattr__ = face(
    __name__, {"geometry": ("Geometry", "Volume"), "reading": ("read",), "writing": ("write",), "checks": ("check",)}
)
