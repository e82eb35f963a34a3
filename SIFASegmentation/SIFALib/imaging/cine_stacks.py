"""Which stacks of cine images a study holds, which of them is the short axis, and what everything else is.

    found = stacks_of(frames)
    chosen = choose(found, "")

Only headers count: the places and times of the images first, words in the names of series last. A stack is of one series,
of a series for each place, or of a series for each phase.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..support.errors import VolumeError
from . import cine_places
from .cine import Stack
from .cine_places import LEAST_PHASES, Place
from .dicom_grouping import by_orientation, by_series, normal_of, unit_normal
from .dicom_headers import Frame

LEAST_PLACES = 3  # of a stack; fewer parallel slices are views
# From the base to the apex, LPS: to the left, to the front, down. Of five hearts of adults the axes lay within 25 degrees.
LONG_AXIS = np.array([0.55, -0.58, -0.60]) / np.linalg.norm([0.55, -0.58, -0.60])
SHORT_AXIS_DEGREES = 40.0  # from LONG_AXIS to the normal of what is taken for a short axis
LONG_VIEW_DEGREES = 65.0  # from the short axes' normal to that of a view along the heart, at least
WHOLE_BEAT = 0.8  # of the time that all images of a place span: the last of several acquisitions alone spans as much
VIEWS = ((30.0, "four-chamber view"), (90.0, "two-chamber view"), (150.0, "three-chamber view"))
"""Directions of the long views in the short axis, in degrees from the lateral wall by way of the anterior one: middle
between the segments that each shows (Cerqueira et al., Circulation 105:539 (2002))."""
FLOW = {"P", "PHASE", "PHASE MAP", "VELOCITY", "PHASE CONTRAST", "PCA", "V"}
FLOW_WORDS = re.compile(r"\b(flow|venc|velocity|pc[_ -]?(cine|mri?)|qflow)\b", re.IGNORECASE)
STILL_WORDS = re.compile(
    r"(\b|_)(lge|psir|mdi?e|delayed|late|t1|t2\*?|molli|shmolli|perf\w*|tag\w*)(\b|_)", re.IGNORECASE
)
SHORT_WORDS = re.compile(r"(\b|_)(sax|sa|short)(\b|_)", re.IGNORECASE)


@dataclass(frozen=True)
class CineStack:
    """Parallel places, sorted along their normal, each once. number: of the series, the first of several."""

    name: str
    number: int
    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()

    @property
    def normal(self) -> np.ndarray:
        return unit_normal(self.places[0].frames[0])

    @property
    def phases(self) -> int:
        """Those that most places have; of as many, the larger number."""
        counts = [len(place.frames) for place in self.places]
        return max(sorted(set(counts), reverse=True), key=counts.count)

    @property
    def off_axis(self) -> float:
        """Degrees between the normal and the usual long axis of a heart, 0..90."""
        return float(np.degrees(np.arccos(np.clip(abs(self.normal @ LONG_AXIS), 0.0, 1.0))))

    @property
    def short_axis(self) -> bool:
        return self.off_axis <= SHORT_AXIS_DEGREES

    def told(self, what: str) -> Stack:
        places = "1 place" if len(self.places) == 1 else f"{len(self.places)} places"
        return Stack(self.name, f"{what}, {places} of {self.phases} phases", len(self.places), self.phases)


@dataclass(frozen=True)
class Found:
    """stacks: of cines, the likeliest short axis first. left_out: everything else. notes: sentences."""

    stacks: tuple[CineStack, ...]
    left_out: tuple[Stack, ...] = ()
    notes: tuple[str, ...] = field(default=())


def stacks_of(frames: Sequence[Frame]) -> Found:
    """The cines among the slices of a study; no slice is passed over without a word."""
    once, notes = _once(frames)
    left: list[Stack] = []
    cines: list[Frame] = []
    for series in by_series(once).values():
        why = _no_cine(series)
        if why:
            left.append(Stack(_name(series), f"{why}, {_images(series)}"))
        else:
            cines += series
    stacks: list[CineStack] = []
    for parallel in by_orientation(cines):
        made, others = _parallel(parallel)
        stacks += made
        left += others
    return Found(tuple(sorted(stacks, key=_likeliness, reverse=True)), tuple(left), tuple(notes))


def _once(frames: Sequence[Frame]) -> tuple[list[Frame], list[str]]:
    """The frames without copies of the same image."""
    seen: dict[tuple[str, int], Frame] = {}
    copies = 0
    for frame in frames:
        key = (frame.uid or str(frame.file), frame.number)
        copies += key in seen
        seen.setdefault(key, frame)
    notes = [f"{copies} images are there twice; each was taken once."] if copies else []
    return list(seen.values()), notes


def _no_cine(series: Sequence[Frame]) -> str:
    """What a series is that says itself that it is no cine; "" for others."""
    contrasts = {word.upper() for frame in series for word in frame.contrast}
    first, words = series[0], series[0].context.description
    if any(f.position is None or f.orientation is None or not normal_of(f).any() or f.samples != 1 for f in series):
        return "images that do not say where they lie, or in colour"
    if any(f.scout for f in series):
        return "a localizer"
    if contrasts & FLOW or FLOW_WORDS.search(words):
        return "a measurement of flow"
    if "IR" in first.context.technique or STILL_WORDS.search(words):
        return "late enhancement, a map or perfusion"
    if first.modality not in ("MR", "CT"):
        return f"images of another kind ({first.modality or 'which is not said'})"
    return ""


def _parallel(frames: Sequence[Frame]) -> tuple[list[CineStack], list[Stack]]:
    """The stacks among parallel frames of one size, and what is none."""
    packages = _packages(frames)
    whole: list[CineStack] = []
    single: list[tuple[int, str, list[Place]]] = []
    left: list[Stack] = []
    for package in packages:
        places, still = _cine_places(package)
        if still:
            left.append(Stack(_name(package), f"{still} images at places without a beat"))
        if len(places) >= LEAST_PLACES:
            whole.append(_stack(_name(package), _number(package), places))
        elif places:
            single.append((_number(package), _name(package), places))
    if not single:
        return whole, left
    pooled = [place for _, _, places in single for place in places]
    if not whole:
        names = list(dict.fromkeys(name for _, name, _ in single))
        name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        return [_stack(name, min(number for number, _, _ in single), pooled)], left
    for number, _, places in single:  # a place that was taken again, or was forgotten
        n = min(range(len(whole)), key=lambda n: abs(whole[n].number - number))
        whole[n] = _stack(whole[n].name, whole[n].number, [*whole[n].places, *places], whole[n].notes)
    return whole, left


def _packages(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Series, of one contrast each; where each is one phase of the same places, all those of a name as one."""
    series = [part for each in by_series(frames).values() for part in _contrasts(each)]
    phases = [each for each in series if len(each) >= LEAST_PLACES and len(cine_places.split(each)) == len(each)]
    alike: dict[tuple[object, ...], list[list[Frame]]] = {}
    for each in phases:
        context = each[0].context
        named = re.sub(r"\d+", "", context.description)
        alike.setdefault((len(each), named, context.technique, each[0].contrast), []).append(each)
    joined = [group for group in alike.values() if len(group) >= LEAST_PHASES]
    taken = [id(each) for group in joined for each in group]
    return [
        *([frame for each in group for frame in each] for group in joined),
        *(each for each in series if id(each) not in taken),
    ]


