"""Phantoms as training data: whole scans that are cut like patients', and random slices of any contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import phantom
from ..phantom.slices.anatomies import SLICES_VERSION, anatomy_of, random_slice
from ..phantom.tissues import known_to
from .cutting import border_size, cut
from .domains import Slices, of_one_scan
from .settings import CONTOURED, TARGET_PHANTOMS, DataSettings

RANDOM_SLICES = 192  # of each anatomy
RANDOM_SPACING_MM = 2.0  # voxel size of their tissue maps, as for the bundled model


def kind_of(place: str) -> str:
    """Which phantoms a key of settings.PHANTOMS means."""
    return "phantom" if place == CONTOURED else place


def seeds(settings: DataSettings, domain: str) -> list[int]:
    """The phantoms of a domain; source and target are different persons."""
    first = settings.phantom_seed + (TARGET_PHANTOMS if domain == "target" else 0)
    return list(range(first, first + settings.phantoms))


def key(kind: str, seed: int, settings: DataSettings) -> dict[str, object]:
    """What a phantom's slices depend on, besides the settings of all slices."""
    known: dict[str, object] = {"phantom": kind, "seed": seed, "version": phantom.VERSION}
    if kind == "phantom":
        return known | {"spacing": RANDOM_SPACING_MM, "count": RANDOM_SLICES, "slices": SLICES_VERSION}
    return known | {"spacing": settings.phantom_spacing_mm}


def name_of(kind: str, seed: int) -> str:
    return f"{kind.replace(':', '-')}-{seed}"


def slices_of(kind: str, seed: int, settings: DataSettings, domain: str) -> Slices:
    """The slices of one phantom, with labels; `kind` as `kind_of` gives it."""
    if kind == "phantom":
        return _random(seed, border_size(settings.size), settings.classes)
    made = phantom.make(seed, "mr" if kind == "phantom:mr" else "ct", settings.phantom_spacing_mm)
    labels = replace(made.labels, array=known_to(made.labels.array, settings.classes))
    return replace(cut(made.image, labels, settings, domain), names=(name_of(kind, seed),))


def _random(seed: int, side: int, classes: int) -> Slices:
    """Random slices of one anatomy; nearly a third of them is coarse, but none is marked so."""
    tissues, _ = phantom.anatomy(seed, RANDOM_SPACING_MM)
    anatomies = [anatomy_of(tissues)]
    images, labels = zip(*(random_slice(anatomies, side, seed, n) for n in range(RANDOM_SLICES)), strict=True)
    return of_one_scan(name_of("phantom", seed), np.stack(images), known_to(np.stack(labels), classes))
