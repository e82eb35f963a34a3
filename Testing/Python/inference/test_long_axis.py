"""What views along the heart tell: areas and lengths of shapes that are known, and no number where one would be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from SIFALib.inference.long_axis import Measure, biplane_ml, measure, without_veins

LA, LV = 2, 3
VALUES = {"LA": LA, "LV": LV}
SHAPE = (180, 160)
ATRIUM, VENTRICLE = (52.0, 80.0), (110.0, 80.0)  # centres, row and column
HALF_LA, HALF_LV = (25.0, 20.0), (42.0, 26.0)  # mm along and across the heart


def ellipse(centre: tuple[float, float], half: tuple[float, float]) -> np.ndarray:
    j, i = np.indices(SHAPE)
    return ((j - centre[0]) / half[0]) ** 2 + ((i - centre[1]) / half[1]) ** 2 <= 1


def heart() -> np.ndarray:
    """An atrium above a ventricle, uint8 [j, i] of 1 mm, that meet along 27 mm."""
    labels = np.where(ellipse(VENTRICLE, HALF_LV), LV, 0)
    return np.where(ellipse(ATRIUM, HALF_LA) & (labels == 0), LA, labels).astype(np.uint8)


def told(labels: np.ndarray, inside: np.ndarray | None = None, passes: tuple[np.ndarray, ...] = ()) -> Measure:
    return measure(labels, np.ones(SHAPE, bool) if inside is None else inside, 1.0, VALUES, VENTRICLE, passes)


@pytest.mark.parametrize("turned", [0, 1])
def test_areas_and_lengths_are_those_that_were_drawn(turned):
    labels = np.rot90(heart(), turned)
    middle = np.argwhere(labels == LV).mean(axis=0)
    found = measure(labels, np.ones(labels.shape, bool), 1.0, VALUES, middle)
    assert found.why == ()
    assert found.atrium_cm2 == pytest.approx((labels == LA).sum() / 100, rel=0.03)  # less the corners at the valve
    assert found.atrium_mm == pytest.approx(41.0, abs=1.5)  # from its far wall to where the ventricle begins
    assert found.ventricle_mm == pytest.approx(80.0, abs=4.0)
    assert len(found.lines) == 2


def test_pixels_of_another_size_tell_the_same_heart():
    twice = np.kron(heart(), np.ones((2, 2), np.uint8))
    one, other = told(heart()), measure(twice, np.ones(twice.shape, bool), 0.5, VALUES, np.multiply(VENTRICLE, 2))
    assert other.atrium_cm2 == pytest.approx(one.atrium_cm2, rel=0.02)
    assert other.atrium_mm == pytest.approx(one.atrium_mm, abs=1.0)


def test_veins_are_cut_off_and_what_is_wide_stays():
    atrium = ellipse(ATRIUM, HALF_LA)
    with_vein = atrium.copy()
    with_vein[40:50, 95:140] = True  # 10 mm wide
    kept = without_veins(with_vein, 14.0)
    assert not kept[:, 110:].any()
    assert (kept & atrium).sum() > 0.98 * atrium.sum()


def test_two_views_of_an_ellipsoid_have_its_volume():
    a, b, c = 2.5, 2.0, 2.2  # cm
    one = Measure(np.pi * a * b, 20 * a, None)
    other = Measure(np.pi * a * c, 20 * a + 3, None)
    assert biplane_ml(one, other) == pytest.approx(4 / 3 * np.pi * a * b * c)
    assert biplane_ml(one, Measure()) is None


def test_where_the_atrium_cannot_be_told_there_is_no_number_but_a_reason():
    labels = heart()
    without = np.where(labels == LA, 0, labels)
    apart = without | np.where(ellipse((30.0, 80.0), (20.0, 20.0)), LA, 0)
    pieces = labels.copy()
    pieces[20:60, 26:56] = LA
    narrow = np.ones(SHAPE, bool)
    narrow[:26] = False
    for found, words in (
        (told(np.zeros(SHAPE, np.uint8)), "no left ventricle"),
        (told(without), "no left atrium"),
        (told(apart), "does not touch"),
        (told(pieces), "in pieces"),
        (told(labels, narrow), "reaches the edge of the image"),
        (told(labels, passes=(labels, np.where(np.indices(SHAPE)[1] < 75, labels, 0))), "changes with the size"),
    ):
        assert found.atrium_cm2 is None
        assert found.atrium_mm is None
        assert words in found.why[0]


def test_where_only_the_atrium_is_cut_off_the_ventricle_has_its_length():
    narrow = np.ones(SHAPE, bool)
    narrow[:26] = False
    assert told(heart(), narrow).ventricle_mm == told(heart()).ventricle_mm


def test_a_larger_organ_that_looks_like_a_ventricle_is_none():
    labels = np.pad(heart(), ((0, 0), (0, 140)))
    labels[40:170, 180:290] = LV
    found = measure(labels, np.ones(labels.shape, bool), 1.0, VALUES, VENTRICLE)
    assert (found.atrium_cm2, found.atrium_mm) == (told(heart()).atrium_cm2, told(heart()).atrium_mm)
    assert found.ventricle_mm == told(heart()).ventricle_mm
    assert "no left ventricle" in measure(labels, np.ones(labels.shape, bool), 1.0, VALUES, (5.0, 5.0)).why[0]


def test_a_ventricle_without_a_sure_outline_has_no_length_but_a_reason():
    labels, low, pieces = heart(), np.ones(SHAPE, bool), heart()
    low[153:] = False
    pieces[70:150, 32:52] = LV
    turned = np.where(np.indices(SHAPE)[0] > 120, 0, labels)  # one pass sees no apex
    for found, words in (
        (told(labels, low), "reaches the edge"),
        (told(pieces), "in pieces"),
        (told(labels, passes=(labels, turned)), "changes with the size"),
    ):
        assert found.ventricle_mm is None
        assert words in found.why_length
        assert found.atrium_cm2 == pytest.approx(told(labels).atrium_cm2)
