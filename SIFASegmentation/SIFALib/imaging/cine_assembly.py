"""A stack of cine images as one array [t, k, j, i] on one grid: every voxel where the headers say, every phase in time.

What the files do not hold evenly is brought to a grid and told: a place with another number of phases is resampled in
time, one that lies beside the others is moved within its plane, one that is missing is filled from its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..support.errors import VolumeError
from . import cine_places, dicom_pixels
from .cine import BEAT_OF_IMAGES, Body, Cine
from .cine_blanks import without_blanks
from .cine_places import Place
from .cine_stacks import CineStack
from .dicom_grid import check_orientation, grid, pixel_spacing, plane_of
from .dicom_headers import Frame
from .geometry import Geometry
from .slices import interpolate

MOST_MISSING = 0.2  # of the places, that may be filled from their neighbours
UNEVEN = 0.1  # of a step, that a place may lie off before it is told
MOST_UNEVEN = 0.35  # of a step: a place that lies farther off fits no grid
MOVED_MM = 0.1  # by which a place may lie beside the others before it is moved to where its header has it
GAP_MM = 4.0  # between slices, that is told
MOST_FEWER = 0.5  # of the usual phases: a place with fewer shows too little of the beat
LEAST_SHOWN = 0.7  # of the beat, that the images show; scans that are triggered ahead leave out a tenth or two
OTHER_RATE = 1.25  # times as long as another beat, from which on it is another rate
Reader = Callable[[Sequence[Frame], Path], np.ndarray]
"""The grey values [n, j, i] of slices, and what sentences call where they come from."""


def of_files(frames: Sequence[Frame], source: Path) -> np.ndarray:
    """Those of the files that the slices were read from."""
    return dicom_pixels.read(frames, source)[0]


@dataclass(frozen=True)
class _Layout:
    """geometry: of the whole. at: for each k the number of the place there, None where one is missing. shifts: for each
    place mm along columns and rows that it lies beside the grid."""

    geometry: Geometry
    at: tuple[int | None, ...]
    shifts: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]


def assemble(stack: CineStack, source: Path, read: Reader = of_files) -> Cine:
    """The cine of a stack, its grey values by `read`; VolumeError if its places make no grid, or images cannot be read."""
    places, notes = _with_enough_phases(stack)
    dicom_pixels.check_rules([frame for place in places for frame in place.frames], source)
    check_orientation([place.frames[0] for place in places], source)
    layout = _layout(places, source)
    count = stack.phases
    reference = next(place for place in places if len(place.frames) == count)
    arrays = [_phases(place, reference, source, read) for place in places]
    dtype = np.result_type(*arrays)
    array = np.zeros((count, *layout.geometry.shape), dtype)
    for k, number in enumerate(layout.at):
        if number is not None:
            array[:, k] = _moved(arrays[number], layout.shifts[number], layout.geometry)
    array, filled, made = without_blanks(array)
    for k, number in enumerate(layout.at):
        if number is None:  # of which the blank ones beside it are no part
            mean = (array[:, k - 1].astype(np.float64) + array[:, k + 1]) / 2
            array[:, k] = _of_type(mean, dtype)
    usual = [place for place in places if len(place.frames) == count]
    beats = [place.beat_ms for place in places if place.beat_ms]
    first = places[0].frames[0]
    context = first.context
    return Cine(
        array,
        layout.geometry,
        times_ms=_times_ms(usual),
        heart_rate=round(60_000.0 / float(np.median(beats)), 1) if beats else None,
        name=source.resolve().name,
        source=str(source),
        modality=first.modality.lower(),
        notes=(*stack.notes, *notes, *layout.notes, *filled, *_of_order(places), *_of_beat(usual)),
        body=Body(context.sex, context.height_m, context.weight_kg),
        frames=tuple(
            tuple(None if (t, k) in made else _original(places, layout, k, t, count) for k in range(len(layout.at)))
            for t in range(count)
        ),
    )


def _with_enough_phases(stack: CineStack) -> tuple[list[Place], list[str]]:
    """The places with as many phases as can be resampled to those of the others, and what should be said."""
    count, notes = stack.phases, []
    kept = [place for place in stack.places if len(place.frames) >= MOST_FEWER * count]
    if len(kept) < len(stack.places):
        dropped = len(stack.places) - len(kept)
        notes.append(
            f"{dropped} of {len(stack.places)} places have less than half of the {count} phases and are left out."
        )
    others = [f"{len(place.frames)}" for place in kept if len(place.frames) != count]
    if others:
        what = "1 place has" if len(others) == 1 else f"{len(others)} places have"
        notes.append(
            f"{what} {' or '.join(dict.fromkeys(others))} phases and not {count}; resampled in time to {count}."
        )
    return kept, notes


def _layout(places: Sequence[Place], source: Path) -> _Layout:
    """Where the places lie on an even grid. VolumeError if they fit none."""
    frames = [place.frames[0] for place in places]
    notes = _told_thickness(frames, np.array([place.along for place in places]))
    try:
        geometry = grid(frames, source)
    except VolumeError:
        return _uneven(places, source, notes)
    return _Layout(geometry, tuple(range(len(places))), ((0.0, 0.0),) * len(places), notes)


def _uneven(places: Sequence[Place], source: Path, notes: tuple[str, ...]) -> _Layout:
    """The layout of places of which some are missing, or lie off the line of the others."""
    frames = [place.frames[0] for place in places]
    plane = plane_of(frames, source)
    normal = np.cross(*plane)
    positions = np.array([f.position for f in frames], float)
    along = positions @ normal
    step = float(np.median(np.diff(along)))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(np.rint(np.diff(along) / step), 1))]).astype(int)
    step = float(np.median(np.diff(along) / np.diff(numbers)))
    first = float(np.median(along - numbers * step))
    off = along - first - numbers * step
    missing = int(numbers[-1]) + 1 - len(places)
    worst = int(np.argmax(np.abs(off)))
    if abs(off[worst]) > MOST_UNEVEN * step:
        raise VolumeError(
            f"The places of the cine in {source} lie unevenly: {np.diff(along).min():.1f} to {np.diff(along).max():.1f} mm "
            f"apart, and {frames[worst].file.name} lies {abs(off[worst]):.1f} mm off the others' steps of {step:.1f} mm. "
            "Leave that place out, or take it again."
        )
    if missing > MOST_MISSING * len(places) or np.diff(numbers).max() > 2:
        raise VolumeError(
            f"The cine in {source} is incomplete: {missing} of {len(places) + missing} places are missing between the "
            "others. Export the study again."
        )
    if missing:
        where = [f"{n + 1}" for n in range(int(numbers[-1]) + 1) if n not in numbers]
        notes += (
            f"Place {', '.join(where)} of {int(numbers[-1]) + 1} is missing and was filled from its neighbours; look twice "
            "at the outlines there.",
        )
    for n in map(int, np.flatnonzero(np.abs(off) > UNEVEN * step)):
        what = "overlaps" if (off[n] < 0) == (n > 0) else "leaves a gap to"
        notes += (
            f"Place {numbers[n] + 1} lies {abs(off[n]):.1f} mm off the steps of the others, and {what} the place before it; "
            "volumes count it at an even step.",
        )
    middle = np.median(positions - np.outer(along, normal), axis=0)
    beside = (positions - np.outer(along, normal) - middle) @ plane.T
    moved = [n for n, shift in enumerate(beside) if np.linalg.norm(shift) > MOVED_MM]
    for n in moved:
        notes += (
            f"Place {numbers[n] + 1} lies {np.linalg.norm(beside[n]):.1f} mm beside the others, and is shown where its "
            "header says.",
        )
    between_rows, between_columns = pixel_spacing(frames, source)
    x, y, z = (float(v) for v in middle + first * normal)
    geometry = Geometry(
        (frames[0].columns, frames[0].rows, int(numbers[-1]) + 1),
        (x, y, z),
        (between_columns, between_rows, step),
        tuple(float(v) + 0.0 for v in np.column_stack([*plane, normal]).ravel()),
    )
    at = {int(number): n for n, number in enumerate(numbers)}
    shifts = tuple((float(c), float(r)) if n in moved else (0.0, 0.0) for n, (c, r) in enumerate(beside))
    return _Layout(geometry, tuple(at.get(k) for k in range(geometry.size[2])), shifts, notes)


def _told_thickness(frames: Sequence[Frame], along: np.ndarray) -> tuple[str, ...]:
    thickness = next((f.thickness for f in frames if f.thickness), None)
    step = float(np.median(np.diff(along)))
    if thickness is None or step - thickness < GAP_MM:
        return ()
    return (
        f"The slices are {thickness:g} mm thick and {step:.1f} mm apart; volumes take each slice for all of the distance.",
    )


def _check_lies_still(place: Place, source: Path) -> None:
    """VolumeError unless all images of a place have one pixel spacing and lie over each other."""
    pixel_spacing(place.frames, source)
    positions = np.array([f.position for f in place.frames], float)
    beside = np.linalg.norm((positions - positions[0]) @ plane_of(place.frames[:1], source).T, axis=1)
    worst = int(beside.argmax())
    if beside[worst] > cine_places.SAME_PLACE_MM:
        raise VolumeError(
            f"The images of one place of the cine in {source} do not lie over each other: {place.frames[worst].file.name} "
            f"lies {beside[worst]:.1f} mm beside {place.frames[0].file.name}. Put those of each acquisition into a folder "
            "of its own."
        )


def images_of(place: Place, source: Path, read: Reader) -> np.ndarray:
    """[t, j, i]: the images of a place. VolumeError."""
    _check_lies_still(place, source)
    array, first = read(place.frames, source), place.frames[0]
    if array.shape[1:] != (first.rows, first.columns):
        raise VolumeError(f"{first.file} holds slices of another size than it states; it is damaged.")
    return array


def _of_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Grey values as that type has them, if it is one of whole numbers."""
    return np.rint(values).astype(dtype) if np.issubdtype(dtype, np.integer) else values


