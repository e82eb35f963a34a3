"""How a segmenter runs fast: device, precision, folded weights, slices in, probabilities out.

On the CPU every slice is computed alone and by one thread, as many slices side by side as torch has
threads. That keeps the cores busier than sharing each convolution among them, and it makes the result
independent of the batch size and of the number of threads, to the last bit: no slice ever meets another
one. On a GPU a batch is computed at once; its libraries choose how by the shape of the batch, so that last
digits may differ there. float32 is float32 there, too, not cuDNN's TF32 with its ten bits.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .arrays import to_numpy, to_tensor
from .folded import FoldedNetwork
from .networks import REDUCTION, Segmenter, check_image_batch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

CPU_INFO = Path("/proc/cpuinfo")
FAST_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""What makes a CPU multiply bfloat16 faster than float32 (Linux's names); without, it is 100 times slower."""

ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Where oneDNN, which computes torch's convolutions, looks in turn for the name of the newest instructions it may use."""
LIMITS_WITHOUT_BFLOAT16 = frozenset(
    {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
)
"""All of its names for x86 below AVX512_CORE_BF16; it takes any other text for no limit."""

CPU_CALL_SECONDS = 0.4
"""How long one call on the CPU should take at most, so that a caller can show progress and be cancelled."""

CPU_CORE_GMACS = 30.0
"""1e9 multiply-accumulates a second of one core with AVX2, roughly; only the batch size needs it."""

_PIXELS_PER_STEP = {"c1": 1, "r1": 1, "r2": 2, "r3": 4, "r4": 4}
"""Grid of the encoder's layers before the last pooling, in image pixels."""


class OutOfMemory(RuntimeError):
    """A batch did not fit into the memory of the device. ``batch``: its slices; 0: the weights did not."""

    def __init__(self, batch: int, device: torch.device) -> None:
        what = f"{batch} slice(s) at once do" if batch else "The weights of the network do"
        super().__init__(f"{what} not fit into the memory of the device '{device}'.")
        self.batch = batch


def choose_device(name: str = "auto") -> torch.device:
    """The torch device of that name; "auto": CUDA, else Apple's MPS, else the CPU.

    Raises ValueError for an unknown name and for a device that this computer, or this torch, does not have.
    """
    if name == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(kind)
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise ValueError(f"There is no device '{name}'; choose auto, cpu, cuda, cuda:0 or mps.")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            found = f"it finds {count} CUDA device(s), from cuda:0 on" if count else "it finds no CUDA device"
            raise ValueError(f"torch cannot compute on '{name}': {found}. Choose auto or cpu.")
        return torch.device(name)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"torch cannot compute on '{name}': it finds no Apple GPU. Choose auto or cpu.")
    return torch.device(kind)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the convolutions; "auto": bfloat16 where the device is made for it, else float32.

    Raises ValueError for an unknown name, and for bfloat16 on a device that is not made for it: a CPU would
    take hundreds of times longer, older GPUs and Apple's lack parts of it.
    """
    if name == "auto":
        return torch.bfloat16 if _fast_bfloat16(device) else torch.float32
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision '{name}'; choose auto, {' or '.join(PRECISIONS)}.")
    if name == "bfloat16" and not _fast_bfloat16(device):
        if device.type == "cpu":
            reason = "This processor computes far slower in bfloat16 than in float32"
        else:
            reason = f"The device '{device}' is not made for bfloat16"
        raise ValueError(f"{reason}; choose auto or float32.")
    return PRECISIONS[name]


def prepare(segmenter: Segmenter, device: torch.device, dtype: torch.dtype = torch.float32) -> Engine:
    """An engine with its own copy of the weights, folded for evaluation; the segmenter stays as it is.

    Raises OutOfMemory if the weights alone do not fit.
    """
    made = []
    with _reporting_memory(0, device):
        _on_single_threads(lambda _: made.append(FoldedNetwork.of(segmenter, device, dtype)), 1)
    return Engine(device, dtype, segmenter.classes, made[0], 1e9 * gmac(segmenter, 64, 64) / 64**2)


@dataclass(frozen=True, eq=False)
class Engine:
    """A segmenter ready to run. Made by `prepare`."""

    device: torch.device
    dtype: torch.dtype
    classes: int
    network: FoldedNetwork
    macs_per_pixel: float

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """Class probabilities float32 ``[N, classes, H, W]`` of slices ``[N, H, W]``.

        Intensities in [-1, 1]; H and W multiples of 8. Raises ValueError for another shape, and OutOfMemory.
        """
        if batch.ndim != 3:
            raise ValueError(f"The network takes slices [N, H, W] but got an array of shape {batch.shape}.")
        with _reporting_memory(len(batch), self.device):
            images = to_tensor(batch).to(torch.float32).unsqueeze(1)
            check_image_batch(images, 1)
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

        _on_single_threads(compute, count)
        return out

    def batch_size(self, height: int, width: int) -> int:
        """How many slices of that size to hand over at once: all cores busy, back in well under a second."""
        if self.device.type != "cpu":
            return 32 if self.device.type == "cuda" else 8
        seconds = self.macs_per_pixel * height * width / (1e9 * CPU_CORE_GMACS)
        return torch.get_num_threads() * max(1, min(8, int(CPU_CALL_SECONDS / seconds)))


def matrix_rate(dtype: torch.dtype, device: torch.device, size: int = 2048, repeats: int = 5) -> float:
    """1e9 multiply-accumulates a second of a product of two square matrices: the median of a few.

    What the same hardware can be expected to reach in this precision and with this number of threads.
    """
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    seconds = []
    for _ in range(repeats + 1):
        _wait_for(device)
        start = time.perf_counter()
        torch.mm(a, b)
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return size**3 / statistics.median(seconds[1:]) / 1e9  # the first one only warms up


def gmac(segmenter: Segmenter, height: int, width: int) -> float:
    """Multiply-accumulates, in 1e9, of the convolutions that predict one slice (``Segmenter.forward``)."""
    total = segmenter.segmentation_head.c8.weight.numel() * (height // REDUCTION) * (width // REDUCTION)
    for name, layer in segmenter.encoder.named_modules():
        if isinstance(layer, nn.Conv2d):
            step = _PIXELS_PER_STEP.get(name.partition(".")[0], REDUCTION)
            total += layer.weight.numel() * (height // step) * (width // step)
    return total / 1e9


def _on_single_threads(compute: Callable[[int], None], count: int) -> None:
    """Call ``compute(0)`` to ``compute(count - 1)`` side by side, on as many threads as torch has here.

    Within each of them torch computes with a single thread.
    """
    available = torch.get_num_threads()
    if available == 1 or count == 0:
        for n in range(count):
            compute(n)
        return
    workers = min(available, count)
    remaining = iter(range(count))
    lock = threading.Lock()
    all_single = threading.Barrier(workers + 1)
    restored = threading.Event()

    def work() -> None:
        torch.get_num_threads()  # makes torch set this thread up, which would undo the next line later
        torch.set_num_threads(1)
        all_single.wait()
        restored.wait()
        while True:
            with lock:
                n = next(remaining, None)
            if n is None:
                return
            compute(n)

    with ThreadPoolExecutor(workers) as pool:
        try:
            done = [pool.submit(work) for _ in range(workers)]
            all_single.wait()
        except BaseException:  # a thread could not be started, or Ctrl-C: let the others go
            all_single.abort()
            raise
        finally:
            torch.set_num_threads(available)  # threads yet to come start with the last number that was set
            restored.set()
        for future in done:
            future.result()


def _exact_convolutions() -> AbstractContextManager[None]:
    """A context in which cuDNN computes float32 in float32 and repeatably; what was set before returns after."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware, and may; where nothing tells (old torch on Windows): no."""
    limit = next((text for name in ISA_LIMITS if (text := os.environ.get(name))), "")
    if limit.upper() in LIMITS_WITHOUT_BFLOAT16:
        return False
    for helper in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        supported = getattr(torch.cpu, helper, None)
        if supported is not None and supported():
            return True
    try:
        text = CPU_INFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not FAST_BFLOAT16_FLAGS.isdisjoint(flags.split())


@contextmanager
def _reporting_memory(batch: int, device: torch.device) -> Iterator[None]:
    """Turn whatever torch and numpy raise when memory runs out into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(batch, device) from error


def _is_out_of_memory(error: Exception) -> bool:
    """torch's own error on CUDA; on the CPU and on MPS it is a RuntimeError that only its text tells."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in ("out of memory", "not enough memory", "can't allocate memory"))


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
