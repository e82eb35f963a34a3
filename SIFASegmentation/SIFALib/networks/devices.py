"""Which device computes, and how precisely."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ..support.errors import RequestError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU_INFO = Path("/proc/cpuinfo")
ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Where oneDNN, which computes torch's convolutions, looks in turn for the name of the newest instructions it may use."""
LIMITS_WITHOUT_BFLOAT16 = frozenset(
    {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
)
"""All of its names for x86 below AVX512_CORE_BF16; it takes any other text for no limit."""
FAST_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""What makes a CPU multiply bfloat16 faster than float32 (Linux's names); without, it is 100 times slower."""


def choose_device(name: str = "auto") -> torch.device:
    """The torch device of that name; "auto": CUDA, else Apple's MPS, else the CPU.

    Raises RequestError for an unknown name and for a device that this computer, or this torch, does not have.
    """
    if name == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(kind)
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise RequestError(f"There is no device '{name}'; choose auto, cpu, cuda, cuda:0 or mps.")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            found = f"it finds {count} CUDA device(s), from cuda:0 on" if count else "it finds no CUDA device"
            raise RequestError(f"torch cannot compute on '{name}': {found}. Choose auto or cpu.")
        return torch.device(name)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise RequestError(f"torch cannot compute on '{name}': it finds no Apple GPU. Choose auto or cpu.")
    return torch.device(kind)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the convolutions; "auto": bfloat16 where the device is made for it, else float32.

    Raises RequestError for an unknown name, and for bfloat16 on a device that is not made for it: a CPU would
    take hundreds of times longer, older GPUs and Apple's lack parts of it.
    """
    if name == "auto":
        return torch.bfloat16 if _fast_bfloat16(device) else torch.float32
    if name not in PRECISIONS:
        raise RequestError(f"There is no precision '{name}'; choose auto, {' or '.join(PRECISIONS)}.")
    if name == "bfloat16" and not _fast_bfloat16(device):
        if device.type == "cpu":
            reason = "This processor computes far slower in bfloat16 than in float32"
        else:
            reason = f"The device '{device}' is not made for bfloat16"
        raise RequestError(f"{reason}; choose auto or float32.")
    return PRECISIONS[name]


def is_out_of_memory(error: BaseException) -> bool:
    """torch's own error on CUDA; on the CPU and on MPS it is a RuntimeError that only its text tells."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    phrases = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in phrases)


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
