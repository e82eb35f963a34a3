"""What every layer of a network puts out, under TensorFlow's names and in its layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from SIFALib.networks.arrays import to_numpy, to_tensor
from SIFALib.networks.generators import InstanceBlock, InstanceNorm
from SIFALib.networks.layers import BatchNorm, ResidualBlock
from torch import Tensor, nn

from . import recipe
from .references import Parts

OURS_ALONE = {"blocks", "convs", "norms", "conv", "norm"}  # levels that the authors' names do not have


def nchw(array: np.ndarray) -> Tensor:
    return to_tensor(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def nhwc(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(to_numpy(tensor).transpose(0, 2, 3, 1))


def sub4(parts: Parts) -> Parts:
    """Every fourth row and column, as the golden vectors keep them."""
    return {f"{name}_sub4": value[:, ::4, ::4] for name, value in parts.items()}


@contextmanager
def recorded(network: nn.Module, scope: str) -> Iterator[Parts]:
    """Within it, whatever the convolutions, normalisations and blocks put out is kept by TensorFlow's names."""
    kept: Parts = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, nn.ConvTranspose2d):
                output = output[..., :-1, :-1]  # SAME padding: the last row and column are dropped
            kept[name] = nhwc(output.detach().clone())  # what follows works in place

        return hook

    handles = []
    for path, module in network.named_modules():
        operation = _operation(module)
        if operation:
            name = f"{_scope(scope, path)}/{operation}"
            handles.append(module.register_forward_hook(keep(name)))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def mask_dropout(blocks: nn.Module, scope: str) -> None:
    """Drop what the recipe says, before every instance normalisation of `blocks`, where the decoder drops."""
    for path, module in blocks.named_modules():
        if isinstance(module, InstanceNorm):
            masked = recipe.MaskedDropout(_scope(scope, path))
            module.register_forward_pre_hook(lambda _module, inputs, masked=masked: (masked(inputs[0]),))


def _scope(scope: str, path: str) -> str:
    return "/".join([scope, *(part for part in path.split(".") if part not in OURS_ALONE)])


def _operation(module: nn.Module) -> str:
    if isinstance(module, nn.ConvTranspose2d):
        return "Conv2d_transpose/BiasAdd"
    if isinstance(module, nn.Conv2d) and module.dilation != (1, 1):
        return "convolution/BatchToSpaceND"
    if isinstance(module, nn.Conv2d):
        return "Conv/Conv2D" if module.bias is None else "Conv/BiasAdd"
    if isinstance(module, BatchNorm):
        return "batch_norm/BatchNorm/FusedBatchNorm"
    if isinstance(module, InstanceNorm):
        return "instance_norm/InstanceNorm/instancenorm/add_1"
    if isinstance(module, (ResidualBlock, InstanceBlock)):
        return "Relu"
    return ""
