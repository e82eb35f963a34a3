"""The segmenter of SIFA as a PyTorch module, under the names of the papers, built from its table of layers.

The encoder is shared by both tasks (``E`` in the papers, ``e_B`` in the authors' code); on top of it stand the pixel
classifiers (``C``; ``s_B`` and, for deep supervision, ``s_B_ll``). The image generators stand in `generators`, the
discriminators in `discriminators`; what the layers are, and the papers, in `models.architectures`. With ``width=16``
every layer of the papers' variants equals the authors' TensorFlow graph: shapes, padding, epsilons, the place of dropout
and the resize.

Tensors are ``[N, C, H, W]``; H and W are multiples of the variant's reduction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.architectures import VARIANTS, Architecture, Layer, Placed, placed
from .layers import ConvNorm, ResidualBlock, convolution, enlarge, legacy_bilinear_resize, start_as_he


class Encoder(nn.Module):
    """Image ``[N, in_channels, H, W]`` -> ``(latent, latent_ll)``: the features that the two heads read.

    With a variant of the papers both are ``[N, 32 * width, H / 8, W / 8]``. One encoder sees real target images and
    source images made to look like them.
    """

    def __init__(self, variant: str = "tmi2020", width: int = 16, keep_rate: float = 1.0) -> None:
        super().__init__()
        self.variant = VARIANTS[variant]
        self.table = self.variant.encoder
        self.joined = {layer.joins for layer in self.table if layer.joins}
        for name, place in placed(variant, width).items():
            self.add_module(name, _made(place, keep_rate))
        if not self.variant.authors:
            start_as_he(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        latent, latent_ll = self._run(x, (self.table[-1].name, self.variant.lower))
        return latent, latent_ll

    @property
    def seen_by_decoder(self) -> int:
        """Which of the two (0, 1) the decoder makes an image of the source from."""
        return 1 if self.variant.translated == self.variant.lower else 0

    def lower(self, x: Tensor) -> Tensor:
        """Image -> ``latent_ll``."""
        return self.through(x, last=self.variant.lower)

    def through(self, x: Tensor, last: str) -> Tensor:
        """Image -> what leaves the layer `last`."""
        return self._run(x, (last,))[0]

    def _run(self, x: Tensor, wanted: tuple[str, ...]) -> list[Tensor]:
        """What leaves the wanted layers; those behind the last of them are not computed."""
        kept: dict[str, Tensor] = {}
        for layer in self.table:
            x = self._layer(x, layer, kept)
            if layer.name in wanted or layer.name in self.joined:
                kept[layer.name] = x
            if all(name in kept for name in wanted):
                break
        return [kept[name] for name in wanted]

    def _layer(self, x: Tensor, layer: Layer, before: dict[str, Tensor]) -> Tensor:
        if layer.halves:
            x = F.max_pool2d(x, 2)
        if layer.joins:
            x = torch.cat([enlarge(x), before[layer.joins]], dim=1)
        x = getattr(self, layer.name)(x)
        return F.relu(x, inplace=True) if layer.kind == "convolution" else x


def _made(place: Placed, keep_rate: float) -> nn.Module:
    layer = place.layer
    if layer.kind == "convolution":
        return ConvNorm(place.channels_in, place.channels, layer.kernel, keep_rate, layer.dilation)
    return ResidualBlock(place.channels_in, place.channels, keep_rate, layer.dilation)


class SegmentationHead(nn.Module):
    """Features ``[N, channels, h, w]`` -> class logits ``[N, classes, factor * h, factor * w]``; no softmax.

    Dropout acts on the coarse logits, before the resize, as in the authors' code. legacy: enlarge as they do.
    """

    def __init__(
        self, channels: int, classes: int = 5, keep_rate: float = 1.0, factor: int = 8, legacy: bool = True
    ) -> None:
        super().__init__()
        self.c8 = convolution(channels, classes, 1)
        self.dropout = nn.Dropout(1.0 - keep_rate)
        self.factor, self.legacy = factor, legacy
        if not legacy:
            start_as_he(self)

    def forward(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.dropout(self.c8(latent))
        if self.factor == 1:
            return logits
        if self.legacy:
            return legacy_bilinear_resize(logits, self.factor)
        return F.interpolate(logits, scale_factor=self.factor, mode="bilinear", align_corners=False)


class Segmenter(nn.Module):
    """Encoder and segmentation head(s): all that inference needs, and all that the segmentation loss trains.

    Input: ``[N, 1, H, W]`` for ``variant="tmi2020"``; ``[N, 3, H, W]``, three times the same slice, for
    ``"aaai2019"``; intensities in about [-1, 1]; H and W multiples of the variant's reduction.
    ``keep_rate=None`` takes the dropout of that paper's training; it plays no part in evaluation mode.

    Raises ValueError for a variant, a width or a class number that cannot be, and for a wrong input shape.
    """

    segmentation_head: SegmentationHead
    segmentation_head_ll: SegmentationHead | None

    def __init__(
        self, variant: str = "tmi2020", width: int = 16, classes: int = 5, keep_rate: float | None = None
    ) -> None:
        super().__init__()
        self.architecture = Architecture.of(variant, width, classes)
        self.variant, self.width, self.classes = variant, width, classes
        table = VARIANTS[variant]
        keep = table.keep_rate if keep_rate is None else keep_rate
        if not 0.0 < keep <= 1.0:
            raise ValueError(f"The keep rate of the dropout is {keep}; it must be above 0 and at most 1.")
        self.in_channels = table.in_channels
        self.encoder = Encoder(variant, width, keep)
        self.segmentation_head_ll = None
        for head in table.heads:
            place = placed(variant, width)[head.reads]
            made = SegmentationHead(place.channels, classes, keep, place.pixels, table.authors)
            setattr(self, head.name, made)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, classes, H, W]`` of the main head: the prediction."""
        check_image_batch(x, self.variant)
        latent, _ = self.encoder(x)
        logits: Tensor = self.segmentation_head(latent)
        return logits

    def forward_both(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of the main head and of the head on the lower-level features (None where there is none)."""
        check_image_batch(x, self.variant)
        latent, latent_ll = self.encoder(x)
        logits_ll = None if self.segmentation_head_ll is None else self.segmentation_head_ll(latent_ll)
        return self.segmentation_head(latent), logits_ll


def check_image_batch(x: Tensor, variant: str, channels: int | None = None) -> None:
    """Raise ValueError unless ``x`` is ``[N, channels, H, W]`` (None: those of the variant), H and W multiples of its
    reduction."""
    table = VARIANTS[variant]
    channels, multiple = channels or table.in_channels, table.reduction
    if x.ndim != 4:
        raise ValueError(f"The network takes a batch of slices [N, {channels}, H, W] but got {list(x.shape)}.")
    if x.shape[1] != channels:
        raise ValueError(f"The network takes slices of {channels} channel(s) but got {x.shape[1]}.")
    height, width = x.shape[2:]
    if height < multiple or width < multiple or height % multiple or width % multiple:
        raise ValueError(
            f"The network takes slices whose sides are multiples of {multiple} pixels "
            f"but got {height} x {width}; crop or pad them."
        )