def _phases(place: Place, reference: Place, source: Path, read: Reader) -> np.ndarray:
    """[t, j, i]: the images of a place, at the phases of the reference where there are not as many."""
    array = images_of(place, source, read)
    if len(place.frames) == len(reference.frames):
        return array
    table = cine_places.weights(place, reference.parts)
    return _of_type(np.tensordot(table, array.astype(np.float64), 1), array.dtype)


def _moved(images: np.ndarray, shift: tuple[float, float], geometry: Geometry) -> np.ndarray:
    """Images [t, j, i] of a place that lies so many mm along columns and rows beside the grid, on the grid."""
    if shift == (0.0, 0.0):
        return images
    moved = images.astype(np.float64)
    for axis, mm, spacing in ((2, shift[0], geometry.spacing[0]), (1, shift[1], geometry.spacing[1])):
        moved = interpolate(moved, np.arange(moved.shape[axis]) - mm / spacing, axis)
    return _of_type(moved, images.dtype)


def _times_ms(places: Sequence[Place]) -> tuple[float, ...]:
    """Of each phase, the median of the places; () if one of them does not say."""
    if not all(place.triggers_ms for place in places):
        return ()
    return tuple(round(float(t), 2) for t in np.median([place.triggers_ms for place in places], axis=0))


def _of_order(places: Sequence[Place]) -> tuple[str, ...]:
    """A sentence where not every place tells its phases by the time after the R wave."""
    ways = sorted({place.by for place in places})
    if ways == [cine_places.TRIGGER]:
        return ()
    told = (
        f"The phases were put in order by their {' or '.join(ways)}, for not all images state the time after the R wave"
    )
    return (f"{told}; check that all places begin at the same phase.",)


