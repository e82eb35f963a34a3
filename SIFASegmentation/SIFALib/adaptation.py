"""ONE iteration of SIFA, and the state that it moves.

The papers' symbols and the authors' names for what is called here:

    source x^s, A            labelled images               target x^t, B          unlabelled images
    generator G_t, g_A       source -> target              encoder E, e_B         shared by both tasks
    segmentation_head C, s_B                               decoder U, de_B        latent of E -> source image
    discriminator_source D_s, d_A (with the auxiliary task on its second output)
    discriminator_target D_t, d_B                          discriminator_prediction D_p, d_P; _ll: on lower-level features

    fake_target = G(source)         cycle_source = U(E(fake_target))
    fake_source = U(E(target))      cycle_target = G(fake_source)

Losses and who learns from them (weights in `method.Method`):

    generator       cycle(source) + cycle(target) + adversarial(D_t(fake_target))
    segmenter       segmentation(fake_target) + weight decay + 0.1 decoder's loss + adversarial(D_p(target's prediction))
    (E and C)         + auxiliary adversarial(D_s(fake_source)[1])
    decoder         cycle(source) + cycle(target) + adversarial(D_s(fake_source)[0])
    discriminators  real against fake, least squares

Two schedules bring this about: `faithful_schedule` and `shared_schedule`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from . import faithful_schedule, losses, shared_schedule
from .adam import ADVERSARIAL_BETA1, SEGMENTATION_BETA1, Adam
from .datasets.batching import Batch
from .image_history import ImageHistory
from .method import Method
from .networks import distributed, winograd
from .networks.discriminators import Discriminator
from .networks.generators import Decoder, Generator
from .networks.segmenter import VARIANTS, Segmenter

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
    optimizers: dict[str, Adam]
    histories: dict[str, ImageHistory]
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

    def wide(self, image: Tensor) -> Tensor:
        """[N, 1, H, W] with as many channels as encoder and generator take: AAAI 2019 shows a slice three times."""
        return image.expand(-1, self.segmenter.in_channels, -1, -1)

    def autocast(self) -> AbstractContextManager:
        """Nothing in float32: older torch has no autocast for Apple's GPUs, and warns of one that is switched off."""
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def prediction_weight(self) -> float:
        return self.method.prediction_weight_at(self.iteration, self.iterations)

    def random(self, purpose: int) -> np.random.Generator:
        """Random numbers of this iteration and process; another purpose, other numbers."""
        return np.random.default_rng([self.seed, self.iteration, distributed.rank(), purpose])

    def apply(self, group: str, gradients: list[Tensor]) -> None:
        """Update one group of weights."""
        gradients = distributed.mean_gradients(gradients)
        if group == "segmenter":
            if self.method.clip:
                _clip(gradients, self.method.clip)
            self.optimizers[group].step(gradients, self.rates["segmentation"])
            return
        self.adversarial_steps += 1
        k = self.adversarial_steps if self.method.authors_quirks else None
        self.optimizers[group].step(gradients, self.rates["adversarial"], k)

    def state_dict(self) -> dict:
        """Everything that the next iteration depends on; `torch.load(weights_only=True)` reads it."""
        return {
            "seed": self.seed,
            "iteration": self.iteration,
            "adversarial_steps": self.adversarial_steps,
            "networks": {name: network.state_dict() for name, network in self.networks().items()},
            "average": self.average,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "histories": {name: history.state_dict() for name, history in self.histories.items()},
        }

    def load_state_dict(self, saved: Mapping) -> None:
        for name, network in self.networks().items():
            network.load_state_dict(saved["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        device = self.device
        for name, history in self.histories.items():
            history.load_state_dict({k: v.to(device) for k, v in saved["histories"][name].items()})
        self.average = {name: value.to(device, copy=True) for name, value in saved["average"].items()}
        self.seed, self.iteration = int(saved["seed"]), int(saved["iteration"])
        self.adversarial_steps = int(saved["adversarial_steps"])


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
    if method.authors_quirks:
        for network in (segmenter, *translators.values()):
            winograd.use_direct(network)
    optimizers = {"segmenter": Adam(segmenter.parameters(), SEGMENTATION_BETA1)}
    for name, network in translators.items():
        optimizers[name] = Adam(network.parameters(), ADVERSARIAL_BETA1)
    size = 0 if method.authors_quirks else method.history
    histories = {name: ImageHistory(size) for name in ("source", "target")} if method.translates else {}
    average = {name: value.clone() for name, value in segmenter.state_dict().items()}
    return State(method, seed, iterations, segmenter, translators, optimizers, histories, average)


def _translators(method: Method) -> dict[str, nn.Module]:
    """Generator, decoder and discriminators that the objective needs."""
    networks: dict[str, nn.Module] = {}
    if method.translates:
        networks["generator"] = Generator(VARIANTS[method.variant].in_channels, method.width)
        networks["decoder"] = Decoder(method.width, method.decoder_keep_rate)
        networks["discriminator_source"] = Discriminator(1, 2 if method.auxiliary else 1, method.width)
        networks["discriminator_target"] = Discriminator(1, 1, method.width)
    if method.aligns_predictions:
        networks["discriminator_prediction"] = Discriminator(method.classes, 1, method.width)
        if method.deep_supervision:
            networks["discriminator_prediction_ll"] = Discriminator(method.classes, 1, method.width)
    return networks


def step(
    state: State, batch: Batch, precision: torch.dtype = torch.float32, accumulate: int = 1
) -> dict[str, float]:
    """One iteration on a batch that lies on the state's device; the losses by name.

    accumulate: into how many parts the batch is divided to save memory. Batch statistics, class weights and Dice are
    then those of a part; the gradients are the mean. Raises FloatingPointError if a loss is not a finite number, and
    ValueError if the batch cannot be divided so.
    """
    method = state.method
    if accumulate < 1 or len(batch.source) % accumulate:
        raise ValueError(f"A batch of {len(batch.source)} slices cannot be divided into {accumulate} parts.")
    state.precision = precision
    state.rates = {
        "segmentation": method.segmentation_rate_at(state.iteration, state.iterations),
        "adversarial": method.adversarial_rate_at(state.iteration, state.iterations),
    }
    schedules: dict[str, Callable[[State, list[Batch]], dict[str, Tensor]]] = {
        "faithful": faithful_schedule.update,
        "shared": shared_schedule.update,
    }
    update = schedules[method.schedule] if method.translates else supervised_update
    for network in state.networks().values():
        network.train()
    devices = [state.device] if state.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(state.random(0).integers(2**62)))
        found = update(state, parts(batch, accumulate))
    state.iteration += 1
    _move_average(state)
    values = [float(v) for v in torch.stack([v.detach().float() for v in found.values()]).tolist()]
    return dict(zip(found, distributed.mean_across(values), strict=True))


def parts(batch: Batch, count: int) -> list[Batch]:
    """A batch in `count` equal parts."""
    if count == 1:
        return [batch]
    fields = (batch.source, batch.source_labels, batch.target, batch.target_labels)
    chunks = [[None] * count if x is None else x.chunk(count) for x in fields]
    return [Batch(*pieces) for pieces in zip(*chunks, strict=True)]


def supervised_update(state: State, batches: list[Batch]) -> dict[str, Tensor]:
    """The two bounds: the segmenter alone, on labelled source images or on labelled target images."""
    sums: list[Tensor] | None = None
    found = []
    for batch in batches:
        on_source = state.method.objective == "source_only"
        images, labels = (
            (batch.source, batch.source_labels) if on_source else (batch.target, batch.target_labels)
        )
        if labels is None:
            raise ValueError("Supervised training on the target needs labels of the target; none were given.")
        with state.autocast():
            logits, logits_ll = state.segmenter.forward_both(state.wide(images))
        loss = segmentation_loss(state, logits, logits_ll, losses.one_hot(labels, state.method.classes))
        found.append(loss)
        gradients = torch.autograd.grad(
            loss, list(state.segmenter.parameters()), allow_unused=True, materialize_grads=True
        )
        sums = add(sums, gradients)
    value = torch.stack(found).mean()
    check({"segmentation": value}, state)
    state.apply("segmenter", with_weight_decay(state, mean(sums, len(batches))))
    return {"segmentation": value}


def segmentation_loss(state: State, logits: Tensor, logits_ll: Tensor | None, truth: Tensor) -> Tensor:
    """L_seg on the predictions, and a tenth of it on the lower-level head's (TMI 2020)."""
    loss = losses.segmentation(logits, truth)
    if logits_ll is not None:
        loss = loss + state.method.lower_weight * losses.segmentation(logits_ll, truth)
    return loss


def with_weight_decay(state: State, gradients: list[Tensor]) -> list[Tensor]:
    """Gradients of the segmenter with those of its weight decay added.

    The authors decay every trainable value, also scales and shifts of the normalisation; we decay kernels alone.
    """
    decay, all_of_them = state.method.weight_decay, state.method.authors_quirks
    return [
        g.add(p.detach(), alpha=decay) if all_of_them or p.ndim == 4 else g
        for g, p in zip(gradients, state.segmenter.parameters(), strict=True)
    ]


def add(sums: list[Tensor] | None, gradients: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """Gradients added to the sum so far (None: there is none)."""
    return list(gradients) if sums is None else [s + g for s, g in zip(sums, gradients, strict=True)]


def mean(sums: list[Tensor] | None, count: int) -> list[Tensor]:
    return [s / count if count > 1 else s for s in sums or []]


def check(found: Mapping[str, Tensor], state: State) -> None:
    """Raise FloatingPointError, with the names of the losses, unless all are finite."""
    bad = [name for name, value in found.items() if not math.isfinite(float(value.detach()))]
    if bad:
        raise FloatingPointError(
            f"In iteration {state.iteration + 1} the loss {' and '.join(bad)} is not a finite number; lower the "
            "learning rates, or look for broken images among the scans."
        )


def _clip(gradients: list[Tensor], largest: float) -> None:
    norm = torch.stack([g.norm() for g in gradients]).norm()
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient *= scale


@torch.no_grad()
def _move_average(state: State) -> None:
    decay = min(state.method.average_decay, state.iteration / (state.iteration + AVERAGE_WARM_UP))
    for name, value in state.segmenter.state_dict().items():
        state.average[name].lerp_(value, 1.0 - decay)


@torch.inference_mode()
def translate(state: State, images: Tensor) -> Tensor:
    """Source images [N, 1, H, W] as the target would show them, same shape; ValueError where nothing translates."""
    if "generator" not in state.translators:
        raise ValueError(f"Training of kind '{state.method.objective}' does not translate images.")
    return state.generator(state.wide(images))


def averaged_segmenter(state: State) -> Segmenter:
    """A copy of the segmenter with the averaged weights, in evaluation mode."""
    segmenter = deepcopy(state.segmenter)
    segmenter.load_state_dict(state.average)
    return segmenter.eval()
