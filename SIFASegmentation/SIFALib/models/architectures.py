"""The networks that segment, each described once, as a table of layers; no torch here.

Whoever has to know what a network looks like reads it here: the PyTorch module (`networks.segmenter`), the fused
inference (`networks.fused`), the check of weights and the names in the authors' checkpoints (`tensor_shapes`), the work
per pixel (`multiply_accumulates`), and the out-of-distribution score, which looks at one layer (`Variant.probe`).

The tables of the papers: C. Chen, Q. Dou, H. Chen, J. Qin, P.-A. Heng, "Synergistic Image and Feature Adaptation", AAAI
2019; the same authors, "Unsupervised Bidirectional Cross-Modality Adaptation via Deeply Synergistic Image and Feature
Alignment for Medical Image Segmentation", IEEE TMI 2020; layer names are those of the authors' code. `unet`: O.
Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015, with batch normalisation, grids doubled by repeating pixels and a
residual block where the grid is coarsest; the widths are ours (docs/decisions/0012-a-u-net-beside-the-papers.md). Another
network is another entry of VARIANTS (docs/decisions/0009-one-table-per-network.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from ..support.limits import Choice, Range, check_limits
from ..support.schema import require

MAX_WIDTH = 32  # twice the paper's; its weights take 220 MB


@dataclass(frozen=True)
class Layer:
    """A layer of the encoder. channels: that leave it, in multiples of the network's width.

    kind: "convolution" with batch normalisation and ReLU, or "residual", two such around a skip. halves: the largest of
    every 2 x 2 pixels is taken before it. joins: before it, the grid is doubled (every pixel stands for 2 x 2) and what
    left the layer of that name is put behind its channels ("": neither).
    """

    name: str
    kind: Literal["convolution", "residual"]
    channels: int
    kernel: int = 3
    dilation: int = 1
    halves: bool = False
    joins: str = ""


@dataclass(frozen=True)
class Head:
    """A pixel classifier: a 1x1 convolution of what leaves the layer `reads`, and the enlargement to the image's grid."""

    name: str
    reads: str


@dataclass(frozen=True)
class Variant:
    """A network. heads: the first one predicts, the others are for deep supervision.

    keep_rate: the probability with which the authors' training keeps an activation (1: no dropout).
    lower: the layer whose features deep supervision and the discriminator of lower predictions look at (TMI 2020).
    translated: the layer from whose features the decoder makes an image of the source, an eighth of the image wide: `lower`,
    or the one that the first head reads.
    probe: the layer whose statistics tell what the network was not trained on (`inference.out_of_distribution`).
    authors: whether kernels start and logits are enlarged as in the authors' code; otherwise as He et al. (ICCV 2015)
    start, and bilinearly with pixel centres in place.
    """

    in_channels: int
    keep_rate: float
    encoder: tuple[Layer, ...]
    heads: tuple[Head, ...]
    lower: str = "r12"
    translated: str = "c3"
    probe: str = "r4"
    authors: bool = True

    @property
    def reduction(self) -> int:
        """How much coarser the coarsest grid is than the image: an image's sides are multiples of it."""
        return max(place.pixels for place in _places(self, 1))


def _residual(name: str, channels: int, dilation: int = 1, halves: bool = False) -> Layer:
    return Layer(name, "residual", channels, 3, dilation, halves)


SIFA_ENCODER = (
    Layer("c1", "convolution", 1, kernel=7),
    _residual("r1", 1),
    _residual("r2", 2, halves=True),
    _residual("r3", 4, halves=True),
    _residual("r4", 4),
    _residual("r5", 8, halves=True),
    _residual("r6", 8),
    _residual("r7", 16),
    _residual("r8", 16),
    _residual("r9", 16),
    _residual("r10", 16),
    _residual("r11", 32),
    _residual("r12", 32),
    _residual("d1", 32, dilation=2),
    _residual("d2", 32, dilation=2),
    Layer("c2", "convolution", 32),
    Layer("c3", "convolution", 32),
)
HEAD, LOWER_HEAD = Head("segmentation_head", reads="c3"), Head("segmentation_head_ll", reads="r12")


def _convolutions(name: str, level: int, halves: bool = False, joins: str = "") -> tuple[Layer, Layer]:
    """Both of a level of the U-Net, whose channels double from level to level."""
    first = Layer(f"{name}{level}a", "convolution", 2**level, halves=halves, joins=joins)
    return first, Layer(f"{name}{level}b", "convolution", 2**level)


