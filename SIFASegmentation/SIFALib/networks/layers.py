"""What the networks are built of, as the authors' TensorFlow code computes it: convolutions, batch norm, start, resize.

Tensors are ``[N, C, H, W]``.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import distributed, winograd

Convolution = TypeVar("Convolution", nn.Conv2d, nn.ConvTranspose2d)

INIT_STD = 0.01
"""Nominal standard deviation of the truncated normal start of encoder and heads (authors' code)."""


def convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1,
    bias: bool = False, std: float = INIT_STD,
) -> nn.Conv2d:  # fmt: skip
    """A convolution with the authors' start: truncated normal of that std, biases 0.

    Those that keep the size of their input are summed by Winograd's algorithm where that is faster (`winograd`).
    """
    keeps = stride == 1 and 2 * padding == dilation * (kernel - 1)
    kind = winograd.Conv2d if keeps else nn.Conv2d
    made = kind(in_channels, out_channels, kernel, stride, padding, dilation, bias=bias)
    return started(made, std)


def started(layer: Convolution, std: float) -> Convolution:
    """The layer with the authors' start."""
    # drawn again beyond two std, as in TensorFlow, which leaves a spread of 0.88 std
    nn.init.trunc_normal_(layer.weight, std=std, a=-2.0 * std, b=2.0 * std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation with TensorFlow's constants (epsilon 1e-3, decay 0.90), over all processes' slices.

    PyTorch's counter of batches is left out: with a fixed momentum nothing reads it, and the state then holds
    exactly the authors' variables, all of one floating type.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.1)
        self.num_batches_tracked = None

    def forward(self, x: Tensor) -> Tensor:
        return self._across(x) if self.training and distributed.world() > 1 else super().forward(x)

    def _across(self, x: Tensor) -> Tensor:
        """Training with several processes: statistics of the global batch, as one process would have them."""
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        sums = distributed.sum_across(torch.stack([exact.sum((0, 2, 3)), (exact**2).sum((0, 2, 3))]))
        count = x.shape[0] * x.shape[2] * x.shape[3] * distributed.world()  # every process has as many slices
        mean = sums[0] / count
        variance = (sums[1] / count - mean**2).clamp(min=0.0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr,arg-type]
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)  # type: ignore[union-attr,arg-type]
        scale = self.weight * (variance + self.eps).rsqrt()
        return (x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]).to(x.dtype)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *report: Any) -> None:
        # Version 2 of PyTorch's format: without it, loading a plain dictionary would invent the counter.
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": 2}, *report)


class ConvNorm(nn.Module):
    """Convolution, dropout, batch normalisation, in the authors' order; no activation. Keeps H and W.

    ``dilation=2`` gives the convolution of the dilated blocks. Only there the authors' checkpoint has a
    ``biases`` variable, which takes part in the weight decay but is never added to the output; it is kept
    here as ``unused_bias``, so that their checkpoints map one to one and the number of values agrees.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, keep_rate: float, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = convolution(in_channels, out_channels, kernel, padding=padding, dilation=dilation)
        if dilation > 1:
            self.unused_bias = nn.Parameter(torch.zeros(out_channels))
        self.dropout = nn.Dropout(1.0 - keep_rate)
        self.norm = BatchNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.dropout(self.conv(x)))
        return y


class ResidualBlock(nn.Module):
    """ReLU(F(x) + x) with two 3x3 convolutions in F; ``dilation=2`` makes it the dilated (DRN) block.

    Where the channels grow, the skip gets half of the new channels as zeros before and half after its own;
    there is no projection.
    """

    def __init__(self, in_channels: int, out_channels: int, keep_rate: float, dilation: int = 1) -> None:
        super().__init__()
        self.c1 = ConvNorm(in_channels, out_channels, 3, keep_rate, dilation)
        self.c2 = ConvNorm(out_channels, out_channels, 3, keep_rate, dilation)
        self.skip_padding = (out_channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = self.c2(F.relu(self.c1(x), inplace=True))
        if self.skip_padding:
            x = F.pad(x, (0, 0, 0, 0, self.skip_padding, self.skip_padding))
        return F.relu(y + x, inplace=True)


def legacy_bilinear_resize(x: Tensor, factor: int = 8) -> Tensor:
    """Enlarge ``[N, C, h, w]`` to ``[N, C, factor * h, factor * w]`` as TensorFlow 1 did.

    Output row i lies at source row i / factor (no half-pixel centres); beyond the last row, the last row is
    repeated. So output ``factor * k`` equals input k exactly. Columns first, then rows, each as
    ``low + (high - low) * fraction``: TensorFlow's order of operations.
    """
    fractions = torch.arange(factor, device=x.device, dtype=x.dtype) / factor
    following = torch.cat((x[..., 1:], x[..., -1:]), dim=3)
    x = (x.unsqueeze(4) + (following - x).unsqueeze(4) * fractions).flatten(3)
    following = torch.cat((x[..., 1:, :], x[..., -1:, :]), dim=2)
    return (x.unsqueeze(3) + (following - x).unsqueeze(3) * fractions[:, None]).flatten(2, 3)


def enlarge(x: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, C, 2 h, 2 w], every pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def start_as_he(network: nn.Module) -> None:
    """Kernels with the normal start of He et al., "Delving Deep into Rectifiers", ICCV 2015: variance 2 / fan-in.

    Kernels without memory are passed over: to draw values for them PyTorch imports its compiler, which takes 3 s.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
