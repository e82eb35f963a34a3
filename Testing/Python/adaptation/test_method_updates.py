"""Promises of one iteration: who is trained by what, in both papers, both schedules and every ablation."""

from __future__ import annotations

import math
from dataclasses import replace
from unittest import mock

import pytest
import tiny_method
import torch
from SIFALib import adaptation
from SIFALib.adaptation import State, faithful_schedule, shared_schedule
from SIFALib.adaptation.gradients import Gradients
from SIFALib.adaptation.method import OBJECTIVES, SCHEDULES
from SIFALib.models.card import VARIANTS
from SIFALib.networks.layers import BatchNorm
from tiny_method import NO_CHANCE

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_has_and_trains_the_networks_that_it_names_and_no_others(objective, variant, schedule):
    state = tiny_method.start(objective=objective, variant=variant, schedule=schedule)
    named = tiny_method.groups(state.method)
    assert set(state.networks()) == set(named)
    if "discriminator_source" in named:
        scores = state.translators["discriminator_source"](tiny_method.batch().source)
        assert scores.shape[1] == (2 if objective == "full" else 1)
    before = tiny_method.weights(state)
    found = adaptation.step(state, tiny_method.batch())
    assert all(math.isfinite(value) for value in found.values())
    for group, network in state.networks().items():
        still = [key for key, value in network.state_dict().items() if torch.equal(value, before[group][key])]
        assert all(key.endswith("unused_bias") for key in still), group


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_update_moves_its_own_weights_and_leaves_all_others_bit_for_bit(variant, schedule, monkeypatch):
    state = tiny_method.start(variant=variant, schedule=schedule)
    moved = []
    apply = State.apply

    def parameters(of: State) -> dict[str, list[torch.Tensor]]:
        return {name: [p.detach().clone() for p in net.parameters()] for name, net in of.networks().items()}

    def watched(self: State, group: str, gradients: Gradients) -> None:
        before = parameters(self)
        apply(self, group, gradients)
        after = parameters(self)
        moved.append((group, [name for name in after if not tiny_method.same(after[name], before[name])]))

    monkeypatch.setattr(State, "apply", watched)
    start = parameters(state)
    adaptation.step(state, tiny_method.batch())
    assert moved == [(group, [group]) for group in tiny_method.groups(state.method)]
    monkeypatch.setattr(State, "apply", lambda *_: None)
    state = tiny_method.start(variant=variant, schedule=schedule)
    adaptation.step(state, tiny_method.batch())
    assert tiny_method.same(parameters(state), start)  # nothing but the updates moves a weight


@pytest.mark.parametrize(("objective", "unused"), [("source_only", "target"), ("target_supervised", "source")])
def test_the_two_bounds_never_look_at_the_other_domain(objective, unused):
    ends = []
    for other in (1, 2):
        state = tiny_method.start(objective=objective)
        given = tiny_method.batch()
        strange = tiny_method.batch(other)
        given = replace(given, **{name: getattr(strange, name) for name in (unused, f"{unused}_labels")})
        adaptation.step(state, given)
        ends.append(tiny_method.weights(state))
    assert tiny_method.same(*ends)


@pytest.mark.parametrize(
    ("objective", "schedule"), [("full", "faithful"), ("full", "shared"), ("source_only", "shared")]
)
def test_no_label_of_the_target_is_ever_used_for_adaptation(objective, schedule):
    ends = []
    for labelled in (True, False):
        state = tiny_method.start(objective=objective, schedule=schedule)
        given = tiny_method.batch()
        adaptation.step(state, given if labelled else replace(given, target_labels=None))
        ends.append(state.state_dict())
    assert tiny_method.same(*ends)


def test_the_upper_bound_without_labels_of_the_target_says_what_is_missing():
    state = tiny_method.start(objective="target_supervised")
    with pytest.raises(ValueError, match="needs labels of the target"):
        adaptation.step(state, replace(tiny_method.batch(), target_labels=None))


