"""A cine of images that lie in memory, as a program holds that has read the files itself: slices, or a volume a phase.

Each slice is told as DICOM's are, and goes the same way from there (`study.cine_of`): what makes a stack, a place and a
moment, what is left out and what is refused are the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import cine_stacks
from .cine import Cine
from .dicom_context import Context
from .dicom_headers import Frame
from .geometry import Volume
from .study import cine_of

MODALITIES = ("MR", "CT")
GROUPED_AS = "MR"  # what images are put together as that do not say; how they are read is for their grey values to say
NUMBERED = re.compile(r"(\d+): *(.*)", re.DOTALL)  # "5: MR cine sax", as 3D Slicer calls the series 5


@dataclass(frozen=True, eq=False)
class CineImage:
    """A slice or a stack of slices at one moment.

    series: what it came with, as a person calls that. number: from 1, of several in a series; phase: its number, from 1,
    in the beat, where a series is of one phase; trigger_ms: after the R wave, None if not known.
    """

    volume: Volume
    series: str
    number: int = 1
    phase: int | None = None
    trigger_ms: float | None = None


def cine_of_images(images: Sequence[CineImage], name: str, stack: str = "") -> Cine:
    """The cine in images; stack: as of `study.read_cine`. VolumeError says why there is none."""
    arrays = {str(number): image.volume.array for number, image in enumerate(images)}

    def read(frames: Sequence[Frame], _source: Path) -> np.ndarray:
        return np.stack([arrays[frame.uid][frame.number] for frame in frames])

    cine = cine_of(_frames(images), Path(name), stack, read)
    stated = {image.volume.modality.lower() for image in images}
    modality = stated.pop() if len(stated) == 1 else ""  # then grey values say how they are read, as anywhere else
    return replace(cine, name=name, source="", frames=(), modality=modality)


def stacks_in(images: Sequence[CineImage]) -> cine_stacks.Found:
    """Which cines the images make; their grey values are not looked at."""
    return cine_stacks.stacks_of(_frames(images))


def _frames(images: Sequence[CineImage]) -> list[Frame]:
    return [frame for number, image in enumerate(images) for frame in _slices(image, str(number))]


def _slices(image: CineImage, uid: str) -> list[Frame]:
    named = NUMBERED.fullmatch(image.series)
    context = Context(description=image.series)
    if named:
        context = Context(description=named[2], number=int(named[1]))
    geometry, modality = image.volume.geometry, image.volume.modality.upper()
    columns, rows, count = geometry.size
    i, j, _ = geometry.spacing  # what a single slice says along its normal is no thickness that could be told
    frame = Frame(
        file=Path(image.volume.name), number=0, count=count, uid=uid, series=image.series,
        modality=modality if modality in MODALITIES else GROUPED_AS, sop_class="", rows=rows, columns=columns,
        orientation=tuple(float(v) for v in geometry.axes[:, :2].T.ravel()), pixel_spacing=(j, i),
        instance=image.number, trigger_ms=image.trigger_ms, phase=image.phase,
        context=context,
    )  # fmt: skip
    points = geometry.point(np.array([(0, 0, n) for n in range(count)], float))
    return [replace(frame, number=n, position=tuple(float(v) for v in point)) for n, point in enumerate(points)]
