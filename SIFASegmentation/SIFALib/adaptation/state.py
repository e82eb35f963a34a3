"""What a training changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..models import VARIANTS
from ..models.architectures import placed
from ..networks import distributed, winograd
from ..networks.discriminators import Discriminator
from ..networks.generators import Decoder, Generator
from ..networks.segmenter import Segmenter
from .gradients import Gradients, clipped, with_weight_decay
from .image_pool import ImagePool
from .method import Method
from .tf_adam import ADVERSARIAL_BETA1, SEGMENTATION_BETA1, TensorFlowAdam

AVERAGE_WARM_UP = 10  # iterations until the moving average may be slow
ORDER = (
    "generator",
    "discriminator_target",
    "segmenter",
    "decoder",
    "discriminator_source",
    "discriminator_prediction",
    "discriminator_prediction_ll",
)
"""The groups of weights, each with its own update, in the authors' order."""


@dataclass
class State:
    """What a training changes. `average`: moving average of the segmenter's state. `iteration`: how many are done."""

    method: Method
    seed: int
    iterations: int
    segmenter: Segmenter
    translators: dict[str, nn.Module]
    optimizers: dict[str, TensorFlowAdam]
    image_pools: dict[str, ImagePool]
    average: dict[str, Tensor]
    iteration: int = 0
    adversarial_steps: int = 0
    precision: torch.dtype = torch.float32
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def generator(self) -> Generator:
        return self.translators["generator"]  # type: ignore[return-value]

    @property
    def decoder(self) -> Decoder:
        return self.translators["decoder"]  # type: ignore[return-value]

    @property
    def discriminators(self) -> dict[str, nn.Module]:
        return {k: v for k, v in self.translators.items() if k.startswith("discriminator")}

    @property
    def device(self) -> torch.device:
        return next(self.segmenter.parameters()).device

    def networks(self) -> dict[str, nn.Module]:
        """All networks by the name of their group of weights."""
        return {"segmenter": self.segmenter, **self.translators}

    def groups(self) -> list[str]:
        """The groups that this objective trains, in the authors' order."""
        return [group for group in ORDER if group in self.networks()]

    def wide(self, image: Tensor) -> Tensor:
        """[N, 1, H, W] with as many channels as encoder and generator take: AAAI 2019 shows a slice three times."""
        return image.expand(-1, self.segmenter.in_channels, -1, -1)

    def autocast(self) -> AbstractContextManager[Any]:
        """Nothing in float32: older torch has no autocast for Apple's GPUs, and warns of one that is switched off."""
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def prediction_weight(self) -> float:
        return self.method.prediction_weight_at(self.iteration, self.iterations)

    def self_training_weight(self) -> float:
        return self.method.self_training_weight_at(self.iteration)

    def random(self, purpose: int) -> np.random.Generator:
        """Random numbers of this iteration and process; another purpose, other numbers."""
        return np.random.default_rng([self.seed, self.iteration, distributed.rank(), purpose])

    def apply(self, group: str, gradients: Gradients) -> None:
        """Update one group of weights: weight decay, mean over the processes, clipping, Adam."""
        method = self.method
        own = {parameter: gradients[parameter] for parameter in self.networks()[group].parameters()}
        if group == "segmenter":
            own = with_weight_decay(own, method.weight_decay, method.decays_kernels_alone)
        values = distributed.mean_gradients(list(own.values()))
        if group == "segmenter":
            values = clipped(values, method.clip) if method.clip else values
            self.optimizers[group].step(values, self.rates["segmentation"])
            return
        self.adversarial_steps += 1
        k = self.adversarial_steps if method.shares_step_counter else None
        self.optimizers[group].step(values, self.rates["adversarial"], k)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on; `torch.load(weights_only=True)` reads it."""
        return {
            "seed": self.seed,
            "iteration": self.iteration,
            "adversarial_steps": self.adversarial_steps,
            "networks": {name: network.state_dict() for name, network in self.networks().items()},
            "average": self.average,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "image_pools": {name: pool.state_dict() for name, pool in self.image_pools.items()},
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        for name, network in self.networks().items():
            network.load_state_dict(saved["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        device = self.device
        self.load_image_pools(saved_image_pools(saved))
        self.average = {name: value.to(device, copy=True) for name, value in saved["average"].items()}
        self.seed, self.iteration = int(saved["seed"]), int(saved["iteration"])
        self.adversarial_steps = int(saved["adversarial_steps"])

    def load_image_pools(self, saved: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Images by domain, as an `ImagePool` saves them, onto this state's device."""
        for name, pool in self.image_pools.items():
            pool.load_state_dict({key: images.to(self.device) for key, images in saved[name].items()})


