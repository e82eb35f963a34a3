"""A digital thorax made of implicit surfaces: random anatomy, exact labels, CT and MR appearance.

Adults and children, healthy and ill (`conditions`), in many poses and moments of the heart's cycle, with what doctors
left in and on them. The same seed gives the same phantom; `conditions.draw_person` tells who that is without making it.
Only numpy and SimpleITK are needed, so that it runs inside a bare 3D Slicer.

    from SIFALib import phantom
    case = phantom.make(seed=1, modality="ct", spacing_mm=1.5)
    case.image, case.labels  # Volumes on the same grid
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..imaging import Volume
from . import tissues
from .anatomy import anatomy
from .appearance_ct import appearance_ct
from .appearance_mr import appearance_mr

__all__ = ["VERSION", "Modality", "Phantom", "anatomy", "appearance", "make", "tissues"]

VERSION = 3  # raised when the phantom of a seed looks different, so that what was kept of it is made anew

Modality = Literal["ct", "mr"]


@dataclass(frozen=True, eq=False)
class Phantom:
    """One made-up scan.

    image: int16, HU (CT) or arbitrary units from 0 (MR). labels: uint8, 0 background, 1 MYO, 2 LA, 3 LV,
    4 AA, 5 RV, 6 RA, 7 PA. tissues: uint8, `tissues.Tissue`. description: that of `anatomy` (person, sizes,
    `volumes_ml`) and the scan's settings, ready for JSON.
    """

    image: Volume
    labels: Volume
    tissues: Volume
    description: dict[str, object]


def _paint(tissue_map: Volume, seed: int, modality: str) -> tuple[Volume, dict[str, object]]:
    if modality == "ct":
        return appearance_ct(tissue_map, int(seed))
    if modality == "mr":
        return appearance_mr(tissue_map, int(seed))
    raise ValueError(f"The phantom's modality must be 'ct' or 'mr'; '{modality}' was asked for.")


def appearance(tissues: Volume, seed: int, modality: Modality = "ct") -> Volume:
    """Image (int16, HU or arbitrary units from 0) of a tissue map; another seed gives another scan of the same anatomy.

    Raises ValueError for an unknown modality.
    """
    return _paint(tissues, seed, modality)[0]


def make(seed: int, modality: Modality = "ct", spacing_mm: float = 1.5, systole: float | None = None) -> Phantom:
    """The phantom with this seed, at a moment of the heart's cycle (0 end-diastole, 1 end-systole; None: its own).

    ValueError for an unknown modality, a spacing outside 0.5 to 10 mm or a moment outside of the cycle.
    """
    if modality not in ("ct", "mr"):
        raise ValueError(f"The phantom's modality must be 'ct' or 'mr'; '{modality}' was asked for.")
    tissue_map, description = anatomy(seed, spacing_mm, systole)
    image, settings = _paint(tissue_map, seed, modality)
    labels = Volume(tissues.LABEL_OF_TISSUE[tissue_map.array], tissue_map.geometry, f"{tissue_map.name} labels")
    return Phantom(image, labels, tissue_map, {**description, **settings})
