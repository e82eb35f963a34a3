"""The two bounds: the segmenter alone, on labelled source images or on labelled target images."""

from __future__ import annotations

from ..datasets.batching import Batch
from . import objectives
from .gradients import Losses, Outcome, backward
from .state import State, check_finite


def update(state: State, batches: list[Batch]) -> Losses:
    """One iteration on the parts of a batch; the losses by name."""
    total = Outcome()
    for batch in batches:
        total = total.plus(_outcome(state, batch))
    total = total.divided(len(batches))
    state.apply("segmenter", total.gradients)
    return total.losses


def _outcome(state: State, batch: Batch) -> Outcome:
    on_source = state.method.objective == "source_only"
    images, labels = (batch.source, batch.source_labels) if on_source else (batch.target, batch.target_labels)
    known = batch.source_known if on_source else None
    if labels is None:
        raise ValueError("Supervised training on the target needs labels of the target; none were given.")
    with state.autocast():
        logits = state.segmenter.forward_both(state.wide(images))
    terms = {"segmentation": objectives.segmentation(state, logits, labels, known)}
    check_finite(terms, state.iteration)
    gradients, _ = backward(terms["segmentation"], state.segmenter)
    return Outcome(gradients, terms)
