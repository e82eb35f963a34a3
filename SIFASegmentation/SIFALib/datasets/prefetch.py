"""Batches made ahead by threads, so that training does not wait for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from .batching import Batch, batch
from .settings import DataSettings

if TYPE_CHECKING:
    from .domains import Domains

AHEAD = 2  # batches that each worker keeps ready


def batches(
    domains: Domains,
    settings: DataSettings,
    seed: int,
    first: int,
    last: int,
    size: int,
    rank: int = 0,
    world: int = 1,
    workers: int = 1,
) -> Iterator[tuple[Batch, float]]:
    """The batches of iterations first .. last - 1 in their order, each with the seconds that it was waited for.

    workers: threads that make them ahead; 0: they are made when they are asked for. The number changes nothing.
    """
    arguments = (domains, settings, seed)
    if workers == 0:
        for iteration in range(first, last):
            begin = time.perf_counter()
            made = batch(*arguments, iteration, size, rank, world)
            yield made, time.perf_counter() - begin
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[Batch]] = deque()
    try:
        following = first
        for _ in range(first, last):
            while following < last and len(waiting) < workers * AHEAD:
                waiting.append(pool.submit(batch, *arguments, following, size, rank, world))
                following += 1
            begin = time.perf_counter()
            made = waiting.popleft().result()
            yield made, time.perf_counter() - begin
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
