"""What runs the network for a segmentation, and retreats when memory runs out; and the clock that times it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ..networks import devices, engine
from ..support.errors import OutOfMemory
from ..support.progress import Progress, Steps
from .options import Options

if TYPE_CHECKING:
    import torch

    from ..imaging.slices import SliceGrid
    from ..networks.segmenter import Segmenter
    from .fusion import Fusion

log = logging.getLogger(__name__)


class Clock:
    """How long each stage takes, and how far the work is; that in pixels through the network, or what costs as much."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()
        self._done, self._total = 0.0, 1.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the seconds of the block to that stage."""
        start = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start

    def plan(self, left: float) -> None:
        """Say how much work is left."""
        self._total = self._done + left

    def advance(self, done: float) -> None:
        """So much more is done."""
        self._done += done

    def progress(self, stage: str) -> Progress:
        """How far the work is now, short of its end, and the seconds that are left at the pace so far."""
        share = min(0.99, self._done / self._total)
        elapsed = time.monotonic() - self._started
        return Progress(stage, share, elapsed * (1 - share) / share if share > 0.02 else None)


class Runner:
    """The engine of a segmenter: where memory runs out, with half as many slices at once, then on the CPU.

    precision: of now. notes: a sentence for each retreat. clock: told of what is done.
    """

    def __init__(self, segmenter: Segmenter, options: Options, clock: Clock) -> None:
        """ValueError for a device or a precision that cannot be had."""
        self.clock = clock
        self.notes: list[str] = []
        self._segmenter, self._asked = segmenter, options.batch_size
        self._most = options.batch_size  # slices at once; None: as the engine thinks best
        device = devices.choose_device(options.device)
        self.precision = devices.choose_precision(options.precision, device)
        try:
            self._engine = engine.prepare(segmenter, device, self.precision)
        except OutOfMemory:
            self._go_on_on_cpu(device, "for the weights alone")

    @property
    def device(self) -> torch.device:
        """On which the network runs now."""
        return self._engine.device

    def batch_size(self, height: int, width: int) -> int:
        """How many slices of that size the engine gets at once."""
        return self._most or self._engine.batch_size(height, width)

    def probabilities(self, images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Batch after batch of normalised slices [S, H, W]: the first one's number, class probabilities [N, classes, H, W].

        MemoryError, a sentence, if not even one slice fits.
        """
        done = 0
        while done < len(images):
            batch = images[done : done + self.batch_size(*images.shape[1:])]
            try:
                probabilities = self._engine.probabilities(batch)
            except OutOfMemory:
                self._retreat(len(batch))
                continue
            yield done, probabilities
            done += len(batch)

    def run(self, stage: str, fusion: Fusion, grid: SliceGrid, images: np.ndarray) -> Steps[None]:
        """A pass: add what the network says of normalised slices [slices, rows, columns] on `grid` to the fusion."""
        for first, probabilities in self.probabilities(images):
            fusion.add(probabilities, first, grid)
            self.clock.advance(probabilities[:, 0].size)
            yield self.clock.progress(stage)
        fusion.close(grid)

    def _retreat(self, tried: int) -> None:
        """After running out of memory with `tried` slices: half of them, then the CPU, then give up with a sentence."""
        if tried > 1:
            self._most = tried // 2
            self._note(f"Memory ran out on {self.device} with {tried} slices at once; went on with {self._most}.")
        elif self.device.type != "cpu":
            self._go_on_on_cpu(self.device, "even for one slice")
        else:
            raise MemoryError("Memory ran out on the CPU even for one slice; close other programs and try again.")

    def _go_on_on_cpu(self, device: torch.device, where: str) -> None:
        cpu = devices.choose_device("cpu")
        self.precision = devices.choose_precision("auto", cpu)
        self._engine = engine.prepare(self._segmenter, cpu, self.precision)
        self._most = self._asked
        self._note(f"Memory ran out on {device} {where}; went on on the CPU.")

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        log.warning(sentence)
