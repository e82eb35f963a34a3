"""A cine: one heart over one beat, as a stack of slices at every phase. Whoever has one need not know of its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..support.errors import VolumeError
from .geometry import Geometry, Volume

if TYPE_CHECKING:
    from .dicom_headers import Frame


BEAT_OF_IMAGES = (
    "No heart rate is stated; that of the beat which the images fill is taken. Where they leave out the beat's end, it is "
    "too high, and the output with it."
)


@dataclass(frozen=True)
class Body:
    """Of the patient, as far as it is stated. sex: "F", "M" or ""."""

    sex: str = ""
    height_m: float | None = None
    weight_kg: float | None = None

    @property
    def surface_m2(self) -> float | None:
        """Body surface by Mosteller, N Engl J Med 317:1098 (1987); None if it cannot be told."""
        if self.height_m is None or self.weight_kg is None:
            return None
        return float(np.sqrt(self.height_m * 100.0 * self.weight_kg / 3600.0))


@dataclass(frozen=True)
class Stack:
    """What a study holds of one kind. name: what a person calls it; what: the kind and its size, in words.

    places, phases: how many; 0 phases for what is no cine.
    """

    name: str
    what: str
    places: int = 0
    phases: int = 0


@dataclass(frozen=True, eq=False)
class Cine:
    """Grey values [t, k, j, i] of the phases t of one beat, in time, all on one grid.

    times_ms: of each phase after the R wave, () if the files do not say. heart_rate: beats a minute, None if not known.
    name, source, modality, notes: as of a `Volume`. chosen, others: which stack of the study this is, and why; what else
    the study holds. frames: the DICOM slice behind each phase and place, [t][k], None where the grey values were made
    from several; () for what is no DICOM. views: the places along the heart, where they were asked for.
    """

    array: np.ndarray
    geometry: Geometry
    times_ms: tuple[float, ...] = ()
    heart_rate: float | None = None
    name: str = "cine"
    source: str = ""
    modality: str = ""
    notes: tuple[str, ...] = ()
    chosen: str = ""
    others: tuple[Stack, ...] = ()
    body: Body = Body()
    frames: tuple[tuple[Frame | None, ...], ...] = ()
    views: tuple[LongView, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.geometry.shape:
            raise VolumeError(
                f"{self.name}: the array has shape {self.array.shape}, but its geometry says {self.geometry.shape}."
            )
        if len(self.times_ms) not in (0, len(self.array)):
            raise VolumeError(f"{self.name}: there are {len(self.times_ms)} times of {len(self.array)} phases.")

    @property
    def phases(self) -> int:
        return len(self.array)

    def volume(self, phase: int) -> Volume:
        """The stack at a phase; its array is a part of this one's."""
        name = f"{self.name}, phase {phase + 1}"
        return Volume(self.array[phase], self.geometry, name, self.source, self.modality, self.notes)

    def sources_of(self, phase: int) -> tuple[Frame, ...]:
        """The DICOM slices of a phase in the order of k; () if there are none, or not one for each place."""
        frames = self.frames[phase] if self.frames else ()
        found = tuple(frame for frame in frames if frame is not None)
        return found if len(found) == len(frames) else ()


@dataclass(frozen=True)
class LongView:
    """A place along the heart over a beat. kind: one of `cine_views.KINDS`; cine: of a single slice."""

    kind: str
    cine: Cine
