"""The authors' schedule: seven updates an iteration (six for AAAI 2019), each with a fresh forward pass.

Every update computes what its loss needs and no more, real target images before translated ones, as their graph does:
so batch normalisation moves its averages as often as theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from . import losses, objectives, self_training
from .gradients import Losses, Outcome, backward
from .objectives import Objective
from .state import check_finite

if TYPE_CHECKING:
    from ..datasets.batching import Batch
    from .state import State

Fakes = dict[str, Tensor]
"""By domain, what its discriminator sees as fake: new images and older ones, as the update that made them left them."""


def update(state: State, batches: list[Batch]) -> Losses:
    """One iteration in the authors' order; the losses by name, each as the update that owns it saw it."""
    found: Losses = {}
    fakes: list[Fakes] = [{} for _ in batches]  # of every part of the batch
    for group in state.groups():
        total = Outcome()
        for part, batch in enumerate(batches):
            with state.autocast():
                (loss, terms), made = OBJECTIVES[group](state, batch, fakes[part])
            fakes[part] = {**fakes[part], **_remembered(state, made, part)}
            gradients, _ = backward(loss, state.networks()[group])
            total = total.plus(Outcome(gradients, terms))
            if group == "segmenter" and state.method.self_trains:
                total = total.plus(self_training.outcome(state, batch, part))
        check_finite(total.losses, state.iteration)
        total = total.divided(len(batches))
        state.apply(group, total.gradients)
        found |= total.losses
    return found


class Translations(NamedTuple):
    """Both cycles of a batch: fakes, weighted cycle losses, and what the encoder makes of the target and its fakes."""

    fake_source: Tensor
    fake_target: Tensor
    loss_source: Tensor
    loss_target: Tensor
    latents_target: tuple[Tensor, Tensor]
    latents_fake: tuple[Tensor, Tensor]

    @property
    def cycles(self) -> Tensor:
        return self.loss_source + self.loss_target


def translate_both(state: State, batch: Batch) -> Translations:
    encoder, decoder, generator = state.segmenter.encoder, state.decoder, state.generator
    latents_target = encoder(state.wide(batch.target))
    fake_source = decoder(latents_target[encoder.seen_by_decoder], batch.target)
    fake_target = generator(state.wide(batch.source))
    latents_fake = encoder(state.wide(fake_target))
    cycle_target = generator(state.wide(fake_source))
    cycle_source = decoder(latents_fake[encoder.seen_by_decoder], fake_target)
    loss_source = state.method.cycle_weight * losses.cycle(batch.source, cycle_source)
    loss_target = state.method.cycle_weight * losses.cycle(batch.target, cycle_target)
    return Translations(fake_source, fake_target, loss_source, loss_target, latents_target, latents_fake)


def generator_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    """Both cycles, and the translated source images should pass as target images."""
    both = translate_both(state, batch)
    passing = losses.generator(state.translators["discriminator_target"](both.fake_target))
    return Objective(both.cycles + passing, {"generator": passing}), {"target": both.fake_target}


def segmenter_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    """Segmentation of translated source images, a share of the decoder's loss, alignment; weight decay comes later."""
    method = state.method
    both = translate_both(state, batch)
    scores = state.translators["discriminator_source"](both.fake_source)
    on_target, on_fake = objectives.predictions(state.segmenter, both.latents_target, both.latents_fake)
    segmentation = objectives.segmentation(state, on_fake, batch.source_labels, batch.source_known)
    terms = {"segmentation": segmentation}
    loss = segmentation + method.translation_weight * (both.cycles + losses.generator(scores[:, :1]))
    if method.aligns_predictions:
        aligned = objectives.alignment(state, on_target)
        loss, terms = loss + aligned.loss, terms | aligned.terms
    if method.auxiliary:
        terms["auxiliary"] = losses.generator(scores[:, 1:])
        loss = loss + method.auxiliary_weight * terms["auxiliary"]
    return Objective(loss, terms), {}


def decoder_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    """Both cycles, and the translated target images should pass as source images."""
    both = translate_both(state, batch)
    passing = losses.generator(state.translators["discriminator_source"](both.fake_source)[:, :1])
    terms = {"decoder": passing, "cycle_source": both.loss_source, "cycle_target": both.loss_target}
    return Objective(both.cycles + passing, terms), {"source": both.fake_source}


def discriminator_target_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    return objectives.discrimination(state, "discriminator_target", batch.target, fakes["target"]), {}


def discriminator_source_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    cycle_source = None
    if state.method.auxiliary:
        with torch.no_grad():
            fake_target, encoder = state.generator(state.wide(batch.source)), state.segmenter.encoder
            cycle_source = state.decoder(encoder(state.wide(fake_target))[encoder.seen_by_decoder], fake_target)
    return objectives.source_discrimination(state, batch.source, fakes["source"], cycle_source), {}


def discriminator_prediction_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    """Predictions on translated source images are "real", those on target images "fake"."""
    with torch.no_grad():
        fake, _ = state.segmenter.encoder(state.wide(batch.target))
        real, _ = state.segmenter.encoder(state.wide(state.generator(state.wide(batch.source))))
        fake, real = (state.segmenter.segmentation_head(x) for x in (fake, real))
    return objectives.discrimination(state, "discriminator_prediction", real, fake), {}


def discriminator_prediction_ll_objective(state: State, batch: Batch, fakes: Fakes) -> tuple[Objective, Fakes]:
    """The same on the lower-level features; the encoder is run no further than there."""
    head = state.segmenter.segmentation_head_ll
    assert head is not None
    with torch.no_grad():
        fake = state.segmenter.encoder.lower(state.wide(batch.target))
        real = state.segmenter.encoder.lower(state.wide(state.generator(state.wide(batch.source))))
        fake, real = head(fake), head(real)
    return objectives.discrimination(state, "discriminator_prediction_ll", real, fake), {}


OBJECTIVES = {
    "generator": generator_objective,
    "discriminator_target": discriminator_target_objective,
    "segmenter": segmenter_objective,
    "decoder": decoder_objective,
    "discriminator_source": discriminator_source_objective,
    "discriminator_prediction": discriminator_prediction_objective,
    "discriminator_prediction_ll": discriminator_prediction_ll_objective,
}
"""What each group of weights minimises: (its objective, the fakes that its discriminator is to see)."""


def _remembered(state: State, made: Fakes, part: int) -> Fakes:
    """Fakes through the image pools; each domain draws random numbers of its own."""
    purposes = {"target": 1 + 2 * part, "source": 2 + 2 * part}
    return {d: state.image_pools[d].exchange(images, state.random(purposes[d])) for d, images in made.items()}
