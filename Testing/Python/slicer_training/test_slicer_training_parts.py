"""Parts of SIFATraining that need no click: reading a run as it grows, words, names of files."""

from __future__ import annotations

from slicer_helpers import add_volume, ijk_to_ras, stage

# the lines above set the stage on which the others can be imported
# isort: split
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import slicer
import tiny_runs
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.adaptation.method import Method
from SIFALib.support.errors import ModelError
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


@pytest.fixture
def run(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    return tmp_path


def iterations(reader: RunReader) -> list[int]:
    return [n for n, _ in reader.losses]


def test_only_whole_lines_are_read_and_each_once(run):
    reader, path = RunReader(run), run / "events.jsonl"
    reader.refresh()
    assert reader.curves() == {} and reader.state == "broken"  # there is no run.json
    text = lines(1, 4)
    path.write_text(text[:-10])
    reader.refresh()
    assert iterations(reader) == [1, 2]
    path.write_text(text)
    for _ in range(3):
        reader.refresh()
    assert iterations(reader) == [1, 2, 3]
    assert reader.losses[0][1] == (1.0, 0.75, 0.1) and list(GROUPS) == ["Segmentation", "Cycle", "Adversarial"]


def test_what_a_resumed_run_did_again_is_not_counted_twice(run):
    reader, path = RunReader(run), run / "events.jsonl"
    path.write_text(lines(1, 9))
    reader.refresh()
    path.write_text(lines(1, 5))  # cut to its checkpoint
    reader.refresh()
    assert iterations(reader) == [1, 2, 3, 4]
    path.write_text(lines(1, 3) + lines(20, 60))  # cut and grown between two looks
    reader.refresh()
    assert iterations(reader) == [1, 2, *range(20, 60)]
    path.unlink()
    reader.refresh()
    assert iterations(reader) == []


def test_junk_between_the_events_is_passed_over(run):
    (run / "events.jsonl").write_bytes(b"\xff\xfe\n[]\n{}\n" + lines(1, 2).encode() + b'{"kind": "score"}\n')
    reader = RunReader(run)
    reader.refresh()
    assert iterations(reader) == [1] and reader.best() is None


def test_a_long_curve_is_averaged_to_few_points(run):
    count = 2 * MOST_POINTS + 7
    (run / "events.jsonl").write_text(lines(1, count + 1))
    reader = RunReader(run)
    reader.refresh()
    x, y = reader.curves()["Segmentation"]
    assert len(x) == len(y) <= MOST_POINTS
    assert np.allclose(x, y) and x[0] == 2.0 and np.all(np.diff(x) > 0)


def test_scores_choose_the_best_as_the_run_does(run):
    scores = [(0, 0.5, []), (3, 0.7, ["A structure has vanished."]), (6, 0.6, [])]
    text = "".join(
        json.dumps({"kind": "score", "iteration": n, "value": v, "parts": {}, "vetoes": w, "best": True}) + "\n"
        for n, v, w in scores
    )
    (run / "events.jsonl").write_text(text)
    reader = RunReader(run)
    reader.refresh()
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
    assert times == sorted(times) and times[0] == 2.0 * (60 + Presets.JUDGING * 3)
    assert Presets.of(Preset.QUICK, {"seconds": 2.0, "phantom": 5.0}) == times[0] + 20.0


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


def test_every_number_of_the_configuration_can_be_set_somewhere(tmp_path):
    """Nothing that the library adds is forgotten: it stands in a step, or among the advanced settings."""
    stage.clear_scene()
    panel = new_panel(tmp_path)
    configuration = panel.logic.configuration(panel._parameterNode, "phantom")
    offered = {setting.key: setting for setting in AdvancedSettings.settings(configuration)}
    for field in Method.__dataclass_fields__:
        assert f"method.{field}" in offered or f"method.{field}" in AdvancedSettings.ELSEWHERE
    for setting in offered.values():
        assert setting.rule or setting.choices or setting.kind is bool, setting
    assert offered["method.objective"].choices[0] == "full" and offered["save_every"].unit == "iterations"
    assert offered["data.source_normalisation"].choices == ("card", "sifa_mr", "sifa_ct", "sifa_ct_old")
    stage.close_module("SIFATraining")


def test_a_start_model_that_is_gone_is_named(tmp_path):
    stage.clear_scene()
    panel = new_panel(tmp_path)
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
    assert "no torch here" in started and "press Start here again" in started
