"""Model packages, without torch: the card, the weights' file, the zip archive, the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .card import ModelCard
    from .store import ModelPackage, ModelStore, default_store, read_package, verify, write_package

__all__ = ["ModelCard", "ModelPackage", "ModelStore", "default_store", "read_package", "verify", "write_package"]

__getattr__ = face(
    __name__,
    {
        "card": ("ModelCard",),
        "store": ("ModelPackage", "ModelStore", "default_store", "read_package", "verify", "write_package"),
    },
)
