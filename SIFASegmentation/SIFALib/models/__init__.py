"""Model packages, without torch: the card, the weights' file, the zip archive, the store; what networks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .architectures import MAX_WIDTH, VARIANTS, Architecture
    from .card import NORMALISATIONS, PLANES, DiceCurve, ModelCard, OutOfDistribution, Preprocessing, Quality, Reference
    from .citations import CITATIONS
    from .store import BrokenPackage, ModelPackage, ModelStore, default_store, read_package, verify, write_package
    from .structures import PAPERS, STRUCTURES, Structure, structure_by_id, structures_of

__all__ = [
    "CITATIONS", "MAX_WIDTH", "NORMALISATIONS", "PAPERS", "PLANES", "STRUCTURES", "VARIANTS", "Architecture",
    "BrokenPackage", "DiceCurve", "ModelCard", "ModelPackage", "ModelStore", "OutOfDistribution", "Preprocessing",
    "Quality", "Reference", "Structure", "default_store", "read_package", "structure_by_id", "structures_of", "verify",
    "write_package",
]  # fmt: skip

__getattr__ = face(
    __name__,
    {
        "architectures": ("MAX_WIDTH", "VARIANTS", "Architecture"),
        "card": (
            "NORMALISATIONS", "PLANES", "DiceCurve", "ModelCard", "OutOfDistribution", "Preprocessing", "Quality",
            "Reference",
        ),
        "citations": ("CITATIONS",),
        "store": (
            "BrokenPackage", "ModelPackage", "ModelStore", "default_store", "read_package", "verify", "write_package",
        ),
        "structures": ("PAPERS", "STRUCTURES", "Structure", "structure_by_id", "structures_of"),
    },
)  # fmt: skip
