"""Supervised updates of the segmenter."""

from __future__ import annotations

import torch
from torch import Tensor

from ..datasets.batching import Batch
from . import losses
from .gradients import add, mean
from .state import State, check


def supervised_update(state: State, batches: list[Batch]) -> dict[str, Tensor]:
    """The two bounds: the segmenter alone, on labelled source images or on labelled target images."""
    sums: list[Tensor] | None = None
    found = []
    for batch in batches:
        on_source = state.method.objective == "source_only"
        images, labels = (batch.source, batch.source_labels) if on_source else (batch.target, batch.target_labels)
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
