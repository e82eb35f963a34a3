"""Read TFRecord files of tf.train.Example without TensorFlow, and the slices that the authors of SIFA keep in them.

A TFRecord file is a row of records: length (uint64), its masked CRC-32C, the data, its masked CRC-32C, all little
endian (tensorflow/core/lib/io/record_writer.h). The data is a protocol buffer, Example { Features { map<string,
Feature> } }, Feature one of bytes list (1), float list (2) and int64 list (3) (tensorflow/core/example/*.proto).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..networks.tensorflow.protobuf import fields, varints
from ..support.crc32c import masked_crc32c
from ..support.errors import DataError

MOST_BYTES = 1 << 28  # of one record
MOST_SIDE = 1024  # pixels of a slice
MOST_NUMBERS = 1 << 20  # in a list of numbers, which takes much memory; pixels are kept as bytes
MIDDLE = 1  # of the three neighbouring slices in a record: the only one that the authors use (data_loader.py:40,44)
Feature = bytes | list[int] | list[float]


def slices(path: str | os.PathLike[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The slices in a file: image float32 [h, w] as it was stored, labels uint8 [h, w]. Raises DataError naming the file."""
    path = Path(path)
    for number, data in enumerate(records(path)):
        try:
            features = example(data)
            image = _middle(features, "data_vol", "dsize")
            labels = _middle(features, "label_vol", "lsize")
        except (ValueError, struct.error, IndexError) as error:
            raise DataError(f"Record {number} of {path} is no slice of SIFA's: {error}.") from None
        if image.shape != labels.shape:
            raise DataError(f"Record {number} of {path} holds an image of {image.shape} and labels of {labels.shape}.")
        whole = np.rint(labels)
        if not np.isfinite(image).all() or not ((whole == labels) & (labels >= 0) & (labels <= 255)).all():
            raise DataError(f"Record {number} of {path} holds grey values that are no numbers or labels out of 0..255.")
        yield image.astype(np.float32), whole.astype(np.uint8)


def records(path: Path) -> Iterator[bytes]:
    """The data of each record, checked against its sums."""
    try:
        with open(path, "rb") as file:
            while head := file.read(12):
                if len(head) < 12:
                    raise DataError(f"{path} is cut off; copy it again.")
                length, length_sum = struct.unpack("<QI", head)
                if masked_crc32c(head[:8]) != length_sum:
                    raise DataError(f"{path} is no TFRecord file, or it is damaged (wrong sum of a length).")
                if length > MOST_BYTES:
                    raise DataError(f"{path} holds a record of {length} bytes; at most {MOST_BYTES} are read.")
                data, data_sum = file.read(length), file.read(4)
                if len(data) < length or len(data_sum) < 4:
                    raise DataError(f"{path} is cut off; copy it again.")
                if masked_crc32c(data) != struct.unpack("<I", data_sum)[0]:
                    raise DataError(f"{path} is damaged (wrong sum of a record); copy it again.")
                yield data
    except FileNotFoundError:
        raise DataError(f"{path} is gone; bring it back or leave it out.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def example(data: bytes) -> dict[str, Feature]:
    """Features of an Example by name: bytes (the first of a list), or numbers. ValueError if it is none."""
    features: dict[str, Feature] = {}
    for number, part in fields(data):
        if number != 1 or not isinstance(part, bytes):
            continue
        for entry_number, entry in fields(part):
            if entry_number == 1 and isinstance(entry, bytes):
                pair = dict(fields(entry))
                name, value = pair.get(1), pair.get(2, b"")
                if not isinstance(name, bytes) or not isinstance(value, bytes):
                    raise ValueError("a feature without a name")
                features[name.decode("utf-8", "replace")] = _feature(value)
    return features


def _feature(data: bytes) -> Feature:
    """The content of a Feature message."""
    for kind, content in fields(data):
        if not isinstance(content, bytes):
            break
        values = fields(content)
        if kind == 1:
            return next((v for _, v in values if isinstance(v, bytes)), b"")
        numbers: list[Any] = []
        for _, value in values:  # packed, or one by one
            if len(numbers) + (len(value) if isinstance(value, bytes) else 1) > MOST_NUMBERS:
                raise ValueError("a list of more numbers than are read")
            if kind == 2 and isinstance(value, bytes):
                numbers += np.frombuffer(value, "<f4").tolist()
            elif kind == 3:
                numbers += list(varints(value)) if isinstance(value, bytes) else [value]
        return numbers
    return b""


def _middle(features: dict[str, Feature], name: str, sizes: str) -> np.ndarray:
    """The middle one of three neighbouring slices, float32 [h, w]."""
    raw = features.get(name)
    if not isinstance(raw, bytes):
        raise ValueError(f"it has no {name}")
    shape = []
    for axis in range(3):
        size = features.get(f"{sizes}_dim{axis}")
        if not isinstance(size, list) or len(size) != 1:
            raise ValueError(f"it has no {sizes}_dim{axis}")
        shape.append(int(size[0]))
    if not all(8 <= n <= MOST_SIDE for n in shape[:2]) or shape[2] != 3:
        raise ValueError(f"{name} is said to be {shape}, not three slices")
    if len(raw) != 4 * shape[0] * shape[1] * shape[2]:
        raise ValueError(f"{name} has {len(raw)} bytes, not those of {shape} numbers")
    return np.frombuffer(raw, "<f4").reshape(shape)[..., MIDDLE]
