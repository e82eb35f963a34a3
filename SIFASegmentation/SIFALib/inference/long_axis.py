"""What an outlined view along the heart says: area and length of the left atrium, length of the left ventricle.

    labels [j, i] -> the ventricle and the line along it -> the atrium that touches it, without its veins -> its length
    through its middle along that line -> where they touch is the mitral valve, from which the ventricle's length goes

The volume of the atrium from two views at right angles is that of an ellipsoid, 8 / (3 pi) A1 A2 / L, L the shorter of
its two lengths: the area-length formula of Lang et al., J Am Soc Echocardiogr 28:1 (2015), section on the left atrium.
Veins and the appendage do not count, and the two lengths should differ by less than 5 mm (same place). There the length
is taken at right angles to the mitral valve from its middle; here along the ventricle through the atrium's middle, which
both views share and which hangs on no end of the valve (measured: docs/explanation/cine.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..imaging.components import components, in_whole, largest_component

SOURCE = "area-length, 8/(3π) A₁A₂/L: Lang et al., J Am Soc Echocardiogr 28:1 (2015)"
ALIKE_MM = 5.0  # by which the two lengths of the atrium may differ: Lang et al. (2015)
VEIN_MM = 14.0  # across; what is narrower is a vein or a gap between two structures, and is cut off the atrium
TOUCH_MM = 3.0  # between an atrium's pixel and the ventricle, where the valve's leaflets may lie
VALVE_MM = (15.0, 60.0)  # from one end of the mitral valve to the other, in any view: 35 in most adults
PIECES = 0.15  # of a chamber, that other components of its kind may make up within NEARBY_MM
NEARBY_MM = 15.0
ASIDE_MM = 20.0  # from the ventricle's middle in the short axis to the ventricle of a view: other breath-holds differ
EDGE_MM = 3.0  # from the edge of the image: what comes nearer may go on beyond it
LEAST_CM2 = 3.0  # of an atrium; the smallest of a healthy adult's at end-diastole have twice that
LEAST_VENTRICLE_CM2 = 4.0  # of the ventricle's cavity
LINE_STEP = 0.25  # of a pixel, by which a line's ends are found
AGREED = 0.85  # Dice of each pass with all of them together, at least


@dataclass(frozen=True)
class Measure:
    """Of a view at a phase. None where there is none to be told; why: on the atrium, () if it is known; why_length: on the
    ventricle's length, "" if it is known or `why` says it all.

    atrium, ventricle: bool [j, i], the pixels that count. lines: [2, 2] ends (row, column) of each length that is known.
    """

    atrium_cm2: float | None = None
    atrium_mm: float | None = None
    ventricle_mm: float | None = None
    why: tuple[str, ...] = ()
    why_length: str = ""
    atrium: np.ndarray | None = None
    ventricle: np.ndarray | None = None
    lines: tuple[np.ndarray, ...] = ()


def measure(
    labels: np.ndarray,
    inside: np.ndarray,
    pixel_mm: float,
    values: Mapping[str, int],
    middle: Sequence[float],
    passes: Sequence[np.ndarray] = (),
) -> Measure:
    """labels: uint8 [j, i] of square pixels. inside: bool [j, i], which pixels the image has. values: of the labels, by
    "LA" and "LV". middle: (row, column) of the ventricle, as the short axis shows it: what else looks like one is none.
    passes: labels of single passes, of which `labels` is what they say together.
    """
    ventricle = nearest_component(labels == values["LV"], middle, ASIDE_MM / pixel_mm)
    if np.count_nonzero(ventricle) * pixel_mm**2 < 100.0 * LEAST_VENTRICLE_CM2:
        return Measure(why=("no left ventricle was found in it",))
    near = dilated(ventricle, TOUCH_MM / pixel_mm)
    atrium, why = _atrium(labels == values["LA"], near, pixel_mm)
    if why:
        return Measure(why=(why,), ventricle=ventricle)
    reasons = []
    if _at_edge(atrium, inside, pixel_mm):
        reasons.append("the left atrium reaches the edge of the image")
    if _unsteady(atrium, near, passes, values["LA"], VEIN_MM / pixel_mm):
        reasons.append("the outline of the left atrium changes with the size of the pixels")
    across, valve = chord(atrium, direction_of(ventricle)), _valve(atrium & near, pixel_mm)
    why_length = _unfit(labels == values["LV"], ventricle, inside, pixel_mm, [each == values["LV"] for each in passes])
    if valve is None:
        why_length = why_length or "the mitral valve cannot be told from where it touches the left atrium"
    along = None if valve is None or why_length else _to_apex(ventricle, valve)
    return Measure(
        None if reasons else float(np.count_nonzero(atrium)) * pixel_mm**2 / 100.0,
        None if reasons else _length(across, pixel_mm),
        None if along is None else _length(along, pixel_mm),
        tuple(reasons),
        why_length,
        atrium,
        ventricle,
        (*([] if reasons else [across]), *([] if along is None else [along])),
    )


def biplane_ml(one: Measure, other: Measure) -> float | None:
    """Volume of the atrium from two views at right angles; None where one has none to tell."""
    if one.atrium_cm2 is None or other.atrium_cm2 is None or one.atrium_mm is None or other.atrium_mm is None:
        return None
    shorter_cm = min(one.atrium_mm, other.atrium_mm) / 10.0
    return 8.0 / (3.0 * np.pi) * one.atrium_cm2 * other.atrium_cm2 / shorter_cm


def dilated(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The pixels at most so far from a mask that is not empty."""
    from scipy.ndimage import distance_transform_edt

    near: np.ndarray = distance_transform_edt(~mask) <= pixels
    return near


