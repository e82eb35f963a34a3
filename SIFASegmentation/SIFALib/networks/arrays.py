"""numpy arrays <-> torch tensors through DLPack, the only place where the two meet.

torch's own bridge (``from_numpy``, ``Tensor.numpy``) does not exist in a torch built for numpy 1 that runs
beside numpy 2, which is what Slicer on Intel macOS gets (torch 2.2.2). DLPack needs nothing of it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

_EXCHANGED = frozenset(["float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"])
"""Element types that every supported version of both sides has."""


def to_tensor(array: np.ndarray) -> Tensor:
    """A CPU tensor with the array's values, shape and element type.

    Shares the array's memory where that is allowed; what torch cannot look at in place (read-only, negative
    or odd strides, foreign byte order) is copied. Raises TypeError for an element type that not both sides
    have (uint16, strings, objects ...).
    """
    array = np.asarray(array)
    if array.dtype.name not in _EXCHANGED:
        raise TypeError(f"An array of type {array.dtype} cannot become a tensor; convert it, for example to float32.")
    in_place = (
        array.flags.writeable
        and array.dtype.isnative
        and array.size > 0
        and all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)
    )
    if not in_place:
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
    if array.dtype == np.bool_:  # truth values only travel as bytes in older versions of either side
        return from_dlpack(array.view(np.uint8)).bool()
    return from_dlpack(array)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A writeable array with the tensor's values; bfloat16, which numpy does not have, becomes float32.

    Shares memory with a CPU tensor where numpy allows it; a tensor on another device is copied.
    """
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    if tensor.dtype == torch.bool:
        return to_numpy(tensor.to(torch.uint8)).astype(np.bool_)
    array = np.from_dlpack(tensor)
    return array if array.flags.writeable else array.copy()