UNET_LEVELS = 5
UNET_ENCODER = (
    *(layer for level in range(UNET_LEVELS) for layer in _convolutions("down", level, halves=level > 0)),
    _residual("bottom", 2 ** (UNET_LEVELS - 1)),
    *(
        layer
        for level in reversed(range(UNET_LEVELS - 1))
        for layer in _convolutions("up", level, joins=f"down{level}b")
    ),
)
VARIANTS = {
    "tmi2020": Variant(in_channels=1, keep_rate=1.0, encoder=SIFA_ENCODER, heads=(HEAD, LOWER_HEAD)),
    "aaai2019": Variant(in_channels=3, keep_rate=0.75, encoder=SIFA_ENCODER, heads=(HEAD,)),
    "unet": Variant(
        in_channels=1, keep_rate=1.0, encoder=UNET_ENCODER,
        heads=(Head("segmentation_head", reads="up0b"), Head("segmentation_head_ll", reads="up3b")),
        lower="up3b", translated="up3b", probe="down2b", authors=False,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """Which network: `width` is the number of channels of the first layer, 16 in the papers."""

    name: Annotated[str, Choice("sifa")] = "sifa"
    variant: Annotated[str, Choice(*VARIANTS)] = "tmi2020"
    width: Annotated[int, Range(2, MAX_WIDTH, even=True)] = 16
    classes: Annotated[int, Range(2, 32)] = 5
    input_channels: int = 1

    def __post_init__(self) -> None:
        check_limits(self)
        channels = VARIANTS[self.variant].in_channels
        rule = f"must be {channels} for {self.variant}"
        require(self.input_channels == channels, "input_channels", self.input_channels, rule)

    @classmethod
    def of(cls, variant: str, width: int, classes: int) -> Architecture:
        """The one with the input channels that the variant has."""
        channels = VARIANTS[variant].in_channels if variant in VARIANTS else 1
        return cls("sifa", variant, width, classes, channels)


@dataclass(frozen=True)
class Placed:
    """A layer in a network of some width: channels that enter and leave it, and a pixel of its grid in the image's."""

    layer: Layer
    channels_in: int
    channels: int
    pixels: int

    def convolutions(self) -> Iterator[tuple[str, int]]:
        """(name, channels that enter) of each; the layer's channels leave."""
        if self.layer.kind == "convolution":
            yield self.layer.name, self.channels_in
        else:
            yield f"{self.layer.name}.c1", self.channels_in
            yield f"{self.layer.name}.c2", self.channels


def placed(variant: str, width: int) -> dict[str, Placed]:
    """The layers of the encoder by name, in their order."""
    return {place.layer.name: place for place in _places(VARIANTS[variant], width)}


def _places(variant: Variant, width: int) -> list[Placed]:
    found: dict[str, Placed] = {}
    channels, pixels = variant.in_channels, 1
    for layer in variant.encoder:
        if layer.halves:
            pixels *= 2
        if layer.joins:
            channels, pixels = channels + found[layer.joins].channels, pixels // 2
        found[layer.name] = Placed(layer, channels, layer.channels * width, pixels)
        channels = layer.channels * width
    return list(found.values())


def tensor_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state of `networks.Segmenter` of this architecture."""
    shapes: dict[str, tuple[int, ...]] = {}
    layers = placed(architecture.variant, architecture.width)
    for place in layers.values():
        kernel = (place.layer.kernel, place.layer.kernel)
        for name, channels_in in place.convolutions():
            shapes[f"encoder.{name}.conv.weight"] = (place.channels, channels_in, *kernel)
            if place.layer.dilation > 1:
                shapes[f"encoder.{name}.unused_bias"] = (place.channels,)
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"encoder.{name}.norm.{leaf}"] = (place.channels,)
    for head in VARIANTS[architecture.variant].heads:
        shapes[f"{head.name}.c8.weight"] = (architecture.classes, layers[head.reads].channels, 1, 1)
    return shapes


def multiply_accumulates(architecture: Architecture) -> float:
    """Of the convolutions that predict a slice, for each pixel of the image."""
    layers = placed(architecture.variant, architecture.width)
    head = layers[VARIANTS[architecture.variant].heads[0].reads]
    total: float = architecture.classes * head.channels / head.pixels**2
    for place in layers.values():
        for _, channels_in in place.convolutions():
            total += place.channels * channels_in * place.layer.kernel**2 / place.pixels**2
    return total
