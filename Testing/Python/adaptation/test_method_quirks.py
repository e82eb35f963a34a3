"""Promises of `authors_quirks`, of the image pool and of the moving average: each has the effect that it names."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import tiny_method
import torch
from SIFALib import adaptation
from SIFALib.adaptation.gradients import with_weight_decay
from SIFALib.adaptation.image_pool import ImagePool
from SIFALib.adaptation.method import SCHEDULES
from tiny_method import NO_CHANCE

pytestmark = pytest.mark.usefixtures("one_thread")

ORDER = ["generator", "discriminator_target", "decoder", "discriminator_source", "discriminator_prediction"]
"""The adversarial updates of AAAI 2019 in the authors' order; TMI 2020 adds one."""


def first_step_in_rates(quirks: bool, variant: str = "aaai2019") -> dict[str, float]:
    """By how many learning rates a typical weight moves in the first iteration, for each adversarial network."""
    state = tiny_method.start(variant=variant, authors_quirks=quirks, **NO_CHANCE)
    before = tiny_method.weights(state)
    adaptation.step(state, tiny_method.batch())
    steps = {}
    for group, network in state.translators.items():
        moved = [
            (value - before[group][key]).abs().flatten()
            for key, value in network.state_dict().items()
            if value.ndim == 4
        ]
        steps[group] = float(torch.cat(moved).median()) / state.method.adversarial_rate
    return steps


def test_one_step_counter_for_all_adversarial_updates_makes_later_updates_of_an_iteration_larger():
    for variant, last in (("aaai2019", []), ("tmi2020", ["discriminator_prediction_ll"])):
        steps = first_step_in_rates(True, variant)
        for k, group in enumerate(ORDER + last, 1):
            correction = math.sqrt(1 - 0.999**k) / (1 - 0.5**k)  # of TensorFlow's Adam in its k-th step
            expected = correction * 0.5 / math.sqrt(1 - 0.999)  # m and v after one gradient: g / 2, g^2 / 1000
            assert steps[group] == pytest.approx(expected, rel=2e-3), group
        assert steps["discriminator_source"] == pytest.approx(1.066, abs=1e-3)


def test_by_default_every_network_counts_its_own_steps():
    assert list(first_step_in_rates(False).values()) == pytest.approx([1.0] * 5, rel=2e-3)


def test_the_shared_counter_goes_on_from_iteration_to_iteration():
    state = tiny_method.start(authors_quirks=True)
    for number in range(3):
        adaptation.step(state, tiny_method.batch(number))
    assert state.adversarial_steps == 18
    assert state.optimizers["segmenter"].steps == 3


@pytest.mark.parametrize("quirks", [True, False])
def test_the_authors_decay_every_trained_value_of_the_segmenter_and_we_decay_kernels_alone(quirks):
    """By the gradient of the loss term that the authors add: half of the squared weights."""
    state = tiny_method.start(authors_quirks=quirks, weight_decay=0.5)
    parameters = dict(state.segmenter.named_parameters())
    with torch.no_grad():
        for value in parameters.values():
            value.add_(0.25)  # scales, shifts and unused biases too
    term = 0.5 * torch.stack([(p**2).sum() for p in parameters.values() if quirks or p.ndim == 4]).sum() / 2
    wanted = torch.autograd.grad(term, list(parameters.values()), allow_unused=True, materialize_grads=True)
    zeros = {p: torch.zeros_like(p) for p in parameters.values()}
    decayed = with_weight_decay(zeros, state.method.weight_decay, state.method.decays_kernels_alone)
    for (name, value), gradient in zip(parameters.items(), wanted, strict=True):
        assert torch.allclose(decayed[value], gradient, rtol=1e-6, atol=0), name
    assert any("unused_bias" in name for name in parameters)
    before = {name: value.detach().clone() for name, value in parameters.items()}
    adaptation.step(state, tiny_method.batch())
    still = [name for name, value in parameters.items() if torch.equal(value, before[name])]
    assert all("unused_bias" in name for name in still) and bool(still) != quirks


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_with_the_authors_quirks_the_pool_has_no_effect_and_without_them_it_has(schedule):
    def after(size: int, quirks: bool) -> dict:
        state = tiny_method.start(**{**NO_CHANCE, "image_pool": size}, schedule=schedule, authors_quirks=quirks)
        for number in range(2):  # the second may get the images of the first
            adaptation.step(state, tiny_method.batch(number))
        kept = {name: len(h.images) for name, h in state.image_pools.items()}
        return {"kept": kept, "weights": tiny_method.weights(state)}

    quirky = after(1, True)
    assert tiny_method.same(quirky, after(0, True))
    assert quirky["kept"] == {"source": 0, "target": 0}
    with_pool, without = after(1, False), after(0, False)
    assert with_pool["kept"] == {"source": 1, "target": 1}
    assert not tiny_method.same(with_pool["weights"], without["weights"])


