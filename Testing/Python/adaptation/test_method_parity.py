"""The method computes what the authors' TensorFlow code computes: outputs, losses, gradients, a full iteration.

At full size, 256 x 256, two slices. Both papers' outputs, losses and gradients; of a whole iteration that of TMI 2020, which
has every update that AAAI 2019 has and one more. AAAI's, the second iteration and the rest of the set: `make bench-parity`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import pytest
from golden import graph, method_parity, references
from golden.references import Parts

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.timeout(1800)]  # a minute each on a free core


def off(variant: str, beginnings: tuple[str, ...], computed: Iterable[tuple[str, Parts]]) -> list[references.Row]:
    """The items that deviate by more than is allowed; fails if there is nothing to compare."""
    kept = {k: v for k, v in references.subset(variant).items() if k[0].startswith(beginnings)}
    rows = list(references.compare(variant, computed, kept, method_parity.TOLERANCES))
    assert {row.item for row in rows} == {item for item, _ in kept}
    assert sum(row.parts for row in rows) == len(kept) > 0
    return [row for row in rows if not row.passed]


@pytest.mark.parametrize("variant", references.FOLDERS)
def test_every_output_loss_term_and_gradient_equals_the_authors(variant: str) -> None:
    """All from the forward passes of the schedule that shares them."""
    made = graph.state(variant)
    with graph.each_pass_once(made):
        computed = chain(method_parity.shared_gradients(made), method_parity.graphs(made, ["train_n2"]))
        assert not off(variant, ("graph ", "terms ", "shared gradients "), computed)


def test_an_iteration_in_the_authors_order_moves_every_weight_as_theirs() -> None:
    computed = method_parity.iterations(graph.state("tmi2020"), 1, evaluated=False)
    assert not off("tmi2020", ("iteration 1 ",), computed)
