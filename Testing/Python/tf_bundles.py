"""TensorFlow checkpoints for the tests: a small writer of the same format, independent of our reader.

LevelDB's table format (its doc/table_format.md) and TensorFlow's tensor_bundle.proto, as its saver writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from SIFALib.models.card import Architecture
from SIFALib.networks.segmenter import Segmenter
from SIFALib.networks.tensorflow.names import tf_name_map
from SIFALib.support.crc32c import masked_crc32c

MAGIC = bytes.fromhex("57fb808b247547db")
RESTART = 16  # entries between two that spell out their whole key
BLOCK = 4096  # bytes after which a new block begins
HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one data file, little-endian, version 1
KINDS = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*result, number])


def block_of(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    data, restarts, last = bytearray(), [], b""
    for n, (key, value) in enumerate(entries):
        shared = 0
        if n % RESTART == 0:
            restarts.append(len(data))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return bytes(data) + b"".join(r.to_bytes(4, "little") for r in (*restarts, len(restarts)))


def sealed(block: bytes, compression: int = 0) -> bytes:
    data = block + bytes([compression])
    return data + masked_crc32c(data).to_bytes(4, "little")


def table_of(blocks: Sequence[tuple[bytes, bytes]], handles: Sequence[bytes] | None = None) -> bytes:
    """The file of (last key, block) pairs; `handles` replaces what points to them."""
    data, found = bytearray(), []
    for _, block in blocks:
        found.append(varint(len(data)) + varint(len(block)))
        data += sealed(block)
    meta = varint(len(data)) + varint(len(block_of([])))
    data += sealed(block_of([]))
    index = block_of([(key, handle) for (key, _), handle in zip(blocks, handles or found, strict=True)])
    footer = meta + varint(len(data)) + varint(len(index))
    return bytes(data) + sealed(index) + footer.ljust(40, b"\0") + MAGIC


def index_of(entries: Mapping[bytes, bytes]) -> bytes:
    """The index file with these entries, a header among them or not."""
    blocks: list[list[tuple[bytes, bytes]]] = [[]]
    for key in sorted(entries):
        if sum(len(k) + len(v) for k, v in blocks[-1]) > BLOCK:
            blocks.append([])
        blocks[-1].append((key, entries[key]))
    return table_of([(block[-1][0] if block else b"", block_of(block)) for block in blocks])


def entry(
    kind: int, shape: Sequence[int], offset: int, size: int, crc: int, shard: int = 0, more: bytes = b""
) -> bytes:
    """One variable's message."""
    sides = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in shape))
    message = b"\x08" + varint(kind) + b"\x12" + varint(len(sides)) + sides
    if shard:
        message += b"\x18" + varint(shard)
    return (
        message
        + b"\x20"
        + varint(offset)
        + b"\x28"
        + varint(size)
        + b"\x35"
        + crc.to_bytes(4, "little")
        + more
    )


def write(
    prefix: Path, variables: Mapping[str, np.ndarray], changed: Mapping[bytes, bytes] | None = None
) -> Path:
    """A checkpoint with these variables; `changed` entries replace or join those that belong to them."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    entries = {b"": HEADER}
    offset = 0
    with open(f"{prefix}.data-00000-of-00001", "wb") as file:
        for name in sorted(variables):
            data = np.ascontiguousarray(variables[name]).tobytes()
            file.write(data)
            kind = KINDS[variables[name].dtype.name]
            entries[name.encode()] = entry(
                kind, variables[name].shape, offset, len(data), masked_crc32c(data)
            )
            offset += len(data)
    Path(f"{prefix}.index").write_bytes(index_of(entries | dict(changed or {})))
    return prefix


def variables_of(segmenter: Segmenter) -> dict[str, np.ndarray]:
    """The authors' variables with a segmenter's weights, and some that no segmenter needs."""
    state = segmenter.state_dict()
    found = {
        name: np.transpose(state[key].numpy(), np.argsort(axes))
        for key, (name, axes) in tf_name_map(segmenter).items()
    }
    first = found["Model/e_B/c1/Conv/weights"]
    return found | {
        "Model/e_B/c1/Conv/weights/Adam": np.zeros_like(first),
        "Model/e_B/c1/Conv/weights/Adam_1": np.ones_like(first),
        "Model/d_A/c1/Conv/weights": np.ones((4, 4, 1, 64), np.float32),
        "beta1_power": np.float32(0.5).reshape(()),
        "global_step": np.array(20, np.int64),
    }


def small(variant: str = "tmi2020", seed: int = 0) -> tuple[Segmenter, Architecture]:
    """A segmenter of width 2 with random weights, and its architecture."""
    import tiny_models
    import torch

    architecture = Architecture(variant=variant, width=2, input_channels=1 if variant == "tmi2020" else 3)
    segmenter = Segmenter(variant, 2)
    state = tiny_models.state(architecture, seed)
    segmenter.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
    return segmenter.eval(), architecture
