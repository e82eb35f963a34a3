"""How long an iteration takes on this computer, and how much memory: by doing a few, on random slices."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import adaptation
from ..datasets import Batch, phantoms
from ..datasets.settings import PHANTOMS
from ..networks import devices
from ..networks.arrays import to_tensor
from ..support.progress import Progress, Steps
from .configuration import Configuration, read_settings

ITERATIONS = 3  # timed ones; another before them, which is slower, is left out
LONGEST_SECONDS = 60.0  # after so long, fewer are enough


def steps(request: dict[str, Any], folder: Path) -> Steps[dict[str, Any]]:
    """The task "time". request: {"configuration": text as in a run.json}.

    Answers seconds (of one iteration), memory (bytes, the process's peak, on a GPU torch's), checkpoint (bytes), phantom
    (seconds to make the slices of one; 0 where there is none to make) and device. ValueError for a device that is not there.
    """
    configuration = read_settings(request["configuration"], "The request")
    yield Progress("Timing iterations", 0.0)
    device = devices.choose_device(configuration.device)
    precision = devices.choose_precision(configuration.precision, device)
    before = torch.get_num_threads()
    torch.set_num_threads(configuration.threads or before)
    state = adaptation.start(configuration.method, 0, max(1, configuration.iterations), None, device)
    taken: list[float] = []
    begun = time.monotonic()
    for number in range(1 + ITERATIONS):
        batch = _random(configuration, number, device)
        start = time.perf_counter()
        adaptation.step(state, batch, precision, configuration.accumulate)
        taken.append(time.perf_counter() - start)  # the losses are read there, so a GPU has finished
        yield Progress("Timing iterations", (number + 1) / (2 + ITERATIONS))
        if number and time.monotonic() - begun > LONGEST_SECONDS:
            break
    memory = _peak(device)
    torch.set_num_threads(before)
    return {
        "seconds": float(np.median(taken[1:])),
        "memory": memory,
        "checkpoint": _bytes(state.state_dict()) + _pool_bytes(configuration),
        "phantom": _phantom_seconds(configuration),
        "device": str(device),
    }


def _random(configuration: Configuration, number: int, device: torch.device) -> Batch:
    """Slices of noise, as many and as large as those of the run."""
    rng = np.random.default_rng(number)
    shape = (configuration.batch, 1, configuration.data.size, configuration.data.size)
    images = [to_tensor(rng.uniform(-1, 1, shape).astype(np.float32)).to(device) for _ in range(2)]
    kinds = rng.integers(0, configuration.data.classes, (shape[0], *shape[2:])).astype(np.uint8)
    labels = to_tensor(kinds).to(device)
    wanted = configuration.data.target_labels
    return Batch(images[0], labels, images[1], labels if wanted else None)


def _bytes(content: Any) -> int:
    if isinstance(content, torch.Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, dict):
        return sum(map(_bytes, content.values()))
    return sum(map(_bytes, content)) if isinstance(content, (list, tuple)) else 0


def _pool_bytes(configuration: Configuration) -> int:
    """Of the image pools once they are full."""
    return 2 * configuration.method.image_pool * configuration.data.size**2 * 4


def _phantom_seconds(configuration: Configuration) -> float:
    """Seconds to make one phantom of the source; 0 if the source is no phantom."""
    data = configuration.data
    if data.source not in PHANTOMS:
        return 0.0
    start = time.perf_counter()
    phantoms.slices_of(phantoms.kind_of(data.source), data.phantom_seed, data, "source")
    return time.perf_counter() - start


def _peak(device: torch.device) -> int:
    """Bytes that this process has needed at most; on a GPU, what torch allocated there. 0 where nobody knows."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # psutil tells it on Windows alone

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
