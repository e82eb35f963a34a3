"""What both schedules minimise where predictions and discriminators meet; a new term of theirs goes here, once.

The rest are sums of `losses` that each schedule writes where it has the images. What is minimised on the target without
translation is in `self_training`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from . import losses
from .gradients import Losses

if TYPE_CHECKING:
    from ..networks.segmenter import Segmenter
    from .state import State

Logits = tuple[Tensor, Tensor | None]
"""[N, classes, H, W] of the segmentation head and of the head on lower-level features (None in AAAI 2019)."""


class Objective(NamedTuple):
    """loss: what is minimised, a scalar. terms: what is reported of it, by name and without weights."""

    loss: Tensor
    terms: Losses


def predictions(segmenter: Segmenter, *latents: tuple[Tensor, Tensor]) -> list[Logits]:
    """Of both heads on what the encoder made of each of some stacks of images."""
    lower_head = segmenter.segmentation_head_ll
    main = [segmenter.segmentation_head(latent) for latent, _ in latents]
    lower = [None if lower_head is None else lower_head(latent_ll) for _, latent_ll in latents]
    return list(zip(main, lower, strict=True))


def segmentation(state: State, logits: Logits, labels: Tensor, known: Tensor | None = None) -> Tensor:
    """L_seg of predictions on images with labels [N, H, W], and a tenth of it on the lower-level head's (TMI 2020).

    known: bool [N, classes], which classes the labels of each slice speak of; None: of all.
    """
    main, lower = logits
    truth, balance = losses.one_hot(labels, state.method.classes), state.method.class_balance
    loss = losses.segmentation(main, truth, known, balance)
    if lower is not None:
        loss = loss + state.method.lower_weight * losses.segmentation(lower, truth, known, balance)
    return loss


def alignment(state: State, logits: Logits) -> Objective:
    """Predictions on the target should pass as predictions on translated source images: L_adv of D_p and D_p_ll."""
    main, lower = logits
    discriminators = state.translators
    terms = {"prediction": losses.generator(discriminators["discriminator_prediction"](main))}
    loss = state.prediction_weight() * terms["prediction"]
    if lower is not None:
        terms["prediction_ll"] = losses.generator(discriminators["discriminator_prediction_ll"](lower))
        loss = loss + state.method.lower_prediction_weight * terms["prediction_ll"]
    return Objective(loss, terms)


def discrimination(state: State, name: str, real: Tensor, fake: Tensor) -> Objective:
    """Real against fake for one discriminator; images or logits, through which no gradient goes on."""
    discriminator = state.translators[name]
    real, fake = real.detach(), fake.detach()
    loss = losses.discriminator(discriminator(real), discriminator(fake))
    return Objective(loss, {name: loss})


def source_discrimination(state: State, real: Tensor, fake: Tensor, cycle_source: Tensor | None) -> Objective:
    """Real against fake source images for D_s; with its auxiliary task, also cycles of source images against fakes."""
    discriminator = state.translators["discriminator_source"]
    of_real, of_fake = discriminator(real), discriminator(fake)
    loss = losses.discriminator(of_real[:, :1], of_fake[:, :1])
    if cycle_source is not None:
        loss = loss + losses.discriminator(discriminator(cycle_source)[:, 1:], of_fake[:, 1:])
    return Objective(loss, {"discriminator_source": loss})
