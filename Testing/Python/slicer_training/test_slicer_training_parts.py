"""Parts of SIFATraining that need no click: reading a run as it grows, words, names of files."""

from __future__ import annotations

import dataclasses

from slicer_helpers import add_volume, ijk_to_ras, stage

# the lines above set the stage on which the others can be imported
# isort: split
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
import slicer
import tiny_runs
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.adaptation.method import Method
from SIFALib.support.errors import ModelError
from SIFALib.support.limits import Choice, Range
from SIFASegmentationLib import Volumes
from SIFASegmentationLib import Words as Common
from SIFATrainingLib import AdvancedSettings, Presets, SceneExport, Words
from SIFATrainingLib.Parameters import Preset
from SIFATrainingLib.RunReader import GROUPS, MOST_POINTS, RunReader
from training_panel import new_panel


def lines(first: int, last: int) -> str:
    losses = {"segmentation": 1.0, "cycle_source": 0.5, "cycle_target": 0.25, "generator": 0.1}
    events = [
        {"kind": "losses", "iteration": n, "time": "", "losses": {**losses, "segmentation": float(n)}}
        for n in range(first, last)
    ]
    return "".join(json.dumps(e) + "\n" for e in events)


def iterations(reader: RunReader, text: bytes | str | None) -> list[int]:
    """Of the losses that are known once events.jsonl holds that text; None: once it is gone."""
    path = reader.path / "events.jsonl"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reader.refresh()
    return [n for n, _ in reader.losses]


def test_only_whole_lines_are_read_each_once_and_junk_is_passed_over(tmp_path):
    reader = RunReader(tmp_path)
    assert iterations(reader, "") == [] and reader.curves() == {} and reader.state == "broken"  # there is no run.json
    assert iterations(reader, lines(1, 4)[:-10]) == [1, 2]
    for _ in range(3):
        assert iterations(reader, lines(1, 4)) == [1, 2, 3]
    assert reader.losses[0][1] == (1.0, 0.0, 0.75, 0.1)
    assert list(GROUPS) == ["Segmentation", "Self-training", "Cycle", "Adversarial"]
    junk = b"\xff\xfe\n[]\n{}\n" + lines(1, 2).encode() + b'{"kind": "score"}\n'
    assert iterations(reader, junk) == [1] and reader.best() is None


def test_what_a_resumed_run_did_again_is_not_counted_twice(tmp_path):
    reader = RunReader(tmp_path)
    assert iterations(reader, lines(1, 9)) == [*range(1, 9)]
    assert iterations(reader, lines(1, 5)) == [1, 2, 3, 4]  # cut to its checkpoint
    # cut and grown between two looks
    assert iterations(reader, lines(1, 3) + lines(20, 60)) == [1, 2, *range(20, 60)]
    assert iterations(reader, None) == []


def test_a_long_curve_is_averaged_to_few_points(tmp_path):
    reader, count = RunReader(tmp_path), 2 * MOST_POINTS + 7
    assert len(iterations(reader, lines(1, count + 1))) == count
    x, y = reader.curves()["Segmentation"]
    assert len(x) == len(y) <= MOST_POINTS
    assert np.allclose(x, y) and x[0] == 2.0 and np.all(np.diff(x) > 0)


def test_scores_choose_the_best_as_the_run_does(tmp_path):
    scores = [(0, 0.5, []), (3, 0.7, ["A structure has vanished."]), (6, 0.6, [])]
    text = "".join(
        json.dumps({"kind": "score", "iteration": n, "value": v, "parts": {}, "vetoes": w, "best": True}) + "\n"
        for n, v, w in scores
    )
    reader = RunReader(tmp_path)
    iterations(reader, text)
    assert reader.start().value == 0.5 and reader.best().iteration == 6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "about 5 s"), (61, "about 60 s"), (600, "about 10 min"), (5400, "about 1 h 30 min"), (7200, "about 2 h"),
     (100_000, "about 28 h")],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert Common.duration(seconds) == text


@given(st.text(max_size=80))
def test_any_name_becomes_one_that_files_and_models_can_have(name):
    from SIFALib.models import card

    slug = Words.slug(name)
    assert card.re.fullmatch(card._ID, slug) and len(slug) <= 48


def test_a_longer_preset_takes_longer_and_phantoms_count():
    timed = {"seconds": 2.0, "phantom": 0.0}
    times = [Presets.of(preset, timed) for preset in Preset]
    assert times == sorted(times) and times[0] == 2.0 * (100 + Presets.SCORING * 5)
    assert Presets.of(Preset.QUICK, {"seconds": 2.0, "phantom": 5.0}) == times[0] + 5.0 * 24