def _of_beat(places: Sequence[Place]) -> tuple[str, ...]:
    """Sentences on places that do not begin together, and on a beat that the images show a part of."""
    timed = [place for place in places if place.triggers_ms]
    told: tuple[str, ...] = ()
    if timed:
        steps = [np.diff(place.triggers_ms).mean() for place in timed]
        begin = np.array([place.triggers_ms[0] for place in timed])
        if np.ptp(begin) > np.median(steps):
            told += (
                f"The places begin {begin.min():.0f} to {begin.max():.0f} ms after the R wave, and are put together from "
                "the first image of each; check that all of them show the same phase.",
            )
    told += _of_rates(places)
    shown = [(p.triggers_ms[-1] - p.triggers_ms[0]) * len(p.frames) / (len(p.frames) - 1) for p in timed if p.beat_ms]
    beats = [place.beat_ms for place in timed if place.beat_ms]
    if beats and not any(f.context.interval_ms for place in timed for f in place.frames):
        told += (BEAT_OF_IMAGES,)
    if shown and np.median(shown) < LEAST_SHOWN * np.median(beats):
        told += (
            f"The images show {np.median(shown):.0f} ms of a beat that is said to have {np.median(beats):.0f} ms: the "
            "ventricles' largest or smallest volume may lie in the rest, or the heart rate is another one.",
        )
    return told


def _of_rates(places: Sequence[Place]) -> tuple[str, ...]:
    """Sentences on beats that cannot be as long as is stated, and on a heart that beat at very different rates."""
    told: tuple[str, ...] = ()
    stated = [f.context.interval_ms for place in places for f in place.frames if f.context.interval_ms]
    beats = [place.beat_ms for place in places if place.beat_ms]
    if stated and beats and np.median(stated) < np.median(beats) / OTHER_RATE:
        told += (
            f"The headers state a beat of {np.median(stated):.0f} ms, but the images reach over {np.median(beats):.0f} ms, "
            "which was taken; the heart rate is in doubt, and the output with it.",
        )
    if beats and max(beats) > OTHER_RATE**2 * min(beats):
        told += (
            f"The heart beat at different rates while it was scanned ({60_000 / max(beats):.0f} to "
            f"{60_000 / min(beats):.0f} a minute): volumes are put together from places of other beats.",
        )
    return told


def _original(places: Sequence[Place], layout: _Layout, k: int, t: int, count: int) -> Frame | None:
    """The image whose grey values stand at a place and phase as they are; None if they were made from several."""
    number = layout.at[k]
    if number is None or len(places[number].frames) != count or layout.shifts[number] != (0.0, 0.0):
        return None
    return places[number].frames[t]
