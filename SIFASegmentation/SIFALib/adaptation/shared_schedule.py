"""The fast schedule: every forward pass of an iteration once, all gradients from it, then all updates.

With the same weights the gradients of generator, decoder and segmenter are those of the authors' losses, each for the
weights it is meant for (a test compares them). What differs from `faithful_schedule`: no update of an iteration sees
the ones before it, and batch normalisation moves its averages twice instead of eleven times an iteration.

Borders between the networks are cut (`_leaf`): the gradient that arrives there is handed on by hand, so that the
encoder can get a tenth of what the decoder gets, and the generator nothing of the segmentation loss, without a second
forward pass. The target's side is finished before the source's begins; that halves the memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import losses
from .gradients import add, mean
from .state import ORDER, check
from .supervised import segmentation_loss, with_weight_decay

if TYPE_CHECKING:
    from ..datasets.batching import Batch
    from .state import State

Gradients = dict[str, list[Tensor]]


def update(state: State, batches: list[Batch]) -> dict[str, Tensor]:
    """One iteration: gradients of every part of the batch, their mean, and the updates; the losses by name."""
    total: dict[str, list[Tensor] | None] = dict.fromkeys(state.networks())
    sums: dict[str, Tensor] = {}
    for number, batch in enumerate(batches):
        gradients, found = gradients_of(state, batch, number)
        check(found, state)
        for name, values in gradients.items():
            total[name] = add(total[name], values)
        for name, value in found.items():
            sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach()
    for group in ORDER:
        if group in total:
            gradients_mean = mean(total[group], len(batches))
            if group == "segmenter":
                gradients_mean = with_weight_decay(state, gradients_mean)
            state.apply(group, gradients_mean)
    return {name: value / len(batches) for name, value in sums.items()}


def gradients_of(state: State, batch: Batch, number: int = 0) -> tuple[Gradients, dict[str, Tensor]]:
    """Gradients of every network's weights (without weight decay) and the losses, for one part of a batch."""
    gradients: Gradients = {}
    found: dict[str, Tensor] = {}
    with state.autocast():
        fakes = _target_side(state, batch, gradients, found)
        fakes |= _source_side(state, batch, gradients, found)
        _discriminators(state, batch, fakes, number, gradients, found)
    return gradients, found


