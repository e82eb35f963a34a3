"""The networks of SIFA, under the names of the papers and with the layer names of the authors.

Here: what inference needs, the encoder shared by both tasks (``E`` in the papers, ``e_B`` in the authors' code)
and the pixel classifiers on top of it (``C``; ``s_B`` and, for deep supervision, ``s_B_ll``). The image generators
stand in `generators`, the discriminators in `discriminators`.

Papers: C. Chen, Q. Dou, H. Chen, J. Qin, P.-A. Heng, "Synergistic Image and Feature Adaptation", AAAI 2019;
the same authors, "Unsupervised Bidirectional Cross-Modality Adaptation via Deeply Synergistic Image and
Feature Alignment for Medical Image Segmentation", IEEE TMI 2020. With ``width=16`` every layer equals the
authors' TensorFlow graph: shapes, padding, epsilons, the place of dropout and the resize. ``width`` scales
all channel numbers alike (8: the compact network, a quarter of the values and of the work).

Tensors are ``[N, C, H, W]``; H and W are multiples of 8, the reduction of the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import distributed, winograd

REDUCTION = 8
"""How much coarser the latent grid is than the image: three max poolings."""

INIT_STD = 0.01
"""Nominal standard deviation of the truncated normal start of encoder and heads (authors' code)."""

TF_CONV_PERMUTATION = (3, 2, 0, 1)
"""TensorFlow keeps kernels as [height, width, in, out]; PyTorch as [out, in, height, width]."""


@dataclass(frozen=True)
class Variant:
    """What one paper's segmentation path looks like.

    ``keep_rate`` is the probability with which the authors' training keeps an activation (1: no dropout).
    """

    in_channels: int
    deep_supervision: bool
    keep_rate: float


VARIANTS = {
    "tmi2020": Variant(in_channels=1, deep_supervision=True, keep_rate=1.0),
    "aaai2019": Variant(in_channels=3, deep_supervision=False, keep_rate=0.75),
}


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

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict, *report: Any) -> None:
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
        self.conv = winograd.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False)
        if dilation > 1:
            self.unused_bias = nn.Parameter(torch.zeros(out_channels))
        self.dropout = nn.Dropout(1.0 - keep_rate)
        self.norm = BatchNorm(out_channels)
        truncated_normal_(self.conv.weight, INIT_STD)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.dropout(self.conv(x)))


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


