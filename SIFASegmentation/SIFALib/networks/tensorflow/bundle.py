"""Variables out of a TensorFlow 1 checkpoint, without TensorFlow and without trusting a byte of it.

A checkpoint ("V2 bundle") is an index, `NAME.index`, and one or more data files, `NAME.data-00000-of-00001`. The
index is a table as LevelDB writes it: blocks of entries whose keys share their beginnings, each block with a checksum,
a block that lists them, and a footer that points to it. An entry is the name of a variable and a small protobuf
message: type, shape, where it lies in which data file, its checksum. The data are plain little-endian numbers.

Sources: LevelDB's doc/table_format.md; TensorFlow's tensor_bundle.proto; files that its saver wrote.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...support.crc32c import masked_crc32c
from ...support.errors import ModelError
from ...support.schema import shown
from .protobuf import ProtobufError, fields, varint

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
MAX_INDEX = 16 << 20  # bytes; the authors' whole training state has an index of 60 kB
MAX_VARIABLES = 100_000
MAX_NAME = 1000  # bytes
MAX_DIMENSIONS = 8
MAX_VARIABLE = 256 << 20  # bytes; the largest of width 32 takes 38 MB
NUMBER_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # TensorFlow's numbers of what can be read here


@dataclass(frozen=True)
class Variable:
    """Where a variable lies: TensorFlow's number of its type, the data file, offset and size in bytes, checksum."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


@dataclass(frozen=True)
class Bundle:
    """A checkpoint whose index is sound. `prefix`: its path without `.index`."""

    prefix: Path
    shards: int
    variables: dict[str, Variable]


