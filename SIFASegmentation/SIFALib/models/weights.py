"""The weights of a model, `model.safetensors`: written, and read back without trusting a byte of them.

safetensors (github.com/huggingface/safetensors) reads the format and needs no torch, so that a package can be checked
before torch is installed; it executes nothing, and refuses tensors that overlap or do not fill the file. What stands
here is what it does not look at: how large the file may be, what it hashes to, which tensors of which shape and type it
holds, and that their values can be. Weights are float16 on disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..support.errors import ModelError
from ..support.schema import shown
from .architectures import Architecture, tensor_shapes

MAX_BYTES = 256 * 1024**2  # of a weights file: width 32, the widest allowed, takes 220 MB
MAX_HEADER = 1024**2  # bytes; the header of a SIFA network takes 20 kB
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # of torch.save, zipped or bare


def encode(state: Mapping[str, np.ndarray], architecture: Architecture) -> bytes:
    """A safetensors file with `state` in float16. ModelError if it is not the state of that architecture."""
    from safetensors.numpy import save

    with np.errstate(over="ignore"):  # found below, with the name of the tensor
        arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in state.items()}
    data = save(arrays, metadata={"format": "pt"})
    decode(data, architecture, "These weights")
    return data


def read(path: Path, sha256: str, architecture: Architecture, source: Path | None = None) -> dict[str, np.ndarray]:
    """The tensors of a weights file, float16. Raises ModelError unless all of it is as it must be.

    The bytes that are hashed are the bytes that are used: the file is read once. source: what messages call the file.
    """
    source = source or path
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{source} is no ordinary file (a link or a device); a model holds its weights itself.")
        if status.st_size > MAX_BYTES:
            raise ModelError(
                f"{source} has {status.st_size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are allowed."
            )
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ModelError(f"{source} is missing; the model is incomplete, import it again.") from None
    except OSError as error:
        raise ModelError(f"{source} cannot be read ({error.strerror or error}).") from error
    if data.startswith(PICKLES):
        raise ModelError(f"{source} is a pickled file, which could run any program; SIFA reads safetensors only.")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{source} does not belong to its model card: its SHA-256 begins with {found[:12]}, the card says "
            f"{sha256[:12]}. It is damaged or was changed; import the model again."
        )
    return decode(data, architecture, str(source))


def decode(data: bytes, architecture: Architecture, source: str) -> dict[str, np.ndarray]:
    """The tensors in the bytes of a safetensors file, checked against `architecture`; `source` names it."""
    from safetensors import SafetensorError, deserialize

    header = int.from_bytes(data[:8], "little")
    if MAX_HEADER < header <= len(data):
        raise ModelError(f"{source} has a header of {header} bytes; at most {MAX_HEADER} are allowed.")
    try:
        stored: dict[str, Any] = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ModelError(
            f"{source} is cut off, damaged, or no safetensors file ({shown(str(error), 200)}); import the model again."
        ) from None
    expected = tensor_shapes(architecture)
    missing, extra = sorted(expected.keys() - stored.keys()), sorted(stored.keys() - expected.keys())
    if missing:
        raise ModelError(f"{source}: {len(missing)} of the network's tensors are missing, {missing[0]} for one.")
    if extra:
        raise ModelError(f"{source}: {len(extra)} tensors are not of this network, {shown(extra[0])} for one.")
    tensors = {}
    for name, entry in stored.items():
        if entry["dtype"] != "F16":
            raise ModelError(f"{source}: {name} is of type {entry['dtype']}; weights are F16 (float16).")
        if tuple(entry["shape"]) != expected[name]:
            raise ModelError(
                f"{source}: {name} has the shape {entry['shape']}, the network needs {list(expected[name])}."
            )
        tensor = np.frombuffer(entry["data"], "<f2").reshape(expected[name])
        if not np.isfinite(tensor).all():
            raise ModelError(f"{source}: {name} holds values that are not finite (NaN, infinite or too large).")
        if name.endswith("running_var") and tensor.min() < 0:
            raise ModelError(f"{source}: {name} holds a variance below 0.")
        tensors[name] = tensor
    return tensors
