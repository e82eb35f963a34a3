"""Promises of bench_cine: the contoured slices of both ends of the beat are put into one stack, as a cine has them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from drawings import card_of
from SIFALib.models import store

LV, MYO = 3, 1


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks"))
    import bench_cine

    return bench_cine


@pytest.mark.parametrize(
    ("diastole", "systole", "first"),
    [(range(9), range(9), (0, 0)), (range(7), range(2, 7), (0, 2)), (range(1, 8), range(7), (1, 0))],
)
def test_the_pictures_tell_which_slices_lie_at_the_same_place(bench, diastole, systole, first):
    rng = np.random.default_rng(0)
    slices = rng.normal(size=(9, 16, 16))
    noise = [rng.normal(0, 0.5, (len(part), 16, 16)) for part in (diastole, systole)]
    assert bench.first_slices(slices[diastole] + noise[0], slices[systole] + noise[1]) == first


def test_the_rule_for_open_slices_sees_both_ends_of_the_beat(bench):
    disc = np.hypot(*(np.indices((24, 24)) - 12)) < 6
    ring = (np.hypot(*(np.indices((24, 24)) - 12)) < 9) & ~disc
    closed, bare = np.where(disc, LV, np.where(ring, MYO, 0)), np.where(disc, LV, 0)
    small = np.where((closed == LV) & (np.indices((24, 24))[0] < 12), MYO, closed)
    drawn = {"ED": np.array([closed, closed, bare, bare]), "ES": np.array([small, small])}
    package = store.ModelPackage(Path("nowhere"), card_of())
    for first, counting in ((0, [True, True, False, False]), (1, [True, True, True, False])):
        ruled = bench._ruled(drawn, {"ED": 0, "ES": first}, package)
        assert [bool((part == LV).any()) for part in ruled["ED"]] == counting
        assert np.array_equal(ruled["ES"], drawn["ES"])
    assert bench._ruled({}, {"ED": 0, "ES": 0}, package) == {}
