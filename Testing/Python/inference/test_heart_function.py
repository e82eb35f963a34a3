"""Ejection fraction, stroke volume and mass are those of the curve, and no curve is divided by nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.inference.heart_function import RIGHT, heart_function, named

BEAT = [120.0, 110.0, 80.0, 55.0, 48.0, 60.0, 90.0, 105.0, 115.0, 118.0]


def test_the_largest_and_smallest_ventricle_make_the_function():
    found = heart_function(BEAT, [100.0] * 10)
    assert (found.edv_ml, found.esv_ml, found.stroke_volume_ml) == (120.0, 48.0, 72.0)
    assert found.ejection_fraction == pytest.approx(0.6)
    assert (found.end_diastole, found.end_systole) == (0, 4)
    assert found.mass_g == pytest.approx(105.0)
    assert found.remarks == ()


def test_mass_is_that_of_end_diastole():
    assert heart_function([50.0, 120.0], [90.0, 100.0]).mass_g == pytest.approx(105.0)


def test_without_a_myocardium_the_rest_is_told():
    found = heart_function(BEAT)
    assert found.mass_g is None and found.stroke_volume_ml == 72.0 and found.remarks == ()
    found = heart_function([120.0, 50.0], [0.0, 100.0])
    assert found.mass_g is None and "myocardium was not found at end-diastole" in found.remarks[0]


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -1.0])
def test_time_points_without_a_ventricle_are_left_out_and_named(nothing):
    found = heart_function([nothing, 120.0, nothing, nothing, 50.0], [100.0] * 5)
    assert (found.end_diastole, found.end_systole) == (1, 4) and found.ejection_fraction == pytest.approx(7 / 12)
    assert found.remarks == ("The left ventricle was not found at time points 1, 3 and 4, which are left out.",)


@pytest.mark.parametrize(
    ("lv", "muscle", "sentence"),
    [
        ([], None, "at two time points or more"),
        ([120.0], [100.0], "at two time points or more"),
        ([0.0, 0.0, np.nan], None, "found at 0 of 3 time points"),
        ([0.0, 80.0, np.nan], None, "found at 1 of 3 time points"),
        ([120.0, 80.0], [100.0], "2 volumes of the left ventricle but 1 of the myocardium"),
    ],
)
def test_a_curve_that_says_nothing_is_refused_in_a_sentence(lv, muscle, sentence):
    with pytest.raises(ValueError, match=sentence):
        heart_function(lv, muscle)


def test_one_outline_that_is_no_phase_of_the_beat_is_named():
    spoiled = BEAT.copy()
    spoiled[8] = 20.0
    (remark,) = heart_function(spoiled).remarks
    assert remark.startswith("The smallest left ventricle, at time point 9, stands out")
    assert not heart_function([120.0, 40.0, 118.0]).remarks, "so few time points tell no smooth curve"


def test_images_in_which_nothing_beats_are_told():
    for lv in ([100.0] * 5, [100.0, 96.0, 98.0]):
        (remark,) = heart_function(lv).remarks
        assert "left ventricle hardly changes its volume" in remark
    assert heart_function([100.0, 94.0, 98.0]).remarks == ()


def test_sentences_name_the_ventricle_that_they_are_of():
    found = heart_function([np.nan, *BEAT[1:]], ventricle=RIGHT)
    assert found.mass_g is None and found.edv_ml == 118.0
    assert found.remarks == ("The right ventricle was not found at time point 1, which is left out.",)
    with pytest.raises(ValueError, match="needs the right ventricle at two time points"):
        heart_function([120.0], ventricle=RIGHT)


def test_muscle_that_changes_its_volume_is_remarked():
    (remark,) = heart_function([120.0, 50.0], [100.0, 60.0]).remarks
    assert "100 ml at end-diastole and 60 ml at end-systole" in remark


@given(st.lists(st.floats(0.0, 600.0), max_size=30))
def test_any_curve_gives_a_function_within_its_bounds_or_a_sentence(lv):
    try:
        found = heart_function(lv, lv)
    except ValueError as error:
        assert sum(v > 0 for v in lv) < 2 and str(error).endswith(".")
        return
    assert found.edv_ml == max(lv) and found.esv_ml == min(v for v in lv if v > 0)
    assert 0.0 <= found.ejection_fraction <= 1.0 and found.mass_g is not None


def test_time_points_are_counted_from_one_and_runs_are_joined():
    assert named([2]) == "time point 3"
    assert named([0, 1]) == "time points 1 and 2"
    assert named([8, 3, 4, 5, 0]) == "time points 1, 4 to 6 and 9"
