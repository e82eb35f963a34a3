"""The fast schedule: every forward pass of an iteration once, all gradients from it, then all updates.

With the same weights the gradients of generator, decoder and segmenter are those of the authors' losses, each for the
weights it is meant for (a test compares them). What differs from `faithful_schedule`: no update of an iteration sees
the ones before it, and batch normalisation moves its averages twice instead of eleven times an iteration.

The graph is cut at the borders between the networks (`border`): the gradient that arrives there, `to_...`, is handed
on by hand, so that the encoder can get a tenth of what the decoder gets, and the generator nothing of the segmentation
loss, without a second forward pass. The target's side is finished before the source's begins; that halves the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from . import losses, objectives, self_training, supervised
from .gradients import Gradients, Losses, Outcome, backward, border
from .objectives import Logits, Objective
from .state import check_finite

if TYPE_CHECKING:
    from ..datasets.batching import Batch
    from ..networks.segmenter import Segmenter
    from .state import State

PREDICTION_DISCRIMINATORS = ("discriminator_prediction", "discriminator_prediction_ll")


def update(state: State, batches: list[Batch]) -> Losses:
    """One iteration: gradients of every part of the batch, their mean, and the updates; the losses by name."""
    total = Outcome()
    for part, batch in enumerate(batches):
        outcome = outcome_of(state, batch, part)
        check_finite(outcome.losses, state.iteration)
        total = total.plus(outcome)
    total = total.divided(len(batches))
    for group in state.groups():
        if group != "segmenter" or state.method.segmenter_learns_at(state.iteration):
            state.apply(group, total.gradients)
    return total.losses


def outcome_of(state: State, batch: Batch, part: int = 0) -> Outcome:
    """Gradients of every network's weights (without weight decay) and the losses, for one part of a batch."""
    with state.autocast():
        target = target_side(state, batch.target)
        source = source_side(state, batch)
        total = target.outcome.plus(source.outcome).plus(discriminators(state, batch, target, source, part))
    if not state.method.segmenter_learns_at(state.iteration):
        return total
    if state.method.source_weight:
        total = total.plus(supervised.on_source(state, batch))
    return total.plus(self_training.outcome(state, batch, part)) if state.method.self_trains else total


class Side(NamedTuple):
    """What comes of one domain's images. The discriminators see of it: `fake`, its translations, without a graph;
    `logits`, if predictions are aligned; of the source `cycle`, its images translated and back, without a graph."""

    outcome: Outcome
    fake: Tensor
    logits: Logits | None
    cycle: Tensor | None = None


def target_side(state: State, target: Tensor) -> Side:
    """target -> latent -> fake source -> cycle, and the predictions on the target."""
    method, segmenter = state.method, state.segmenter
    latents = segmenter.encoder(state.wide(target))
    cut, seen = [border(x) for x in latents], segmenter.encoder.seen_by_decoder
    fake_source = state.decoder(cut[seen], target)

    # the decoder's loss: the cycle, and passing as a source image
    fake = border(fake_source)
    cycle = method.cycle_weight * losses.cycle(target, state.generator(state.wide(fake)))
    of_generator, (to_fake,) = backward(cycle, state.generator, [fake])
    scores = state.translators["discriminator_source"](fake)
    passing = losses.generator(scores[:, :1])
    to_fake = to_fake + backward(passing, None, [fake], keep=method.auxiliary)[1][0]
    of_decoder, (to_seen,) = backward(fake_source, state.decoder, [cut[seen]], to_fake, keep=method.auxiliary)
    terms = {"cycle_target": cycle, "decoder": passing}

    # the encoder's: a tenth of that, the auxiliary task, the alignment of predictions
    to_seen = to_seen * method.translation_weight
    if method.auxiliary:
        terms["auxiliary"] = losses.generator(scores[:, 1:])
        (to_fake,) = backward(method.auxiliary_weight * terms["auxiliary"], None, [fake])[1]
        to_seen = to_seen + backward(fake_source, None, [cut[seen]], to_fake)[1][0]
    del fake_source, scores
    logits, of_heads, to_latents = None, Gradients(), _only(to_seen, seen)
    if method.aligns_predictions:
        (logits,) = objectives.predictions(segmenter, (cut[0], cut[1]))
        loss, aligned = objectives.alignment(state, logits)
        of_heads, from_heads = backward(loss, _heads(segmenter), cut)
        to_latents, terms = _sum(to_latents, from_heads), terms | aligned
    of_encoder = _through_encoder(segmenter, latents, to_latents)
    gradients = {**of_generator, **of_decoder, **of_encoder, **of_heads}
    return Side(Outcome(gradients, terms), fake.detach(), logits)


