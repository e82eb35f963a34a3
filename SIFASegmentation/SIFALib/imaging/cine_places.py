"""The images of one place over a beat: in time, each once, and resampled to as many phases as the other places have."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from .dicom_context import FASTEST_MS, SLOWEST_MS
from .dicom_grouping import OFFSET, ORDER, TIMES, Time, tells_apart, unit_normal
from .dicom_headers import Frame

SAME_PLACE_MM = 0.5  # along the normal; slices of a cine are 3 mm thick or more
LEAST_PHASES = 5  # of a place that is a cine: fewer do not show a beat
TRIGGER, POSITION = "trigger time", "temporal position"
SAME_TRIGGER_MS = 1.0
MOST_OTHER = 0.4  # of the longest beat, by which others of the same place begin and end elsewhere: breath-holds by less
TAKEN_AGAIN = "one place was taken {} times in one series; the last time counts"
LEAST_SPAN_MS = FASTEST_MS / 2  # between the first and the last image of a beat, of which some scans leave out a part


@dataclass(frozen=True)
class Place:
    """The images of one place, in time. parts: when they were taken, parts of the beat in 0..1, growing.

    triggers_ms: after the R wave, or, by OFFSET, after the first phase, () if not stated by all. beat_ms: from an R wave to
    the next, None if not known. by: the key of `TIMES` that put them in order. along: mm of the place along the normal.
    notes: sentences.
    """

    frames: tuple[Frame, ...]
    parts: tuple[float, ...]
    triggers_ms: tuple[float, ...]
    beat_ms: float | None
    by: str
    along: float
    notes: tuple[str, ...] = ()

    @property
    def latest(self) -> tuple[str, int, int]:
        """By what the later of two acquisitions of a place is told."""
        last = self.frames[-1]
        return (
            max(f.acquired for f in self.frames),
            last.context.number or 0,
            max(f.instance or 0 for f in self.frames),
        )


def split(frames: Sequence[Frame], tolerance: float = SAME_PLACE_MM) -> list[list[Frame]]:
    """Parallel frames by where they lie along their normal, in that order."""
    along = np.array([f.position for f in frames], float) @ unit_normal(frames[0])
    found: list[list[Frame]] = []
    before = -np.inf
    for n in np.argsort(along, kind="stable"):
        if along[n] - before < tolerance:
            found[-1].append(frames[n])
        else:
            found.append([frames[n]])
            before = along[n]
    return found


def in_time(frames: Sequence[Frame]) -> Place | None:
    """The images of one place and series in time; None if nothing tells their times, or they are of no single beat."""
    kept, notes = _last_acquisition(frames)
    for name, time in _times(kept):
        if tells_apart(kept, time):
            ordered = sorted(kept, key=cast("Callable[[Frame], Any]", time))
            return _place(ordered, name, notes)
    return None


def _times(frames: Sequence[Frame]) -> Iterator[tuple[str, Time]]:
    """Ways to tell times, the surest first. A time comes before a number: numbers of retro-gated cines may begin at any
    phase. The number in the series comes last."""
    for name in (TRIGGER, OFFSET, *(name for name in TIMES if name not in (TRIGGER, OFFSET, ORDER)), ORDER):
        yield name, TIMES[name]


def _trigger_of(frame: Frame) -> int | None:
    return None if frame.trigger_ms is None else round(frame.trigger_ms / SAME_TRIGGER_MS)


def _phase_of(frame: Frame) -> int | None:
    return frame.phase


def _last_acquisition(frames: Sequence[Frame]) -> tuple[list[Frame], list[str]]:
    """The frames without those of earlier acquisitions of the same place: a series may hold each time twice."""
    for key in (_trigger_of, _phase_of):
        counts = Counter(map(key, frames))
        times = set(counts.values())
        if None in counts or len(times) != 1 or times == {1} or len(counts) < LEAST_PHASES:
            continue
        order = sorted(frames, key=lambda f: (f.acquired, f.instance or 0, f.number))
        last = {key(f): f for f in order}  # the later ones take the place of the earlier
        return list(last.values()), [TAKEN_AGAIN.format(times.pop())]
    beats = _beats(frames)
    if len(beats) > 1:
        return beats[-1], [TAKEN_AGAIN.format(len(beats))]
    return list(frames), []


def _beats(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Acquisitions of a place in the order in which they were taken: from one to the next the trigger times begin anew, as
    of breath-holds in which the heart beat at other rates. One with all frames, if they do not tell so."""
    if any(f.trigger_ms is None for f in frames):
        return [list(frames)]
    order = sorted(frames, key=lambda f: (f.acquired, f.instance or 0, f.number))
    beats: list[list[Frame]] = [[]]
    for frame in order:
        if beats[-1] and (frame.trigger_ms or 0.0) <= (beats[-1][-1].trigger_ms or 0.0):
            beats.append([])
        beats[-1].append(frame)
    ends = np.array([(beat[0].trigger_ms, beat[-1].trigger_ms) for beat in beats], float)
    whole = len({len(beat) for beat in beats}) == 1 and len(beats[0]) >= LEAST_PHASES
    alike = np.ptp(ends, axis=0).max() <= MOST_OTHER * np.diff(ends).max()
    return beats if whole and alike else [list(frames)]


