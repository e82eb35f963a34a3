"""Arrays and tensors meet through DLPack only, whatever the array looks like in memory."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from SIFALib.networks import arrays
from SIFALib.networks.arrays import to_numpy, to_tensor

TYPES = ("float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")


def volume(dtype: str = "int16") -> np.ndarray:
    return (np.arange(24).reshape(2, 3, 4) % 7 - 1).astype(dtype)


def read_only() -> np.ndarray:
    array = volume()
    array.flags.writeable = False
    return array


def field_of_a_record() -> np.ndarray:
    records = np.zeros(3, dtype=[("flag", "u1"), ("value", "f4")])  # 5 bytes apart
    records["value"] = (1, 2, 3)
    return records["value"]


AWKWARD = {
    "read-only": read_only(),
    "flipped": volume()[::-1, :, ::-1],
    "broadcast": np.broadcast_to(np.float32(3.0), (2, 3)),
    "transposed": volume().transpose(2, 0, 1),
    "strided": volume()[:, ::2],
    "big-endian": volume().astype(">i2"),
    "field of a record": field_of_a_record(),
    "empty": np.zeros((0, 3), np.float32),
    "one number": np.array(5.0),
}


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_survives_the_way_there_and_back(dtype: str) -> None:
    array = volume(dtype)
    back = to_numpy(to_tensor(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_memory_arrives_with_the_right_values(kind: str) -> None:
    array = AWKWARD[kind]
    before = array.copy()
    tensor = to_tensor(array)
    assert tuple(tensor.shape) == array.shape
    assert tensor.tolist() == array.tolist()
    if tensor.numel() and not array.flags.writeable:  # the copy is the tensor's own
        tensor.zero_()
        np.testing.assert_array_equal(array, before)


def test_plain_memory_is_shared_not_copied() -> None:
    array = np.zeros(4, np.float32)
    to_tensor(array)[2] = 5.0
    assert array.tolist() == [0.0, 0.0, 5.0, 0.0]
    tensor = torch.zeros(3)
    to_numpy(tensor)[1] = 7.0
    assert tensor.tolist() == [0.0, 7.0, 0.0]


def test_an_array_from_a_tensor_can_be_written_even_from_inference_mode() -> None:
    with torch.inference_mode():
        tensor = torch.ones(3)
    array = to_numpy(tensor)
    array[0] = 2.0
    assert array.tolist() == [2.0, 1.0, 1.0]


def test_a_tensor_that_wants_gradients_and_one_in_bfloat16_become_arrays() -> None:
    np.testing.assert_array_equal(to_numpy(torch.ones(2, requires_grad=True) * 2), [2.0, 2.0])
    array = to_numpy(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [1.5, -2.0])


def test_channels_last_memory_keeps_its_meaning() -> None:
    tensor = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(to_numpy(tensor).ravel(), np.arange(24.0))


@pytest.mark.parametrize("array", [np.zeros(2, np.uint16), np.array(["a"]), np.array([None])])
def test_a_type_that_torch_does_not_have_is_refused_by_name(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=f"{array.dtype}.*convert it"):
        to_tensor(array)


def test_nothing_in_the_library_uses_torchs_own_bridge_to_numpy() -> None:
    """A torch built for numpy 1 does not have it beside numpy 2."""
    offenders = []
    for path in Path(arrays.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called, owner = node.func.attr, node.func.value
            of_torch = isinstance(owner, ast.Name) and owner.id == "torch"
            if called in ("numpy", "from_numpy") or (of_torch and called == "as_tensor"):
                offenders.append(f"{path.name}:{node.lineno} {called}")
    assert not offenders
