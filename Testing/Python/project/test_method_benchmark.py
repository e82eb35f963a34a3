"""Promises of `bench_training`'s verdict: it fails where a requirement is missed, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "Benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_training

    return bench_training


@pytest.mark.parametrize(
    ("precision", "seconds", "gib", "passed"),
    [
        ("float32", 55.0, 6.9, True),
        ("float32", 55.1, 6.9, False),
        ("float32", 20.0, 7.0, False),
        ("bfloat16", 27.5, 6.9, True),
        ("bfloat16", 27.6, 6.9, False),
    ],
)
def test_the_default_schedule_at_the_papers_batch_must_be_fast_and_small(bench, precision, seconds, gib, passed):
    row = {"case": "paper-8", "schedule": "shared", "precision": precision, "seconds": seconds, "peak_gib": gib}
    assert bench.judged(row)["passed"] is passed


@pytest.mark.parametrize(
    ("case", "schedule"), [("paper-8", "faithful"), ("paper-1", "shared"), ("compact-8", "shared")]
)
def test_of_the_other_rows_nothing_is_required(bench, case, schedule):
    row = {"case": case, "schedule": schedule, "precision": "float32", "seconds": 1e9, "peak_gib": 1e9}
    judged = bench.judged(row)
    assert "passed" not in judged
    assert ("speed_up" in judged) is (case != "compact-8")
