"""The checksum of TensorFlow's files is the one of the standard, for every length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.support.crc32c import CHUNK, POLYNOMIAL, SMALL, crc32c, masked_crc32c


def bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1))
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_examples_of_the_standard(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@given(st.integers(0, 3 * SMALL), st.integers(0, 2**32 - 1))
def test_any_length_gives_the_sum_that_the_definition_gives(length: int, seed: int) -> None:
    data = np.random.default_rng(seed).bytes(length)
    whole, parts = crc32c(data), bit_by_bit(data) if length < 600 else by_table(data)
    assert whole == parts


def by_table(data: bytes) -> int:
    table = [bit_by_bit(bytes([n])) ^ bit_by_bit(b"\0") for n in range(256)]  # linear in the byte
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def test_data_of_several_chunks_is_summed_as_one() -> None:
    data = np.random.default_rng(1).bytes(CHUNK + 12_345)
    assert crc32c(data) == by_table(data)
    assert crc32c(memoryview(data)) == crc32c(data)


def test_the_mask_is_tensorflows() -> None:
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32