def _target_side(state: State, batch: Batch, gradients: Gradients, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """target -> latent -> fake source -> cycle, and the predictions on the target."""
    method, target = state.method, batch.target
    segmenter = state.segmenter
    latents = segmenter.encoder(state.wide(target))
    latent, latent_ll = _leaf(latents[0]), _leaf(latents[1])
    fake_source = state.decoder(latent, target)

    fake = _leaf(fake_source)
    cycle = method.cycle_weight * losses.cycle(target, state.generator(state.wide(fake)))
    to_generator, (to_fake,) = _grad([cycle], state.generator, [fake])
    gradients["generator"] = to_generator
    judgement = state.translators["discriminator_source"](fake)
    pass_as_source = losses.generator(judgement[:, :1])
    to_fake = to_fake + _grad([pass_as_source], None, [fake], keep=method.auxiliary)[1][0]
    found |= {"cycle_target": cycle, "decoder": pass_as_source}

    gradients["decoder"], (to_latent,) = _grad([fake_source], state.decoder, [latent], [to_fake], keep=method.auxiliary)
    to_latent = to_latent * method.translation_weight
    if method.auxiliary:
        auxiliary = losses.generator(judgement[:, 1:])
        found["auxiliary"] = auxiliary
        (to_fake,) = _grad([method.auxiliary_weight * auxiliary], None, [fake])[1]
        to_latent = to_latent + _grad([fake_source], None, [latent], [to_fake])[1][0]
    del fake_source, judgement

    fakes = {"source": fake.detach()}
    to_latent_ll: Tensor | None = None
    to_heads: list[Tensor] | None = None
    if method.aligns_predictions:
        logits = segmenter.segmentation_head(latent)
        pass_as_translated = losses.generator(state.translators["discriminator_prediction"](logits))
        found["prediction"] = pass_as_translated
        fakes["logits"] = logits.detach()
        loss = state.prediction_weight() * pass_as_translated
        if segmenter.segmentation_head_ll is not None:
            logits_ll = segmenter.segmentation_head_ll(latent_ll)
            pass_ll = losses.generator(state.translators["discriminator_prediction_ll"](logits_ll))
            found["prediction_ll"] = pass_ll
            fakes["logits_ll"] = logits_ll.detach()
            loss = loss + method.lower_prediction_weight * pass_ll
        to_heads, (head_to_latent, to_latent_ll) = _grad([loss], _heads(segmenter), [latent, latent_ll])
        to_latent = to_latent + head_to_latent
    _add_segmenter(state, gradients, latents, to_latent, to_latent_ll, to_heads)
    return fakes


def _source_side(state: State, batch: Batch, gradients: Gradients, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """source -> fake target -> latent -> cycle, and the predictions on the fake target, whose truth is known."""
    method, source = state.method, batch.source
    segmenter = state.segmenter
    fake_target = state.generator(state.wide(source))
    fake = _leaf(fake_target)
    latents = segmenter.encoder(state.wide(fake))
    latent, latent_ll = _leaf(latents[0]), _leaf(latents[1])

    skip = _leaf(fake_target)
    cycle_source = state.decoder(latent, skip)
    cycle = method.cycle_weight * losses.cycle(source, cycle_source)
    to_decoder, (cycle_to_latent, to_fake) = _grad([cycle], state.decoder, [latent, skip])
    gradients["decoder"] = add(gradients["decoder"], to_decoder)
    # the generator wants what the cycle loss says through the encoder, at full weight and nothing else
    to_fake = to_fake + _grad([latents[0]], None, [fake], [cycle_to_latent], keep=True)[1][0]

    logits = segmenter.segmentation_head(latent)
    logits_ll = None if segmenter.segmentation_head_ll is None else segmenter.segmentation_head_ll(latent_ll)
    truth = losses.one_hot(batch.source_labels, method.classes)
    segmentation = segmentation_loss(state, logits, logits_ll, truth)
    to_heads, (to_latent, to_latent_ll) = _grad([segmentation], _heads(segmenter), [latent, latent_ll])
    to_latent = to_latent + method.translation_weight * cycle_to_latent
    _add_segmenter(state, gradients, latents, to_latent, None if logits_ll is None else to_latent_ll, to_heads)

    judged = _leaf(fake_target)
    pass_as_target = losses.generator(state.translators["discriminator_target"](judged))
    to_fake = to_fake + _grad([pass_as_target], None, [judged])[1][0]
    to_generator, _ = _grad([fake_target], state.generator, [], [to_fake])
    gradients["generator"] = add(gradients["generator"], to_generator)
    found |= {"cycle_source": cycle, "segmentation": segmentation, "generator": pass_as_target}
    fakes = {"target": fake.detach(), "cycle_source": cycle_source.detach(), "real_logits": logits.detach()}
    return fakes if logits_ll is None else {**fakes, "real_logits_ll": logits_ll.detach()}


def _discriminators(
    state: State, batch: Batch, fakes: dict[str, Tensor], number: int, gradients: Gradients, found: dict[str, Tensor]
) -> None:
    """Real against fake for every discriminator; for predictions, "real" are those on translated source images."""
    rng = state.random(1 + number)
    old_source = state.histories["source"].exchange(fakes["source"], rng)
    old_target = state.histories["target"].exchange(fakes["target"], rng)
    networks = state.translators
    in_source, fake_source = (networks["discriminator_source"](x) for x in (batch.source, old_source))
    loss = losses.discriminator(in_source[:, :1], fake_source[:, :1])
    if state.method.auxiliary:
        in_cycle = networks["discriminator_source"](fakes["cycle_source"])
        loss = loss + losses.discriminator(in_cycle[:, 1:], fake_source[:, 1:])
    _add_discriminator(state, "discriminator_source", loss, gradients, found)
    judge = networks["discriminator_target"]
    loss = losses.discriminator(judge(batch.target), judge(old_target))
    _add_discriminator(state, "discriminator_target", loss, gradients, found)
    for level in ("", "_ll"):
        name = f"discriminator_prediction{level}"
        if name in networks:
            real, fake = networks[name](fakes[f"real_logits{level}"]), networks[name](fakes[f"logits{level}"])
            _add_discriminator(state, name, losses.discriminator(real, fake), gradients, found)


def _add_discriminator(state: State, name: str, loss: Tensor, gradients: Gradients, found: dict[str, Tensor]) -> None:
    gradients[name], _ = _grad([loss], state.translators[name], [])
    found[name] = loss


def _heads(segmenter: nn.Module) -> nn.ModuleList:
    return nn.ModuleList(m for name, m in segmenter.named_children() if name != "encoder")


def _add_segmenter(
    state: State,
    gradients: Gradients,
    latents: tuple[Tensor, Tensor],
    to_latent: Tensor,
    to_latent_ll: Tensor | None,
    to_heads: list[Tensor] | None,
) -> None:
    """Back through the encoder, and the heads' gradients beside; in the order of the segmenter's parameters."""
    ends = [latents[0]] if to_latent_ll is None else list(latents)
    arriving = [to_latent] if to_latent_ll is None else [to_latent, to_latent_ll]
    to_encoder, _ = _grad(ends, state.segmenter.encoder, [], arriving)
    if to_heads is None:
        to_heads = [torch.zeros_like(p) for p in _heads(state.segmenter).parameters()]
    gradients["segmenter"] = add(gradients.get("segmenter"), to_encoder + to_heads)


def _leaf(x: Tensor) -> Tensor:
    """The same values, cut off from where they came; a gradient can be asked for them."""
    return x.detach().requires_grad_()


def _grad(
    ends: list[Tensor],
    network: nn.Module | None,
    leaves: Iterable[Tensor],
    arriving: list[Tensor] | None = None,
    keep: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients of `ends` (weighed with what is arriving there) for a network's weights and for leaves."""
    parameters = [] if network is None else list(network.parameters())
    wanted = [*parameters, *leaves]
    found = torch.autograd.grad(ends, wanted, arriving, retain_graph=keep, allow_unused=True, materialize_grads=True)
    return list(found[: len(parameters)]), list(found[len(parameters) :])
