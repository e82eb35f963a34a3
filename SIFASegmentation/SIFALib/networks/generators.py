"""The two image generators of SIFA: the generator (source to target) and the decoder (target to source).

Both end in ``tanh(image + change)``: they learn what to change in an image. Layer names and initial values are the
authors' (their ``g_A`` and ``de_B``). Channels are multiples of ``width``, the channels of the encoder's first layer
(16 in the papers). Tensors are ``[N, C, H, W]`` with H and W multiples of 8, images in about -1..1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import convolution, started

INIT_STD = 0.02
BLOCK_INIT_STD = 0.01  # of the decoder's residual blocks
INSTANCE_EPS = 1e-6  # of TensorFlow's contributed instance normalisation
GENERATOR_BLOCKS, DECODER_BLOCKS = 9, 4


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation with scale and shift: one group a channel is the same, and the fastest on CPUs."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, eps=INSTANCE_EPS)


class ConvInstance(nn.Module):
    """Convolution with TensorFlow's SAME padding, dropout, instance normalisation; no activation.

    With ``stride=2`` an even side gets its zeros after the last pixel only.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True,
        std: float = INIT_STD, keep_rate: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.after_only = stride == 2
        padding = 0 if self.after_only else kernel // 2
        self.conv = convolution(in_channels, out_channels, kernel, stride, padding, bias=bias, std=std)
        self.dropout_rate = 1.0 - keep_rate
        self.norm = InstanceNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.after_only:
            x = F.pad(x, (0, 1, 0, 1))
        x = self.conv(x)
        if self.dropout_rate:  # at all times: the authors' decoder never switches it off
            x = F.dropout(x, self.dropout_rate, training=True)
        y: Tensor = self.norm(x.contiguous())
        return y


class UpInstance(nn.Module):
    """Transposed 3x3 convolution of stride 2 (the adjoint of the SAME convolution) and instance normalisation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = started(nn.ConvTranspose2d(in_channels, out_channels, 3, 2), INIT_STD)
        self.norm = InstanceNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)[..., :-1, :-1].contiguous())
        return y


class InstanceBlock(nn.Module):
    """ReLU(F(x) + x) with two 3x3 convolutions in F."""

    def __init__(self, channels: int, bias: bool, std: float, keep_rate: float) -> None:
        super().__init__()
        self.c1 = ConvInstance(channels, channels, 3, bias=bias, std=std, keep_rate=keep_rate)
        self.c2 = ConvInstance(channels, channels, 3, bias=bias, std=std, keep_rate=keep_rate)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.c2(F.relu(self.c1(x), inplace=True)) + x, inplace=True)


def _blocks(count: int, channels: int, bias: bool, std: float, keep_rate: float) -> nn.ModuleDict:
    return nn.ModuleDict({f"r{n}": InstanceBlock(channels, bias, std, keep_rate) for n in range(1, count + 1)})


class Generator(nn.Module):
    """Source image -> what it would look like in the target domain: ``[N, in_channels, H, W]`` -> ``[N, 1, H, W]``.

    With three channels (AAAI 2019) the middle one is the image that is changed.
    """

    def __init__(self, in_channels: int = 1, width: int = 16) -> None:
        super().__init__()
        w = 2 * width
        self.skip_channel = in_channels // 2
        self.c1 = ConvInstance(in_channels, w, 7)
        self.c2 = ConvInstance(w, 2 * w, 3, stride=2)
        self.c3 = ConvInstance(2 * w, 4 * w, 3, stride=2)
        self.blocks = _blocks(GENERATOR_BLOCKS, 4 * w, bias=True, std=INIT_STD, keep_rate=1.0)
        self.c4 = UpInstance(4 * w, 2 * w)
        self.c5 = UpInstance(2 * w, w)
        self.c6 = convolution(w, 1, 7, padding=3, bias=True, std=INIT_STD)

    def forward(self, image: Tensor) -> Tensor:
        x = image.contiguous()
        for layer in (self.c1, self.c2, self.c3):
            x = F.relu(layer(x), inplace=True)
        for block in self.blocks.values():
            x = block(x)
        for up in (self.c4, self.c5):
            x = F.relu(up(x), inplace=True)
        return torch.tanh(image[:, self.skip_channel : self.skip_channel + 1] + self.c6(x))


class Decoder(nn.Module):
    """Latent of an image ``[N, channels, H/8, W/8]`` and that image ``[N, 1, H, W]`` -> the image as a source image.

    channels: of the latent; 0: 32 width, as in the papers.
    """

    def __init__(self, width: int = 16, keep_rate: float = 0.75, channels: int = 0) -> None:
        super().__init__()
        w = 2 * width
        self.c1 = ConvInstance(channels or 32 * width, 4 * w, 3, bias=False)
        self.blocks = _blocks(DECODER_BLOCKS, 4 * w, bias=False, std=BLOCK_INIT_STD, keep_rate=keep_rate)
        self.c3 = UpInstance(4 * w, 2 * w)
        self.c4 = UpInstance(2 * w, 2 * w)
        self.c5 = UpInstance(2 * w, w)
        self.c6 = convolution(w, 1, 7, padding=3, std=INIT_STD)

    def forward(self, latent: Tensor, image: Tensor) -> Tensor:
        x = F.relu(self.c1(latent.contiguous()), inplace=True)
        for block in self.blocks.values():
            x = block(x)
        for layer in (self.c3, self.c4, self.c5):
            x = F.relu(layer(x), inplace=True)
        return torch.tanh(image + self.c6(x))
