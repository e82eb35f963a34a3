"""Slices by place and time: whether they are one volume, a sequence of volumes, copies, or several series.

    frames = [frame for file in files for frame in read_frames(file)]
    for group in group_frames(frames):
        group.kind, len(group.phases), len(group.phases[0])

Only what the headers say counts, never names or order of files. Whether the slices of a phase lie evenly is not asked
here: `dicom_grid.grid` says that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from .dicom_headers import Frame

STACK, SEQUENCE, COPIES, SEVERAL, UNEVEN, PLACELESS = "stack", "sequence", "copies", "several", "uneven", "placeless"
SAME_ORIENTATION = 1e-3  # by which the direction cosines of a series' slices may differ
SAME_PLACE = 0.01  # mm; slices that lie nearer to each other along their normal are of one place

ORDER, OFFSET = "instance number", "time after the first phase"
Time = Callable[[Frame], "float | str | tuple[int, ...] | None"]
TIMES: dict[str, Time] = {
    "temporal position": lambda f: f.phase,
    "trigger time": lambda f: f.trigger_ms,
    "part of the heart's cycle": lambda f: f.percent,
    OFFSET: lambda f: f.offset_ms,
    "number among the times of the file": lambda f: f.index or None,
    "time of acquisition": lambda f: f.acquired or None,
    ORDER: lambda f: None if f.instance is None and f.count == 1 else (f.instance or 0, f.number),
}
"""What may tell the phases of a sequence apart, the surest first."""

SAME_ECHO = 1.05  # times the shortest: how far echo times of one kind of image may go; those of several are multiples
PARTS = {
    **dict.fromkeys(("M", "M_FFE", "M_SE", "M_IR", "M_PCA", "MAGNITUDE"), "magnitude"),
    **dict.fromkeys(("P", "PHASE", "PHASE MAP", "VELOCITY MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real part"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary part"),
}
"""What an image shows of a complex signal, by the words for its kind."""
NAME, BORN, STUDY, MODALITY = "patient's name", "patient's date of birth", "study", "modality"
PATIENT, REFERENCE, ECHO, PART = "patient", "frame of reference", "echo time", "part of the signal"
Aspect = Callable[[Frame], "float | str | None"]
ASPECTS: dict[str, Aspect] = {
    PATIENT: lambda f: f.context.patient_id or None,
    NAME: lambda f: None if f.context.patient_id else f.context.patient_name or None,  # names are spelt in many ways
    BORN: lambda f: f.context.born or None,
    STUDY: lambda f: f.context.study or None,
    MODALITY: lambda f: f.modality or None,
    REFERENCE: lambda f: f.context.frame_of_reference or None,
    ECHO: lambda f: f.echo_ms,
    PART: lambda f: next((PARTS[word] for word in f.contrast if word in PARTS), None),
}
"""In what the slices of one volume cannot differ; None where it is not stated, which says nothing."""


@dataclass(frozen=True)
class Group:
    """Slices that belong together. phases: in time; the slices of each, sorted along their normal, foot to head where
    they are axial.

    kind: STACK, one volume: one phase, of one patient and kind of image. SEQUENCE: phases of the same places,
    told apart by `time`, a key of TIMES.
    COPIES: slices that are there twice. SEVERAL: images of the same places that no time tells apart. UNEVEN: some
    places have more images than others. PLACELESS: some do not say where they lie, or by cosines that are none. Of the
    last four there is one phase with all that was found, in no order.
    """

    kind: str
    phases: tuple[tuple[Frame, ...], ...]
    time: str = ""

    @property
    def frames(self) -> tuple[Frame, ...]:
        return tuple(frame for phase in self.phases for frame in phase)


def by_series(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    """Frames by the UID of their series, wherever their files lie."""
    found: dict[str, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.series, []).append(frame)
    return found


def group_frames(frames: Sequence[Frame]) -> list[Group]:
    """The groups of frames, whichever series they are of: a scanner may make a series of each slice of a sequence. No frame
    is left out."""
    if any(f.position is None or f.orientation is None or not normal_of(f).any() for f in frames):
        return [Group(PLACELESS, (tuple(frames),))]
    if len({(f.uid or f.file, f.number) for f in frames}) < len(frames):
        return [Group(COPIES, (tuple(frames),))]
    return [group for stack in by_orientation(frames) for group in _by_place(stack)]


def normal_of(frame: Frame) -> np.ndarray:
    """[3]: across the slice, as rows and columns make it; of about unit length. The frame must state its orientation."""
    cosines = np.array(frame.orientation, float)
    normal: np.ndarray = np.cross(cosines[:3], cosines[3:])
    return normal


def unit_normal(frame: Frame) -> np.ndarray:
    """`normal_of`, of the length 1."""
    normal = normal_of(frame)
    unit: np.ndarray = normal / np.linalg.norm(normal)
    return unit


def by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames that lie parallel to each other and are of one size."""
    stacks: list[list[Frame]] = []
    for frame in frames:
        for stack in stacks:
            first = stack[0]
            turned = np.abs(np.subtract(frame.orientation or (), first.orientation or ())).max()
            if turned <= SAME_ORIENTATION and (frame.rows, frame.columns) == (first.rows, first.columns):
                stack.append(frame)
                break
        else:
            stacks.append([frame])
    return stacks


def what_differs(frames: Sequence[Frame]) -> str:
    """The first of ASPECTS in which slices differ, so that they are no one volume however they lie; "" for none."""
    for name, aspect in ASPECTS.items():
        stated = {value for frame in frames if (value := aspect(frame)) is not None}
        if len(stated) > 1 and not (name == ECHO and max(map(float, stated)) <= SAME_ECHO * min(map(float, stated))):
            return name
    return ""


def _by_place(frames: Sequence[Frame]) -> list[Group]:
    places = _places(frames)
    counts = {len(place) for place in places}
    if counts == {1}:
        aspect = what_differs(frames)
        if aspect:
            return [group for each in _split(frames, ASPECTS[aspect]) for group in _by_place(each)]
        return [Group(STACK, (tuple(place[0] for place in places),))]
    if any(len({f.contrast for f in place}) > 1 for place in places):
        return [group for each in _split(frames, lambda f: f.contrast) for group in _by_place(each)]
    if len(counts) > 1:
        return [Group(UNEVEN, (tuple(frames),))]
    for name, time in TIMES.items():
        if all(tells_apart(place, time) for place in places):
            columns = [sorted(place, key=cast("Callable[[Frame], Any]", time)) for place in places]
            return [Group(SEQUENCE, tuple(zip(*columns, strict=True)), name)]
    return [Group(SEVERAL, (tuple(frames),))]


def _split(frames: Sequence[Frame], aspect: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    parts: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        parts.setdefault(aspect(frame), []).append(frame)
    return list(parts.values())


def _places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Parallel frames by where they lie along their normal, in that order."""
    along = np.array([f.position for f in frames], float) @ normal_of(frames[0])
    places: list[list[Frame]] = []
    before = -np.inf
    for n in np.argsort(along, kind="stable"):
        if along[n] - before < SAME_PLACE:
            places[-1].append(frames[n])
        else:
            places.append([frames[n]])
        before = along[n]
    return places


def tells_apart(frames: Sequence[Frame], time: Time) -> bool:
    times = [time(f) for f in frames]
    return None not in times and len(set(times)) == len(times)
