"""Slices to batches: which slices, and how they are changed, is a function of seed, iteration and place in the batch.

So nothing about the order has to be remembered: a training that goes on sees what it would have seen, and any number
of processes share one global batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..support.errors import DataError
from .augmentation import augment, centre
from .settings import DataSettings

if TYPE_CHECKING:
    from torch import Tensor

    from .domains import Domains, Slices

_SOURCE, _TARGET, _CONTOURS = 1, 2, 4  # part of the seed


@dataclass(frozen=True, eq=False)
class Batch:
    """Slices of both domains, unpaired. Images [N, 1, H, W] float32, -1..1; labels [N, H, W] uint8.

    A label of the number of classes or above belongs to no class. target_labels: only where the settings let them
    be read, for the upper bound. source_known: bool [N, classes], which classes the labels of a slice speak of; the
    others are somewhere in what is labelled 0. None: of all.
    """

    source: Tensor
    source_labels: Tensor
    target: Tensor
    target_labels: Tensor | None = None
    source_known: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same with every tensor that is there changed."""
        there = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(self, **{name: change(tensor) for name, tensor in there.items()})


def batch(
    domains: Domains, settings: DataSettings, seed: int, iteration: int, size: int, rank: int = 0, world: int = 1
) -> Batch:
    """Process `rank`'s share of the global batch of `size` slices of each domain. Raises DataError if a cache is gone.

    All shares are equal: only then is the mean over the processes the mean over the batch. ValueError otherwise.
    """
    from ..networks.arrays import to_tensor

    if world < 1 or size < 1 or size % world:
        raise ValueError(f"A batch of {size} slices cannot be shared by {world} processes; name a multiple.")
    mine = range(size * rank // world, size * (rank + 1) // world)
    source, source_labels, known = _of_source(domains, settings, [seed, iteration, _SOURCE], mine)
    target, target_labels, _ = drawn(domains.target, settings, [seed, iteration, _TARGET], mine)
    labels = None if target_labels is None else to_tensor(target_labels)
    of_known = None if known is None else to_tensor(known)
    return Batch(to_tensor(source), to_tensor(source_labels), to_tensor(target), labels, of_known)


def _of_source(
    domains: Domains, settings: DataSettings, key: list[int], places: range
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Images and labels for these places of the batch, as `drawn` gives them, and which classes are known, [N, classes], or
    None. Every second slice is one with contours, where there are any.
    key: seed, iteration, domain."""
    if domains.contours is None:
        images, labels, scans = drawn(domains.source, settings, key, places)
        if labels is None:
            raise DataError("The source has no labels; label maps are needed to learn from.")
        return images, labels, domains.source.known[scans, : settings.classes] if settings.partial_labels else None
    first = (places.start + key[1]) % 2  # where in `places` the first without contours is; even batches of one see both
    plain, plain_labels, _ = drawn(domains.source, settings, key, places[first::2])
    outlined, outlines, scans = drawn(domains.contours, settings, [*key, _CONTOURS], places[1 - first :: 2])
    assert plain_labels is not None and outlines is not None
    images = np.empty((len(places), *plain.shape[1:]), plain.dtype)
    labels, known = (
        np.empty((len(places), *plain_labels.shape[1:]), np.uint8),
        np.ones((len(places), settings.classes), bool),
    )
    images[first::2], labels[first::2] = plain, plain_labels
    images[1 - first :: 2], labels[1 - first :: 2] = outlined, outlines
    known[1 - first :: 2] = domains.contours.known[scans, : settings.classes]
    return images, labels, known


def drawn(
    slices: Slices, settings: DataSettings, key: list[int], places: range
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Slices for these places of the batch: [N, 1, size, size], labels [N, size, size] or None, and their scans [N]."""
    if not len(slices):
        raise DataError("There are no slices to train on.")
    kinds = [np.flatnonzero(slices.coarse == coarse) for coarse in (False, True)]
    images = np.empty((len(places), 1, settings.size, settings.size), np.float32)
    labels = None if slices.labels is None else np.empty((len(places), *images.shape[2:]), np.uint8)
    scans = np.empty(len(places), int)
    for n, place in enumerate(places):
        rng = np.random.default_rng([*key, place])
        coarse = rng.random() < settings.coarse_share
        choice = kinds[coarse] if len(kinds[coarse]) else kinds[not coarse]
        if settings.balanced:
            choice = _of_one_scan(slices.volume, choice, rng)
        index = int(choice[rng.integers(len(choice))])
        scans[n] = slices.volume[index]
        classes = None if slices.labels is None else slices.labels[index]
        image, classes = augment(slices.images[index], classes, settings.size, settings.augmentation, rng)
        images[n, 0] = image
        if labels is not None and classes is not None:
            labels[n] = classes
    return images, labels, scans


def _of_one_scan(volume: np.ndarray, choice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Those of the chosen slices that belong to one of their scans, any of them as likely."""
    there = np.unique(volume[choice])
    mine: np.ndarray = choice[volume[choice] == there[rng.integers(len(there))]]
    return mine


def view(slices: Slices, which: np.ndarray | list[int] | slice, size: int) -> tuple[Tensor, Tensor | None]:
    """The middles of chosen slices as they are: images [N, 1, size, size], labels [N, size, size] or None."""
    from ..networks.arrays import to_tensor

    index = np.arange(len(slices))[which]
    images = np.stack([centre(slices.images[int(i)], size) for i in index])[:, None]
    if slices.labels is None:
        return to_tensor(images), None
    labels = slices.labels
    return to_tensor(images), to_tensor(np.stack([centre(labels[int(i)], size) for i in index]))