def find_prefix(path: str | os.PathLike[str]) -> Path:
    """The checkpoint that `path` means: its prefix, any of its files, or a folder that holds just one."""
    path = Path(path)
    if path.is_dir():
        indices = sorted(path.glob("*.index"))
        if len(indices) == 1:
            return indices[0].with_suffix("")
        if not indices:
            raise ModelError(f"{path} holds no TensorFlow checkpoint; it needs a file that ends in .index.")
        names = ", ".join(p.stem for p in indices[:5])
        raise ModelError(
            f"{path} holds {len(indices)} checkpoints ({names}); say which, as {indices[-1].with_suffix('')}."
        )
    name = path.name
    for ending in (".index", ".meta"):
        name = name.removesuffix(ending)
    prefix = path.with_name(name.partition(".data-")[0])
    if not prefix.with_name(prefix.name + ".index").exists():
        if path.exists():
            raise ModelError(
                f"{path} is no TensorFlow checkpoint of the kind that has an index: {prefix.name}.index is not beside it."
            )
        raise ModelError(f"There is no TensorFlow checkpoint {prefix}: {prefix.name}.index does not exist.")
    return prefix


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The checkpoint at `path` (see `find_prefix`); reads the index only. Raises ModelError."""
    prefix = find_prefix(path)
    index = prefix.with_name(prefix.name + ".index")
    data = _read_index(index)
    try:
        entries = dict(_entries(data))
        shards = _header(entries.pop(b"", None))
        variables = {_name(key): _variable(key, value, shards) for key, value in entries.items()}
    except (_DamagedError, ProtobufError) as error:
        raise ModelError(f"{index}: {str(error).rstrip('.')}.") from None
    return Bundle(prefix, shards, variables)


def read_variable(bundle: Bundle, name: str) -> np.ndarray:
    """The values of a variable, checked against its checksum. Raises ModelError, KeyError for an unknown name."""
    variable = bundle.variables[name]
    path = bundle.prefix.with_name(f"{bundle.prefix.name}.data-{variable.shard:05d}-of-{bundle.shards:05d}")
    kind = NUMBER_TYPES.get(variable.kind)
    if kind is None:
        raise ModelError(
            f"{path}: {shown(name)} is of TensorFlow's type {variable.kind}, which no network of SIFA holds."
        )
    if variable.size != np.dtype(kind).itemsize * math.prod(variable.shape):
        raise ModelError(
            f"{path}: {shown(name)} takes {variable.size} bytes, which its shape {list(variable.shape)} does not."
        )
    if variable.size > MAX_VARIABLE:
        raise ModelError(f"{path}: {shown(name)} takes {variable.size / 1e6:.0f} MB; no variable of SIFA does.")
    data = _read_span(path, variable.offset, variable.size, shown(name))
    if masked_crc32c(data) != variable.crc:
        raise ModelError(f"{path}: the checksum of {shown(name)} is wrong; the file is damaged, copy it again.")
    return np.frombuffer(data, kind).reshape(variable.shape)


class _DamagedError(Exception):
    """What is wrong with an index, without its name."""


def _read_index(path: Path) -> bytes:
    _check_ordinary(path)
    size = path.stat().st_size
    if size > MAX_INDEX:
        raise ModelError(f"{path} has {size / 1e6:.0f} MB; that is no index of a checkpoint.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from error


def _read_span(path: Path, offset: int, size: int, name: str) -> bytes:
    _check_ordinary(path)
    try:
        with open(path, "rb") as file:
            total = os.fstat(file.fileno()).st_size
            if offset + size > total:
                raise ModelError(
                    f"{path} ends before {name} does ({total} of at least {offset + size} bytes); "
                    "it is cut off, copy it again."
                )
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(data) != size:
        raise ModelError(f"{path} ends before {name} does; it is cut off, copy it again.")
    return data


def _check_ordinary(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror or error}); a checkpoint is its index and its data file, "
            "side by side."
        ) from error
    if not stat.S_ISREG(mode):
        raise ModelError(f"{path} is no ordinary file.")


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of the table, in ascending order of the keys."""
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise _DamagedError(
            "it is no index of a TensorFlow checkpoint (the mark at its end is missing), or is cut off."
        )
    footer = data[-FOOTER:-8]
    _, at = _handle(footer, 0)  # of the metaindex, which is empty
    blocks, _ = _handle(footer, at)
    count, end, last = 0, 0, None
    for _, value in _block(data, *blocks):
        (offset, size), _ = _handle(value, 0)
        if offset < end:
            raise _DamagedError("its blocks lie over each other; it is damaged or hostile.")
        end = offset + size
        for key, entry in _block(data, offset, size):
            if last is not None and key <= last:
                raise _DamagedError("its names are out of order; it is damaged or hostile.")
            last, count = key, count + 1
            if count > MAX_VARIABLES:
                raise _DamagedError(f"it names more than {MAX_VARIABLES} variables; it is damaged or hostile.")
            yield key, entry


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block: keys as shared bytes of the one before and bytes of their own."""
    stop = offset + size  # behind it, the kind of compression and the checksum
    if stop + 5 > len(data) - FOOTER:
        raise _DamagedError("a block lies beyond its end; it is cut off or damaged.")
    if data[stop] != 0:
        how = "with snappy" if data[stop] == 1 else f"in a way unknown here ({data[stop]})"
        raise _DamagedError(f"it is compressed {how}; TensorFlow's saver writes it uncompressed.")
    if masked_crc32c(data[offset : stop + 1]) != int.from_bytes(data[stop + 1 : stop + 5], "little"):
        raise _DamagedError("the checksum of a block is wrong; it is damaged, copy it again.")
    if size < 4:
        raise _DamagedError("a block is too short; it is damaged.")
    restarts = int.from_bytes(data[stop - 4 : stop], "little")
    end = stop - 4 - 4 * restarts
    if end < offset:
        raise _DamagedError("a block's list of starts is longer than the block; it is damaged or hostile.")
    block, at, key = data[offset:end], 0, b""
    while at < len(block):
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or shared + own > MAX_NAME or at + own + length > len(block):
            raise _DamagedError("an entry lies beyond its block; it is damaged or hostile.")
        key = key[:shared] + block[at : at + own]
        at += own + length
        yield key, block[at - length : at]


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """(offset, size) of a block, and where the bytes after it begin."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _header(value: bytes | None) -> int:
    """The number of data files. The header is the entry without a name."""
    if value is None:
        raise _DamagedError("it has no header; it is no index of a TensorFlow checkpoint.")
    header = dict(fields(value))
    if header.get(2, 0) != 0:
        raise _DamagedError("its numbers are big-endian; checkpoints of ordinary computers are not.")
    shards = header.get(1, 0)
    if not isinstance(shards, int) or not 1 <= shards <= 99_999:
        raise _DamagedError("its header names no possible number of data files; it is damaged or hostile.")
    return shards


def _name(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise _DamagedError(f"the name {shown(key)} is no text; it is damaged or hostile.") from None


def _variable(key: bytes, value: bytes, shards: int) -> Variable:
    numbers, shape = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}, []
    for field, content in fields(value):
        if field == 2 and isinstance(content, bytes):
            shape = [_dimension(part) for number, part in fields(content) if number == 2]
        elif field == 7:
            raise _DamagedError(f"{shown(_name(key))} is stored in slices, which no checkpoint of SIFA is.")
        elif field in numbers and isinstance(content, int):
            numbers[field] = content
        elif field in numbers and isinstance(content, bytes) and len(content) in (4, 8):  # of fixed size: the checksum
            numbers[field] = int.from_bytes(content, "little")
    kind, shard, offset, size, crc = numbers.values()
    if len(shape) > MAX_DIMENSIONS or not all(0 <= n < 1 << 31 for n in shape):
        raise _DamagedError(f"{shown(_name(key))} has an impossible shape; it is damaged or hostile.")
    if shard >= shards or offset >= 1 << 62 or size >= 1 << 62:
        raise _DamagedError(f"{shown(_name(key))} lies at an impossible place; it is damaged or hostile.")
    return Variable(kind, tuple(shape), shard, offset, size, crc)


def _dimension(part: int | bytes) -> int:
    if not isinstance(part, bytes):
        raise _DamagedError("a shape is malformed; it is damaged or hostile.")
    size = dict(fields(part)).get(1, 0)
    return size if isinstance(size, int) else -1
