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

Two schedules bring this about, `faithful_schedule` and `shared_schedule`; what both minimise at predictions and
discriminators is in `objectives`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..datasets.batching import Batch
from ..networks import distributed
from . import faithful_schedule, shared_schedule, supervised
from .gradients import Losses
from .method import Method
from .state import AVERAGE_WARM_UP, State


def step(state: State, batch: Batch, precision: torch.dtype = torch.float32, accumulate: int = 1) -> dict[str, float]:
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
    update = _update(method)
    for network in state.networks().values():
        network.train()
    state.segmenter.train(method.segmenter_learns_at(state.iteration))
    devices = [state.device] if state.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(state.random(0).integers(2**62)))
        found = update(state, parts(batch, accumulate))
    state.iteration += 1
    _move_average(state)
    values = [float(v) for v in torch.stack([v.detach().float() for v in found.values()]).tolist()]
    return dict(zip(found, distributed.mean_across(values), strict=True))


def _update(method: Method) -> Callable[[State, list[Batch]], Losses]:
    if not method.translates:
        return supervised.update
    return {"faithful": faithful_schedule.update, "shared": shared_schedule.update}[method.schedule]


def parts(batch: Batch, count: int) -> list[Batch]:
    """A batch in `count` equal parts."""
    fields = (batch.source, batch.source_labels, batch.target, batch.target_labels, batch.source_known)
    chunks = [[None] * count if x is None else x.chunk(count) for x in fields]
    return [Batch(*pieces) for pieces in zip(*chunks, strict=True)]


@torch.no_grad()
def _move_average(state: State) -> None:
    decay = min(state.method.average_decay, state.iteration / (state.iteration + AVERAGE_WARM_UP))
    for name, value in state.segmenter.state_dict().items():
        state.average[name].lerp_(value, 1.0 - decay)
