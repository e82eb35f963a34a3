"""The mean teacher: what it teaches, what its pupil sees, and that nothing else changes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny_method
import torch
from SIFALib import adaptation
from SIFALib.adaptation import losses, self_training
from SIFALib.adaptation.method import Method
from SIFALib.support.errors import RecordError

pytestmark = pytest.mark.usefixtures("one_thread")
TAUGHT = {"self_training_weight": 1.0, "self_training_warm_up": 0, "teacher_confidence": 0.0}


def test_unsure_pixels_pull_nowhere_and_sure_ones_as_labels_do():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(2))
    truth, sure = losses.one_hot(labels, 3), torch.ones(2, 4, 4, dtype=torch.bool)
    assert losses.confident(logits, truth, sure).item() == pytest.approx(losses.segmentation(logits, truth).item())
    sure[:, :2] = False
    losses.confident(logits, truth, sure).backward()
    assert not logits.grad[:, :, :2].any() and logits.grad[:, :, 2:].abs().sum() > 0


def test_the_teacher_is_the_average_and_moves_no_statistics():
    state = tiny_method.start(objective="self_training", **TAUGHT)
    target = tiny_method.batch().target
    for value in state.average.values():
        value.mul_(1.01)
    before = tiny_method.weights(state)
    labels, sure = self_training.taught(state, target)
    assert tiny_method.same(tiny_method.weights(state), before) and state.segmenter.training
    assert torch.equal(labels, adaptation.averaged_segmenter(state)(state.wide(target)).argmax(1)) and sure.all()


def test_the_pupil_sees_other_grey_values_within_the_range_and_air_stays_air():
    images = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32).repeat(6, 1, 1, 1)
    images[:, :, :8] = -1.0
    seen = self_training.changed(images, np.random.default_rng(3))
    again = self_training.changed(images, np.random.default_rng(3))
    assert torch.equal(seen, again) and seen.shape == images.shape
    assert seen.min() >= -1 and seen.max() <= 1
    kept = (seen[:, :, :8] == -1).float().mean()
    assert kept > 0.7  # but for what is cut out
    assert (seen[:, :, 8:] - images[:, :, 8:]).abs().mean(dim=(1, 2, 3)).min() > 0.005
    assert len({float(image.mean()) for image in seen}) == 6  # no two alike


@pytest.mark.parametrize("schedule", ["shared", "faithful"])
def test_a_loss_of_the_teachers_that_is_no_number_is_named_before_the_segmenter_moves(schedule, monkeypatch):
    state = tiny_method.start(schedule=schedule, **TAUGHT)
    before = tiny_method.weights(state)["segmenter"]
    monkeypatch.setattr(losses, "confident", lambda logits, *_: logits.sum() * math.nan)
    with pytest.raises(FloatingPointError, match="In iteration 1 the loss self_training is not a finite number"):
        adaptation.step(state, tiny_method.batch())
    kernels = [name for name, value in before.items() if value.ndim == 4]
    assert all(torch.equal(state.segmenter.state_dict()[name], before[name]) for name in kernels)


@pytest.mark.parametrize("schedule", ["shared", "faithful"])
def test_it_stands_beside_the_translation_in_either_schedule(schedule):
    """Without noise of its own, the segmenter's gradients with a teacher are those without, and the teacher's."""
    settings = {**tiny_method.NO_CHANCE, "schedule": schedule}
    given = tiny_method.batch()
    plain = tiny_method.start(**settings)
    taught = tiny_method.start(**settings, **TAUGHT)
    assert not plain.method.self_trains and taught.method.self_trains
    found = adaptation.step(taught, given)
    assert math.isfinite(found["self_training"]) and found["self_training"] > 0
    assert "self_training" not in adaptation.step(plain, given)
    ends = [tiny_method.weights(state) for state in (plain, taught)]
    assert not tiny_method.same(ends[0]["segmenter"], ends[1]["segmenter"])


def test_it_learns_from_its_teacher_on_the_target_alone():
    """What it is taught on the target is not what it is taught on another target; the source's part is the same."""
    ends = []
    for other in (0, 1):
        state = tiny_method.start(objective="self_training", **TAUGHT)
        given = replace(tiny_method.batch(), target=tiny_method.batch(other).target, target_labels=None)
        adaptation.step(state, given)
        ends.append(tiny_method.weights(state))
    assert not tiny_method.same(*ends)


def test_parts_of_a_batch_are_changed_differently_and_a_resumed_run_alike():
    state = tiny_method.start(objective="self_training", **TAUGHT)
    target = tiny_method.batch().target
    one, other = (self_training.changed(target, state.random(self_training.PURPOSE + part)) for part in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one, self_training.changed(target, state.random(self_training.PURPOSE)))


def test_the_weight_rises_while_the_teacher_is_hardly_more_than_its_pupil():
    method = Method(self_training_weight=2.0, self_training_warm_up=4)
    assert [method.self_training_weight_at(n) for n in (0, 1, 3, 9)] == [0.5, 1.0, 2.0, 2.0]
    assert Method(objective="source_only", self_training_weight=1.0).self_trains is False


def test_self_training_without_a_weight_is_refused():
    with pytest.raises(RecordError, match="must be more than 0 for the objective"):
        Method(objective="self_training")
