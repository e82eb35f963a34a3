"""The method at a size that a test can train: width 2, slices of 32 x 32 pixels, random images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from unittest import mock

import torch
from SIFALib import adaptation
from SIFALib.adaptation import State
from SIFALib.adaptation.method import Method
from SIFALib.datasets.batching import Batch
from torch import Tensor, nn

SIZE = 32
NO_CHANCE = {"keep_rate": 1.0, "decoder_keep_rate": 1.0, "history": 0}
"""Settings without dropout and without a history: nothing in an iteration is left to chance."""

GROUPS = {
    "source_only": ["segmenter"],
    "target_supervised": ["segmenter"],
    "image": ["generator", "discriminator_target", "segmenter", "decoder", "discriminator_source"],
}
GROUPS["prediction"] = [*GROUPS["image"], "discriminator_prediction"]
GROUPS["full"] = GROUPS["prediction"]


def groups(method: Method) -> list[str]:
    """The groups of weights that this objective trains, in the authors' order."""
    lower = method.aligns_predictions and method.variant == "tmi2020"
    return GROUPS[method.objective] + ["discriminator_prediction_ll"] * lower


def start(seed: int = 0, iterations: int = 10, dtype: torch.dtype = torch.float32, **settings: Any) -> State:
    """A state whose activations neither vanish nor explode, as narrow networks' would with the papers' start.

    dtype float64: where two ways to the same numbers are compared. So small networks turn rounding of the images to
    float32 into changes of their gradients by several per cent.
    """
    state = adaptation.start(Method(**{"width": 2, **settings}), seed, iterations)
    generator = torch.Generator().manual_seed(seed)
    for network in state.networks().values():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                fan = module.weight[0].numel()
                with torch.no_grad():
                    module.weight.normal_(0.0, fan**-0.5, generator=generator)
        network.to(dtype)
    state.average = {name: value.clone() for name, value in state.segmenter.state_dict().items()}
    return state


def batch(
    number: int = 0,
    count: int = 2,
    classes: int = 5,
    size: tuple[int, int] = (SIZE, SIZE),
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Smooth random images, other ones for every number, with labels of every class on both domains."""
    random = torch.Generator().manual_seed(1000 + number)

    def images() -> Tensor:
        coarse = torch.randn(count, 1, size[0] // 4, size[1] // 4, generator=random)
        smooth = nn.functional.interpolate(coarse, size=size, mode="bilinear")
        return (0.5 * smooth + 0.1 * torch.randn(count, 1, *size, generator=random)).clamp(-1, 1).to(dtype)

    def labels() -> Tensor:
        coarse = torch.randint(0, classes, (count, 1, size[0] // 8, size[1] // 8), generator=random).float()
        return nn.functional.interpolate(coarse, size=size)[:, 0].to(torch.uint8)

    return Batch(images(), labels(), images(), labels())


def weights(state: State) -> dict[str, dict[str, Tensor]]:
    """A copy of everything in every network, by group."""
    return {name: deepcopy(network.state_dict()) for name, network in state.networks().items()}


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@contextmanager
def gradients_kept() -> Iterator[dict[str, Tensor]]:
    """Within it, what would update a group of weights is kept here instead, as one vector, and nothing is updated."""
    kept: dict[str, Tensor] = {}

    def keep(_state: State, group: str, gradients: list[Tensor]) -> None:
        kept[group] = torch.cat([g.double().flatten() for g in gradients])

    with mock.patch.object(State, "apply", keep):
        yield kept


def gradients(state: State, given: Batch, accumulate: int = 1) -> dict[str, Tensor]:
    """The gradients of every group for one batch, all with the weights as they are."""
    with gradients_kept() as kept:
        adaptation.step(state, given, accumulate=accumulate)
    return kept


def difference(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return float((a - b).norm() / b.norm())
