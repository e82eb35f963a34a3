"""Averages the weights of a model and of the one that was made from it: what the second learned, without what it forgot.

    python Testing/Benchmarks/average.py FIRST SECOND --share 0.5 --into FOLDER

Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022: a network that was trained on from another one, on
fewer kinds of images, is near enough to it that a point between both sets of weights, with no training, keeps nearly all
that was learned on the new kind and loses less of the others. All weights and running statistics are averaged alike.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from SIFALib.models import store


def average(first: store.ModelPackage, second: store.ModelPackage, share: float, folder: Path) -> store.ModelPackage:
    """A new package in `folder` with (1 - share) of the first one's weights and `share` of the second's, whose card it has.

    share: 0..1. Raises ValueError for models of two architectures; ModelError where `folder` exists.
    """
    if first.card.architecture != second.card.architecture:
        raise ValueError(f"{first.card.key} and {second.card.key} are networks of two kinds; they have no average.")
    weights, others = first.tensors(), second.tensors()
    state = {name: _between(array, others[name], share) for name, array in weights.items()}
    card = {f.name: getattr(second.card, f.name) for f in dataclasses.fields(second.card) if f.name != "sha256"}
    return store.write_package(folder, state, **card)


def _between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return ((1.0 - share) * first.astype(np.float32) + share * second.astype(np.float32)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="folder of the model that the other was made from")
    parser.add_argument("second", type=Path, help="folder of the other; the new one has its card")
    parser.add_argument("--share", type=float, required=True, help="of the second one's weights, 0 to 1")
    parser.add_argument("--into", type=Path, required=True, help="folder of the new package")
    arguments = parser.parse_args()
    average(store.read_package(arguments.first), store.read_package(arguments.second), arguments.share, arguments.into)


if __name__ == "__main__":
    main()
