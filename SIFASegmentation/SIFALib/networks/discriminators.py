"""The discriminators of SIFA: patch classifiers without a sigmoid, for least-squares adversarial losses."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .generators import INIT_STD, InstanceNorm
from .layers import convolution

LEAK = 0.2  # slope of the leaky ReLU below zero
KERNEL, PADDING = 4, 2


class Discriminator(nn.Module):
    """Image or class logits ``[N, in_channels, H, W]`` -> one number a patch ``[N, outputs, H/8 + 3, W/8 + 3]``.

    No layer has a bias. ``outputs=2`` for source images: is it a source image; and, the auxiliary task, does it come
    from an image of the source (a cycle) or of the target (a translation).
    """

    def __init__(self, in_channels: int = 1, outputs: int = 1, width: int = 16) -> None:
        super().__init__()
        w = 4 * width
        channels = (in_channels, w, 2 * w, 4 * w, 8 * w, outputs)
        strides = (2, 2, 2, 1, 1)
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        for n, stride in enumerate(strides, 1):
            self.convs[f"c{n}"] = convolution(channels[n - 1], channels[n], KERNEL, stride, PADDING, std=INIT_STD)
            if 1 < n < len(strides):
                self.norms[f"c{n}"] = InstanceNorm(channels[n])

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        for name, conv in self.convs.items():
            x = conv(x)
            if name in self.norms:
                x = self.norms[name](x)
            if name != "c5":
                x = F.leaky_relu(x, LEAK, inplace=True)
        return x