def saved_image_pools(saved: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The image pools in a `state_dict`; until 0.3 they were called histories."""
    pools: dict[str, dict[str, Tensor]] = saved["image_pools" if "image_pools" in saved else "histories"]
    return pools


def start(
    method: Method,
    seed: int,
    iterations: int,
    segmenter_state: Mapping[str, Tensor] | None = None,
    device: str | torch.device = "cpu",
) -> State:
    """Networks with random weights (the segmenter with the given ones, if any), untouched optimisers.

    `iterations`: of the whole training; the schedules of rates and weights depend on it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        segmenter = Segmenter(method.variant, method.width, method.classes, method.keep_rate)
        translators = _translators(method)
    if segmenter_state is not None:
        segmenter.load_state_dict(segmenter_state)
    segmenter = segmenter.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    translators = {name: network.to(device) for name, network in translators.items()}
    if method.plain_convolutions:
        for network in (segmenter, *translators.values()):
            winograd.use_direct(network)
    optimizers = {"segmenter": TensorFlowAdam(segmenter.parameters(), SEGMENTATION_BETA1)}
    for name, network in translators.items():
        optimizers[name] = TensorFlowAdam(network.parameters(), ADVERSARIAL_BETA1)
    pools = {name: ImagePool(method.pool_size) for name in ("source", "target")} if method.translates else {}
    average = {name: value.clone() for name, value in segmenter.state_dict().items()}
    return State(method, seed, iterations, segmenter, translators, optimizers, pools, average)


def _translators(method: Method) -> dict[str, nn.Module]:
    """Generator, decoder and discriminators that the objective needs."""
    networks: dict[str, nn.Module] = {}
    width = method.width_of_translators
    if method.translates:
        networks["generator"] = Generator(VARIANTS[method.variant].in_channels, width)
        seen = placed(method.variant, method.width)[VARIANTS[method.variant].translated].channels
        networks["decoder"] = Decoder(width, method.decoder_keep_rate, seen)
        networks["discriminator_source"] = Discriminator(1, 2 if method.auxiliary else 1, width)
        networks["discriminator_target"] = Discriminator(1, 1, width)
    if method.aligns_predictions:
        networks["discriminator_prediction"] = Discriminator(method.classes, 1, width)
        if method.deep_supervision:
            networks["discriminator_prediction_ll"] = Discriminator(method.classes, 1, width)
    return networks


def check_finite(losses: Mapping[str, Tensor], iteration: int) -> None:
    """Raise FloatingPointError, with the names of the losses, unless all are finite."""
    bad = [name for name, value in losses.items() if not math.isfinite(float(value.detach()))]
    if bad:
        raise FloatingPointError(
            f"In iteration {iteration + 1} the loss {' and '.join(bad)} is not a finite number; lower the "
            "learning rates, or look for broken images among the scans."
        )


@torch.inference_mode()
def translate(state: State, images: Tensor) -> Tensor:
    """Source images [N, 1, H, W] as the target would show them, same shape; ValueError where nothing translates."""
    if "generator" not in state.translators:
        raise ValueError(f"Training of kind '{state.method.objective}' does not translate images.")
    translated: Tensor = state.generator(state.wide(images))
    return translated


def averaged_segmenter(state: State) -> Segmenter:
    """A copy of the segmenter with the averaged weights, in evaluation mode."""
    segmenter = deepcopy(state.segmenter)
    segmenter.load_state_dict(state.average)
    return segmenter.eval()
