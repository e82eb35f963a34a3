"""How a segmenter runs fast: device, precision, fused weights, slices in, probabilities out.

On the CPU every slice is computed alone and by one thread, as many slices side by side as torch has
threads. That keeps the cores busier than sharing each convolution among them, and it makes the result
independent of the batch size and of the number of threads, to the last bit: no slice ever meets another
one. On a GPU a batch is computed at once; its libraries choose how by the shape of the batch, so that last
digits may differ there. float32 is float32 there, too, not cuDNN's TF32 with its ten bits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..models.architectures import multiply_accumulates
from ..support.errors import OutOfMemory
from .arrays import to_numpy, to_tensor
from .devices import is_out_of_memory
from .fused import FusedNetwork
from .segmenter import Segmenter, check_image_batch

Made = TypeVar("Made")

CPU_CALL_SECONDS = 0.4
"""How long one call on the CPU should take at most, so that a caller can show progress and be cancelled."""

CPU_CORE_GMACS = 30.0
"""1e9 multiply-accumulates a second of one core with AVX2, roughly; only the batch size needs it."""


def prepare(segmenter: Segmenter, device: torch.device, dtype: torch.dtype = torch.float32) -> Engine:
    """An engine with its own copy of the weights, fused for evaluation; the segmenter stays as it is.

    On the CPU it computes with as many threads as torch has now. Raises OutOfMemory if the weights alone do not fit.
    """
    workers = _Workers(torch.get_num_threads() if device.type == "cpu" else 1)
    with _reporting_memory(0, device):
        (network,) = workers.each(lambda _: FusedNetwork.of(segmenter, device, dtype), 1)
    macs = multiply_accumulates(segmenter.architecture)
    return Engine(device, dtype, segmenter.variant, segmenter.classes, network, macs, workers)


@dataclass(frozen=True, eq=False)
class Engine:
    """A segmenter ready to run. Made by `prepare`."""

    device: torch.device
    dtype: torch.dtype
    variant: str
    classes: int
    network: FusedNetwork
    macs_per_pixel: float
    workers: _Workers

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """Class probabilities float32 ``[N, classes, H, W]`` of slices ``[N, H, W]``.

        Intensities in [-1, 1]; H and W multiples of the variant's reduction. Raises ValueError for another shape, and
        OutOfMemory.
        """
        if batch.ndim != 3:
            raise ValueError(f"The network takes slices [N, H, W] but got an array of shape {batch.shape}.")
        with _reporting_memory(len(batch), self.device):
            images = to_tensor(batch).to(torch.float32).unsqueeze(1)
            check_image_batch(images, self.variant, 1)
            if self.device.type == "cpu":
                return self._slice_by_slice(images)
            with torch.inference_mode(), _exact_convolutions():
                return to_numpy(self.network(images.to(self.device)))

    def _slice_by_slice(self, images: Tensor) -> np.ndarray:
        count, _, height, width = images.shape
        out = np.empty((count, self.classes, height, width), np.float32)

        def compute(n: int) -> None:
            with torch.inference_mode():
                out[n] = to_numpy(self.network(images[n : n + 1]))[0]

        self.workers.each(compute, count)
        return out

    def batch_size(self, height: int, width: int) -> int:
        """How many slices of that size to hand over at once: all cores busy, back in well under a second."""
        if self.device.type != "cpu":
            return 32 if self.device.type == "cuda" else 8
        seconds = self.macs_per_pixel * height * width / (1e9 * CPU_CORE_GMACS)
        return self.workers.count * max(1, min(8, int(CPU_CALL_SECONDS / seconds)))


class _Workers:
    """Threads within each of which torch computes with a single thread; they end with whoever holds this.

    torch keeps the number of threads for each thread by itself, and starts a new one with the number that was set last,
    anywhere (docs/decisions/0010-threads-of-the-engine.md). So that number is 1 while these start, and never later.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count)
        all_single = threading.Barrier(count)

        def start(_: int) -> None:
            torch.get_num_threads()  # makes torch set this thread up, which would undo the next line later
            torch.set_num_threads(1)
            all_single.wait()

        before = torch.get_num_threads()
        try:
            self.each(start, count)
        except BaseException:  # a thread could not be started, or Ctrl-C: let the others go
            all_single.abort()
            raise
        finally:
            torch.set_num_threads(before)

    def each(self, compute: Callable[[int], Made], count: int) -> list[Made]:
        """What ``compute(0)`` to ``compute(count - 1)`` return, called side by side."""
        return list(self._pool.map(compute, range(count)))


def _exact_convolutions() -> AbstractContextManager[None]:
    """A context in which cuDNN computes float32 in float32 and repeatably; what was set before returns after."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@contextmanager
def _reporting_memory(batch: int, device: torch.device) -> Iterator[None]:
    """Turn whatever torch and numpy raise when memory runs out into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(batch, device) from error
