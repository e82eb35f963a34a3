"""The networks compute what the authors' TensorFlow code computes. The full set: `make bench-parity`."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from golden import method_parity, networks_parity, recipe, references
from golden.references import References, Row

pytestmark = pytest.mark.usefixtures("one_thread")


def of_networks(variant: str) -> References:
    return {k: v for k, v in references.subset(variant).items() if k[0] in networks_parity.TOLERANCES}


@pytest.mark.parametrize("variant", references.FOLDERS)
def test_every_network_equals_the_authors_layer_by_layer(variant: str) -> None:
    """Nothing comes nearer to its tolerance than a fourth of it, on AVX2 as with SSE4.1: TensorFlow's rounding is what
    differs most, so that no other processor's could change the verdict."""
    kept = {k: v for k, v in of_networks(variant).items() if k[0] != networks_parity.OF_THE_GRAPH}
    computed = networks_parity.computed(variant, of_the_graph=False)
    rows = list(references.compare(variant, computed, kept, networks_parity.TOLERANCES))
    assert {row.item for row in rows} == {item for item, _ in kept}
    assert sum(row.parts for row in rows) == len(kept)
    assert not [row for row in rows if not row.passed]


def test_the_subset_has_every_network_and_every_layer() -> None:
    kept = of_networks("tmi2020")
    assert {item for item, _ in kept} == set(networks_parity.TOLERANCES)
    layers = {  # convolutions, normalisations, blocks
        "e_B eval": 31 + 31 + 14,
        "e_B train": 31 + 31 + 14,
        "e_B mask": 31 + 31 + 14,
        "g_A": 24 + 23 + 9,
        "de_B nodrop": 13 + 12 + 4,
        "de_B mask": 13 + 12 + 4,
        "d_A": 5 + 3,
        "d_B": 5 + 3,
        "d_P": 5 + 3,
        "d_P_ll": 5 + 3,
    }
    for item, count in layers.items():
        assert sum(name == f"{item} layers" for name, _ in kept) == count
    assert sum(item == "recipe" for item, _ in kept) == 339  # variables of the authors' checkpoint
    assert {item for item, _ in kept} - {item for item, _ in of_networks("aaai2019")} == {
        "s_B_ll eval",
        "d_P_ll",
        "d_P_ll layers",
    }


def test_every_tolerance_is_that_of_an_item_and_every_item_has_one() -> None:
    for variant in references.FOLDERS:
        items = {item for item, _ in references.subset(variant)}
        assert items <= set(networks_parity.TOLERANCES) | set(method_parity.TOLERANCES)
        assert {i for i in items if i.startswith(method_parity.IN_TESTS)} == items - set(networks_parity.TOLERANCES)


def test_a_reference_that_nothing_was_computed_for_is_an_error_and_a_wrong_value_is_seen() -> None:
    reference = references.Reference(np.array([1.0, -2.0]), np.array([0, 3]), scale=2.0)
    assert reference.deviation(np.array([1.0, 9.0, 9.0, -2.0])) == 0.0
    assert reference.deviation(np.array([[1.0, 9.0], [9.0, -1.0]])) == 0.5
    row = Row("tmi2020", "s_B eval", "logits", 1, 3.1e-5, 3e-5)
    assert not row.passed
    assert dataclasses.replace(row, deviation=2.9e-5).passed
    assert not dataclasses.replace(row, deviation=float("nan")).passed
    kept = {("s_B eval", "logits"): reference, ("s_B mask", "logits"): reference}
    with pytest.raises(ValueError, match=re.escape("nothing was computed for [('s_B mask', 'logits')]")):
        list(references.compare("tmi2020", [("s_B eval", {"logits": np.ones(4)})], kept, {"s_B eval": 1.0}))


def test_of_two_parts_the_worse_one_is_reported_and_not_a_number_is_the_worst() -> None:
    one = references.of([1.0])
    kept = {("x", "a"): one, ("x", "b"): one}
    for values, worst in (((1.1, 1.2), "b"), ((1.3, 1.2), "a"), ((float("nan"), 9.0), "a")):
        parts = {name: np.array([value]) for name, value in zip("ab", values, strict=True)}
        (row,) = references.compare("tmi2020", [("x", parts)], kept, {"x": 1.0})
        assert row.worst == worst


def test_a_direction_counts_without_its_length() -> None:
    reference = references.of([3.0, 4.0], direction=True)
    assert reference.deviation(np.array([6.0, 8.0])) == pytest.approx(0.0)
    assert reference.deviation(np.array([4.0, -3.0])) == pytest.approx(1.0)


def test_the_recipe_draws_the_same_numbers_as_ever() -> None:
    assert recipe.images("img_B", 1).astype(np.float64).sum() == pytest.approx(-172.22215493561635, abs=1e-6)
    assert recipe.images("img_B", 2)[:1] == pytest.approx(recipe.images("img_B", 1))
    assert np.unique(recipe.dropout_mask("Model/s_B/c8", (1, 8, 8, 5))) == pytest.approx([0.0, 1 / 0.75])
    assert np.bincount(recipe.labels("A0", 2).ravel())[:5].tolist() == [99816, 4983, 5033, 4705, 4877]
