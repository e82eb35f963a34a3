"""Model packages, without torch: the card, the weights' file, the zip archive, the store; what networks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .architectures import MAX_WIDTH, VARIANTS, Architecture
    from .card import NORMALISATIONS, PLANES, ModelCard, Preprocessing, Quality, Reference
    from .choice import Models, models_of
    from .store import ModelPackage, ModelStore, default_store, read_package, verify, write_package
    from .structures import PAPERS, STRUCTURES, structures_of

__all__ = [
    "MAX_WIDTH", "NORMALISATIONS", "PAPERS", "PLANES", "STRUCTURES", "VARIANTS", "Architecture", "ModelCard",
    "ModelPackage", "ModelStore", "Models", "Preprocessing", "Quality", "Reference", "default_store", "models_of",
    "read_package", "structures_of", "verify", "write_package",
]  # fmt: skip

__getattr__ = face(
    __name__,
    {
        "architectures": ("MAX_WIDTH", "VARIANTS", "Architecture"),
        "card": ("NORMALISATIONS", "PLANES", "ModelCard", "Preprocessing", "Quality", "Reference"),
        "choice": ("Models", "models_of"),
        "store": ("ModelPackage", "ModelStore", "default_store", "read_package", "verify", "write_package"),
        "structures": ("PAPERS", "STRUCTURES", "structures_of"),
    },
)  # fmt: skip
