"""The networks of SIFA, what runs them, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .engine import prepare
    from .loading import load_segmenter
    from .segmenter import Segmenter

__all__ = ["Segmenter", "load_segmenter", "prepare"]

__getattr__ = face(
    __name__,
    {
        "segmenter": ("Segmenter",),
        "loading": ("load_segmenter",),
        "engine": ("prepare",),
    },
)
