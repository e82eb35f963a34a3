"""A segmenter rewritten for evaluation: the same numbers with fewer passes over memory.

Batch normalisation is fused into the convolutions, activations and skips happen in place, and the dilated
blocks run as ordinary convolutions on the four interleaved half grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.architectures import Layer, Variant, placed
from .layers import ConvNorm, enlarge, legacy_bilinear_resize
from .segmenter import Segmenter


def fuse(layer: ConvNorm) -> tuple[Tensor, Tensor]:
    """Kernel and bias (float64) of the one convolution that equals the layer in evaluation mode."""
    norm = layer.norm
    assert norm.running_mean is not None and norm.running_var is not None  # never None in our BatchNorm
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = layer.conv.weight.detach().double() * scale[:, None, None, None]
    return weight, norm.bias.detach().double() - norm.running_mean.double() * scale


@dataclass(frozen=True, eq=False)
class FusedNetwork:
    """What `Segmenter.forward` in evaluation mode and a softmax compute.

    Called with images ``[N, 1, H, W]`` it gives class probabilities float32 ``[N, classes, H, W]``. A network
    for three copies of the slice takes one: its first kernels are summed. kernels: of each convolution by its name, with
    its bias; head: of the one that predicts.
    """

    variant: Variant
    kernels: dict[str, tuple[Tensor, Tensor]]
    head: Tensor
    factor: int  # by which the head's logits are enlarged
    memory_format: torch.memory_format

    @classmethod
    def of(cls, segmenter: Segmenter, device: torch.device, dtype: torch.dtype) -> FusedNetwork:
        """A copy of the segmenter's weights on the device; convolutions in ``dtype``, the head in float32.

        The head, the resize and the softmax cost next to nothing and are what decides between two classes.
        """
        memory_format = torch.contiguous_format if device.type == "mps" else torch.channels_last

        def copied(kernel: Tensor, kind: torch.dtype) -> Tensor:
            return kernel.detach().to(device=device, dtype=kind, copy=True, memory_format=memory_format)

        variant, kernels = segmenter.encoder.variant, {}
        for name, layer in segmenter.encoder.named_modules():
            if isinstance(layer, ConvNorm):
                kernel, bias = (tensor.float() for tensor in fuse(layer))
                if name == variant.encoder[0].name:
                    kernel = kernel.sum(dim=1, keepdim=True)
                kernels[name] = copied(kernel, dtype), bias.to(device, dtype)
        head = copied(segmenter.segmentation_head.c8.weight, torch.float32)
        factor = placed(segmenter.variant, segmenter.width)[variant.heads[0].reads].pixels
        return cls(variant, kernels, head, factor, memory_format)

    def __call__(self, images: Tensor) -> Tensor:
        table = self.variant.encoder
        first, _ = self.kernels[table[0].name]
        x = images.to(first.dtype).contiguous(memory_format=self.memory_format)
        wanted, kept = {layer.joins for layer in table if layer.joins}, dict[str, Tensor]()
        for dilation, layers in groupby(table, lambda layer: layer.dilation):
            # on a grid of even sides, with a dilation of 2, every second row or column only meets its own kind
            interleaved = dilation == 2 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
            if interleaved:
                x = _split_grid(x).contiguous(memory_format=self.memory_format)
            for layer in layers:
                if layer.joins:
                    x = torch.cat([enlarge(x), kept.pop(layer.joins)], dim=1)
                x = self._layer(x, layer, 1 if interleaved else dilation)
                if layer.name in wanted:
                    kept[layer.name] = x
            if interleaved:
                x = _join_grid(x).contiguous(memory_format=self.memory_format)
        logits = F.conv2d(x.float(), self.head).contiguous()
        if self.factor > 1:
            logits = legacy_bilinear_resize(logits, self.factor)
        return logits.softmax(dim=1)

    def _layer(self, x: Tensor, layer: Layer, dilation: int) -> Tensor:
        if layer.halves:
            x = F.max_pool2d(x, 2)
        if layer.kind == "convolution":
            return self._convolution(x, layer.name, dilation).relu_()
        y = self._convolution(x, layer.name + ".c1", dilation).relu_()
        y = self._convolution(y, layer.name + ".c2", dilation)
        before = (y.shape[1] - x.shape[1]) // 2  # the skip's zero channels need no adding
        y[:, before : before + x.shape[1]] += x
        return y.relu_()

    def _convolution(self, x: Tensor, name: str, dilation: int) -> Tensor:
        kernel, bias = self.kernels[name]
        return F.conv2d(x, kernel, bias, padding=dilation * (kernel.shape[2] // 2), dilation=dilation)


def _split_grid(x: Tensor) -> Tensor:
    """``[N, C, 2 h, 2 w]`` -> ``[4 N, C, h, w]``: even and odd rows and columns as images of their own."""
    n, c, height, width = x.shape
    x = x.reshape(n, c, height // 2, 2, width // 2, 2)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(4 * n, c, height // 2, width // 2)


def _join_grid(x: Tensor) -> Tensor:
    """The inverse of `_split_grid`."""
    n, c, height, width = x.shape
    x = x.reshape(n // 4, 2, 2, c, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n // 4, c, 2 * height, 2 * width)
