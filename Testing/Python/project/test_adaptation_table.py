"""The table of bench_adaptation says what its rules say: gaps, choices, missing structures, rank correlation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks"))
import adaptation_table
from SIFALib.models.structures import PAPERS

WAYS = ("source only", "adapted", "target supervised")
BOUNDS = ("source only", "target supervised")


def scan(dice: float, native: bool = False) -> dict:
    """A test scan whose structures all have this Dice."""
    return {
        "native": native,
        "dice": {s.id: dice for s in PAPERS},
        "assd_mm": {s.id: None if dice == 0 else 2.0 for s in PAPERS},
    }


def row(way: str, seed: int, dice: list[float], scores: list[float], choices: tuple[int, int]) -> dict:
    """A judgement with one checkpoint for each Dice and score; `choices`: by score, by labels."""
    checkpoints = [
        {"iteration": n, "score": s, "test": [scan(d), scan(0.1, native=True)]}
        for n, (d, s) in enumerate(zip(dice, scores, strict=True))
    ]
    return {
        "direction": "MR to CT", "way": way, "seed": seed, "hours": 1.0, "source": 0.9, "checkpoints": checkpoints,
        "label_free": choices[0], "oracle": choices[1],
    }  # fmt: skip


def test_the_gap_is_that_of_the_same_repetitions():
    rows = [row("source only", s, [0.4 + 0.2 * s], [0.0], (0, 0)) for s in (0, 1)]
    rows += [row("target supervised", s, [0.8], [0.0], (0, 0)) for s in (0, 1)]
    rows.append(row("adapted", 0, [0.5, 0.7, 0.6], [0.1, 0.3, 0.2], (1, 2)))
    table = list(adaptation_table.lines(rows, WAYS, BOUNDS))
    line = next(text for text in table if text.startswith("adapted  "))
    assert "0.700" in line and "0.600" in line  # by score, by oracle; native scans count nowhere but in their column
    assert "75%" in line and "50%" in line
    assert line.split("|")[4].strip() == "0.100"


def test_a_structure_that_was_not_found_has_no_distance_and_is_counted():
    rows = [row("adapted", 0, [0.0], [0.0], (0, 0)), row("adapted", 1, [0.5], [0.0], (0, 0))]
    table = list(adaptation_table.lines(rows, WAYS, BOUNDS))
    line = next(text for text in table if text.startswith("adapted") and "score" in text)
    assert line.count("0.250") == 4 and line.count("2.0") == 4 and line.endswith(" 4")
    alone = list(adaptation_table.lines(rows[:1], WAYS, BOUNDS))
    assert any("-     -     -     -" in text for text in alone)


def test_what_the_score_calls_better_is_held_against_the_truth():
    rows = [
        row("adapted", 0, [0.4, 0.5, 0.3], [0.0, 0.1, 0.05], (1, 1)),
        row("adapted", 1, [0.4, 0.5, 0.25], [0.0, 0.1, 0.2], (2, 1)),
        row("adapted", 2, [0.4, 0.5, 0.6], [0.0, -0.1, -0.2], (0, 2)),
        row("source only", 0, [0.4, 0.9], [0.0, 0.1], (1, 1)),
    ]
    better, kept = [text.strip() for text in adaptation_table.lines(rows, WAYS, BOUNDS) if "runs that adapt" in text]
    assert better.startswith("2 of 3 runs that adapt are called better than their start")
    assert "rose in 1, changed by -0.025 on average, -0.150 at worst and +0.100 at best" in better
    assert kept.startswith("1 of 3") and "rose in 1, changed by +0.200" in kept


@pytest.mark.parametrize(("scores", "rho"), [([0.1, 0.2, 0.3], 1.0), ([0.3, 0.2, 0.1], -1.0)])
def test_the_rank_correlation_is_that_of_score_and_dice(scores, rho):
    assert adaptation_table.rank_correlation(row("adapted", 0, [0.4, 0.5, 0.6], scores, (0, 0))) == pytest.approx(rho)


def last_dice(direction: str, **values: list[float]) -> list[dict]:
    """Rows of ways (_ for a space) whose first checkpoint is perfect and whose last has this Dice, by repetition."""
    return [
        {**row(way.replace("_", " "), seed, [1.0, dice], [0.0, 0.0], (0, 0)), "direction": direction}
        for way, dices in values.items()
        for seed, dice in enumerate(dices)
    ]


def test_a_gain_is_that_of_the_last_checkpoints_of_one_repetition():
    rows = last_dice("MR to CT", adapted=[0.7, 0.5, 0.9], source_only=[0.5, 0.4])
    rows += last_dice("CT to MR", source_only=[0.2])
    assert adaptation_table.gains(rows, "adapted", "source only") == {"MR to CT": pytest.approx([0.2, 0.1])}


def test_the_lower_bound_is_students():
    """One-sided t with 2 degrees of freedom, 95 %: 2.91999; the error of the mean of 0.1, 0.2, 0.3: 0.1 / sqrt(3)."""
    assert adaptation_table.lower_bound([0.1, 0.2, 0.3]) == pytest.approx(0.2 - 2.91999 * 0.1 / 3**0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("adapted", "kept"),
    [
        ([0.6, 0.61, 0.59], True),
        ([0.6, 0.8, 0.45], False),  # +0.117 on average, but it may be luck
        ([0.53, 0.53, 0.53], False),  # surely above nothing, and below the margin
        ([0.9], False),  # one repetition proves nothing
        ([], False),
    ],
)
def test_the_promise_is_kept_when_luck_is_ruled_out(adapted, kept):
    rows = last_dice("MR to CT", adapted=adapted, source_only=[0.5] * 3)
    said, found = adaptation_table.promise(rows, "adapted", "source only", 0.05)
    assert found is kept and len(said) == bool(adapted)
    assert all(("NOT KEPT" in line) is not kept and "promised +0.050" in line for line in said)


def test_the_promise_counts_for_every_direction():
    good = last_dice("MR to CT", adapted=[0.6, 0.61], source_only=[0.5, 0.5])
    bad = last_dice("CT to MR", adapted=[0.5, 0.5], source_only=[0.5, 0.5])
    said, kept = adaptation_table.promise(good + bad, "adapted", "source only", 0.02)
    assert not kept and ["NOT" in line for line in said] == [False, True]


def test_two_checkpoints_have_no_rank_correlation():
    assert adaptation_table.rank_correlation(row("adapted", 0, [0.4, 0.5], [0.1, 0.2], (0, 0))) is None