@pytest.mark.rounding
@pytest.mark.parametrize("objective", ["full", "prediction", "image"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gradients_of_the_shared_schedule_are_those_of_the_faithful_one(variant, objective):
    settings = {**NO_CHANCE, "variant": variant, "objective": objective}
    given = tiny_method.batch(dtype=torch.float64)
    faithful, shared = (
        tiny_method.gradients(tiny_method.start(**settings, schedule=schedule, dtype=torch.float64), given)
        for schedule in ("faithful", "shared")
    )
    assert faithful.keys() == shared.keys() == set(tiny_method.groups(tiny_method.start(**settings).method))
    for group, gradient in faithful.items():
        assert gradient.norm() > 1e-3
        assert tiny_method.difference(shared[group], gradient) < 1e-9, group


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_faithful_schedule_moves_the_batch_statistics_as_often_as_the_authors_graph(variant):
    counts = {}
    for schedule in SCHEDULES:
        state = tiny_method.start(variant=variant, schedule=schedule)
        seen: dict[str, int] = {}
        for name, module in state.segmenter.named_modules():
            if isinstance(module, BatchNorm):
                module.register_forward_hook(
                    lambda module, *_, seen=seen, name=name: seen.update({name: seen.get(name, 0) + module.training})
                )
        adaptation.step(state, tiny_method.batch())
        layers = [layer.name for layer in VARIANTS[variant].encoder]
        behind = layers[layers.index(VARIANTS[variant].lower) + 1 :]
        counts[schedule] = (
            {n for name, n in seen.items() if name.split(".")[1] not in behind},
            {n for name, n in seen.items() if name.split(".")[1] in behind},
        )
    assert counts["shared"] == ({2}, {2})
    assert counts["faithful"] == (({9}, {9}) if variant == "aaai2019" else ({11}, {9}))


@pytest.mark.rounding
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("variant", "classes", "width", "size"), [("tmi2020", 2, 4, (32, 48)), ("aaai2019", 8, 2, (40, 32))]
)
def test_any_number_of_classes_any_width_and_any_sides_of_multiples_of_8(variant, classes, width, size, schedule):
    state = tiny_method.start(variant=variant, classes=classes, width=width, schedule=schedule)
    given = tiny_method.batch(count=3, classes=classes, size=size)
    assert all(math.isfinite(v) for v in adaptation.step(state, given).values())
    assert adaptation.translate(state, given.source).shape == given.source.shape
    segmenter = adaptation.averaged_segmenter(state)
    assert segmenter(state.wide(given.target)).shape == (3, classes, *size)


def test_either_domain_can_be_the_source():
    given, ends = tiny_method.batch(), []
    back = type(given)(given.target, given.target_labels, given.source, given.source_labels)
    for one in (given, back):
        state = tiny_method.start()
        found = [adaptation.step(state, one) for _ in range(3)]
        assert all(math.isfinite(value) for values in found for value in values.values())
        ends.append(tiny_method.weights(state))
    assert not tiny_method.same(*ends)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_label_that_is_no_class_is_no_class_whatever_its_value(schedule):
    ends = []
    for value in (5, 200):
        given = tiny_method.batch()
        labels = given.source_labels.clone()
        labels[:, :8, :8] = value
        state = tiny_method.start(schedule=schedule)
        adaptation.step(state, replace(given, source_labels=labels))
        ends.append(state.state_dict())
    assert tiny_method.same(*ends)


@pytest.mark.parametrize(
    ("settings", "losses"),
    [
        ({"schedule": "shared"}, ".*"),
        ({"schedule": "faithful"}, ".*"),
        ({"objective": "source_only"}, "segmentation"),
        ({"objective": "target_supervised"}, "segmentation"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_loss_that_is_no_number_stops_with_a_sentence_before_any_update(settings, losses):
    state = tiny_method.start(**settings)
    adaptation.step(state, tiny_method.batch())
    given, before = tiny_method.batch(), tiny_method.weights(state)["segmenter"]
    given.source[0, 0, 3, 3] = given.target[0, 0, 3, 3] = math.nan
    with pytest.raises(FloatingPointError, match=f"In iteration 2 the loss {losses} is not a finite number; lower the"):
        adaptation.step(state, given)
    kernels = [name for name, value in before.items() if value.ndim == 4]
    assert all(torch.equal(state.segmenter.state_dict()[name], before[name]) for name in kernels)


@pytest.mark.rounding
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_bfloat16_computes_nearly_the_same_and_keeps_the_weights_in_float32(variant, schedule):
    """Of weights that hardly move: Adam's first step is a gradient's sign, which rounding turns where it is near zero, and
    the faithful schedule computes its later losses after such steps. Measured over three seeds: at most 0.04 of a loss."""
    still = {"segmentation_rate": 1e-9, "adversarial_rate": 1e-9}
    settings = {**NO_CHANCE, **still, "variant": variant, "schedule": schedule}
    seen = {}
    for precision in (torch.float32, torch.bfloat16):
        state = tiny_method.start(**settings)
        seen[precision] = adaptation.step(state, tiny_method.batch(), precision=precision)
        assert {p.dtype for net in state.networks().values() for p in net.parameters()} == {torch.float32}
    exact, rough = seen.values()
    assert exact.keys() == rough.keys()
    assert exact != rough
    for name, value in exact.items():
        assert rough[name] == pytest.approx(value, rel=0.1, abs=0.02), name


def test_a_batch_that_cannot_be_divided_is_refused():
    state = tiny_method.start()
    for accumulate in (0, 2):
        with pytest.raises(ValueError, match="A batch of 3 slices cannot be divided into"):
            adaptation.step(state, tiny_method.batch(count=3), accumulate=accumulate)


@pytest.mark.rounding
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parts_of_equal_statistics_give_the_gradients_of_the_whole_batch(schedule):
    half = tiny_method.batch(count=2, dtype=torch.float64)
    twice = half.map(lambda tensor: torch.cat([tensor, tensor]))
    settings = {**NO_CHANCE, "schedule": schedule, "dtype": torch.float64}
    whole = tiny_method.gradients(tiny_method.start(**settings), twice)
    in_parts = tiny_method.gradients(tiny_method.start(**settings), twice, accumulate=2)
    for group, gradient in whole.items():
        assert tiny_method.difference(in_parts[group], gradient) < 1e-6, group  # Dice adds 1e-7 to sizes


@pytest.mark.rounding
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parts_of_a_batch_differ_from_it_in_what_is_defined_over_the_batch_alone(schedule):
    """Batch normalisation, class weights and Dice are those of a part. Without them nothing differs.

    How much the rest differs depends on how alike the parts are; these here are two random images each.
    """
    given = tiny_method.batch(count=4, dtype=torch.float64)
    settings = {**NO_CHANCE, "schedule": schedule, "dtype": torch.float64}
    whole = tiny_method.gradients(tiny_method.start(**settings), given)
    in_parts = tiny_method.gradients(tiny_method.start(**settings), given, accumulate=2)
    knows_no_batch = "discriminator_target"  # no encoder on the way from the source image to its score
    for group, gradient in whole.items():
        apart = tiny_method.difference(in_parts[group], gradient)
        assert apart < 1e-9 if group == knows_no_batch else apart > 1e-3, group
        if group.startswith("discriminator"):
            assert torch.cosine_similarity(in_parts[group], gradient, dim=0) > 0.8, group


@pytest.mark.rounding
def test_both_schedules_report_the_same_losses_by_the_same_names():
    settings = {**NO_CHANCE, "segmentation_rate": 1e-9, "adversarial_rate": 1e-9}
    found = [
        adaptation.step(tiny_method.start(**settings, schedule=schedule), tiny_method.batch())
        for schedule in ("faithful", "shared")
    ]
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-3), name


def test_the_two_schedules_are_the_two_modules():
    for schedule, module in (("faithful", faithful_schedule), ("shared", shared_schedule)):
        with mock.patch.object(module, "update", wraps=module.update) as watched:
            adaptation.step(tiny_method.start(schedule=schedule), tiny_method.batch())
            assert watched.call_count == 1
