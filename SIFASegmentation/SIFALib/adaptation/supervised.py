"""The segmenter alone: on labelled images of the source or of the target, the two bounds, or taught by itself besides."""

from __future__ import annotations

from ..datasets.batching import Batch
from . import objectives, self_training
from .gradients import Losses, Outcome, backward
from .state import State, check_finite


def update(state: State, batches: list[Batch]) -> Losses:
    """One iteration on the parts of a batch; the losses by name."""
    total = Outcome()
    for part, batch in enumerate(batches):
        total = total.plus(_outcome(state, batch))
        if state.method.self_trains:
            total = total.plus(self_training.outcome(state, batch, part))
    check_finite(total.losses, state.iteration)
    total = total.divided(len(batches))
    state.apply("segmenter", total.gradients)
    return total.losses


def _outcome(state: State, batch: Batch) -> Outcome:
    on_source = state.method.objective != "target_supervised"
    images, labels = (batch.source, batch.source_labels) if on_source else (batch.target, batch.target_labels)
    known = batch.source_known if on_source else None
    if labels is None:
        raise ValueError("Supervised training on the target needs labels of the target; none were given.")
    with state.autocast():
        logits = state.segmenter.forward_both(state.wide(images))
    terms = {"segmentation": objectives.segmentation(state, logits, labels, known)}
    gradients, _ = backward(terms["segmentation"], state.segmenter)
    return Outcome(gradients, terms)


def on_source(state: State, batch: Batch) -> Outcome:
    """Gradients of the supervised loss on source images as they are, times `source_weight`, and the loss."""
    with state.autocast():
        logits = state.segmenter.forward_both(state.wide(batch.source))
    loss = objectives.segmentation(state, logits, batch.source_labels, batch.source_known)
    return Outcome(backward(state.method.source_weight * loss, state.segmenter)[0], {"segmentation_source": loss})
