"""The segmenter of SIFA as a PyTorch module, under the names of the papers, built from its table of layers.

The encoder is shared by both tasks (``E`` in the papers, ``e_B`` in the authors' code); on top of it stand the pixel
classifiers (``C``; ``s_B`` and, for deep supervision, ``s_B_ll``). The image generators stand in `generators`, the
discriminators in `discriminators`; what the layers are, and the papers, in `models.architectures`. With ``width=16``
every layer equals the authors' TensorFlow graph: shapes, padding, epsilons, the place of dropout and the resize.

Tensors are ``[N, C, H, W]``; H and W are multiples of 8, the reduction of the encoder.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..models.architectures import LOWER_HEAD, REDUCTION, VARIANTS, Architecture, Layer, placed
from .layers import ConvNorm, ResidualBlock, convolution, legacy_bilinear_resize


class Encoder(nn.Module):
    """Image ``[N, in_channels, H, W]`` -> ``(latent, latent_ll)``, both ``[N, 32 * width, H / 8, W / 8]``.

    ``latent`` leaves the last layer; ``latent_ll``, the lower-level features for deep supervision, leaves r12. One
    encoder sees real target images and source images made to look like them.
    """

    def __init__(self, variant: str = "tmi2020", width: int = 16, keep_rate: float = 1.0) -> None:
        super().__init__()
        self.table = VARIANTS[variant].encoder
        for name, place in placed(variant, width).items():
            layer = place.layer
            if layer.kind == "convolution":
                made: nn.Module = ConvNorm(place.channels_in, place.channels, layer.kernel, keep_rate, layer.dilation)
            else:
                made = ResidualBlock(place.channels_in, place.channels, keep_rate, layer.dilation)
            self.add_module(name, made)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        latent_ll = self.lower(x)
        return self.upper(latent_ll), latent_ll

    def lower(self, x: Tensor) -> Tensor:
        """Image -> ``latent_ll``."""
        return self.through(x, last=LOWER_HEAD.reads)

    def upper(self, latent_ll: Tensor) -> Tensor:
        """``latent_ll`` -> ``latent``."""
        return self._run(latent_ll, self.table[self._index(LOWER_HEAD.reads) + 1 :])

    def through(self, x: Tensor, last: str) -> Tensor:
        """Image -> what leaves the layer `last`."""
        return self._run(x, self.table[: self._index(last) + 1])

    def _index(self, name: str) -> int:
        return [layer.name for layer in self.table].index(name)

    def _run(self, x: Tensor, layers: tuple[Layer, ...]) -> Tensor:
        for layer in layers:
            if layer.halves:
                x = F.max_pool2d(x, 2)
            x = getattr(self, layer.name)(x)
            if layer.kind == "convolution":
                x = F.relu(x, inplace=True)
        return x


class SegmentationHead(nn.Module):
    """Latent ``[N, channels, h, w]`` -> class logits ``[N, classes, 8 h, 8 w]``; no softmax.

    Dropout acts on the coarse logits, before the resize, as in the authors' code.
    """

    def __init__(self, channels: int, classes: int = 5, keep_rate: float = 1.0) -> None:
        super().__init__()
        self.c8 = convolution(channels, classes, 1)
        self.dropout = nn.Dropout(1.0 - keep_rate)

    def forward(self, latent: Tensor) -> Tensor:
        return legacy_bilinear_resize(self.dropout(self.c8(latent)))


class Segmenter(nn.Module):
    """Encoder and segmentation head(s): all that inference needs, and all that the segmentation loss trains.

    Input: ``[N, 1, H, W]`` for ``variant="tmi2020"``; ``[N, 3, H, W]``, three times the same slice, for
    ``"aaai2019"``; intensities in about [-1, 1]; H and W multiples of 8.
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
            channels = placed(variant, width)[head.reads].channels
            setattr(self, head.name, SegmentationHead(channels, classes, keep))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[N, classes, H, W]`` of the main head: the prediction."""
        check_image_batch(x, self.in_channels)
        latent, _ = self.encoder(x)
        logits: Tensor = self.segmentation_head(latent)
        return logits

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
