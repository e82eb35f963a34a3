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

from .. import datasets, phantom
from ..adaptation import State, averaged_segmenter
from ..adaptation.label_free import Score
from ..adaptation.verdict import Signs
from ..datasets import Batch, Slices
from ..networks.arrays import to_tensor
from ..phantom.conditions import draw_person
from ..phantom.slices import workers
from ..phantom.slices.anatomies import SLICES_VERSION, make_anatomies
from ..phantom.slices.randomisation import Randomisation
from ..phantom.tissues import known_to
from ..support.progress import Progress, Steps
from .configuration import TRAINING_SEEDS, VALIDATION_SEED, VALIDATION_SLICES, Configuration, PhantomSlices
from .previews import ROWS, Shown

SCANS_DRAWN = 3  # part of the seed, besides those of source and target
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
    """Make the tissue maps that the cache lacks, side by side, and slices of the labelled scans, if there are any.

    ValueError for tissue maps of another version of the phantom; DataError for scans that cannot be trained on.
    """
    scans = None
    if settings.scans_per_batch:
        scans = LabelledScans(*(yield from datasets.prepare_source(c.data, cache)))
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
    return RandomSlices(c, settings, folder, scans)


def _make(folder: Path, spacing_mm: float, seed: int) -> None:
    make_anatomies(folder, [seed], spacing_mm)


@dataclass(frozen=True, eq=False)
class LabelledScans:
    """Slices of scans in which some structures are labelled (`DataSettings.partial_labels`)."""

    slices: Slices
    manifest: dict[str, str]

    def drawn(self, c: Configuration, iteration: int, places: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For these places of a batch: images [n, 1, size, size], labels [n, size, size], known classes [n, classes]."""
        images, labels, scans = datasets.drawn(self.slices, c.data, [c.seed, iteration, SCANS_DRAWN], places)
        assert labels is not None
        return images, labels, self.slices.known[scans, : c.method.classes]


@dataclass(frozen=True, eq=False)
class RandomSlices:
    """Slices that are made as they are needed, by processes of their own (`workers`; the number changes nothing), and some
    of labelled scans among them.
    """

    configuration: Configuration
    settings: PhantomSlices
    folder: Path  # of the tissue maps
    scans: LabelledScans | None = None

    @property
    def fingerprint(self) -> str:
        what = {"manifest": self.manifest, "size": self.configuration.data.size, **dataclasses.asdict(self.settings)}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @property
    def manifest(self) -> dict[str, str]:
        version = f"{phantom.VERSION}.{SLICES_VERSION}, {self.settings.spacing_mm:g} mm"
        of_phantoms = {f"source:phantom-{seed}": version for seed in people(self.settings)}
        return of_phantoms | (self.scans.manifest if self.scans else {})

    @property
    def epoch(self) -> int:
        """There is no end of slices; each phantom counts as one."""
        return len(people(self.settings))

    def row(self, rank: int = 0, world: int = 1) -> workers.Row:
        """The slices that are trained on, as random as is asked for; this process's share of each batch."""
        c = self.configuration
        wild = self.settings.randomisation
        count = c.batch - self.settings.scans_per_batch
        return workers.Row(self.folder, c.data.size, c.seed, count, wild, people(self.settings), rank, world)

    def validation_row(self) -> workers.Row:
        """The slices that judge, of others, always as random as by default: whatever is trained on is judged alike."""
        size, seeds = self.configuration.data.size, judges(self.settings)
        return workers.Row(self.folder, size, VALIDATION_SEED, VALIDATION_SLICES, Randomisation(), seeds)

    def batches(self, first: int, last: int, rank: int, world: int) -> Iterator[tuple[Batch, float]]:
        begin = time.perf_counter()
        made = workers.batches(self.row(rank, world), first, last, self.configuration.workers)
        for iteration, (images, labels) in enumerate(made, start=first):
            yield self._batch(iteration, images, labels, rank, world), time.perf_counter() - begin
            begin = time.perf_counter()

    def _batch(self, iteration: int, images: np.ndarray, labels: np.ndarray, rank: int, world: int) -> Batch:
        """This process's share: slices of phantoms, then of scans."""
        c, count, known = self.configuration, self.settings.scans_per_batch, None
        labels = known_to(labels, c.method.classes)
        if self.scans is not None:
            mine = range(count * rank // world, count * (rank + 1) // world)
            more, more_labels, of_scans = self.scans.drawn(c, iteration, mine)
            of_phantoms = np.ones((len(images), c.method.classes), bool)
            images, labels = np.concatenate([images, more]), np.concatenate([labels, more_labels])
            known = to_tensor(np.concatenate([of_phantoms, of_scans]))
        shown = to_tensor(images)
        return Batch(shown, to_tensor(labels), shown, source_known=known)

    @cached_property
    def _judged(self) -> tuple[Tensor, Tensor]:
        ((images, labels),) = workers.batches(self.validation_row(), 0, 1, 0)
        return to_tensor(images), to_tensor(known_to(labels, self.configuration.method.classes))

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

    def signs(self, state: State) -> Signs:
        return ()

    def shown(self) -> Shown:
        images, labels = self._judged
        return Shown(images[:ROWS], labels[:ROWS])
