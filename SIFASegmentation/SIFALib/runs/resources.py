"""What a run needs of this computer, memory and disk, before it begins. No torch here.

Where an iteration was timed (timing.py) its numbers are taken. Else those of `make bench-training` are carried over:
the paper's size (width 16, 256 x 256 pixels) took 4.7 GiB at batch 8 and 1.8 GiB at batch 1, our default 1.1 GiB.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets import phantoms
from ..datasets.cutting import border_size
from ..datasets.scans import Scan
from ..datasets.settings import PHANTOMS
from ..support.memory import free_memory, size
from .configuration import Configuration

GIB = 1024**3
_BASE, _PER_WIDTH2, _PER_IMAGE = (0.5 * GIB, 0.0035 * GIB, 424.0)  # bytes; per width^2; per width and pixel of a batch
_SEGMENTER_PER_IMAGE = (
    154.0  # the same where a U-Net is all that is trained: 0.65 GiB for 4 slices of 128^2, 1.56 for 8 of 256^2
)
_PARAMETERS_PER_WIDTH2 = 200_000  # of all networks together; a checkpoint holds each three times, float32
_SPARE_DISK = 0.2 * GIB  # for logs, pictures, the exported model
_PHANTOM_SLICES = 150  # of a whole phantom that is cut like a scan
_TISSUE_MAP = 0.4e6 * 2.0**3  # bytes of a compressed one, times the cube of its voxels' size in mm


@dataclass(frozen=True)
class Needs:
    """Bytes: what the run needs, and what there is (0: not known)."""

    memory: int
    memory_free: int
    disk: int
    disk_free: int

    def problem(self, folder: Path) -> str:
        """Why the run should not be started, with the numbers; "" if nothing speaks against it."""
        if self.disk_free and self.disk > self.disk_free:
            return (
                f"The run needs about {size(self.disk)} in {folder}, where {size(self.disk_free)} are free; make room, "
                "or choose another folder for runs."
            )
        if self.memory_free and self.memory > self.memory_free:
            return (
                f"The training needs about {size(self.memory)} of memory, of which {size(self.memory_free)} are free; "
                "close other programs, or set accumulate higher."
            )
        return ""

    def sentence(self) -> str:
        parts = []
        for what, need, free in (("memory", self.memory, self.memory_free), ("disk", self.disk, self.disk_free)):
            there = f" ({size(free)} free)" if free else ""
            parts.append(f"{size(need)} of {what}{there}")
        return f"Needs about {parts[0]} and {parts[1]}."


def of(
    configuration: Configuration, folder: Path, scans: Iterable[Scan] = (), timed: Mapping[str, Any] | None = None
) -> Needs:
    """What a run in `folder` (or the nearest folder above that exists) needs and finds. OSError.

    scans: those that are to be prepared; timed: the answer of the task "time", if there is one.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    timed = timed or {}
    return Needs(
        int(timed.get("memory") or _memory(configuration)),
        0 if str(timed.get("device", "cpu")) != "cpu" else free_memory(),
        int(_disk(configuration, scans, int(timed.get("checkpoint") or 0))),
        shutil.disk_usage(place).free,
    )


def _memory(c: Configuration) -> float:
    width, images = c.method.width, c.batch / c.accumulate
    if c.method.variant == "unet" and not c.method.translates:
        return _BASE + _SEGMENTER_PER_IMAGE * width * images * c.data.size**2
    return _BASE + _PER_WIDTH2 * width**2 + _PER_IMAGE * width * images * c.data.size**2


def _disk(c: Configuration, scans: Iterable[Scan], checkpoint: int) -> float:
    checkpoint = checkpoint or 3 * 4 * _PARAMETERS_PER_WIDTH2 * c.method.width**2
    pixels = border_size(c.data.size) ** 2
    pre, kept = c.data.preprocessing, 0.0
    for scan in scans:
        if scan.problems or not scan.field_of_view_mm:
            continue
        thickness = min(scan.field_of_view_mm)
        count = thickness / pre.slice_spacing_mm + thickness / pre.locate_slice_spacing_mm
        kept += count * pixels * (5 if scan.domain == "source" else 4)
    if c.phantom_slices is not None:
        maps = c.phantom_slices.anatomies + c.phantom_slices.validation_anatomies
        kept += maps * _TISSUE_MAP / c.phantom_slices.spacing_mm**3
    for place in (c.data.source, c.data.target):
        if place in PHANTOMS and c.phantom_slices is None:
            random = phantoms.kind_of(place) == "phantom"
            kept += c.data.phantoms * (phantoms.RANDOM_SLICES if random else _PHANTOM_SLICES) * pixels * 5
    return (c.keep_checkpoints + 1) * checkpoint + kept + _SPARE_DISK
