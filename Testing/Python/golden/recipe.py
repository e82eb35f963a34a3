"""Weights, images and dropout masks that anybody can make again from their names, without TensorFlow.

The golden vectors are what the authors' unmodified TensorFlow code computes with these weights from these
images. Every array is drawn by numpy's legacy generator, whose streams never change, seeded with the CRC-32
of a name. Arrays are in TensorFlow's layout: images [N, H, W, C], kernels [height, width, in, out].
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import torch
from SIFALib.arrays import to_tensor
from SIFALib.networks import Segmenter
from SIFALib.tf_names import tf_name_map

SIZE = 256
KEEP_RATE = 0.75


def generator(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode("ascii")) & 0x7FFFFFFF)


def fill(variable: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value of one of the authors' variables, by its full name."""
    z = generator(variable).standard_normal(shape)
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
        random = generator(f"{tag}/{k}")
        frequencies = random.uniform(0.5, 6.0, (4, 2))
        phases = random.uniform(0, 2 * np.pi, 4)
        amplitudes = random.uniform(0.1, 0.3, 4)
        picture = np.zeros((SIZE, SIZE))
        for (down, right), phase, amplitude in zip(frequencies, phases, amplitudes, strict=True):
            picture += amplitude * np.sin(2 * np.pi * (down * rows + right * columns) / SIZE + phase)
        picture += 0.05 * random.standard_normal((SIZE, SIZE))
        batch[k, :, :, 0] = np.clip(picture, -1.0, 1.0)
    return batch


def latent(count: int = 1) -> np.ndarray:
    """[count, 32, 32, 512]: what the heads are fed where they are looked at alone."""
    return np.maximum(generator("latent_B").standard_normal((count, 32, 32, 512)), 0.0).astype(np.float32)


def dropout_mask(scope: str, shape: tuple[int, ...]) -> np.ndarray:
    """0 or 1 / keep rate for each element of [N, H, W, C]; scope: TensorFlow's name of the convolution."""
    kept = generator(f"dropout:{scope}").uniform(0.0, 1.0, shape) < KEEP_RATE
    return (kept / KEEP_RATE).astype(np.float32)


def segmenter(variant: str, **options: float) -> Segmenter:
    """A paper-sized segmenter in evaluation mode whose every variable follows the recipe."""
    network = Segmenter(variant, width=16, **options)
    state = {}
    for key, (variable, axes) in tf_name_map(network).items():
        ours = network.state_dict()[key].shape
        theirs = tuple(ours[axes.index(axis)] for axis in range(len(axes)))
        state[key] = to_tensor(np.ascontiguousarray(fill(variable, theirs).transpose(axes)))
    network.load_state_dict(state)
    return network.eval()


class MaskedDropout(torch.nn.Module):
    """Stands in for a dropout layer and drops what the recipe says."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, height, width = x.shape
        mask = dropout_mask(self.scope, (n, height, width, c))
        return x * to_tensor(np.ascontiguousarray(mask.transpose(0, 3, 1, 2)))
