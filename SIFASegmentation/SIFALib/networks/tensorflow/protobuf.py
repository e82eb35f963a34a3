"""Protocol buffers as far as TensorFlow's files need them: numbers of seven bits a byte, and the fields of a message.

The wire format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator


class ProtobufError(ValueError):
    """Bytes that are no message; says what is wrong with them."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the bytes after it begin."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ProtobufError("a number is cut off; it is damaged")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ProtobufError("a number has too many bytes; it is damaged or hostile")


def varints(data: bytes) -> Iterator[int]:
    """The numbers of a packed list."""
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: varints as int; nested messages, texts and numbers of fixed size as bytes."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = varint(message, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ProtobufError("a field is of unknown form; it is damaged or hostile")
        if at + length > len(message):
            raise ProtobufError("a field is cut off; it is damaged")
        yield tag >> 3, message[at : at + length]
        at += length
