"""The networks of SIFA, what runs them, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .devices import choose_device, choose_precision
    from .engine import prepare
    from .loading import load_segmenter, state_arrays
    from .segmenter import Segmenter

__all__ = ["Segmenter", "load_segmenter", "state_arrays", "choose_device", "choose_precision", "prepare"]

__getattr__ = face(
    __name__,
    {
        "devices": ("choose_device", "choose_precision"),
        "segmenter": ("Segmenter",),
        "loading": ("load_segmenter", "state_arrays"),
        "engine": ("prepare",),
    },
)
