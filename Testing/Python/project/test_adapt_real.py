"""Promises of the bench of adaptation on real scans: choices, differences to the control, intervals, gaps, crops."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks"))
import adapt_real_data
import adapt_real_runs
import adapt_real_table as table
import bench_adapt_real
import contoured_scans
import sample_scans
import sunnybrook
from SIFALib.datasets import DataSettings
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.card import Preprocessing


def checkpoint(
    iteration: int, dice: dict[str, float], score: float = 0.0, vetoed: bool = False, verdict: list[float] | None = None
) -> dict:
    """dice: of each patient, for both structures and both sizes."""
    found = {"assd_mm": 1.0, "missing": 0.0}
    patients = {
        patient: {size: {s: {"dice": value, **found} for s in table.STRUCTURES} for size in ("1", "1.2")}
        for patient, value in dice.items()
    }
    vetoes = ["borne", "something is wrong"] if vetoed else ["borne"]
    return {"iteration": iteration, "score": score, "vetoes": vetoes, "verdict": verdict, "patients": patients}


def run(way: str, seed: int, *checkpoints: dict) -> dict:
    return {"way": way, "seed": seed, "milliseconds": 10.0, "checkpoints": list(checkpoints)}


def simple(way: str, seed: int, *dice: float) -> dict:
    """A run of two patients whose Dice lie 0.1 apart, with these means."""
    made = [checkpoint(n, {"a": d - 0.05, "b": d + 0.05}, score=n) for n, d in enumerate(dice)]
    return run(way, seed, *made)


def test_a_choice_without_labels_prefers_what_nothing_speaks_against():
    own = run(
        "x",
        0,
        checkpoint(0, {"a": 0.5}, 0.1, verdict=[0.5, 0.0]),
        checkpoint(1, {"a": 0.9}, 0.3, vetoed=True, verdict=[0.99, 0.3]),
        checkpoint(2, {"a": 0.4}, 0.2, verdict=[0.2, -0.1]),
        checkpoint(3, {"a": 0.6}, 0.0, verdict=[0.95, 0.1]),
    )
    chosen = {choice: table.chosen(own, choice)["iteration"] for choice in table.CHOICES}
    assert chosen == {"last": 3, "verdict": 3, "score": 1, "oracle": 1}
    own["checkpoints"].pop()
    assert table.chosen(own, "verdict")["iteration"] == 0, "nothing is better than the start"


def test_offers_are_held_against_the_truth():
    own = run(
        "x",
        0,
        checkpoint(0, {"a": 0.5}, verdict=[0.5, 0.0]),
        checkpoint(1, {"a": 0.6}, verdict=[0.95, 0.01]),  # better, offered
        checkpoint(2, {"a": 0.6}, verdict=[0.8, 0.01]),  # better, not certain
        checkpoint(3, {"a": 0.6}, verdict=[0.95, 0.01], vetoed=True),
        checkpoint(4, {"a": 0.4}, verdict=[0.95, 0.01]),  # worse, offered
        checkpoint(5, {"a": 0.4}, verdict=[0.05, -0.01]),
    )
    said = "\n".join(table.lines([own], ["x"]))
    assert "Offered: 2 of 5 checkpoints, 1 of them worse than the start by more than 0.005" in said
    assert "of 3 better by 0.02 or more, 1 are offered." in said
    assert table.rank_correlation(own, "verdict") is not None and table.rank_correlation(own) is None


def test_differences_are_those_of_the_same_patient_and_seed():
    runs = [simple(table.CONTROL, 0, 0.5, 0.6), simple(table.CONTROL, 1, 0.5, 0.4), simple("x", 0, 0.5, 0.7)]
    assert table.differences(runs, "x", "last", "LV") == pytest.approx([0.1, 0.1])
    runs.append(simple("x", 1, 0.5, 0.7))
    assert table.differences(runs, "x", "last", "MYO") == pytest.approx([0.2, 0.2])
    assert table.differences(runs, table.CONTROL, "last", "MYO") == []
    assert table.differences(runs[1:3], "x", "last", "MYO") == []


def test_an_interval_holds_the_mean_and_grows_with_the_spread():
    narrow, wide = table.interval([0.1, 0.11, 0.12, 0.13]), table.interval([-0.3, 0.0, 0.2, 0.6])
    assert 0.1 <= narrow[0] < 0.115 < narrow[1] <= 0.13
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])
    assert table.interval([0.2, 0.2, 0.2]) == pytest.approx((0.2, 0.2))


def test_the_gap_lies_between_start_and_bound():
    runs = [simple("x", 0, 0.5, 0.7), simple(table.BOUND, 0, 0.5, 0.9), simple("x", 1, 0.1, 0.2)]
    assert table.gap_closed(runs, "x", "last") == pytest.approx(0.5)
    assert table.gap_closed(runs, table.BOUND, "last") == pytest.approx(1.0)
    assert np.isnan(table.gap_closed(runs[2:], "x", "last"))


def test_the_start_is_a_row_of_its_own_and_every_row_is_told():
    runs = [simple(way.name, seed, 0.5, 0.6, 0.7) for way in adapt_real_runs.WAYS for seed in (0, 1)]
    said = "\n".join(table.lines(runs, [way.name for way in adapt_real_runs.WAYS]))
    assert said.count(f"\n{table.START} ") == 1 + len(table.CHOICES)
    assert all(said.count(f"\n{way.name:36} ") == 2 + len(table.CHOICES) for way in adapt_real_runs.WAYS)
    assert "mean over all 22 runs, score: +1.00" in said


def test_broken_off_runs_are_shown_as_far_as_all_came():
    runs = [simple("x", 0, 0.5, 0.6, 0.7), simple("y", 0, 0.5, 0.9), simple("z", 0, 0.5)]
    shown = table.until(runs, 1)
    assert [(run["way"], len(run["checkpoints"])) for run in shown] == [("x", 2), ("y", 2)]


def test_slices_without_a_structure_are_counted_and_have_no_distance():
    truth, drawn = np.zeros((3, 16, 16), bool), np.zeros((3, 16, 16), bool)
    truth[:2, 4:8, 4:8], drawn[0, 4:8, 4:8] = True, True
    assert adapt_real_data.compared(drawn, truth, 1.2) == {
        "dice": pytest.approx(2 / 3, abs=1e-4),
        "assd_mm": 0.0,
        "missing": 0.5,
    }
    assert adapt_real_data.compared(~truth & False, truth, 1.2) == {"dice": 0.0, "assd_mm": None, "missing": 1.0}


def test_a_crop_shows_what_lies_in_it():
    settings = DataSettings("phantom", "phantom", preprocessing=Preprocessing(spacing_mm=1.0, slice_spacing_mm=8.0))
    array = np.zeros((6, 300, 300), np.uint8)
    array[2:4, 140:160, 140:160] = 1
    labels = Volume(array, Geometry((300, 300, 6), (0.0, 0.0, 0.0), (1.0, 1.0, 8.0)), "stack")
    on_it = {"box": [[140, 140, 1], [159, 159, 4]], "quarters": 1}
    assert adapt_real_data.shown(labels, on_it, settings, 128) == 1.0
    aside = {
        "box": [[204, 140, 1], [223, 159, 4]],
        "quarters": 0,
    }  # the window begins at the middle of what is labelled
    assert adapt_real_data.shown(labels, aside, settings, 128) == pytest.approx(0.5, abs=0.06)
    below = {"box": [[140, 140, 3], [159, 159, 4]], "quarters": 0}
    assert adapt_real_data.shown(labels, below, settings, 128) == 0.5


def test_other_settings_need_another_folder(tmp_path):
    start, scans = tmp_path / "model", tmp_path / "data" / "scd" / "unlabelled"
    for folder in (start, scans):
        folder.mkdir(parents=True)
    (start / "model.safetensors").write_bytes(b"weights")
    (scans / "SC-N-06_ED.nii.gz").touch()
    bench = adapt_real_data.Bench(start, tmp_path / "data", tmp_path / "runs", 4, 2, 8, 2, 38, "cpu", "auto")
    bench_adapt_real._check(bench)
    bench_adapt_real._check(dataclasses.replace(bench, device="cuda"))
    assert bench.targets == ["SC-N-06_ED"] and bench.contoured == []
    with pytest.raises(SystemExit, match="other settings"):
        bench_adapt_real._check(dataclasses.replace(bench, iterations=8))


def test_what_is_adapted_to_and_what_judges_is_nothing_that_the_built_in_contours_teach():
    taught = set(contoured_scans.PATIENTS)
    assert len(taught) == 11 and taught <= set(sunnybrook.CONTOURED)
    assert not taught & set(sample_scans.PATIENTS) and not taught & set(sunnybrook.OPEN)
