"""Promises of bench_adapt_site: who is target and who is judged, what a row changes, and what its table says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from SIFALib.models.structures import STRUCTURES


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks"))
    import bench_adapt_site

    return bench_adapt_site


@pytest.fixture
def site(bench, tmp_path, monkeypatch):
    """Of coarse phantoms, two for the target and one to judge by."""
    monkeypatch.setattr(bench, "TARGETS", 2)
    monkeypatch.setattr(bench, "TESTS", 1)
    monkeypatch.setattr(bench, "SPACING_MM", 8.0)
    made = bench.Bench(tmp_path, "heart-phantom", "quick", 0)
    bench.make_scans(made)
    return made


def test_nobody_is_both_target_and_judge_and_labels_lie_apart_from_scans(bench, site):
    names = {what: {p.stem for p in site.place(what).iterdir()} for what in ("target", "test")}
    assert len(names["target"]) == 2 and len(names["test"]) == 1 and not names["target"] & names["test"]
    for what, seen in names.items():
        assert {p.stem for p in site.place(f"{what}-labels").iterdir()} == seen


def test_rows_differ_in_what_they_learn_from_and_in_nothing_else(bench, site):
    made = {row: bench.configuration(site, row, 1) for row in bench.ROWS}
    control = made[bench.CONTROL]
    assert {c.iterations for c in made.values()} == {100} and {c.start_model for c in made.values()} == {
        "heart-phantom"
    }
    bound = made[bench.BOUND]
    others = [c for c in made.values() if c is not bound]
    assert {(c.data.source, c.seed) for c in made.values()} == {("phantom", 1)}
    assert {(c.data.target, c.data.target_labels) for c in others} == {(str(site.place("target")), False)}
    assert [c.method.objective for c in others] == ["source_only", "self_training", "full", "full"]
    assert [c.method.self_training_weight > 0 for c in others] == [True, True, False, True]
    assert bound.data.target_labels and control.method.segmentation_rate == bound.method.segmentation_rate
    pairs = json.loads(Path(bound.data.target).read_text())
    assert [pair["image"] for pair in pairs] == [f"target/{bench.FIRST_SEED + n}.nrrd" for n in range(2)]


def test_the_table_shows_what_is_gained_against_the_control_of_the_same_repetition(bench):
    def dice(value):
        return {s.id: [value, value + 0.1] for s in STRUCTURES}

    rows = [
        {"row": bench.CONTROL, "seed": 0, "last": dice(0.5), "chosen": dice(0.4), "taken": False},
        {"row": "self-training", "seed": 0, "last": dice(0.6), "chosen": dice(0.7), "taken": True},
    ]
    lines = bench.table(dice(0.4), rows)
    assert lines[1].split()[:3] == ["start", "0.45", "0.45"] and "0.450" in lines[1]
    assert [line.split("  ")[0].strip() for line in lines[2:]] == [
        "source only 0, last", "self-training 0, last", "self-training 0, chosen",
    ]  # fmt: skip
    assert lines[3].endswith("+0.100 (+0.100 to +0.100)") and lines[4].endswith("+0.200 (+0.200 to +0.200)")
    apart = {"LV": [0.2, 0.4, 0.9]}
    low, high = (float(x) for x in bench.difference(apart, {"LV": [0.1] * 3}).split("(")[1].rstrip(")").split(" to "))
    assert np.isclose(low, 0.1) and np.isclose(high, 0.8)
