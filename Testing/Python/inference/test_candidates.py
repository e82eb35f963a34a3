"""What the localisation decides by: a ventricle in its muscle, slice after slice, is a heart; other organs are none."""

from __future__ import annotations

import numpy as np
import pytest
from SIFALib.inference.candidates import LEAST, agreement, judge
from SIFALib.inference.localisation import GOOD
from SIFALib.models.structures import PAPERS, STRUCTURES, structures_of

SPACING = (2.0, 2.0, 10.0)


def circle(middle: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:64, :64]
    inside: np.ndarray = np.hypot(rows - middle[0], columns - middle[1]) < radius
    return inside


def probabilities(labels: np.ndarray, sure: float = 0.9, classes: int = 5) -> np.ndarray:
    """Of a network that gives what is drawn so much, and the background the rest."""
    out = np.zeros((classes, *labels.shape), np.float32)
    for value in range(1, classes):
        out[value][labels == value] = sure
    out[0] = 1 - out[1:].sum(axis=0)
    return out


def ventricle(slices: int = 8, wander: float = 0.0, wall: int = 1) -> np.ndarray:
    """Labels of a short-axis stack: radius 24 mm in a wall of 10 mm; each slice lies `wander` pixels from the last."""
    labels = np.zeros((slices, 64, 64), np.uint8)
    for k in range(slices):
        middle = (32.0, 32.0 + wander * (k % 2))
        labels[k][circle(middle, 17)] = wall
        labels[k][circle(middle, 12)] = 3
    return labels


def score(labels: np.ndarray, sure: float = 0.9, structures=PAPERS) -> float:
    return judge(probabilities(labels, sure, len(structures) + 1), structures, SPACING).score


def test_a_ventricle_in_its_muscle_is_good_and_nothing_is_nothing():
    judgement = judge(probabilities(ventricle()), PAPERS, SPACING)
    assert judgement.score > GOOD and judgement.anchor == "LV" and judgement.seated > 0.99
    assert score(np.zeros((8, 64, 64), np.uint8)) == 0


def test_a_ventricle_without_its_muscle_is_no_heart():
    assert score(ventricle(wall=0)) == 0
    half = ventricle()
    half[:, :, 30:][half[:, :, 30:] == 1] = 0
    assert 0 < score(half) < score(ventricle())


def test_slices_that_do_not_go_on_in_their_neighbours_speak_against_it():
    assert score(ventricle(wander=24)) < LEAST < score(ventricle(wander=2))


def test_what_the_network_is_unsure_of_counts_less():
    assert score(ventricle(), 0.55) < score(ventricle(), 0.75) < score(ventricle(), 0.95)


def test_what_lies_elsewhere_and_would_be_taken_away_does_not_count():
    labels = ventricle()
    labels[:, 50:62, 2:14] = 3
    assert score(labels) == pytest.approx(score(ventricle()), abs=0.01)


def test_volumes_that_no_heart_has_count_less():
    tiny = np.zeros((8, 64, 64), np.uint8)
    for k in range(8):
        tiny[k][circle((32, 32), 4)] = 1
        tiny[k][circle((32, 32), 2)] = 3
    assert score(tiny) < 0.5 * score(ventricle())
    assert judge(probabilities(ventricle()), PAPERS, (8.0, 8.0, 10.0)).score < LEAST  # two litres and more


def test_a_model_that_knows_the_right_ventricle_misses_it():
    labels = ventricle()
    beside = labels.copy()
    beside[:, 24:40, 4:15] = 5
    assert score(labels, structures=STRUCTURES) < score(beside, structures=STRUCTURES)
    assert score(beside, structures=STRUCTURES) == pytest.approx(score(labels), abs=0.01)


def test_an_atrium_alone_is_a_heart_but_does_not_say_how_it_lies():
    labels = np.zeros((8, 64, 64), np.uint8)
    labels[:, circle((32, 32), 12)] = 2
    judgement = judge(probabilities(labels, 0.95), PAPERS, SPACING)
    assert judgement.anchor == "LA" and judgement.passes and judgement.score < GOOD
    unsure = judge(probabilities(labels, 0.52), PAPERS, SPACING)
    assert unsure.anchor == "LA" and unsure.score < judgement.score


def test_slices_agree_where_they_lie_over_each_other():
    mask = np.zeros((5, 4, 4), bool)
    assert agreement(mask) == 0
    mask[2, :2] = True
    assert agreement(mask) == 1  # nothing speaks against a single one
    mask[3, 1:3] = True
    assert agreement(mask) == pytest.approx(0.5)
    mask[4] = mask[3]
    mask[3] = False
    assert agreement(mask) == 0  # a gap


def test_structures_of_which_nobody_knows_how_they_lie_are_judged_by_clarity():
    labels = ventricle()
    judgement = judge(probabilities(np.minimum(labels, 2), 0.9, 3), structures_of(3), SPACING)
    assert judgement.anchor == "" and judgement.score > 0.8
