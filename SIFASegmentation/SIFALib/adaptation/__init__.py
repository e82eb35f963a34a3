"""The methods: SIFA's iteration and its two schedules, losses, the score that needs no labels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .method import Method

if TYPE_CHECKING:
    from .gradients import add, mean
    from .iteration import parts, step
    from .state import AVERAGE_WARM_UP, ORDER, State, averaged_segmenter, check, start, translate
    from .supervised import segmentation_loss, supervised_update, with_weight_decay

__all__ = [
    "AVERAGE_WARM_UP", "ORDER", "Method", "State", "add", "averaged_segmenter", "check", "mean", "parts",
    "segmentation_loss", "start", "step", "supervised_update", "translate", "with_weight_decay",
]  # fmt: skip

_HOMES = {
    "gradients": ("add", "mean"),
    "iteration": ("parts", "step"),
    "state": ("AVERAGE_WARM_UP", "ORDER", "State", "averaged_segmenter", "check", "start", "translate"),
    "supervised": ("segmentation_loss", "supervised_update", "with_weight_decay"),
}


def __getattr__(name: str) -> Any:
    """What needs torch, when it is asked for."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"{__name__} has no {name}")
