"""Weights, images and dropout masks that anybody can make again from their names, without TensorFlow.

The golden vectors are what the authors' unmodified TensorFlow code computes with these weights from these
images. Every array is drawn by numpy's legacy generator, whose streams never change, seeded with the CRC-32
of a name. Arrays are in TensorFlow's layout: images [N, H, W, C], kernels [height, width, in, out].
"""

from __future__ import annotations

import re
import zlib
from typing import TypeVar

import numpy as np
import torch
from SIFALib.models import VARIANTS
from SIFALib.networks.arrays import to_tensor
from SIFALib.networks.discriminators import Discriminator
from SIFALib.networks.generators import Decoder, Generator
from SIFALib.networks.segmenter import Segmenter
from SIFALib.networks.tensorflow.names import segmenter_names, tf_names
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)

SIZE = 256
CLASSES = 5
KEEP_RATE = 0.75


def stream(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode("ascii")) & 0x7FFFFFFF)


def fill(variable: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value of one of the authors' variables, by its full name."""
    z = stream(variable).standard_normal(shape)
    kind = variable.rpartition("/")[2]
    if kind == "weights":
        to_image = 0.25 if variable.endswith("/c6/Conv/weights") else 1.0
        value = to_image * z * np.sqrt(2.0 / np.prod(shape[:3]))
    elif kind == "gamma":
        value = 1.0 + 0.1 * z
    elif kind == "moving_variance":
        closes_a_block = re.search(r"/[rd]\d+/c2/", variable)
        value = np.exp(0.2 * z) * (16.0 if closes_a_block else 1.0)
    elif kind in ("biases", "beta", "moving_mean"):
        value = 0.1 * z
    else:
        raise ValueError(f"The recipe has no rule for {variable}.")
    return value.astype(np.float32)


def images(tag: str, count: int) -> np.ndarray:
    """[count, 256, 256, 1] in [-1, 1]: four waves and some noise each."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    batch = np.empty((count, SIZE, SIZE, 1), np.float32)
    for k in range(count):
        random = stream(f"{tag}/{k}")
        frequencies = random.uniform(0.5, 6.0, (4, 2))
        phases = random.uniform(0, 2 * np.pi, 4)
        amplitudes = random.uniform(0.1, 0.3, 4)
        picture = np.zeros((SIZE, SIZE))
        for (down, right), phase, amplitude in zip(frequencies, phases, amplitudes, strict=True):
            picture += amplitude * np.sin(2 * np.pi * (down * rows + right * columns) / SIZE + phase)
        picture += 0.05 * random.standard_normal((SIZE, SIZE))
        batch[k, :, :, 0] = np.clip(picture, -1.0, 1.0)
    return batch


def labels(tag: str, count: int) -> np.ndarray:
    """uint8 [count, 256, 256]: discs of 1 to 5 on background 0; 5 is no class, as in the authors' data."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    batch = np.zeros((count, SIZE, SIZE), np.uint8)
    for k in range(count):
        random = stream(f"{tag}/{k}")
        for value in range(1, CLASSES + 1):
            row, column = random.uniform(60, SIZE - 60, 2)
            radius = random.uniform(15, 45)
            batch[k][(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = value
    return batch


def latent(count: int = 1) -> np.ndarray:
    """[count, 32, 32, 512]: what decoder and heads are fed where they are looked at alone."""
    return np.maximum(stream("latent_B").standard_normal((count, 32, 32, 512)), 0.0).astype(np.float32)


def logits(count: int = 2) -> np.ndarray:
    """[count, 256, 256, 5]: what the discriminators of predictions are fed where they are looked at alone."""
    coarse = stream("logits_P").standard_normal((count, 32, 32, CLASSES)).astype(np.float32)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def dropout_mask(scope: str, shape: tuple[int, ...]) -> np.ndarray:
    """0 or 1 / keep rate for each element of [N, H, W, C]; scope: TensorFlow's name of the convolution."""
    kept = stream(f"dropout:{scope}").uniform(0.0, 1.0, shape) < KEEP_RATE
    return (kept / KEEP_RATE).astype(np.float32)


def segmenter(variant: str, **options: float) -> Segmenter:
    """A paper-sized segmenter in evaluation mode whose every variable follows the recipe."""
    network = Segmenter(variant, width=16, **options)
    return fill_network(network, segmenter_names(network.architecture)).eval()


def networks_beside_the_segmenter(variant: str) -> list[str]:
    """Names as in `SIFALib.networks.tensorflow.names`."""
    lower = ["discriminator_prediction_ll"] if len(VARIANTS[variant].heads) > 1 else []
    discriminators = ["discriminator_source", "discriminator_target", "discriminator_prediction", *lower]
    return ["generator", "decoder", *discriminators]


def network(variant: str, name: str) -> nn.Module:
    """One of the other networks, paper-sized, without dropout; `name` as in `SIFALib.networks.tensorflow.names`."""
    if name == "generator":
        made: nn.Module = Generator(VARIANTS[variant].in_channels)
    elif name == "decoder":
        made = Decoder(keep_rate=1.0)
    elif name == "discriminator_source":
        made = Discriminator(outputs=2)
    elif name == "discriminator_target":
        made = Discriminator()
    else:
        made = Discriminator(CLASSES)
    return fill_network(made, tf_names(made, name))


def fill_network(network: AnyModule, names: dict[str, tuple[str, tuple[int, ...]]]) -> AnyModule:
    """The same network with every variable following the recipe; `names` as `tf_names` gives them."""
    state = {}
    for key, value in network.state_dict().items():
        variable, axes = names[key]
        theirs = tuple(value.shape[axes.index(axis)] for axis in range(len(axes)))
        state[key] = to_tensor(np.ascontiguousarray(fill(variable, theirs).transpose(axes)))
    network.load_state_dict(state)
    return network


class MaskedDropout(torch.nn.Module):
    """Stands in for a dropout layer and drops what the recipe says."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, height, width = x.shape
        mask = dropout_mask(self.scope, (n, height, width, c))
        return x * to_tensor(np.ascontiguousarray(mask.transpose(0, 3, 1, 2)))
