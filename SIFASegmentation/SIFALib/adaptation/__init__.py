"""The methods: SIFA's iteration and its two schedules, losses, the score that needs no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .iteration import parts, step
    from .method import Method
    from .state import AVERAGE_WARM_UP, State, averaged_segmenter, saved_image_pools, start, translate

__all__ = [
    "AVERAGE_WARM_UP",
    "Method",
    "State",
    "averaged_segmenter",
    "parts",
    "saved_image_pools",
    "start",
    "step",
    "translate",
]

__getattr__ = face(
    __name__,
    {
        "iteration": ("parts", "step"),
        "method": ("Method",),
        "state": ("AVERAGE_WARM_UP", "State", "averaged_segmenter", "saved_image_pools", "start", "translate"),
    },
)
