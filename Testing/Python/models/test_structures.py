"""The papers' four structures and all seven: values, names and colours that nothing confuses, and a choice among them."""

from __future__ import annotations

import pytest
from SIFALib.models import PAPERS, STRUCTURES, structures_of
from SIFALib.models.structures import beyond, chosen
from SIFALib.support.errors import RequestError


def test_the_seven_begin_with_the_papers_four_and_differ_in_everything():
    assert [s.id for s in STRUCTURES] == ["MYO", "LA", "LV", "AA", "RV", "RA", "PA"] and STRUCTURES[:4] == PAPERS
    assert [s.value for s in STRUCTURES] == list(range(1, 8))
    for field in ("id", "name", "color", "type"):
        assert len({getattr(s, field) for s in STRUCTURES}) == 7, field
    colours = [s.color for s in STRUCTURES]
    apart = [sum(abs(a - b) for a, b in zip(p, q, strict=True)) for n, p in enumerate(colours) for q in colours[:n]]
    assert min(apart) > 60, "no two look alike"


def test_classes_of_a_network_are_taken_for_the_structures_that_are_so_many():
    assert structures_of(5) == PAPERS and structures_of(8) == STRUCTURES
    assert [s.id for s in structures_of(4)] == ["C1", "C2", "C3"]
    assert beyond(5) == STRUCTURES[4:] and beyond(8) == ()


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (("papers",), "MYO LA LV AA"),
        (("RV", "papers"), "MYO LA LV AA RV"),
        ((" Papers ", "la"), "MYO LA LV AA"),
        (("pa", "LV"), "LV PA"),
    ],
)
def test_structures_are_chosen_by_id_or_as_those_of_the_papers(named, expected):
    assert [s.id for s in chosen(named, STRUCTURES)] == expected.split()


def test_what_a_model_lacks_cannot_be_chosen():
    with pytest.raises(RequestError, match="no structure 'RV'; choose from MYO, LA, LV, AA"):
        chosen(["RV"], PAPERS)
    with pytest.raises(RequestError, match="no structure 'AA'"):
        chosen(["papers"], PAPERS[:3])
