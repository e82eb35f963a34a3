"""The authors' schedule: seven updates an iteration (six for AAAI 2019), each with a fresh forward pass.

Every update computes what its loss needs and no more, real target images before translated ones, as their graph does:
so batch normalisation moves its averages as often as theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import losses
from .gradients import add, mean
from .state import ORDER, check
from .supervised import segmentation_loss, with_weight_decay

if TYPE_CHECKING:
    from ..datasets.batching import Batch
    from .state import State


def update(state: State, batches: list[Batch]) -> dict[str, Tensor]:
    """One iteration in the authors' order; the losses by name, each as the update that owns it saw it."""
    found: dict[str, Tensor] = {}
    old: dict[str, list[Tensor]] = {"source": [], "target": []}  # what the discriminators see as fake
    for group in ORDER:
        if group not in state.networks():
            continue
        parameters = list(state.networks()[group].parameters())
        sums: list[Tensor] | None = None
        for number, batch in enumerate(batches):
            with state.autocast():
                loss, terms = LOSSES[group](state, batch, old, number)
            check(terms, state)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            sums = add(sums, gradients)
            for name, value in terms.items():
                found[name] = found.get(name, torch.zeros((), device=value.device)) + value.detach()
        gradients_mean = mean(sums, len(batches))
        if group == "segmenter":
            gradients_mean = with_weight_decay(state, gradients_mean)
        state.apply(group, gradients_mean)
    return {name: value / len(batches) for name, value in found.items()}


Terms = tuple[Tensor, dict[str, Tensor]]
Old = dict[str, list[Tensor]]


def generator_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """Both cycles, and the translated source images should pass as target images."""
    cycles, fakes, _ = _cycles(state, batch)
    passing = losses.generator(state.translators["discriminator_target"](fakes["target"]))
    rng = state.random(1 + 2 * number)
    old["target"].append(state.histories["target"].exchange(fakes["target"], rng))
    return cycles + passing, {"generator": passing}


def segmenter_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """Segmentation of translated source images, a share of the decoder's loss, alignment; weight decay comes later."""
    method, segmenter, networks = state.method, state.segmenter, state.translators
    cycles, fakes, latents = _cycles(state, batch)
    judgement = networks["discriminator_source"](fakes["source"])
    logits = [segmenter.segmentation_head(latents[n][0]) for n in (0, 1)]
    head_ll = segmenter.segmentation_head_ll
    logits_ll = None if head_ll is None else [head_ll(latents[n][1]) for n in (0, 1)]
    truth = losses.one_hot(batch.source_labels, method.classes)
    segmentation = segmentation_loss(state, logits[1], None if logits_ll is None else logits_ll[1], truth)
    terms = {"segmentation": segmentation}
    loss = segmentation + method.translation_weight * (cycles + losses.generator(judgement[:, :1]))
    if method.aligns_predictions:
        terms["prediction"] = losses.generator(networks["discriminator_prediction"](logits[0]))
        loss = loss + state.prediction_weight() * terms["prediction"]
        if logits_ll is not None:
            terms["prediction_ll"] = losses.generator(networks["discriminator_prediction_ll"](logits_ll[0]))
            loss = loss + method.lower_prediction_weight * terms["prediction_ll"]
    if method.auxiliary:
        terms["auxiliary"] = losses.generator(judgement[:, 1:])
        loss = loss + method.auxiliary_weight * terms["auxiliary"]
    return loss, terms


def decoder_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """Both cycles, and the translated target images should pass as source images."""
    cycles, fakes, _ = _cycles(state, batch)
    passing = losses.generator(state.translators["discriminator_source"](fakes["source"])[:, :1])
    rng = state.random(2 + 2 * number)
    old["source"].append(state.histories["source"].exchange(fakes["source"], rng))
    terms = {"decoder": passing, "cycle_source": fakes["loss_source"], "cycle_target": fakes["loss_target"]}
    return cycles + passing, terms


def discriminator_target_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    judge = state.translators["discriminator_target"]
    loss = losses.discriminator(judge(batch.target), judge(old["target"][number]))
    return loss, {"discriminator_target": loss}


def discriminator_source_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """Real against fake source images; for the auxiliary task, cycles of source images against fakes."""
    judge = state.translators["discriminator_source"]
    real, fake = judge(batch.source), judge(old["source"][number])
    loss = losses.discriminator(real[:, :1], fake[:, :1])
    if state.method.auxiliary:
        with torch.no_grad():
            fake_target = state.generator(state.wide(batch.source))
            latent, _ = state.segmenter.encoder(state.wide(fake_target))
            cycle_source = state.decoder(latent, fake_target)
        loss = loss + losses.discriminator(judge(cycle_source)[:, 1:], fake[:, 1:])
    return loss, {"discriminator_source": loss}


def discriminator_prediction_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """Predictions on translated source images are "real", those on target images "fake"."""
    with torch.no_grad():
        fake, _ = state.segmenter.encoder(state.wide(batch.target))
        real, _ = state.segmenter.encoder(state.wide(state.generator(state.wide(batch.source))))
        fake, real = (state.segmenter.segmentation_head(x) for x in (fake, real))
    judge = state.translators["discriminator_prediction"]
    loss = losses.discriminator(judge(real), judge(fake))
    return loss, {"discriminator_prediction": loss}


def discriminator_prediction_ll_loss(state: State, batch: Batch, old: Old, number: int) -> Terms:
    """The same on the lower-level features; the encoder is run no further than there."""
    head = state.segmenter.segmentation_head_ll
    assert head is not None
    with torch.no_grad():
        fake = state.segmenter.encoder.lower(state.wide(batch.target))
        real = state.segmenter.encoder.lower(state.wide(state.generator(state.wide(batch.source))))
        fake, real = head(fake), head(real)
    judge = state.translators["discriminator_prediction_ll"]
    loss = losses.discriminator(judge(real), judge(fake))
    return loss, {"discriminator_prediction_ll": loss}


LOSSES = {
    "generator": generator_loss,
    "discriminator_target": discriminator_target_loss,
    "segmenter": segmenter_loss,
    "decoder": decoder_loss,
    "discriminator_source": discriminator_source_loss,
    "discriminator_prediction": discriminator_prediction_loss,
    "discriminator_prediction_ll": discriminator_prediction_ll_loss,
}


def _cycles(
    state: State, batch: Batch
) -> tuple[Tensor, dict[str, Tensor], tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]:
    """Weighted cycle losses; the fakes and each cycle's loss; latents of the target and of the fake target."""
    of_target = state.segmenter.encoder(state.wide(batch.target))
    fake_source = state.decoder(of_target[0], batch.target)
    fake_target = state.generator(state.wide(batch.source))
    of_fake = state.segmenter.encoder(state.wide(fake_target))
    cycle_target = state.generator(state.wide(fake_source))
    cycle_source = state.decoder(of_fake[0], fake_target)
    weight = state.method.cycle_weight
    loss_source = weight * losses.cycle(batch.source, cycle_source)
    loss_target = weight * losses.cycle(batch.target, cycle_target)
    fakes = {"source": fake_source, "target": fake_target, "loss_source": loss_source, "loss_target": loss_target}
    return loss_source + loss_target, fakes, (of_target, of_fake)
