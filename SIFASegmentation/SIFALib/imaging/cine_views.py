"""The views along the heart that a study holds beside its short axis, each a single place over a beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..support.errors import VolumeError
from .cine import Cine, LongView
from .cine_assembly import Reader, images_of, of_files
from .cine_places import Place
from .cine_stacks import VIEWS, CineStack, Found, view_of
from .dicom_grid import grid

KINDS = tuple(kind for _, kind in VIEWS)


def views_of(
    found: Found, chosen: CineStack, source: Path, read: Reader = of_files
) -> tuple[tuple[LongView, ...], tuple[str, ...]]:
    """Every place that lies along the heart of the chosen short axis, and sentences on those that cannot be read."""
    views, notes = [], []
    for stack in found.stacks:
        kind = "" if stack is chosen else view_of(stack, chosen)
        if kind not in KINDS:
            continue
        for place in stack.places:
            try:
                views.append(LongView(kind, _cine(place, stack.name, source, read)))
            except VolumeError as error:
                notes.append(f"The {kind} {stack.name} is not measured: {error}")
    return tuple(views), tuple(notes)


def _cine(place: Place, name: str, source: Path, read: Reader) -> Cine:
    """The images of a place as a cine of one slice. VolumeError."""
    first = place.frames[0]
    geometry = grid([first], source)
    array = images_of(place, source, read)
    rate = round(60_000.0 / place.beat_ms, 1) if place.beat_ms else None
    modality = first.modality.lower()
    return Cine(np.asarray(array)[:, None], geometry, place.triggers_ms, rate, name, str(source), modality)


def phase_beside(view: Cine, cine: Cine, phase: int) -> int:
    """The phase of a view that is at the same part of the beat as a phase of the cine beside it.

    By the times of both, as parts of their beats where both are known: hearts may beat faster in another breath-hold.
    """
    if not view.times_ms or not cine.times_ms:
        return int(phase * view.phases / cine.phases + 0.5) % view.phases
    wanted, there = cine.times_ms[phase], np.array(view.times_ms)
    if cine.heart_rate and view.heart_rate:
        wanted = wanted * cine.heart_rate / view.heart_rate
    return int(np.abs(there - wanted).argmin())


def off_axis_mm(view: Cine, points: np.ndarray) -> float:
    """How far points [n, 3] of a heart's axis lie from a view's plane, their mean."""
    normal = view.geometry.axes[:, 2]
    return float(np.abs((np.asarray(points) - view.geometry.point((0, 0, 0))) @ normal).mean())


def between_degrees(one: Cine, other: Cine) -> float:
    """The angle between the planes of two views, 0..90."""
    cosine = abs(float(one.geometry.axes[:, 2] @ other.geometry.axes[:, 2]))
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def axis_of(ventricle: Sequence[np.ndarray] | np.ndarray, cine: Cine) -> np.ndarray:
    """[n, 3] mm: the middle of a ventricle, bool [k, j, i], in each slice that shows it."""
    found = []
    for k, mask in enumerate(ventricle):
        j, i = np.nonzero(mask)
        if len(j):
            found.append(cine.geometry.point((float(i.mean()), float(j.mean()), float(k))))
    return np.array(found).reshape(-1, 3)