def _contrasts(series: Sequence[Frame]) -> list[list[Frame]]:
    """A series in parts of one contrast, if it shows places in several."""
    if all(len({f.contrast for f in place}) == 1 for place in cine_places.split(series)):
        return [list(series)]
    parts: dict[tuple[str, ...], list[Frame]] = {}
    for frame in series:
        parts.setdefault(frame.contrast, []).append(frame)
    return list(parts.values())


def _cine_places(frames: Sequence[Frame]) -> tuple[list[Place], int]:
    """The places of a package that show a beat, and how many images lie at others."""
    found: list[Place] = []
    still = 0
    for images in cine_places.split(frames):
        place = cine_places.in_time(images) if len(images) >= LEAST_PHASES else None
        if place is None:
            still += len(images)
        else:
            found.append(place)
    return [_single_acquisition(place, found) for place in found], still


def _single_acquisition(place: Place, all_places: Sequence[Place]) -> Place:
    """A place that has a multiple of the images that the others have, without its earlier acquisitions."""
    counts = [len(each.frames) for each in all_places]
    usual = max(sorted(set(counts)), key=counts.count)
    times, rest = divmod(len(place.frames), usual)
    if times < 2 or rest or len(all_places) < LEAST_PLACES:
        return place
    ordered = sorted(place.frames, key=lambda f: (f.acquired, f.instance or 0, f.number))
    last = cine_places.in_time(ordered[-usual:])
    if last is None or _span_ms(last.frames) < WHOLE_BEAT * _span_ms(place.frames):  # one beat in finer steps
        return place
    return replace(last, notes=(cine_places.TAKEN_AGAIN.format(times),))


def _span_ms(frames: Sequence[Frame]) -> float:
    """From the first to the last trigger time; infinite if one is not stated."""
    triggers = [f.trigger_ms for f in frames if f.trigger_ms is not None]
    return max(triggers) - min(triggers) if len(triggers) == len(frames) else float("inf")


