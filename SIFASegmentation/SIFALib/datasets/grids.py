"""Whether two images lie on one grid, and what tells their grids apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..imaging.geometry import Geometry

SAME_PLACE = 0.1  # of the smallest spacing: how far corners of image and label map may lie apart


def mismatch(image: Geometry, labels: Geometry) -> tuple[str, str] | None:
    """What tells the grids of an image and its label map apart, (image's, labels'); None if they are the same."""
    if image.size != labels.size:
        return f"{_times(image.size)} voxels", f"{_times(labels.size)} voxels"
    apart = np.abs(image.corners() - labels.corners()).max()
    if apart <= SAME_PLACE * min(image.spacing):
        return None
    for what, name, form in (("spacing", "spacing", "mm"), ("origin", "origin", "mm (LPS)")):
        ours, theirs = getattr(image, what), getattr(labels, what)
        if not np.allclose(ours, theirs, rtol=1e-3, atol=SAME_PLACE * min(image.spacing)):
            return f"{name} {_numbers(ours)} {form}", f"{name} {_numbers(theirs)} {form}"
    return f"direction {_numbers(image.direction)}", f"direction {_numbers(labels.direction)}"


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
