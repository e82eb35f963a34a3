"""Promises of the benchmarks' verdicts: they fail where the rule is broken, and only there."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
import torch
from SIFALib.imaging.checks import check
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.structures import PAPERS
from SIFALib.networks import devices
from SIFALib.support.errors import NoHeartFound

BENCHMARKS = Path(__file__).resolve().parents[2] / "Benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_inference

    return bench_inference


@pytest.fixture
def small_ct(bench, monkeypatch):
    """A cube of labels in place of the large CT."""
    array = np.zeros((20, 20, 20), np.int16)
    array[5:15, 5:15, 5:15] = 1
    case = Volume.of(sitk.GetImageFromArray(array), "small")
    monkeypatch.setattr(bench, "big_ct", lambda: (case, case))


@pytest.mark.parametrize(("status", "regions"), [(0, [False]), (5, [False, True]), (1, [False]), (-9, [False])])
def test_only_where_no_heart_was_found_a_region_is_tried(bench, small_ct, monkeypatch, tmp_path, status, regions):
    asked = []

    def run(command: list[str]) -> tuple[int, float, float]:
        asked.append(any(part.startswith("--roi=") for part in command))
        Path(command[command.index("--report") + 1]).write_text(json.dumps({"seconds": {}}))
        return (0 if asked[-1] else status), 1.0, 1.0

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr(os, "wait4", None, raising=False)
    row = bench.memory(tiny_models.write(tmp_path / "tiny"), True, tmp_path)
    assert asked == regions
    assert row["passed"] is (status in (0, 5)) and row["searched_heart"] is (regions == [False])


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        ((1.0, 1.0, 1.0, 0.98), True),
        ((1.0, 1.0, 1.0, 0.979), False),
        ((0.989, 0.989, 0.989, 0.989), False),
        ((1.0, 1.0, 1.0, math.nan), True),
        ((math.nan,) * 4, False),
    ],
)
def test_bfloat16_must_give_the_labels_of_float32(bench, values, passed):
    row = bench.agreement({s.id: value for s, value in zip(PAPERS, values, strict=True)})
    assert row["passed"] is passed
    json.dumps(row, allow_nan=False)


def test_where_bfloat16_is_not_fast_the_row_says_so_and_is_no_failure(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: False)
    row = bench.precision(tiny_models.write(tmp_path / "tiny"), True, torch.device("cpu"), tmp_path)
    assert row["passed"] and row["note"] == "not fast here: float32 is used"
    assert row["note"] in capsys.readouterr().out


@pytest.mark.parametrize("part", ["network", "volume", "memory", "precision_check"])
def test_every_part_counts_in_the_verdict(bench, part):
    failed = {"passed": False}
    assert bench.rows_of({part: [failed] if part == "network" else failed}) == [failed]


@pytest.mark.parametrize(("rate", "word"), [(1e-6, "ok"), (1e9, "TOO SLOW")])
def test_the_engine_is_held_to_the_matrix_rate_in_a_whole_volume(bench, monkeypatch, tmp_path, capsys, rate, word):
    make = bench.phantom.make
    monkeypatch.setattr(bench.phantom, "make", lambda seed, modality, spacing_mm: make(seed, modality, 8.0))
    monkeypatch.setattr(bench.hardware, "matrix_rate", lambda *_: rate)
    package = tiny_models.write_constant(tmp_path / "tiny", 3)
    row = bench.whole_volume(package, False, torch.device("cpu"), torch.float32, tmp_path)
    assert row["passed"] is (word == "ok")
    assert f"inside of the engine (required 0.85), {word};" in capsys.readouterr().out


def test_distances_to_what_was_not_found_are_null_in_the_file(bench, monkeypatch, tmp_path):
    import bench_phantom

    def no_heart(*_: object) -> None:
        raise NoHeartFound("There is no heart in it.")

    make = bench_phantom.phantom.make
    monkeypatch.setattr(bench_phantom.phantom, "make", lambda seed, modality: make(seed, modality, 8.0))
    monkeypatch.setattr(bench_phantom, "segment", no_heart)
    model = tiny_models.write(tmp_path / "tiny").folder
    monkeypatch.setattr(sys, "argv", ["bench", "--cases", "1", "--model", str(model), "--out", str(tmp_path / "out")])
    bench_phantom.main()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = json.loads((tmp_path / "out" / "phantom.json").read_text(), parse_constant=refuse)
    assert [case["assd_mm"] for case in found["cases"]] == [dict.fromkeys(("MYO", "LA", "LV", "AA"))] * 2


# Trust


@pytest.fixture
def trust(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_trust

    return bench_trust


def test_alarms_are_counted_for_good_and_bad_apart(trust):
    rows = [
        {"kind": "whole", "good": True, "flags": [], "dice": 0.9},
        {"kind": "whole", "good": True, "flags": ["LV volume", "LA volume"], "dice": 0.7},
        {"kind": "noise", "good": False, "flags": ["no heart"], "dice": None},
        {"kind": "real: head", "good": False, "flags": [], "dice": None},
    ]
    summary = trust.summarise(rows)
    assert summary["whole"] == {"good": True, "cases": 2, "alarms": 1, "dice": 0.8, "flags": {"volume": 1}}
    assert summary["ALL good phantoms"]["alarms"] == 1 and summary["ALL bad phantoms"]["alarms"] == 1
    assert summary["ALL bad real"]["cases"] == 1 and summary["ALL bad real"]["alarms"] == 0
    assert "noise" in trust.table(summary) and "no heart 1" in trust.table(summary)


def test_every_spoiled_scan_differs_from_what_it_was_made_of_and_can_be_segmented(trust):
    rng = np.random.default_rng(0)
    for low in (-1000, 0):
        array = rng.integers(low, 1000, (20, 40, 40)).astype(np.int16)
        scan = Volume(array, Geometry((40, 40, 20), (0, 0, 0), (3.0, 3.0, 6.0)), "scan")
        for name, spoil in trust.SPOILED.items():
            made = spoil(scan, rng)
            check(made)
            assert made.geometry == scan.geometry, name
            assert not np.array_equal(made.array, array) and np.array_equal(scan.array, array), name


def test_a_slice_of_the_benchmark_is_five_copies_two_mm_apart(trust):
    array = np.arange(3 * 4 * 4, dtype=np.int16).reshape(3, 4, 4)
    made = trust.copied(Volume(array, Geometry((4, 4, 3), (0, 0, 0), (3.0, 3.0, 6.0)), "scan"), 1)
    assert made.geometry.extent_mm == (12, 12, 10) and (made.array == array[1]).all()
    assert trust.middle(made).array.shape == (1, 4, 4)


@pytest.fixture
def averaging(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import average

    return average.average


def test_a_model_and_its_descendant_meet_between_their_weights(averaging, tmp_path):
    first = tiny_models.write_constant(tmp_path / "first", 3)
    second = tiny_models.write(tmp_path / "second", id="second", name="The descendant")
    made = averaging(first, second, 0.25, tmp_path / "made")
    weights, others = first.tensors(), second.tensors()
    for name, array in made.tensors().items():
        expected = 0.75 * weights[name].astype(np.float32) + 0.25 * others[name].astype(np.float32)
        np.testing.assert_allclose(array.astype(np.float32), expected, rtol=2e-3, atol=1e-3)
    assert (made.card.id, made.card.name) == ("second", "The descendant")
    assert made.card.sha256 not in (first.card.sha256, second.card.sha256)


def test_networks_of_two_kinds_have_no_average(averaging, tmp_path):
    first = tiny_models.write(tmp_path / "first")
    wider = dataclasses.replace(first.card.architecture, width=2 * first.card.architecture.width)
    second = tiny_models.write(tmp_path / "second", architecture=wider)
    with pytest.raises(ValueError, match="networks of two kinds"):
        averaging(first, second, 0.5, tmp_path / "made")
    assert not (tmp_path / "made").exists()
