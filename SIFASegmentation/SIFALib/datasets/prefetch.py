"""Batches made ahead by threads, so that training does not wait for them."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .batching import Batch, batch
from .settings import DataSettings

if TYPE_CHECKING:
    from .domains import Domains

AHEAD = 2  # batches that each worker keeps ready


@dataclass(frozen=True)
class Order:
    """Which batches: those of iterations first .. last - 1, of `size` slices of each domain, or process `rank`'s share."""

    seed: int
    first: int
    last: int
    size: int
    rank: int = 0
    world: int = 1


def batches(domains: Domains, settings: DataSettings, order: Order, workers: int = 1) -> Iterator[tuple[Batch, float]]:
    """The batches in their order, each with the seconds that it was waited for; DataError if slices are gone.

    workers: threads that make them ahead; 0: they are made when they are asked for. The number changes nothing.
    """

    def make(iteration: int) -> Batch:
        return batch(domains, settings, order.seed, iteration, order.size, order.rank, order.world)

    if workers == 0:
        for iteration in range(order.first, order.last):
            begin = time.perf_counter()
            yield make(iteration), time.perf_counter() - begin
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[Batch]] = deque()
    try:
        following = iter(range(order.first, order.last))
        for _ in range(order.first, order.last):
            for iteration in itertools.islice(following, max(0, workers * AHEAD - len(waiting))):
                waiting.append(pool.submit(make, iteration))
            begin = time.perf_counter()
            made = waiting.popleft().result()
            yield made, time.perf_counter() - begin
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
