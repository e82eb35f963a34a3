"""The methods: SIFA's iteration and its two schedules, losses, the score that needs no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .gradients import add, mean
    from .iteration import parts, step
    from .method import Method
    from .state import AVERAGE_WARM_UP, ORDER, State, averaged_segmenter, check, start, translate
    from .supervised import segmentation_loss, supervised_update, with_weight_decay

__all__ = [
    "AVERAGE_WARM_UP",
    "Method",
    "ORDER",
    "State",
    "add",
    "averaged_segmenter",
    "check",
    "mean",
    "parts",
    "segmentation_loss",
    "start",
    "step",
    "supervised_update",
    "translate",
    "with_weight_decay",
]

__getattr__ = face(
    __name__,
    {
        "gradients": ("add", "mean"),
        "iteration": ("parts", "step"),
        "state": ("AVERAGE_WARM_UP", "ORDER", "State", "averaged_segmenter", "check", "start", "translate"),
        "supervised": ("segmentation_loss", "supervised_update", "with_weight_decay"),
        "method": ("Method",),
    },
)
