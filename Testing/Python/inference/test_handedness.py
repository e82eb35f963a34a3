"""Promises of handedness.py: the same however a heart is turned and wherever it lies, the opposite for its mirror image."""

from __future__ import annotations

import numpy as np
import pytest
from SIFALib.inference.handedness import MIRRORED, QUADRUPLES, handedness

CENTRES = {  # of phantom 2000001, LPS mm from its left ventricle's
    "LV": np.array([0.0, 0.0, 0.0]),
    "LA": np.array([-45.0, 24.0, 37.0]),
    "AA": np.array([-39.0, -11.0, 66.0]),
    "RV": np.array([-30.0, -33.0, 1.0]),
    "RA": np.array([-65.0, -11.0, 22.0]),
    "PA": np.array([-15.0, 16.0, 69.0]),
}


def test_a_heart_is_right_handed_however_it_is_turned():
    value = handedness(CENTRES)
    assert value is not None and value > 0.3
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        sign = float(np.linalg.det(turn))
        moved = {name: 1.7 * turn @ point + 400 for name, point in CENTRES.items()}
        assert handedness(moved) == pytest.approx(sign * value)
    assert -value < MIRRORED


def test_what_is_left_of_a_heart_is_enough_as_long_as_four_do_not_lie_in_a_plane():
    for four in QUADRUPLES:
        value = handedness({name: CENTRES[name] for name in four})
        assert value is not None and value > 0.2
    assert handedness({name: CENTRES[name] for name in ("LV", "LA", "RV", "RA")}) is None
    assert handedness({}) is None


def test_structures_in_one_place_have_none():
    assert handedness(dict.fromkeys(CENTRES, np.zeros(3))) == 0.0
