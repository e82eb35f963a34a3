"""Images and label maps on disk to the batches that training takes.

    settings = DataSettings(source="mr/", target="ct/")
    for progress in (steps := prepare(settings, "cache")): ...     # its return value is Domains
    for images, seconds_waited in batches(domains, settings, Order(seed=0, first=0, last=1000, size=8)): ...

Only the settings are imported with the package; the rest, and torch with it, when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.errors import DataError
from ..support.lazy import face
from .places import HeartBox
from .settings import NO_AUGMENTATION, PHANTOMS, Augmentation, DataSettings

if TYPE_CHECKING:
    from .batching import Batch, batch, drawn, view
    from .cutting import Locator, Place
    from .domains import Domains, Slices, differences
    from .prefetch import Order, batches
    from .preparation import prepare, prepare_source, prepared

__all__ = [
    "NO_AUGMENTATION", "PHANTOMS", "Augmentation", "Batch", "DataError", "DataSettings", "Domains", "HeartBox", "Locator",
    "Order", "Place", "Slices", "batch", "batches", "differences", "drawn", "prepare", "prepare_source", "prepared",
    "view",
]  # fmt: skip

__getattr__ = face(
    __name__,
    {
        "batching": ("Batch", "batch", "drawn", "view"),
        "cutting": ("Locator", "Place"),
        "domains": ("Domains", "Slices", "differences"),
        "prefetch": ("Order", "batches"),
        "preparation": ("prepare", "prepare_source", "prepared"),
    },
)
