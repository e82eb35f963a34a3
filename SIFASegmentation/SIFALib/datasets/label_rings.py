"""Whether a label map's values can be what they are taken for: the left ventricle's muscle lies around its blood.

Data sets number the same three things differently (1, 2, 3 are right ventricle, myocardium and left ventricle in ACDC, the
left ventricle, myocardium and right ventricle in M&Ms), and files are renamed. But what is whose wall can be seen. In 31
short-axis stacks with contours (Sunnybrook) 0.98 to 1.00 of the left ventricle's outline borders on its myocardium, and
0.39 to 0.46 of the myocardium's on the ventricle: none is taken for wrong, and all are with the two values exchanged.
Nor are any two or three structures of ten whole hearts (Rodero et al., 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..imaging.components import border, bounding_box
from ..models.structures import STRUCTURES, UNKNOWN

MUSCLE, BLOOD = (next(s.value for s in STRUCTURES if s.id == name) for name in ("MYO", "LV"))
AROUND = 0.6  # of an outline, from which on what lies beside it is a wall
MOST_VALUES = 3  # more structures tell who they are by having a value each, and have more neighbours


def wall(labels: np.ndarray, spacing_mm: Sequence[float]) -> tuple[int, int] | None:
    """(value of the wall, value of what it lies around), if that is not the myocardium around the left ventricle; None if
    it is, if nothing lies around anything, or if the map has more than three values.

    labels: [k, j, i], whole numbers; spacing_mm: i, j, k.
    """
    values = [int(v) for v in np.unique(labels) if v not in (0, UNKNOWN)]
    if not 2 <= len(values) <= MOST_VALUES:
        return None
    box = labels[bounding_box(labels)]
    across = 2 - int(np.argmax(spacing_mm))  # slices lie apart along the largest spacing; their faces tell nothing
    found = {
        (outer, inner): _share(box, outer, inner, across) for outer in values for inner in values if outer != inner
    }
    (outer, inner), share = max(found.items(), key=lambda item: item[1])
    taken_for = found.get((MUSCLE, BLOOD), 0.0)
    return (outer, inner) if share >= AROUND > taken_for else None


def _share(labels: np.ndarray, outer: int, inner: int, across: int) -> float:
    """How much of the outline of `inner`, in slices across that axis, is the border to `outer`."""
    edges, shared = border(labels, inner, outer, {0, 1, 2} - {across})
    return shared / edges if edges else 0.0
