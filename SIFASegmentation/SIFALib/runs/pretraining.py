"""Random slices of phantoms as what a run learns from: so the bundled model was made, from nothing.

    sifa train runs/default --preset pretraining

A slice depends on the seed and its number alone, so nothing about them is kept but the tissue maps that they are cut
out of, a file for each phantom, in the run's cache. Whatever judges a model uses other phantoms.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import phantom
from ..adaptation import State, averaged_segmenter
from ..adaptation.label_free import Score
from ..datasets import Batch
from ..networks.arrays import to_tensor
from ..phantom.conditions import draw_person
from ..phantom.slices import workers
from ..phantom.slices.anatomies import SLICES_VERSION, make_anatomies
from ..phantom.slices.randomisation import Randomisation
from ..phantom.tissues import known_to
from ..support.progress import Progress, Steps
from .configuration import TRAINING_SEEDS, VALIDATION_SEED, VALIDATION_SLICES, Configuration, PhantomSlices
from .previews import ROWS, Shown

BATCH = 8  # slices at once where none is trained on


def people(settings: PhantomSlices) -> tuple[int, ...]:
    """The seeds of the phantoms that are trained on; of healthy adults there may be fewer than were asked for."""
    seeds = range(TRAINING_SEEDS)
    if settings.healthy_adults:
        persons = (draw_person(seed) for seed in seeds)
        return tuple(p.seed for p in persons if p.condition == "normal" and p.growth == 1)[: settings.anatomies]
    return tuple(seeds[: settings.anatomies])


def judges(settings: PhantomSlices) -> tuple[int, ...]:
    """The seeds of those that validate."""
    return tuple(range(VALIDATION_SEED, VALIDATION_SEED + settings.validation_anatomies))


def prepare(c: Configuration, settings: PhantomSlices, cache: Path) -> Steps[RandomSlices]:
    """Make the tissue maps that the cache lacks, side by side. ValueError for those of another version of the phantom."""
    folder = cache / f"tissues {settings.spacing_mm:g} mm"
    seeds = (*people(settings), *judges(settings))
    there = [seed for seed in seeds if (folder / f"{seed}.nrrd").exists()]
    make_anatomies(folder, there, settings.spacing_mm)
    missing = sorted(set(seeds) - set(there))
    processes = min(len(missing), max(c.threads or torch.get_num_threads(), c.workers))
    if missing:
        yield Progress("Making phantoms", 0.0)
        begun = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            making = pool.imap_unordered(partial(_make, folder, settings.spacing_mm), missing)
            for done, _ in enumerate(making, start=1):
                left = (time.monotonic() - begun) * (len(missing) - done) / done
                yield Progress("Making phantoms", done / len(missing), left)
    return RandomSlices(c, settings, folder)


def _make(folder: Path, spacing_mm: float, seed: int) -> None:
    make_anatomies(folder, [seed], spacing_mm)


@dataclass(frozen=True, eq=False)
class RandomSlices:
    """Slices that are made as they are needed, by processes of their own (`workers`; the number changes nothing)."""

    configuration: Configuration
    settings: PhantomSlices
    folder: Path  # of the tissue maps

    @property
    def fingerprint(self) -> str:
        what = {"manifest": self.manifest, "size": self.configuration.data.size, **dataclasses.asdict(self.settings)}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @property
    def manifest(self) -> dict[str, str]:
        version = f"{phantom.VERSION}.{SLICES_VERSION}, {self.settings.spacing_mm:g} mm"
        return {f"source:phantom-{seed}": version for seed in people(self.settings)}

    @property
    def epoch(self) -> int:
        """There is no end of slices; each phantom counts as one."""
        return len(people(self.settings))

    def row(self, rank: int = 0, world: int = 1) -> workers.Row:
        """The slices that are trained on, as random as is asked for; this process's share of each batch."""
        c = self.configuration
        wild = self.settings.randomisation
        return workers.Row(self.folder, c.data.size, c.seed, c.batch, wild, people(self.settings), rank, world)

    def validation_row(self) -> workers.Row:
        """The slices that judge, of others, always as random as by default: whatever is trained on is judged alike."""
        size, seeds = self.configuration.data.size, judges(self.settings)
        return workers.Row(self.folder, size, VALIDATION_SEED, VALIDATION_SLICES, Randomisation(), seeds)

    def batches(self, first: int, last: int, rank: int, world: int) -> Iterator[tuple[Batch, float]]:
        begin = time.perf_counter()
        for images, labels in workers.batches(self.row(rank, world), first, last, self.configuration.workers):
            shown = to_tensor(images)
            yield Batch(shown, self._classes(labels), shown), time.perf_counter() - begin
            begin = time.perf_counter()

    @cached_property
    def _judged(self) -> tuple[Tensor, Tensor]:
        ((images, labels),) = workers.batches(self.validation_row(), 0, 1, 0)
        return to_tensor(images), self._classes(labels)

    def _classes(self, labels: np.ndarray) -> Tensor:
        return to_tensor(known_to(labels, self.configuration.method.classes))

    @torch.inference_mode()
    def score(self, state: State) -> Score:
        """Dice by class, pooled over the slices: one that is missed counts with its whole area. value: their mean."""
        images, labels = self._judged
        segmenter = averaged_segmenter(state)
        parts = (images[n : n + BATCH].to(state.device) for n in range(0, len(images), BATCH))
        predicted, dice = torch.cat([segmenter(state.wide(x)).argmax(1).cpu() for x in parts]), {}
        for label in range(1, state.method.classes):
            here, there = predicted == label, labels == label
            dice[f"supervised_{label}"] = 2.0 * int((here & there).sum()) / max(1, int(here.sum() + there.sum()))
        return Score(float(np.mean(list(dice.values()))), dice)

    def shown(self) -> Shown:
        images, labels = self._judged
        return Shown(images[:ROWS], labels[:ROWS])