def without_veins(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The discs of that diameter that lie within a mask [j, i], together."""
    from scipy.ndimage import distance_transform_edt

    padded = np.pad(mask, 1)
    centres = distance_transform_edt(padded) > pixels / 2
    if not centres.any():
        return np.zeros_like(mask)
    opened: np.ndarray = (dilated(centres, pixels / 2) & padded)[1:-1, 1:-1]
    return opened


def nearest_component(mask: np.ndarray, middle: Sequence[float], most: float) -> np.ndarray:
    """The component of a mask [j, i] that comes nearest to a point; empty if none comes nearer than so many pixels."""
    points = np.argwhere(mask)
    distances = np.linalg.norm(points - np.asarray(middle, float), axis=1)
    if not len(points) or distances.min() > most:
        return np.zeros_like(mask)
    seed = np.zeros_like(mask)
    seed[tuple(points[distances.argmin()])] = True
    return touching(mask, seed)


def touching(drawn: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The components of a mask that reach into `near`, together."""
    numbered, box = components(drawn)
    reaching = np.unique(numbered[near[box]])
    return in_whole(np.isin(numbered, reaching[reaching > 0]), box, drawn.shape)


def direction_of(mask: np.ndarray) -> np.ndarray:
    """[2]: the direction (row, column) in which a mask [j, i] is longest, its first principal axis."""
    points = np.argwhere(mask)
    longest: np.ndarray = np.linalg.eigh(np.cov(points.T))[1][:, -1]
    return longest


def chord(mask: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """[2, 2]: the ends (row, column) of a mask's part of the line through its middle."""
    middle = np.argwhere(mask).mean(axis=0)
    steps = np.arange(-np.hypot(*mask.shape), np.hypot(*mask.shape), LINE_STEP)
    path = np.rint(middle + steps[:, None] * direction).astype(int)
    within = (path >= 0).all(axis=1) & (path < mask.shape).all(axis=1)
    hit = np.flatnonzero(within)[mask[tuple(path[within].T)]]
    ends = steps[hit[[0, -1]]] if len(hit) else np.zeros(2)
    found: np.ndarray = middle + ends[:, None] * direction
    return found


def _atrium(drawn: np.ndarray, near: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, str]:
    """The component of what was drawn that touches the ventricle, without veins; and why there is none, else ""."""
    if not drawn.any():
        return drawn, "no left atrium was found in it"
    whole = largest_component(touching(drawn, near))
    if not whole.any():
        return whole, "what was taken for the left atrium does not touch the left ventricle"
    if _in_pieces(drawn, whole, pixel_mm):
        return whole, "the left atrium is in pieces"
    atrium = largest_component(without_veins(whole, VEIN_MM / pixel_mm))
    if np.count_nonzero(atrium) * pixel_mm**2 < 100.0 * LEAST_CM2:
        return atrium, "what was taken for the left atrium is too small"
    return atrium, ""


def _in_pieces(drawn: np.ndarray, whole: np.ndarray, pixel_mm: float) -> bool:
    """Whether more was drawn beside a structure than may be; what lies far from it is of another organ."""
    beside = drawn & ~whole & dilated(whole, NEARBY_MM / pixel_mm)
    return bool(np.count_nonzero(beside) > PIECES * np.count_nonzero(whole))


def _valve(contact: np.ndarray, pixel_mm: float) -> np.ndarray | None:
    """[2, 2]: the ends (row, column) of the mitral valve, the farthest two pixels of where the chambers touch."""
    points = np.argwhere(contact).astype(float)
    if len(points) < 2:
        return None
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    a, b = np.unravel_index(int(distances.argmax()), distances.shape)
    low, high = VALVE_MM
    return points[[a, b]] if low <= distances[a, b] * pixel_mm <= high else None


def _unfit(
    drawn: np.ndarray, ventricle: np.ndarray, inside: np.ndarray, pixel_mm: float, passes: Sequence[np.ndarray]
) -> str:
    """Why a ventricle, of what was drawn its largest component, has no length to tell; "" if it has."""
    if _at_edge(ventricle, inside, pixel_mm):
        return "it reaches the edge of the image"
    if _in_pieces(drawn, ventricle, pixel_mm):
        return "it is in pieces"
    if any(_dice(touching(own, ventricle), ventricle) < AGREED for own in passes):
        return "its outline changes with the size of the pixels"
    return ""


def _to_apex(ventricle: np.ndarray, valve: np.ndarray) -> np.ndarray:
    """[2, 2]: from the valve's middle to the pixel of the ventricle that is farthest from it, the apex."""
    middle = valve.mean(axis=0)
    points = np.argwhere(ventricle)
    return np.stack([middle, points[np.linalg.norm(points - middle, axis=1).argmax()]])


def _length(line: np.ndarray, pixel_mm: float) -> float:
    return float(np.linalg.norm(line[1] - line[0])) * pixel_mm


def _at_edge(mask: np.ndarray, inside: np.ndarray, pixel_mm: float) -> bool:
    within = np.pad(inside, 1)
    return bool((np.pad(mask, 1) & dilated(~within, EDGE_MM / pixel_mm)).any())


def _unsteady(atrium: np.ndarray, near: np.ndarray, passes: Sequence[np.ndarray], value: int, vein: float) -> bool:
    """Whether one of the passes has drawn another atrium than all of them together."""
    for labels in passes:
        own = without_veins(largest_component(touching(labels == value, near)), vein)
        if _dice(own, atrium) < AGREED:
            return True
    return False


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2.0 * np.count_nonzero(one & other) / max(1, np.count_nonzero(one) + np.count_nonzero(other)))
