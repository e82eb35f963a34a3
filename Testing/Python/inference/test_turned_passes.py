"""A stack of slices is looked at in every quarter turn; a turn in which the network sees another heart does not count."""

from __future__ import annotations

import numpy as np
import pytest
from drawings import Reader, card_of, dice
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference import Options, segment
from SIFALib.inference.fusion import Fusion, likeness_of
from SIFALib.inference.passes import NetworkInput
from SIFALib.inference.pasting import PASTE_COST
from SIFALib.inference.segmentation import GUESSED_SLICES, work_after_localisation
from SIFALib.models import store
from SIFALib.networks import engine

CARD = card_of(preprocessing=store.Preprocessing(crop=64, spacing_mm=3.0, slice_spacing_mm=6.0))
CT = Options(modality="ct")
MUSCLE, BLOOD = 200.0, 300.0  # HU


def stack(slices: int = 9, size: int = 48) -> tuple[Volume, np.ndarray]:
    """Slices of a ventricle in its muscle, above the middle; its labels."""
    rows, columns = np.ogrid[:size, :size]
    far = np.hypot(rows - size / 2 + 4, columns - size / 2)
    labels = np.zeros((slices, size, size), np.uint8)
    labels[:, far < 11], labels[:, far < 7] = 1, 3
    image = np.array([0.0, MUSCLE, 0.0, BLOOD])[labels]
    return Volume(
        image.astype(np.int16), Geometry((size, size, slices), (5.0, -3.0, 20.0), (3.0, 3.0, 10.0)), "stack"
    ), labels


class Seer(Reader):
    """Knows muscle and ventricle by their grey values, and which way the slice it is shown is turned by where they lie."""

    def mistaken(self, blood: np.ndarray, turn: int) -> np.ndarray:
        """What it takes for blood in a slice whose heart lies above, right, below or left of the middle."""
        return blood

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        hu = (batch + 1) * 400 - 200
        out = np.zeros((len(batch), 5, *batch.shape[1:]), np.float32)
        for image, p in zip(hu, out, strict=True):
            heart, body = np.argwhere(image > MUSCLE / 2), np.argwhere(image > -100)
            down, right = heart.mean(axis=0) - body.mean(axis=0) if len(heart) else (0.0, 0.0)
            turn = (0 if down < 0 else 2) if abs(down) > abs(right) else (1 if right > 0 else 3)
            blood = self.mistaken(image > (MUSCLE + BLOOD) / 2, turn)
            p[3], p[1] = 0.9 * blood, 0.9 * ((image > MUSCLE / 2) & ~blood)
            p[0] = 1 - p[1] - p[3]
        return out


class Careless(Seer):
    """Draws a corner of the wall as blood, in every turn another one."""

    def mistaken(self, blood, turn):
        j, i = np.nonzero(blood)
        wrong = blood.copy()
        if len(j):
            wrong[j.min() - 2 : j.min(), i.min() + 3 : i.max() - 2] = True  # at the upper edge as it is shown
        return wrong


class Upright(Seer):
    """Takes all of the heart for blood where it does not lie above."""

    def mistaken(self, blood, turn):
        return blood if turn == 0 else np.ones_like(blood)


def segmented(reader: Reader, scan: Volume, monkeypatch: pytest.MonkeyPatch, options: Options = CT):
    monkeypatch.setattr(engine, "prepare", lambda *_: reader)
    return segment(scan, None, CARD, options)


def test_what_is_wrong_in_one_turn_is_outvoted_by_the_others(monkeypatch):
    scan, truth = stack()
    alone, all_turns = (
        segmented(Careless(), scan, monkeypatch, Options(modality="ct", views=v)) for v in ("one", "auto")
    )
    assert alone.report.in_turns == () and all_turns.report.in_turns == (1, 2, 3)
    scores = [dice(each.labels.array == 3, truth == 3) for each in (alone, all_turns)]
    assert scores[1] > max(0.98, scores[0] + 0.02), scores


def test_a_turn_that_shows_another_heart_does_not_count(monkeypatch):
    scan, truth = stack()
    result = segmented(Upright(), scan, monkeypatch)
    assert result.report.in_turns == ()
    assert dice(result.labels.array == 3, truth == 3) > 0.97


def test_a_slice_or_two_are_shown_as_they_are(monkeypatch):
    result = segmented(Careless(), stack(slices=2)[0], monkeypatch)
    assert result.report.in_turns == ()


@pytest.mark.parametrize(("slices", "views", "passes"), [(9, "auto", 6), (2, "auto", 3), (9, "one", 1)])
def test_the_work_that_is_told_before_the_heart_is_found_counts_every_pass(slices, views, passes):
    scan = NetworkInput.of(stack(slices)[0], CARD, Options(modality="ct", views=views))
    looks = (work_after_localisation(scan) / scan.unit - PASTE_COST * slices) / GUESSED_SLICES
    assert looks == pytest.approx(1 + passes)


class Unsure(Seer):
    """Takes one column beside the ventricle for muscle with so much more certainty than for blood."""

    def __init__(self, certainty: float) -> None:
        super().__init__()
        self.certainty = certainty

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        out = super().probabilities(batch)
        out[:, 1], out[:, 3] = out[:, 1] * self.certainty, out[:, 3] + out[:, 1] * (1 - self.certainty)
        return out


@pytest.mark.parametrize("views", ["auto", "one"])
@pytest.mark.parametrize(("certainty", "slices", "muscle"), [(0.6, 9, True), (0.52, 9, False), (0.52, 2, True)])
def test_muscle_that_could_as_well_be_blood_is_blood_in_a_stack(monkeypatch, certainty, slices, muscle, views):
    scan, truth = stack(slices)
    options = Options(modality="ct", keep_probabilities=True, views=views)
    result = segmented(Unsure(certainty), scan, monkeypatch, options)
    share = (result.labels.array[truth == 1] == 1).mean()
    assert share > 0.8 if muscle else share < 0.2, share
    assert result.probabilities is not None
    total = sum(np.float32(each.array) for each in result.probabilities.values())
    assert total.max() <= 1.01 and total[truth == 1].mean() == pytest.approx(0.9, abs=0.06)


def test_likeness_is_the_dice_of_all_structures_together():
    one, other = np.array([[0, 1, 1, 3, 3, 3]]), np.array([[1, 1, 3, 3, 3, 0]])
    assert likeness_of(one, other) == pytest.approx(2 * 3 / (5 + 5))
    assert likeness_of(one, one) == 1.0 and likeness_of(one, 0 * one) == likeness_of(0 * one, 0 * one) == 0.0


def test_passes_that_join_are_averaged_as_if_added_one_by_one():
    from SIFALib.imaging import slices

    volume = stack()[0].geometry
    grid = slices.slice_grid(volume, slices.choose_plane(volume), slices.whole_box(volume), 3.0, 10.0, 16)
    rng = np.random.default_rng(0)
    passes = [rng.dirichlet(np.ones(4), grid.shape).astype(np.float32).transpose(0, 3, 1, 2) for _ in range(3)]
    together, first, other = Fusion(4, grid), Fusion(4, grid), Fusion(4, grid)
    for fusion, parts in ((together, passes), (first, passes[:2]), (other, passes[2:])):
        for each in parts:
            fusion.add(each, 0, grid)
            fusion.close(grid)
    assert np.array_equal(other.labels(), passes[2].argmax(axis=1))
    first.join(other)
    assert np.array_equal(first.mean(), together.mean())
