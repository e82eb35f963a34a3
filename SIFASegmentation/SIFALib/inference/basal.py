"""Which slices at the base of the heart belong to the left ventricle: those whose cavity the muscle surrounds by half.

That is the rule of the Society for Cardiovascular Magnetic Resonance for short axes (Schulz-Menger et al., J Cardiovasc
Magn Reson 22:19 (2020), section on the left ventricle), applied at every phase: the base moves through the slices. It lies
nearest to the apex when the ventricle is smallest; what belongs to the ventricle then belongs to it at every phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..imaging.cine_stacks import LONG_AXIS, SHORT_AXIS_DEGREES
from ..imaging.components import border
from ..imaging.geometry import Geometry
from ..imaging.slices import choose_plane
from ..models.structures import Structure
from .flags import STACK_MM

LEAST_SURROUNDED = 0.5  # of the cavity's edge in a slice


def without_open_slices(
    labels: np.ndarray, axis: int | None, structures: Sequence[Structure]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels [t, k, j, i] without the left ventricle in slices at either end that the muscle surrounds too little, unless
    they count when the ventricle is smallest; and what should be said. axis: as of `short_axis`.

    Unchanged without an axis, and where the structures lack the ventricle or its muscle.
    """
    values = {s.id: s.value for s in structures}
    if axis is None or "LV" not in values or "MYO" not in values:
        return labels, ()
    result, dropped = labels.copy(), 0
    stacks = [np.moveaxis(phase, 2 - axis, 0) for phase in result]
    counting = _counting_when_smallest(stacks, values["LV"], values["MYO"])
    for stack in stacks:
        for n in set(open_slices(stack, values["LV"], values["MYO"])) - counting:
            stack[n][stack[n] == values["LV"]] = 0
            dropped += 1
    if not dropped:
        return labels, ()
    return result, (
        f"In {dropped} slices of all phases at the ends of the left ventricle the muscle surrounds less than "
        f"{100 * LEAST_SURROUNDED:.0f} % of its cavity; they are not counted.",
    )


def _counting_when_smallest(stacks: Sequence[np.ndarray], ventricle: int, muscle: int) -> set[int]:
    """The slices of the ventricle that count at the phase of its least volume. stacks: [slices, rows, columns] each."""
    sizes = [np.count_nonzero(stack == ventricle) for stack in stacks]
    smallest = stacks[min((n for n, size in enumerate(sizes) if size), key=lambda n: sizes[n], default=0)]
    filled = {int(k) for k in np.flatnonzero((smallest == ventricle).any(axis=(1, 2)))}
    return filled - set(open_slices(smallest, ventricle, muscle))


def short_axis(geometry: Geometry, modality: str) -> int | None:
    """The index axis (0 = i, 1 = j, 2 = k) along which slices of the short axis follow each other; None for other scans.

    Slices of STACK_MM and more are short axes in MR, also where a copy of them has lost its orientation (ACDC's have); in
    CT ("ct"), only if they lie as short axes do: those of its axial scans may be as thick.
    """
    axis = choose_plane(geometry).axes[2]
    if geometry.spacing[axis] < STACK_MM:
        return None
    off = np.degrees(np.arccos(min(1.0, abs(float(geometry.axes[:, axis] @ LONG_AXIS)))))
    return axis if modality != "ct" or off <= SHORT_AXIS_DEGREES else None


def open_slices(labels: np.ndarray, ventricle: int, muscle: int) -> list[int]:
    """Which of [slices, rows, columns], from either end of the ventricle inwards, are surrounded too little."""
    filled = [int(k) for k in np.flatnonzero((labels == ventricle).any(axis=(1, 2)))]
    found: list[int] = []
    for order in (filled, filled[::-1]):
        for k in order:
            if k in found or surrounded(labels[k], ventricle, muscle) >= LEAST_SURROUNDED:
                break
            found.append(k)
    return found


def surrounded(labels: np.ndarray, ventricle: int, muscle: int) -> float:
    """The part of the cavity's edge in a slice [j, i], 0..1, beyond which lies muscle."""
    edges, walls = border(labels, ventricle, muscle, (0, 1))
    return walls / edges if edges else 1.0
