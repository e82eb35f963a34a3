"""A scan to a segmentation: the heart is found, cut into slices of several planes, and drawn on the scan's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from ..support.errors import NoHeartFound
    from .choice import serving
    from .options import Options
    from .report import Report
    from .segmentation import Result, locate, segment, segment_steps

__all__ = ["NoHeartFound", "Options", "Report", "Result", "locate", "segment", "segment_steps", "serving"]

__getattr__ = face(
    __name__,
    {
        "segmentation": ("Result", "locate", "segment", "segment_steps"),
        "choice": ("serving",),
        "options": ("Options",),
        "report": ("Report",),
        ".support.errors": ("NoHeartFound",),
    },
)
