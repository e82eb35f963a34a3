"""What a run learns from: scans of a source and a target, or random slices of phantoms (`pretraining`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from .. import datasets
from ..adaptation import State, averaged_segmenter, label_free, signs
from ..adaptation.verdict import Signs
from ..datasets import Batch, DataSettings, Domains
from ..support.progress import Steps
from . import pretraining, previews
from .configuration import Configuration
from .previews import Shown
from .start_model import StartModel


class LearningData(Protocol):
    """fingerprint: SHA-256 of all that the slices depend on; manifest: name -> what was made of it."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def manifest(self) -> dict[str, str]: ...
    @property
    def epoch(self) -> int:
        """How many slices an epoch shows."""

    def batches(self, first: int, last: int, rank: int, world: int) -> Iterator[tuple[Batch, float]]:
        """Process `rank`'s shares of the batches of iterations first .. last - 1, and the seconds each was waited for."""

    def score(self, state: State) -> label_free.Score:
        """How good the averaged segmenter is on slices that are not trained on."""

    def signs(self, state: State) -> Signs:
        """What tells how good the averaged segmenter is on the target's scans; () where there are none."""

    def shown(self) -> Shown:
        """What pictures show: always the same slices."""


def prepare(c: Configuration, cache: Path, start_model: StartModel) -> Steps[LearningData]:
    """Make ready what the configuration names, as far as `cache` does not hold it. DataError, ModelError, OSError."""
    if c.phantom_slices is not None:
        return (yield from pretraining.prepare(c, c.phantom_slices, cache))
    return Scans((yield from datasets.prepare(c.data, cache, start_model.locator())), c)


@dataclass(frozen=True, eq=False)
class Scans:
    """Slices of the scans of both domains."""

    domains: Domains
    configuration: Configuration

    @property
    def settings(self) -> DataSettings:
        return self.configuration.data

    @property
    def fingerprint(self) -> str:
        return self.domains.fingerprint

    @property
    def manifest(self) -> dict[str, str]:
        return dict(self.domains.manifest)

    @property
    def epoch(self) -> int:
        """Slices of the larger domain; those of the coarse pass come besides."""
        return max(int((~each.coarse).sum()) or len(each) for each in (self.domains.source, self.domains.target))

    def batches(self, first: int, last: int, rank: int, world: int) -> Iterator[tuple[Batch, float]]:
        c = self.configuration
        return datasets.batches(
            self.domains, c.data, datasets.Order(c.seed, first, last, c.batch, rank, world), c.workers
        )

    def score(self, state: State) -> label_free.Score:
        return label_free.score(state, self.domains, self.settings)

    def signs(self, state: State) -> Signs:
        return signs.of_hearts(averaged_segmenter(state), signs.judging(self.domains), self.settings.size)

    def shown(self) -> Shown:
        images: list[tuple[Tensor, Tensor | None]] = []
        for name in ("source", "target"):
            slices = getattr(self.domains, f"{name}_validation")
            slices = slices if len(slices) else getattr(self.domains, name)
            images.append(datasets.view(slices, previews.chosen(slices), self.settings.size))
        return Shown(images[0][0], images[0][1], images[1][0])
