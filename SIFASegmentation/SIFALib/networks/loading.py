"""The network of a model package, and what a package holds of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from ..models import ModelPackage
    from .segmenter import Segmenter


def load_segmenter(package: ModelPackage) -> Segmenter:
    """The network with the package's weights: float32, on the CPU, in evaluation mode. Raises ModelError."""
    import torch

    from . import arrays
    from .segmenter import Segmenter

    architecture = package.card.architecture
    tensors = package.tensors()
    with torch.device("meta"):  # no start values: all are read
        segmenter = Segmenter(architecture.variant, architecture.width, architecture.classes)
    weights = {name: arrays.to_tensor(array.astype(np.float32)) for name, array in tensors.items()}
    segmenter.load_state_dict(weights, assign=True)
    return segmenter.eval()


def state_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """A network's state as `models.write_package` takes it."""
    from . import arrays

    return {name: arrays.to_numpy(value.float()) for name, value in state.items()}
