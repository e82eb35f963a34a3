"""Promises of repeatability: the same seed gives the same numbers, and going on equals never having stopped."""

from __future__ import annotations

import io
from copy import deepcopy

import pytest
import tiny_method
import torch
from SIFALib import adaptation
from SIFALib.adaptation import State
from SIFALib.adaptation.method import SCHEDULES
from SIFALib.models.card import VARIANTS

pytestmark = pytest.mark.usefixtures("one_thread")

BY_CHANCE = {"keep_rate": 0.75, "decoder_keep_rate": 0.75, "image_pool": 3, "average_decay": 0.9}
"""Whatever can be left to chance is."""


def run(state: State, first: int, last: int) -> list[dict[str, float]]:
    return [adaptation.step(state, tiny_method.batch(number)) for number in range(first, last)]


def saved_and_read(state: State) -> dict:
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_going_on_from_a_saved_state_equals_never_having_stopped_bit_for_bit(variant, schedule):
    settings = {**BY_CHANCE, "variant": variant, "schedule": schedule}
    settings |= {"authors_quirks": True, "epochs": 5, "segmentation_decay": 0.9, "prediction_from_epoch": 1}
    whole = tiny_method.start(**settings)
    run(whole, 0, 2)
    kept = saved_and_read(whole)  # and it goes on itself
    through = run(whole, 2, 4)

    resumed = adaptation.start(whole.method, seed=99, iterations=10)
    resumed.load_state_dict(kept)
    assert resumed.iteration == 2
    assert run(resumed, 2, 4) == through
    assert tiny_method.same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_image_pools_are_part_of_what_is_saved_also_under_the_name_of_earlier_versions(schedule):
    settings = {**BY_CHANCE, "schedule": schedule}
    whole = tiny_method.start(**settings)
    run(whole, 0, 4)
    kept = saved_and_read(whole)
    through = run(whole, 4, 6)
    pools = kept.pop("image_pools")
    for key in ("image_pools", "histories"):
        resumed = tiny_method.start(seed=5, **settings)
        resumed.load_state_dict({**deepcopy(kept), key: deepcopy(pools)})
        assert [len(pool.images) for pool in resumed.image_pools.values()] == [3, 3]
        assert run(resumed, 4, 6) == through
        assert tiny_method.same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("objective", ["source_only", "target_supervised", "image", "prediction"])
def test_every_ablation_can_be_resumed_too(objective):
    settings = {**BY_CHANCE, "objective": objective}
    whole = tiny_method.start(**settings)
    run(whole, 0, 2)
    kept = saved_and_read(whole)
    run(whole, 2, 3)
    resumed = tiny_method.start(seed=5, **settings)
    resumed.load_state_dict(kept)
    run(resumed, 2, 3)
    assert tiny_method.same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_same_seed_gives_the_same_numbers_whatever_was_drawn_before_and_another_seed_gives_others(schedule):
    ends = []
    for seed, drawn in ((3, 0), (3, 5), (4, 0)):
        torch.manual_seed(drawn)
        torch.rand(drawn + 1)
        state = adaptation.start(tiny_method.start(**BY_CHANCE, schedule=schedule).method, seed, 10)
        ends.append((run(state, 0, 2), state.state_dict()["networks"]))
    assert tiny_method.same(ends[0], ends[1])
    assert not tiny_method.same(ends[0], ends[2])


def test_a_step_leaves_the_random_numbers_of_others_alone():
    state = tiny_method.start(**BY_CHANCE)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    adaptation.step(state, tiny_method.batch())
    assert torch.equal(torch.rand(3), expected)


def test_two_iterations_on_the_same_batch_drop_different_activations():
    state = tiny_method.start(objective="source_only", keep_rate=0.5, segmentation_rate=1e-9, average_decay=0.0)
    first, second = (adaptation.step(state, tiny_method.batch()) for _ in range(2))
    assert abs(first["segmentation"] - second["segmentation"]) > 1e-4


def test_a_segmenter_to_start_from_is_taken_over():
    donor = tiny_method.start(seed=8)
    state = adaptation.start(donor.method, 0, 10, segmenter_state=donor.segmenter.state_dict())
    assert tiny_method.same(dict(state.segmenter.state_dict()), dict(donor.segmenter.state_dict()))
    assert tiny_method.same(state.average, dict(donor.segmenter.state_dict()))
