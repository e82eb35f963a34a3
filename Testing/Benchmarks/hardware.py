"""What the hardware can do, for benchmarks to hold the product against."""

from __future__ import annotations

import statistics
import time

import torch


def matrix_rate(dtype: torch.dtype, device: torch.device, size: int = 2048, repeats: int = 5) -> float:
    """1e9 multiply-accumulates a second of a product of two square matrices: the median of a few.

    What the same hardware can be expected to reach in this precision and with this number of threads.
    """
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    seconds = []
    for _ in range(repeats + 1):
        wait_for(device)
        start = time.perf_counter()
        torch.mm(a, b)
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return size**3 / statistics.median(seconds[1:]) / 1e9  # the first one only warms up


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
