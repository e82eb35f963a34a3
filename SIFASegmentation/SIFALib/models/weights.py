"""The weights of a model, `model.safetensors`: written, and read back without trusting a byte of them.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header, the header
(name -> type, shape, offsets), the numbers. It is read here by numpy alone, so that a package can be checked
before torch is installed; nothing in it is ever executed. Weights are float16 on disk.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..support import schema
from ..support.errors import ModelError, RecordError
from ..support.schema import shown
from .card import Architecture

MAX_BYTES = 256 * 1024**2  # of a weights file: width 32, the widest allowed, takes 220 MB
MAX_HEADER = 1024**2  # bytes; the header of a SIFA network takes 20 kB
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # of torch.save, zipped or bare


def tensor_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state of `networks.Segmenter` of this architecture, known without torch."""
    w = architecture.width
    shapes: dict[str, tuple[int, ...]] = {}

    def conv_norm(name: str, channels_in: int, channels: int, kernel: int = 3) -> None:
        shapes[f"{name}.conv.weight"] = (channels, channels_in, kernel, kernel)
        if name.startswith("encoder.d"):
            shapes[f"{name}.unused_bias"] = (channels,)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.norm.{leaf}"] = (channels,)

    conv_norm("encoder.c1", architecture.input_channels, w, kernel=7)
    widths = [w * n for n in (1, 1, 2, 4, 4, 8, 8, 16, 16, 16, 16, 32, 32, 32, 32)]  # c1, r1 to r12, d1, d2
    for number, (before, after) in enumerate(itertools.pairwise(widths), start=1):
        block = f"r{number}" if number <= 12 else f"d{number - 12}"
        conv_norm(f"encoder.{block}.c1", before, after)
        conv_norm(f"encoder.{block}.c2", after, after)
    conv_norm("encoder.c2", 32 * w, 32 * w)
    conv_norm("encoder.c3", 32 * w, 32 * w)
    shapes["segmentation_head.c8.weight"] = (architecture.classes, 32 * w, 1, 1)
    if architecture.variant == "tmi2020":
        shapes["segmentation_head_ll.c8.weight"] = (architecture.classes, 32 * w, 1, 1)
    return shapes


def encode(state: Mapping[str, np.ndarray], architecture: Architecture) -> bytes:
    """A safetensors file with `state` in float16. ModelError if it is not the state of that architecture."""
    from safetensors.numpy import save

    with np.errstate(over="ignore"):  # found below, with the name of the tensor
        arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in state.items()}
    data = save(arrays, metadata={"format": "pt"})
    decode(data, architecture, "These weights")
    return data


def read(path: Path, sha256: str, architecture: Architecture) -> dict[str, np.ndarray]:
    """The tensors of a weights file, float16, read-only. Raises ModelError unless all of it is as it must be.

    The bytes that are hashed are the bytes that are used: the file is read once.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is no ordinary file (a link or a device); a model holds its weights itself.")
        if status.st_size > MAX_BYTES:
            raise ModelError(f"{path} has {status.st_size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are allowed.")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; the model is incomplete, import it again.") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from error
    if data.startswith(PICKLES):
        raise ModelError(f"{path} is a pickled file, which could run any program; SIFA reads safetensors only.")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path} does not belong to its model card: its SHA-256 begins with {found[:12]}, the card says "
            f"{sha256[:12]}. It is damaged or was changed; import the model again."
        )
    return decode(data, architecture, str(path))


def decode(data: bytes, architecture: Architecture, source: str) -> dict[str, np.ndarray]:
    """The tensors in the bytes of a safetensors file, checked against `architecture`; `source` names it."""
    header, start = _header(data, source)
    expected = tensor_shapes(architecture)
    missing, extra = sorted(expected.keys() - header.keys()), sorted(header.keys() - expected.keys())
    if missing:
        raise ModelError(f"{source}: {len(missing)} of the network's tensors are missing, {missing[0]} for one.")
    if extra:
        raise ModelError(f"{source}: {len(extra)} tensors are not of this network, {shown(extra[0])} for one.")
    tensors = {}
    for name, begin, end in _spans(header, len(data) - start, source):
        shape = tuple(header[name]["shape"])
        if shape != expected[name]:
            raise ModelError(f"{source}: {name} has the shape {list(shape)}, the network needs {list(expected[name])}.")
        if end - begin != 2 * math.prod(shape):
            raise ModelError(f"{source}: {name} takes {end - begin} bytes, its shape needs {2 * math.prod(shape)}.")
        tensor = np.frombuffer(data, "<f2", math.prod(shape), start + begin).reshape(shape)
        if not np.isfinite(tensor).all():
            raise ModelError(f"{source}: {name} holds values that are not finite (NaN, infinite or too large).")
        if name.endswith("running_var") and tensor.min() < 0:
            raise ModelError(f"{source}: {name} holds a variance below 0.")
        tensors[name] = tensor
    return tensors


def _header(data: bytes, source: str) -> tuple[dict[str, Any], int]:
    """The header, and the offset at which the numbers start."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length < 2 or 8 + length > len(data):
        raise ModelError(f"{source} is cut off, or no safetensors file: its header does not fit in it.")
    if length > MAX_HEADER:
        raise ModelError(f"{source} has a header of {length} bytes; at most {MAX_HEADER} are allowed.")
    try:
        header = schema.parse(data[8 : 8 + length], f"The header of {source}")
    except RecordError as error:
        raise ModelError(str(error)) from None
    if not isinstance(header, dict):
        raise ModelError(f"The header of {source} is no table of tensors.")
    header.pop("__metadata__", None)  # free text; nothing here depends on it
    return header, 8 + length


def _spans(header: dict[str, Any], size: int, source: str) -> list[tuple[str, int, int]]:
    """(name, begin, end) of each tensor in file order; they must fill the `size` bytes without gaps."""
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ModelError(f"{source}: the header's entry for {shown(name)} is malformed.")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not _counts(shape) or len(shape) > 4 or not _counts(offsets) or len(offsets) != 2:
            raise ModelError(f"{source}: the header's entry for {shown(name)} is malformed.")
        if entry["dtype"] != "F16":
            raise ModelError(f"{source}: {shown(name)} is of type {shown(entry['dtype'])}; weights are F16 (float16).")
        spans.append((name, offsets[0], offsets[1]))
    spans.sort(key=lambda span: span[1:])
    position = 0
    for name, begin, end in spans:
        if begin != position or end < begin or end > size:
            raise ModelError(f"{source}: {shown(name)} lies outside of the file or over another tensor; it is damaged.")
        position = end
    if position != size:
        raise ModelError(f"{source} holds {size - position} bytes that belong to no tensor.")
    return spans


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