def _stack(name: str, number: int, places: Sequence[Place], notes: tuple[str, ...] = ()) -> CineStack:
    """A stack of places, of those that were taken several times the last."""
    kept: list[Place] = []
    again = 0
    for place in sorted(places, key=lambda place: place.along):
        if kept and place.along - kept[-1].along < cine_places.SAME_PLACE_MM:
            again += 1
            kept[-1] = max(kept[-1], place, key=lambda place: place.latest)
        else:
            kept.append(place)
    if again:
        what = "1 place was taken" if again == 1 else f"{again} places were taken"
        notes = (*notes, f"{what} again in another series; the last time counts.")
    told = [f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys(n for place in kept for n in place.notes)]
    return CineStack(name, number, tuple(kept), tuple(dict.fromkeys((*notes, *told))))


def _likeliness(stack: CineStack) -> tuple[bool, bool, int, int, bool, int]:
    """How likely a stack is the short axis that volumes are made of: as such it lies, then the more places the better."""
    whole = len(stack.places) >= LEAST_PLACES
    named = bool(SHORT_WORDS.search(stack.name))
    return (whole, stack.short_axis, len(stack.places), stack.phases, named, stack.number)


def choose(found: Found, wanted: str) -> tuple[CineStack, str]:
    """The stack of that number (from 1) or name, the likeliest one for "", and a sentence on why. VolumeError."""
    stacks = [stack for stack in found.stacks if len(stack.places) >= LEAST_PLACES]
    if not stacks:
        raise VolumeError(
            "It holds no stack of cine images: there are nowhere as many as "
            f"{LEAST_PLACES} parallel places with {LEAST_PHASES} phases each. {listed(found)}"
        )
    if not wanted:
        best = stacks[0]
        how = "lies as short axes do" if best.short_axis else "does not lie as short axes usually do"
        rivals = f"; of {len(stacks)} stacks the likeliest" if len(stacks) > 1 else ""
        many = f"{len(best.places)} places of {best.phases} phases"
        return best, f"{best.name}: {many}, {how} ({best.off_axis:.0f} degrees off the usual axis){rivals}."
    if wanted.isdigit() and 1 <= int(wanted) <= len(stacks):
        return stacks[int(wanted) - 1], "Chosen by its number."
    named = [stack for stack in stacks if stack.name.lower() == wanted.lower()]
    if len(named) == 1:
        return named[0], "Chosen by its name."
    names = "; ".join(f"{n} {stack.name}" for n, stack in enumerate(stacks, 1))
    raise VolumeError(f"There is no single stack {wanted!r} in it; choose by number or name from: {names}.")


def listed(found: Found) -> str:
    """What a study holds besides, in a sentence."""
    told = [*(s.told("cine images") for s in found.stacks), *found.left_out]
    return "It holds: " + "; ".join(f"{s.name} ({s.what})" for s in told[:8]) + "." if told else ""


def others(found: Found, chosen: CineStack) -> tuple[Stack, ...]:
    """What everything but the chosen stack is; views along the heart by their names."""
    told = [stack.told(view_of(stack, chosen)) for stack in found.stacks if stack is not chosen]
    return (*told, *found.left_out)


def view_of(stack: CineStack, short_axis: CineStack) -> str:
    """What a stack shows, by how it lies to the short axis."""
    apex = short_axis.normal * np.sign(short_axis.normal @ LONG_AXIS)
    turned = np.degrees(np.arccos(np.clip(abs(stack.normal @ apex), 0.0, 1.0)))
    if turned < 90.0 - LONG_VIEW_DEGREES:
        return "another short axis"
    if turned < LONG_VIEW_DEGREES:
        return "an oblique view"
    anterior = np.array([0.0, 0.0, 1.0]) - apex * apex[2]  # up, in the plane of the short axis, is the anterior wall
    septal = np.cross(apex, anterior)
    line = np.cross(stack.normal, apex)  # the view's trace in the short axis
    angle = float(np.degrees(np.arctan2(line @ anterior, -(line @ septal)))) % 180.0
    return min(VIEWS, key=lambda view: abs((angle - view[0] + 90.0) % 180.0 - 90.0))[1]


def _name(frames: Sequence[Frame]) -> str:
    context = frames[0].context
    number = "" if context.number is None else f"series {context.number}"
    return " ".join(filter(None, (number, context.description))) or "a series without a name"


def _number(frames: Sequence[Frame]) -> int:
    return min((f.context.number or 0) for f in frames)


def _images(frames: Sequence[Frame]) -> str:
    return "1 image" if len(frames) == 1 else f"{len(frames)} images"