def _place(frames: list[Frame], by: str, notes: list[str]) -> Place | None:
    stated = [f.offset_ms if by == OFFSET else f.trigger_ms for f in frames]
    triggers = tuple(t for t in stated if t is not None)
    known = len(triggers) == len(frames) and all(b > a for a, b in itertools.pairwise(triggers))
    triggers = triggers if known and by in (TRIGGER, OFFSET) else ()
    if triggers and triggers[-1] - triggers[0] > SLOWEST_MS:
        return None  # many beats: perfusion, or a real-time scan
    if triggers and triggers[-1] - triggers[0] < LEAST_SPAN_MS:
        triggers = ()  # in another unit, as seconds
    beat = _beat(frames, triggers)
    if triggers and beat:  # counted on from an earlier R wave
        triggers = tuple(t - beat * (triggers[0] // beat) for t in triggers)
    count = len(frames)
    if triggers and beat:
        parts = [t / beat for t in triggers]
    elif by == POSITION:
        numbers = [f.phase or 1 for f in frames]
        parts = [(n - 1) / max(count, *numbers) for n in numbers]
    else:
        parts = [n / count for n in range(count)]
    along = float(np.asarray(frames[0].position, float) @ unit_normal(frames[0]))
    return Place(tuple(frames), tuple(parts), triggers, beat, by, along, tuple(notes))


def _beat(frames: Sequence[Frame], triggers: Sequence[float]) -> float | None:
    """ms of the beat that the images fill: as stated, unless they reach beyond it; else by their distance."""
    stated = [f.context.interval_ms for f in frames if f.context.interval_ms is not None]
    step = float(np.median(np.diff(triggers))) if len(triggers) > 1 else 0.0
    filled = triggers[-1] - triggers[0] + step if triggers else 0.0
    if stated and np.median(stated) > filled - step:
        return float(np.median(stated))
    return filled if FASTEST_MS <= filled <= SLOWEST_MS else None


def weights(place: Place, moments: Sequence[float]) -> np.ndarray:
    """[moments, images]: how much each image of a place counts at each of these parts of the beat; rows sum to 1.

    Linear between the two images before and after in time; the beat goes round.
    """
    parts = np.array(place.parts)
    table = np.zeros((len(moments), len(parts)))
    around = np.concatenate([[parts[-1] - 1.0], parts, [parts[0] + 1.0]])
    images = np.concatenate([[len(parts) - 1], np.arange(len(parts)), [0]])
    for row, moment in enumerate(moments):
        after = int(np.clip(np.searchsorted(around, moment, side="right"), 1, len(around) - 1))
        gap = max(around[after] - around[after - 1], 1e-9)
        share = float(np.clip((moment - around[after - 1]) / gap, 0.0, 1.0))
        table[row, images[after - 1]] += 1.0 - share
        table[row, images[after]] += share
    return table
