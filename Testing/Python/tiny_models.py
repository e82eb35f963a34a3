"""Model packages for the tests: the real network at width 2 (0.9 MB), with random weights, under any card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from SIFALib.models import store
from SIFALib.models.weights import tensor_shapes

ARCHITECTURE = store.Architecture(width=2)


def state(architecture: store.Architecture = ARCHITECTURE, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights, float32, that a network of this architecture could have."""
    rng = np.random.default_rng(seed)
    return {
        name: (np.abs if name.endswith("running_var") else np.asarray)(
            rng.normal(0, 0.1, shape).astype(np.float32)
        )
        for name, shape in tensor_shapes(architecture).items()
    }


def card_fields(**changed: Any) -> dict[str, Any]:
    return {
        "id": "tiny",
        "name": "Tiny model",
        "version": "1.0.0",
        "architecture": ARCHITECTURE,
        "modality": "CT/MR",
        "preprocessing": store.Preprocessing(crop=64),
        "trained_on": "Nothing: random weights for tests.",
        "licence": "Apache-2.0",
        "citation": "none",
        "quality": (store.Quality("random", "Dice", "missing classes count as 0", {"LV": 0.1}),),
    } | changed


def write(folder: Path, **changed: Any) -> store.ModelPackage:
    """A valid package in `folder`, which must not exist yet."""
    fields = card_fields(**changed)
    return store.write_package(folder, state(fields["architecture"]), **fields)


def constant(structure_value: int, architecture: store.Architecture = ARCHITECTURE) -> dict[str, np.ndarray]:
    """Weights that say the same everywhere: that structure, or for 0 the background."""
    weights = state(architecture)
    for name, array in weights.items():
        if name.endswith("c8.weight"):
            array[:] = 0
            array[structure_value] = (
                1  # features are never negative, so this class wins wherever there is one
            )
    return weights


def write_constant(folder: Path, structure_value: int, **changed: Any) -> store.ModelPackage:
    """A package with `constant` weights."""
    fields = card_fields(**changed)
    return store.write_package(folder, constant(structure_value, fields["architecture"]), **fields)
