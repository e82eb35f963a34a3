"""The network of a model package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..models import weights as model_weights
from ..models.store import ModelPackage

if TYPE_CHECKING:
    from .segmenter import Segmenter


def load_segmenter(package: ModelPackage) -> Segmenter:
    """The network with the package's weights: float32, on the CPU, in evaluation mode. Raises ModelError."""
    import torch

    from . import arrays
    from .segmenter import Segmenter

    architecture = package.card.architecture
    tensors = model_weights.read(package.weights, package.card.sha256, architecture)
    with torch.device("meta"):  # no start values: all are read
        segmenter = Segmenter(architecture.variant, architecture.width, architecture.classes)
    weights = {name: arrays.to_tensor(array.astype(np.float32)) for name, array in tensors.items()}
    segmenter.load_state_dict(weights, assign=True)
    return segmenter.eval()
