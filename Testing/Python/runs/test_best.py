"""The best segmenter of a run: which it is, how it compares to the start, and that its file tells no lies."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from SIFALib.adaptation.label_free import Score
from SIFALib.adaptation.plausibility import Veto
from SIFALib.runs import best
from SIFALib.runs.best import Best
from SIFALib.support.errors import RunError


def test_the_best_model_and_its_score_are_one_file(tmp_path: Path):
    assert best.read(tmp_path) is None
    found = Best(40, 0.61, {"supervised": 0.8}, ("Left atrium has vanished.",))
    best.write(tmp_path, found, {"w": np.arange(4, dtype=np.float64)})
    assert best.read(tmp_path) == found
    assert best.read_weights(tmp_path)["w"].dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == [best.FILE]


def test_without_vetoes_comes_before_a_higher_score():
    sound, better, vetoed = Best(1, 0.5), Best(2, 0.6), Best(3, 0.9, vetoes=("no",))
    assert better.beats(sound) and sound.beats(None) and sound.beats(vetoed)
    assert not vetoed.beats(sound) and not sound.beats(sound)


def test_a_run_that_began_with_a_model_is_judged_by_how_it_compares_to_it():
    """Not by the score, and not for what that model bears as well."""
    agreeing = [(0.80 + 0.01 * n, 0.70, 1.0) for n in range(6)]
    lost, torn = Veto("vanished 1", "Left atrium has vanished."), Veto("pieces 0", "Myocardium is in pieces.")
    start = best.judged(0, Score(0.9, {}, (lost,)), tuple(agreeing))
    assert (start.value, start.vetoes, start.borne) == (0.0, (), ("vanished 1",))
    gains = (0.02, 0.03, 0.025, 0.02, 0.03, 0.035)
    found = best.judged(
        5,
        Score(0.1, {}, (lost,)),
        tuple((a + g, s + g, e) for (a, s, e), g in zip(agreeing, gains, strict=True)),
        start,
    )
    assert found.vetoes == () and found.verdict.better and found.beats(start) and found.value > 0.01
    spoiled = best.judged(5, Score(0.99, {}, (lost, torn)), found.signs, start)
    assert spoiled.vetoes == ("Myocardium is in pieces.",) and start.beats(spoiled)
    worse = best.judged(
        5, Score(0.99, {}), tuple((a - g, s - g, e) for (a, s, e), g in zip(agreeing, gains, strict=True)), start
    )
    assert worse.verdict.worse and not worse.verdict.better and start.beats(worse)
    same = best.judged(5, Score(0.99, {}), start.signs, start)
    assert not same.verdict.better and not same.verdict.worse and not same.beats(start)


def test_without_a_judged_start_there_is_a_score_and_its_vetoes_and_no_verdict():
    """As of a run that was judged only later on: nothing is taken for the start but the start."""
    late = best.judged(50, Score(0.4, {}, (Veto("fill", "Too much."),)), ((0.8, 0.7, 1.0),) * 4)
    assert (late.value, late.vetoes, late.verdict, late.signs) == (0.4, ("Too much.",), None, ())


def test_a_verdict_outlives_the_checkpoint_and_the_file(tmp_path):
    start = best.judged(
        0, Score(0.9, {}, (Veto("fill", "Too much."),)), ((0.5, 0.1, 1.0), (0.6, 0.2, 1.1), (0.7, 0.3, 1.2))
    )
    found = best.judged(5, Score(0.5, {}), ((0.6, 0.1, 1.0), (0.8, 0.2, 1.1), (0.9, 0.3, 1.3)), start)
    for each in (start, found):
        assert Best.of(dataclasses.asdict(each)) == each
        best.write(tmp_path, each, {"a": np.ones(3)}, start)
        assert best.read(tmp_path) == each and best.read_start(tmp_path) == start


def test_a_score_that_is_no_number_is_never_the_best(tmp_path: Path):
    strange = best.judged(7, Score(float("nan"), {"supervised": 0.9, "edges": float("nan")}))
    assert strange.parts == {"supervised": 0.9} and strange.vetoes and Best(1, -0.5).beats(strange)
    best.write(tmp_path, strange, {"w": np.ones(2)})
    assert best.read(tmp_path) == strange


def test_a_damaged_best_model_is_named(tmp_path: Path):
    (tmp_path / best.FILE).write_bytes(b"\x08\0\0\0\0\0\0\0damaged!")
    with pytest.raises(RunError, match=best.FILE):
        best.read(tmp_path)


def change_best(old: bytes, new: bytes, folder: Path) -> None:
    """Replace what stands in the best model's file, which keeps its length."""
    content = (folder / best.FILE).read_bytes()
    assert content.count(old) == 1 and len(old) == len(new)
    (folder / best.FILE).write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (np.full(4, 7, np.float32).tobytes(), bytes(16)),  # still a network
        (b'\\"iteration\\": 40', b'\\"iteration\\": 41'),
        (b'"shape":[2,3]', b'"shape":[3,2]'),
    ],
)
def test_a_best_model_that_still_looks_whole_is_known_by_its_checksum(tmp_path: Path, old, new):
    best.write(tmp_path, Best(40, 0.61), {"a": np.ones((2, 3)), "b": np.full(4, 7), "c": np.float64(3)})
    change_best(old, new, tmp_path)
    for reading in (best.read, best.read_weights):
        with pytest.raises(RunError, match=f"{best.FILE} cannot be read .*delete it, and the run will"):
            reading(tmp_path)


def test_the_best_model_of_an_older_run_has_no_checksum_and_is_read(tmp_path: Path):
    text = json.dumps(dataclasses.asdict(Best(40, 0.61)))
    save_file({"w": np.ones(2, np.float32)}, tmp_path / best.FILE, metadata={"format": "pt", "sifa": text})
    assert best.read(tmp_path) == Best(40, 0.61)
    assert best.read_weights(tmp_path)["w"].tolist() == [1, 1]


# --- status