def test_the_pool_gives_back_all_images_until_it_is_full_and_then_exchanges_about_half():
    pool, random = ImagePool(50), np.random.default_rng(0)
    shown = []
    for number in range(50):
        fakes = torch.full((1, 1, 2, 2), float(number))
        assert torch.equal(pool.exchange(fakes, random), fakes)
    assert [float(image[0, 0, 0]) for image in pool.images] == list(range(50))
    for number in range(50, 1050, 2):
        fakes = torch.stack([torch.full((1, 2, 2), float(number + n)) for n in (0, 1)])
        given_back = pool.exchange(fakes, random)
        assert given_back.shape == fakes.shape
        shown += given_back[:, 0, 0, 0].tolist()
        assert len(pool.images) == 50
    exchanged = [value for number, value in enumerate(shown, 50) if value != number]
    assert 430 < len(exchanged) < 570  # of 1000, with probability 1/2
    assert all(value < number for number, value in enumerate(shown, 50) if value != number)
    kept = [float(image[0, 0, 0]) for image in pool.images]
    assert Counter(shown + kept) == Counter(map(float, range(1050)))  # none is shown twice, none is lost


def test_images_in_the_pool_do_not_change_when_the_fakes_do():
    pool, random = ImagePool(1), np.random.default_rng(0)
    fakes = torch.zeros(1, 1, 2, 2)
    pool.exchange(fakes, random)
    fakes += 1
    assert pool.images[0].sum() == 0
    given = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert not pool.exchange(given, random).requires_grad


def test_of_two_equal_seeds_the_pool_exchanges_the_same():
    ends = []
    for _ in range(2):
        pool, random = ImagePool(3), np.random.default_rng(7)
        ends.append([pool.exchange(torch.full((2, 1, 1, 1), float(n)), random) for n in range(20)])
    assert tiny_method.same(*ends)


def test_the_average_follows_the_weights_slowly_and_is_what_is_handed_out():
    state = tiny_method.start(average_decay=0.9, segmentation_rate=1e-2)
    average = {name: value.clone() for name, value in state.segmenter.state_dict().items()}
    for number in range(1, 4):
        adaptation.step(state, tiny_method.batch(number))
        decay = min(0.9, number / (number + adaptation.AVERAGE_WARM_UP))
        for name, value in state.segmenter.state_dict().items():
            average[name] = decay * average[name] + (1 - decay) * value
    segmenter = adaptation.averaged_segmenter(state)
    assert not segmenter.training and state.segmenter.training
    for name, value in segmenter.state_dict().items():
        assert torch.allclose(value, average[name], rtol=1e-5, atol=1e-7), name
    assert not tiny_method.same(segmenter.state_dict(), state.segmenter.state_dict())
    kept = {name: value.clone() for name, value in segmenter.state_dict().items()}
    adaptation.step(state, tiny_method.batch())
    assert tiny_method.same(segmenter.state_dict(), kept)  # a copy: training goes on without it


def test_without_an_average_the_newest_weights_are_handed_out():
    state = tiny_method.start(average_decay=0.0)
    adaptation.step(state, tiny_method.batch())
    assert tiny_method.same(adaptation.averaged_segmenter(state).state_dict(), state.segmenter.state_dict())


def test_the_gradient_of_the_segmenter_can_be_limited_to_a_length():
    def moment(clip: float) -> torch.Tensor:
        state = tiny_method.start(clip=clip, **NO_CHANCE)
        adaptation.step(state, tiny_method.batch())
        return torch.cat([mean.flatten() for mean in state.optimizers["segmenter"].moments["exp_avg"]])

    free, limited = moment(0.0), moment(0.01)
    assert limited.norm() == pytest.approx(0.1 * 0.01, rel=1e-3)  # the first moment holds a tenth of it
    assert torch.cosine_similarity(free, limited, dim=0) == pytest.approx(1.0, abs=1e-4)
    assert free.norm() > 0.1 * 0.011
