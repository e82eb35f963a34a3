"""Batches of random phantom slices, made ahead by processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np

from .anatomies import Anatomy, load_anatomies, random_slice
from .randomisation import Randomisation

AHEAD = 3  # batches that each process keeps ready
WATCH_SECONDS = 5.0  # how often a process looks whether the others are still there


@dataclass(frozen=True)
class Row:
    """An endless row of slices: of the anatomies in `folder`, `size` pixels a side, by `seed`, `batch` at a time, as
    random as `wild` says. seeds: of these anatomies alone (none: of all). Of each batch, process `rank` of `world` that
    train together gets its share, which is equally large for all."""

    folder: Path
    size: int
    seed: int
    batch: int
    wild: Randomisation = field(default_factory=Randomisation)
    seeds: tuple[int, ...] = ()
    rank: int = 0
    world: int = 1


def make(anatomies: Sequence[Anatomy], row: Row, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Batch `number` of the row: images float32 [share, 1, size, size] in -1..1, labels uint8 [share, size, size]."""
    share = row.batch // row.world
    first = number * row.batch + row.rank * share
    pairs = [random_slice(anatomies, row.size, row.seed, n, row.wild) for n in range(first, first + share)]
    return np.stack([image for image, _ in pairs])[:, None], np.stack([labels for _, labels in pairs])


def batches(row: Row, first: int, last: int, workers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches first .. last - 1 of the row, in their order.

    workers: processes that make them ahead; 0: they are made when they are asked for. The number changes nothing.
    Raises RuntimeError if one of the processes dies.
    """
    if workers == 0:
        anatomies = load_anatomies(row.folder, row.seeds)
        for number in range(first, last):
            yield make(anatomies, row, number)
        return
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(AHEAD) for _ in range(workers)]
    processes = [
        context.Process(target=_work, args=(row, range(first + n, last, workers), queues[n], os.getpid()), daemon=True)
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        for number in range(first, last):
            which = (number - first) % workers
            yield _next(queues[which], processes[which])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _next(results: Queue[Any], process: multiprocessing.process.BaseProcess) -> tuple[np.ndarray, np.ndarray]:
    while True:
        try:
            return results.get(timeout=WATCH_SECONDS)
        except queue.Empty:
            if not process.is_alive() and results.empty():
                raise RuntimeError(
                    f"A process that makes slices ended by itself (exit code {process.exitcode}); "
                    "is there enough memory? Start again with fewer workers."
                ) from None


def _work(row: Row, numbers: range, results: Queue[Any], parent: int) -> None:
    """What a process does: its share of the batches, until its parent is gone."""
    anatomies = load_anatomies(row.folder, row.seeds)
    for number in numbers:
        made = make(anatomies, row, number)
        while True:
            try:
                results.put(made, timeout=WATCH_SECONDS)
                break
            except queue.Full:
                if os.getppid() != parent:
                    return
