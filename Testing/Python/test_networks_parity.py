"""The networks compute what the authors' TensorFlow code computes. The full set: `make bench-parity`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from golden import parity, recipe


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests run side by side; threads that wait for each other would only slow them down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("variant", parity.FOLDERS)
def test_encoder_and_heads_equal_the_authors_graph(variant: str) -> None:
    references = parity.subset_references(variant)
    rows = list(parity.measure(variant, references))
    items = {item for item, _ in references}
    assert {row.item for row in rows} == items
    assert {"e_B eval", "s_B eval", "prediction eval", "e_B train", "e_B mask", "e_B train moving"} <= items
    assert sum(row.parts for row in rows) == len(references)
    off = [
        f"{row.item}, {row.worst}: {row.deviation:.1e} > {row.tolerance:.0e}"
        for row in rows
        if not row.passed
    ]
    assert not off


def test_the_subset_has_both_heads_and_every_layer_of_the_encoder() -> None:
    references = parity.subset_references("tmi2020")
    assert ("s_B_ll eval", "logits") in references
    assert ("prediction eval", "pred_mask_b_ll_sub4") in references
    for mode in ("eval", "train", "mask"):
        # 31 convolutions, 31 normalisations, 14 blocks
        assert sum(item == f"e_B {mode} layers" for item, _ in references) == 76


def test_a_reference_that_nothing_was_computed_for_is_an_error_and_a_wrong_value_is_seen() -> None:
    reference = parity.Reference(np.array([1.0, -2.0]), np.array([0, 3]), scale=2.0)
    assert reference.deviation(np.array([1.0, 9.0, 9.0, -2.0])) == 0.0
    assert reference.deviation(np.array([[1.0, 9.0], [9.0, -1.0]])) == 0.5
    row = parity.Row("tmi2020", "s_B eval", "logits", 1, 3.1e-5, 3e-5)
    assert not row.passed
    assert dataclasses.replace(row, deviation=2.9e-5).passed
    assert not dataclasses.replace(row, deviation=float("nan")).passed


def test_the_recipe_draws_the_same_numbers_as_ever() -> None:
    assert recipe.images("img_B", 1).astype(np.float64).sum() == pytest.approx(-172.22215493561635, abs=1e-6)
    assert recipe.images("img_B", 2)[:1] == pytest.approx(recipe.images("img_B", 1))
    assert np.unique(recipe.dropout_mask("Model/s_B/c8", (1, 8, 8, 5))) == pytest.approx([0.0, 1 / 0.75])