def source_side(state: State, batch: Batch) -> Side:
    """source -> fake target -> latent -> cycle, and the predictions on the fake target, whose truth is known."""
    segmenter, weight, source = state.segmenter, state.method.cycle_weight, batch.source
    fake_target = state.generator(state.wide(source))
    fake = border(fake_target)
    latents = segmenter.encoder(state.wide(fake))
    cut, seen = [border(x) for x in latents], segmenter.encoder.seen_by_decoder

    # the decoder's loss; of the cycle the generator wants what comes through the encoder, at full weight
    skip = border(fake_target)
    cycle_source = state.decoder(cut[seen], skip)
    cycle = weight * losses.cycle(source, cycle_source)
    of_decoder, (cycle_to_seen, to_fake) = backward(cycle, state.decoder, [cut[seen], skip])
    to_fake = to_fake + backward(latents[seen], None, [fake], cycle_to_seen, keep=True)[1][0]

    # the segmenter's: segmentation, and a tenth of the decoder's
    (logits,) = objectives.predictions(segmenter, (cut[0], cut[1]))
    segmentation = objectives.segmentation(state, logits, batch.source_labels, batch.source_known)
    of_heads, (to_latent, to_latent_ll) = backward(segmentation, _heads(segmenter), cut)
    from_heads = [to_latent, None if logits[1] is None else to_latent_ll]
    to_latents = _sum(from_heads, _only(state.method.translation_weight * cycle_to_seen, seen))
    of_encoder = _through_encoder(segmenter, latents, to_latents)

    # the generator's: both cycles, and passing as a target image
    shown = border(fake_target)
    passing = losses.generator(state.translators["discriminator_target"](shown))
    to_fake = to_fake + backward(passing, None, [shown])[1][0]
    of_generator, _ = backward(fake_target, state.generator, arriving=to_fake)

    terms = {"cycle_source": cycle, "segmentation": segmentation, "generator": passing}
    gradients = {**of_decoder, **of_encoder, **of_heads, **of_generator}
    return Side(Outcome(gradients, terms), fake.detach(), logits, cycle_source.detach())


def discriminators(state: State, batch: Batch, target: Side, source: Side, part: int) -> Outcome:
    """Real against fake for every discriminator; for predictions, "real" are those on translated source images."""
    rng = state.random(1 + part)
    fake_source = state.image_pools["source"].exchange(target.fake, rng)
    fake_target = state.image_pools["target"].exchange(source.fake, rng)
    cycle_source = source.cycle if state.method.auxiliary else None
    total = _of_discriminator(state, objectives.source_discrimination(state, batch.source, fake_source, cycle_source))
    pairs = {"discriminator_target": (batch.target, fake_target)}
    if source.logits is not None and target.logits is not None:
        for name, real, fake in zip(PREDICTION_DISCRIMINATORS, source.logits, target.logits, strict=True):
            if real is not None and fake is not None:
                pairs[name] = (real, fake)
    for name, (real, fake) in pairs.items():
        total = total.plus(_of_discriminator(state, objectives.discrimination(state, name, real, fake)))
    return total


def _of_discriminator(state: State, objective: Objective) -> Outcome:
    (name,) = objective.terms
    return Outcome(backward(objective.loss, state.translators[name])[0], objective.terms)


def _heads(segmenter: Segmenter) -> nn.ModuleList:
    return nn.ModuleList(head for head in (segmenter.segmentation_head, segmenter.segmentation_head_ll) if head)


def _only(gradient: Tensor, which: int) -> list[Tensor | None]:
    """For one of the encoder's two outputs alone."""
    return [gradient if n == which else None for n in (0, 1)]


def _sum(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of what arrives at each of the encoder's outputs; None: nothing."""
    return [a if b is None else b if a is None else a + b for a, b in zip(one, other, strict=True)]


def _through_encoder(
    segmenter: Segmenter, latents: tuple[Tensor, Tensor], arriving: Sequence[Tensor | None]
) -> Gradients:
    """Gradients of the encoder for what arrives at its outputs."""
    ends, gradients = zip(*((x, g) for x, g in zip(latents, arriving, strict=True) if g is not None), strict=True)
    return backward(ends, segmenter.encoder, arriving=gradients)[0]
