"""The ventricle that lies in its muscle stays, and what touches them; what is drawn elsewhere goes."""

from __future__ import annotations

import numpy as np
import pytest
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.flags import without_strays
from SIFALib.inference.joint_components import joint_components, seats
from SIFALib.models.structures import PAPERS, STRUCTURES

SHAPE = (20, 60, 90)


def ring(array: np.ndarray, middle: tuple[int, int], slices: slice = slice(4, 16)) -> None:
    """A ventricle of radius 7 in a wall of 4 pixels, through these slices."""
    rows, columns = np.ogrid[: array.shape[1], : array.shape[2]]
    far = np.hypot(rows - middle[0], columns - middle[1])
    for k in range(*slices.indices(array.shape[0])):
        array[k][far < 11] = 1
        array[k][far < 7] = 3


def volume(array: np.ndarray, across: float = 4.0) -> Volume:
    return Volume(array, Geometry(array.shape[::-1], (0.0,) * 3, (2.0, 2.0, across)), "case")


def heart() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    ring(array, (30, 25))
    return array


def kept(array: np.ndarray, structures=PAPERS, across: float = 4.0) -> np.ndarray:
    return without_strays(volume(array, across), structures)[0].array


def test_a_larger_piece_of_another_organ_does_not_take_the_ventricle_away():
    array, alone = heart(), heart()
    array[2:18, 5:55, 50:85] = 3  # a spleen, five times as large
    array[2:18, 5:55, 85:87] = 1  # and muscle along one side of it
    assert np.array_equal(kept(array), alone)


def test_a_muscle_elsewhere_goes_however_large():
    array, alone = heart(), heart()
    array[:, 5:55, 60:80] = 1
    assert np.array_equal(kept(array), alone)


@pytest.mark.parametrize("value", [2, 4, 5, 6, 7])
def test_what_touches_the_heart_stays_and_what_lies_elsewhere_goes(value):
    array = heart()
    array[6:12, 30:40, 36:44] = value  # beside the wall
    array[6:12, 10:20, 37:40] = value  # a smaller part that touches, too
    array[6:12, 30:34, 70:74] = value
    expected = np.where(np.arange(SHAPE[2]) >= 60, 0, array)
    expected[6:12, 10:20, 37:40] = 0  # three pixels from the wall
    touching = array.copy()
    assert np.array_equal(kept(touching, STRUCTURES), expected)
    touching[6:12, 18:22, 34:40] = value  # now it does
    expected[6:12, 10:20, 37:40] = value
    expected[6:12, 18:22, 34:40] = value
    assert np.array_equal(kept(touching, STRUCTURES), expected)


def test_an_atrium_that_touches_nothing_stays_if_it_is_near_and_goes_if_it_is_far():
    near, far = heart(), heart()
    near[6:12, 28:34, 41:47] = 2  # 10 mm from the wall
    far[6:12, 28:34, 75:81] = 2
    assert np.array_equal(kept(near), near) and not (kept(far) == 2).any()


def test_a_part_that_was_taken_away_whole_is_told_as_missing():
    array = heart()
    array[6:12, 28:34, 75:81] = 2
    assert ("LA", "empty") in {(f.structure_id, f.kind) for f in without_strays(volume(array), PAPERS)[1]}


def test_specks_of_ventricle_and_muscle_do_not_take_the_muscle_away():
    array = np.zeros(SHAPE, np.uint8)
    array[4:16, 10:40, 10:40] = 1  # cut below the cavity
    alone = array.copy()
    array[9, 50:52, 70:76] = 1
    array[9, 52, 71:75] = 3  # and a few pixels of both elsewhere
    assert np.array_equal(kept(array) == 1, alone == 1)


def test_without_a_muscle_around_a_ventricle_each_largest_component_is_kept():
    array = np.zeros(SHAPE, np.uint8)
    array[4:16, 20:30, 20:30], array[4:16, 20:24, 60:64] = 3, 3
    array[4:16, 40:50, 20:30], array[4:6, 40:44, 60:64] = 1, 1
    result = kept(array)
    assert (result[4:16, 20:30, 20:30] == 3).all() and (result[4:16, 40:50, 20:30] == 1).all()
    assert not result[:, :, 60:].any()


def test_specks_in_the_wall_go_and_a_wall_in_two_halves_stays():
    array = heart()
    array[:, 28:33][array[:, 28:33] == 1] = 0  # valve and outflow: the wall is an arc above and one below
    whole = array.copy()
    array[8, 22, 22] = array[8, 38, 26] = 3
    assert np.array_equal(kept(array), np.where(array == whole, whole, 0))


def test_a_thin_scan_is_judged_in_the_same_way():
    array = heart()[8:11]
    array[:, 5:55, 55:85] = 3
    result = kept(array, across=8.0)
    assert (result == 3).sum() == (heart()[8:11] == 3).sum() and not result[:, :, 50:].any()


def test_a_model_of_other_structures_is_judged_structure_by_structure():
    array = heart()
    array[2:18, 5:55, 50:85] = 3
    parts = joint_components(volume(array), PAPERS[2:3], thin=False)
    assert len(parts) == 1 and parts[0].kept.sum() == 1 and parts[0].counts[parts[0].kept] == 16 * 50 * 35


def test_the_border_of_a_ventricle_is_counted_within_slices():
    lv, myo = np.zeros((1, 5, 5), bool), np.zeros((1, 5, 5), bool)
    lv[0, 1:3, 1:3] = True
    myo[0, 0, :] = True
    border, contact = seats(lv, myo)
    assert border.sum() == 8 and contact.sum() == 2
    edge = np.ones((1, 2, 2), bool)
    assert seats(edge, ~edge)[0].sum() == 0  # beyond the array nobody knows
