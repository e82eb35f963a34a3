"""Values of label maps become the classes of the model that learns from them, whether it has four structures or seven."""

from __future__ import annotations

import numpy as np
import pytest
from SIFALib.datasets import DataSettings, label_values, phantoms, released
from SIFALib.models import PAPERS, STRUCTURES
from SIFALib.models.structures import UNKNOWN, beyond

MMWHS_VALUES = (0, 205, 420, 500, 550, 600, 820, 850)
TO_FOUR = {0: 0, 205: 1, 420: 2, 500: 3, 820: 4, 550: 0, 600: 0, 850: 0}
TO_SEVEN = TO_FOUR | {600: 5, 550: 6, 850: 7}


def test_structures_that_a_model_of_four_lacks_are_background_to_it():
    plain = {n: n for n in (*range(8), UNKNOWN)}
    assert label_values.table(list(plain), {}, 8) == plain
    assert label_values.table(list(plain), {}, 5) == plain | {5: 0, 6: 0, 7: 0}
    assert [label_values.left_out((0, 3, 5, 7), {}, classes) for classes in (5, 8)] == [
        (STRUCTURES[4], STRUCTURES[6]),
        (),
    ]


@pytest.mark.parametrize(("classes", "expected"), [(5, TO_FOUR), (8, TO_SEVEN)])
def test_the_values_of_mmwhs_are_the_structures_that_the_model_has(classes, expected):
    mapping = label_values.parse("mmwhs")
    assert label_values.table(MMWHS_VALUES, mapping, classes) == expected
    assert label_values.left_out(MMWHS_VALUES, mapping, classes) == beyond(classes)
    labels = np.array([MMWHS_VALUES], np.int16)
    assert label_values.mapped(labels, expected).tolist() == [[expected[v] for v in MMWHS_VALUES]]


def test_other_unknown_values_are_refused_with_advice():
    for values, classes in (((1, 8), 5), ((5, 9), 8), ((3, 5), 3)):
        assert label_values.table(values, {}, classes) is None
    advice = label_values.advice((1, 5, 8), {}, 5)
    assert "the label value 8 stands for no class" in advice and "with a class 0 to 4 for each ?" in advice
    assert "add --label-values mmwhs" in label_values.advice(MMWHS_VALUES, {}, 8)


def test_what_a_model_lacks_is_known_only_of_those_with_fewer_classes_than_all():
    assert beyond(8) == () and beyond(5) == STRUCTURES[len(PAPERS) :]
    assert label_values.table((0, 7), {"7": 3}, 5) == {0: 0, 7: 3}
    assert label_values.table((9,), {"9": 9}, 5) is None


@pytest.mark.parametrize("kind", ["phantom", "phantom:ct"])
def test_phantoms_teach_what_the_model_has(kind, monkeypatch):
    monkeypatch.setattr(phantoms, "RANDOM_SLICES", 24)
    monkeypatch.setattr(phantoms, "RANDOM_SPACING_MM", 4.0)
    made = {
        classes: phantoms.slices_of(
            kind, 2, DataSettings("phantom", "phantom", classes=classes, phantom_spacing_mm=4.0, size=64), "source"
        )
        for classes in (5, 8)
    }
    assert set(np.unique(made[5].labels)) == set(range(5)) and set(np.unique(made[8].labels)) == set(range(8))
    if kind == "phantom":
        assert np.array_equal(made[5].images, made[8].images)
        four, seven = (np.asarray(made[classes].labels) for classes in (5, 8))
        assert np.array_equal(four, np.where(seven > 4, 0, seven))


def test_the_fifth_label_of_the_authors_is_no_class_and_no_right_ventricle():
    labels = np.arange(6, dtype=np.uint8)
    four, seven = (DataSettings("a", "b", classes=classes) for classes in (5, 8))
    assert released._classes(labels, four).tolist() == [0, 1, 2, 3, 4, 5]
    assert released._classes(labels, seven).tolist() == [0, 1, 2, 3, 4, UNKNOWN]
    mapped = DataSettings("a", "b", {"5": 7}, classes=8)
    assert released._classes(labels, mapped).tolist() == [0, 1, 2, 3, 4, 7]