class Encoder(nn.Module):
    """Image ``[N, in_channels, H, W]`` -> ``(latent, latent_ll)``, both ``[N, 32 * width, H / 8, W / 8]``.

    ``latent`` leaves the last layer (c3); ``latent_ll``, the lower-level features for deep supervision,
    leaves r12. The same encoder sees real target images and source images made to look like them.
    """

    def __init__(self, in_channels: int = 1, width: int = 16, keep_rate: float = 1.0) -> None:
        super().__init__()
        w = width

        def residual(channels_in: int, channels_out: int, dilation: int = 1) -> ResidualBlock:
            return ResidualBlock(channels_in, channels_out, keep_rate, dilation)

        self.c1 = ConvNorm(in_channels, w, 7, keep_rate)
        self.r1 = residual(w, w)
        self.r2 = residual(w, 2 * w)
        self.r3 = residual(2 * w, 4 * w)
        self.r4 = residual(4 * w, 4 * w)
        self.r5 = residual(4 * w, 8 * w)
        self.r6 = residual(8 * w, 8 * w)
        self.r7 = residual(8 * w, 16 * w)
        self.r8 = residual(16 * w, 16 * w)
        self.r9 = residual(16 * w, 16 * w)
        self.r10 = residual(16 * w, 16 * w)
        self.r11 = residual(16 * w, 32 * w)
        self.r12 = residual(32 * w, 32 * w)
        self.d1 = residual(32 * w, 32 * w, dilation=2)
        self.d2 = residual(32 * w, 32 * w, dilation=2)
        self.c2 = ConvNorm(32 * w, 32 * w, 3, keep_rate)
        self.c3 = ConvNorm(32 * w, 32 * w, 3, keep_rate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        latent_ll = self.lower(x)
        return self.upper(latent_ll), latent_ll

    def lower(self, x: Tensor) -> Tensor:
        """Image -> ``latent_ll``."""
        x = F.relu(self.c1(x), inplace=True)
        x = F.max_pool2d(self.r1(x), 2)
        x = F.max_pool2d(self.r2(x), 2)
        x = F.max_pool2d(self.r4(self.r3(x)), 2)
        x = self.r7(self.r6(self.r5(x)))
        x = self.r10(self.r9(self.r8(x)))
        return self.r12(self.r11(x))

    def upper(self, latent_ll: Tensor) -> Tensor:
        """``latent_ll`` -> ``latent``."""
        x = F.relu(self.c2(self.d2(self.d1(latent_ll))), inplace=True)
        return F.relu(self.c3(x), inplace=True)


class SegmentationHead(nn.Module):
    """Latent ``[N, channels, h, w]`` -> class logits ``[N, classes, 8 h, 8 w]``; no softmax.

    Dropout acts on the coarse logits, before the resize, as in the authors' code.
    """

    def __init__(self, channels: int, classes: int = 5, keep_rate: float = 1.0) -> None:
        super().__init__()
        self.c8 = nn.Conv2d(channels, classes, 1, bias=False)
        self.dropout = nn.Dropout(1.0 - keep_rate)
        truncated_normal_(self.c8.weight, INIT_STD)

    def forward(self, latent: Tensor) -> Tensor:
        return legacy_bilinear_resize(self.dropout(self.c8(latent)))


class Segmenter(nn.Module):
    """Encoder and segmentation head(s): all that inference needs, and all that the segmentation loss trains.

    Input: ``[N, 1, H, W]`` for ``variant="tmi2020"``; ``[N, 3, H, W]``, three times the same slice, for
    ``"aaai2019"``; intensities in about [-1, 1]; H and W multiples of 8.
    ``keep_rate=None`` takes the dropout of that paper's training; it plays no part in evaluation mode.

    Raises ValueError for an unknown variant, a width or a class number that cannot be, and a wrong input
    shape.
    """

    def __init__(
        self, variant: str = "tmi2020", width: int = 16, classes: int = 5, keep_rate: float | None = None
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"There is no network variant '{variant}'; choose one of {', '.join(VARIANTS)}.")
        if width < 2 or width % 2:
            raise ValueError(f"The width of the network is {width}; it must be an even number of at least 2.")
        if classes < 2:
            raise ValueError(f"The network has {classes} classes; it needs the background and at least one more.")
        settings = VARIANTS[variant]
        keep = settings.keep_rate if keep_rate is None else keep_rate
        if not 0.0 < keep <= 1.0:
            raise ValueError(f"The keep rate of the dropout is {keep}; it must be above 0 and at most 1.")
        self.variant = variant
        self.width = width
        self.classes = classes
        self.in_channels = settings.in_channels
        self.encoder = Encoder(self.in_channels, width, keep)
        self.segmentation_head = SegmentationHead(32 * width, classes, keep)
        self.segmentation_head_ll = SegmentationHead(32 * width, classes, keep) if settings.deep_supervision else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, classes, H, W]`` of the main head: the prediction."""
        check_image_batch(x, self.in_channels)
        latent, _ = self.encoder(x)
        return self.segmentation_head(latent)

    def forward_both(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of the main head and of the head on the lower-level features (None where there is none)."""
        check_image_batch(x, self.in_channels)
        latent, latent_ll = self.encoder(x)
        logits_ll = None if self.segmentation_head_ll is None else self.segmentation_head_ll(latent_ll)
        return self.segmentation_head(latent), logits_ll


def check_image_batch(x: Tensor, channels: int) -> None:
    """Raise ValueError unless ``x`` is ``[N, channels, H, W]`` with H and W multiples of 8."""
    if x.ndim != 4:
        raise ValueError(f"The network takes a batch of slices [N, {channels}, H, W] but got {list(x.shape)}.")
    if x.shape[1] != channels:
        raise ValueError(f"The network takes slices of {channels} channel(s) but got {x.shape[1]}.")
    height, width = x.shape[2:]
    if height < REDUCTION or width < REDUCTION or height % REDUCTION or width % REDUCTION:
        raise ValueError(
            f"The network takes slices whose sides are multiples of {REDUCTION} pixels "
            f"but got {height} x {width}; crop or pad them."
        )


def legacy_bilinear_resize(x: Tensor, factor: int = REDUCTION) -> Tensor:
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


def truncated_normal_(weight: Tensor, std: float) -> None:
    """Fill with N(0, std), drawn again beyond two std as in TensorFlow; this leaves a spread of 0.88 std."""
    nn.init.trunc_normal_(weight, std=std, a=-2.0 * std, b=2.0 * std)
