"""A scan to a segmentation: the heart is found, looked at in several planes, and drawn on the scan's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from ..support.errors import NoHeartFound
    from .segmentation import Options, Result, locate, segment, segment_steps

__all__ = ["NoHeartFound", "Options", "Result", "locate", "segment", "segment_steps"]

__getattr__ = face(
    __name__,
    {"segmentation": ("Options", "Result", "locate", "segment", "segment_steps"), "localisation": ("NoHeartFound",)},
)