def test_volumes_get_file_names_that_no_two_share():
    stage.clear_scene()
    array = np.zeros((16, 16, 16), np.int16)
    names = ("CT", "ct", "x_label", "a/b:c*", "", "Ünï 心", "CT")
    nodes = [add_volume(array, ijk_to_ras((16, 16, 16)), name=name or "?") for name in names]
    found = list(SceneExport.fileNames(nodes).values())
    assert len({name.lower() for name in found}) == len(names)
    assert not any(set(name) & set('/\\:*?"<>|') for name in found)
    assert all(name.endswith("scan") for name in found)  # none is taken for a label map
    assert [n.GetName() for n in Volumes.inScene()] == [n.GetName() for n in nodes]
    nodes[0].SetHideFromEditors(True)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    assert len(Volumes.inScene()) == len(names) - 1
    stage.clear_scene()


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Range(0, 1, open_low=True)] = 0.5
    turn_deg: Annotated[float, Range(0, 180)] = 10.0


@dataclass(frozen=True)
class Outer:
    batch: Annotated[int, Range(1, 4096)] = 8
    precision: Annotated[str, Choice("auto", "float32")] = "auto"
    on: bool = False
    free: float = 1.0
    comment: str = ""
    device: str = "auto"
    inner: Inner = Inner()


def test_settings_are_the_fields_with_what_their_limits_say():
    found = {s.key: (s.kind, s.range, s.choices) for s in AdvancedSettings.settings(Outer())}
    assert found == {
        "batch": (int, "1 to 4096 slices", ()),
        "precision": (str, "auto, float32", ("auto", "float32")),
        "on": (bool, "", ()),
        "free": (float, "", ()),  # whatever the library takes
        "inner.share": (float, "above 0 and at most 1", ()),
        "inner.turn_deg": (float, "0 to 180 degrees", ()),
    }, "texts that may be anything are none, and what a step of the panel asks for"


def test_every_number_of_the_configuration_can_be_set_somewhere_and_a_start_model_that_is_gone_is_named(tmp_path):
    """Nothing that the library adds is forgotten: it stands in a step, or among the advanced settings."""
    stage.clear_scene()
    panel = new_panel(tmp_path)
    configuration = panel.logic.configuration(panel._parameterNode, "phantom")
    offered = {setting.key: setting for setting in AdvancedSettings.settings(configuration)}
    for field in (f.name for f in dataclasses.fields(Method)):
        assert f"method.{field}" in offered or f"method.{field}" in AdvancedSettings.ELSEWHERE
    for setting in offered.values():
        bound_by_another = setting.key == "method.prediction_from_epoch"  # it must lie within the epochs
        assert setting.range or setting.kind is bool or bound_by_another, setting
    assert offered["method.objective"].choices[0] == "full" and "iterations" in offered["save_every"].range
    assert offered["data.source_normalisation"].choices == ("card", "sifa_mr", "sifa_ct", "sifa_ct_old")
    panel._parameterNode.startModel = "elsewhere@3.0.0"
    assert "elsewhere@3.0.0" in panel.howStep.reason
    with pytest.raises(ModelError):
        panel.logic.package("elsewhere@3.0.0")
    stage.close_module("SIFATraining")


WITHOUT_TORCH = """
import sys
sys.path.insert(0, sys.argv[1])
from HeadlessSlicer import stage
stage.start()
stage.load_modules()
panel = stage.open_module("SIFATraining")
panel.ui.advancedCollapsibleButton.collapsed = False
panel.ui.scansPathEdit.currentPath = sys.argv[2]
stage.wait_until(lambda: not panel.scansStep.busy)
print(panel.ui.scansStateLabel.text)
assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
panel.ui.startButton.click()
stage.wait_until(lambda: not panel.startStep.busy)
print(panel.ui.startStatusLabel.text)
"""


def test_before_torch_is_there_scans_can_be_looked_at_and_start_tells_what_is_missing(tmp_path):
    tiny_runs.make_scans(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('no torch here')")
    paths = [str(tmp_path / "broken"), str(tiny_runs.ROOT / "SIFASegmentation")]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(paths), "SIFA_MODELS": str(tmp_path / "models")
    }  # fmt: skip
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tiny_runs.ROOT / "Testing"), str(tmp_path / "target")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    looked, started = done.stdout.splitlines()[-2:]
    assert "2 scans (MR) can be adapted to" in looked
    assert "did not look for the heart in them" in looked and "no torch here" in looked
    assert "no torch here" in started and "press Start here again" in started
