"""The steps as tabs that fit a screen, a verdict no surer than its scores, and pictures of where the heart is seen."""

from __future__ import annotations

from training_panel import TINY, judged_run, made_scans, opened, said, stage

# the line above sets the stage on which the others can be imported
# isort: split
import types
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
import tiny_models
from SIFALib.adaptation.verdict import Verdict
from SIFALib.models import store as models
from SIFALib.runs import Best
from SIFATrainingLib import Tabs
from SIFATrainingLib.Checking import Check
from SIFATrainingLib.Parameters import Scans
from SIFATrainingLib.RunReader import LEAST_DIFFERENCE, RunReader
from slicer_helpers import add_volume, ijk_to_ras

HIGHEST = 900  # pixels of a screen that Slicer leaves to a panel


@pytest.fixture
def panel(tmp_path):
    with opened(tmp_path) as made:
        yield made


def height(panel, width: int = 400) -> int:
    parent = panel.parent
    parent.setFixedWidth(width)
    parent.show()
    for _ in range(4):
        stage.start().app.processEvents()
    return parent.layout().totalHeightForWidth(width)


def test_every_tab_fits_a_screen_and_a_small_one_is_small(panel):
    heights = []
    panel.tabs.show(("", ""), hasResult=True)
    panel.ui.advancedCollapsibleButton.collapsed = False
    for number in range(panel.tabs.bar.count):
        panel.tabs.select(number)
        heights.append(height(panel))
    assert max(heights) <= HIGHEST and min(heights) < max(heights)


def test_next_and_back_lead_through_all_tabs(panel):
    ui = panel.ui
    panel.tabs.show(("", ""), hasResult=True)
    panel.tabs.select(0)
    assert not ui.backButton.enabled
    for number in range(1, panel.tabs.bar.count):
        ui.nextButton.click()
        assert panel.tabs.bar.currentIndex == number
    assert not ui.nextButton.enabled
    ui.backButton.click()
    assert panel.tabs.bar.currentIndex == Tabs.RESULT


def test_tabs_say_which_steps_are_done(panel):
    bar = panel.tabs.bar
    assert [bar.tabText(n) for n in range(bar.count)] == ["Scans", "How ✓", "Train", "Result", "Runs"]
    assert "Choose the folder that holds your scans." in bar.tabToolTip(Tabs.SCANS)
    assert not bar.isTabEnabled(Tabs.RESULT) and "No run" in bar.tabToolTip(Tabs.RESULT)
    panel.tabs.select(Tabs.TRAIN)
    assert panel.ui.stepsLabel.text == "Step 1 is not done yet."


def test_who_comes_with_one_scan_is_told_to_add_more_until_there_are(panel):
    nodes = [add_volume(np.zeros((8, 8, 8), np.int16), ijk_to_ras((8, 8, 8)), name=f"Scan {n}") for n in range(2)]
    panel.tabs.select(Tabs.RUNS)
    panel.adaptTo(nodes[0])
    assert panel.tabs.bar.currentIndex == Tabs.SCANS and panel._parameterNode.scans is Scans.SCENE
    assert panel.ui.stepsLabel.text.startswith("Add more scans")
    found = types.SimpleNamespace(name="found", problems=(), warnings=())
    panel.scansStep.findings = lambda: [found, found]
    panel.startStep.show = lambda *_arguments: None
    panel.update()
    assert panel.ui.stepsLabel.text == ""


def test_a_run_that_is_opened_is_shown_and_its_result_is_a_tab_away(panel, tmp_path):
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), {0: 0.41, 3: 0.52})
    panel.openRun(run.path)
    assert panel.tabs.bar.currentIndex == Tabs.TRAIN
    panel.ui.nextButton.click()
    assert panel.tabs.bar.currentIndex == Tabs.RESULT
    assert not panel.ui.afterCollapsibleButton.isHidden() and panel.ui.compareButton.enabled


@pytest.mark.parametrize(
    ("scores", "verdict", "compared"),
    [
        ({0: 0.410, 3: 0.520}, "Better on your scans: score without labels 0.520, before 0.410.", True),
        (
            {0: 0.661, 3: 0.662},
            "No certain difference on your scans: score without labels 0.662, before 0.661, and",
            True,
        ),
        ({0: 0.50, 2: 0.56, 4: 0.49, 6: 0.57}, "No certain difference on your scans", True),
        ({0: 0.30, 2: 0.45, 4: 0.60}, "Better on your scans", True),
        ({0: 0.61, 3: 0.52}, "Nothing better was found", False),
    ],
)
def test_better_is_said_only_where_the_scores_are_certain_of_it(panel, tmp_path, scores, verdict, compared):
    run = judged_run(tmp_path / "runs" / "a", tmp_path, scores)
    panel.openRun(run.path)
    assert said(panel.ui.verdictLabel).startswith(verdict)
    assert panel.ui.compareButton.enabled is compared
    assert compared or "nothing to compare" in panel.ui.compareButton.toolTip


@pytest.mark.parametrize(
    ("verdict", "said_of_it", "offered"),
    [
        (
            Verdict(0.97, 0.031, 0.012, 12),
            "Most likely better on your scans (probability of being better 97%, expected",
            True,
        ),
        (
            Verdict(0.62, 0.002, 0.01, 12),
            "No difference on your scans that can be told (probability of being better 62%",
            False,
        ),
        (Verdict(0.95, 0.0005, 0.0001, 12), "No difference on your scans that can be told", False),
        (Verdict(0.5, 0.0, 0.0, 0), "Too few scans to tell", False),
    ],
)
def test_a_verdict_is_told_in_words_and_figures(panel, tmp_path, verdict, said_of_it, offered):
    start = Verdict(0.5, 0.0, 0.0, verdict.hearts)
    run = judged_run(tmp_path / "runs" / "a", tmp_path, {0: 0.0, 3: 0.01}, verdicts={0: start, 3: verdict})
    panel.openRun(run.path)
    assert said(panel.ui.verdictLabel).startswith(said_of_it) and panel.ui.useModelButton.enabled is offered
    assert panel.ui.useAnywayButton.isHidden() is offered, (
        "what is not offered can be used all the same, by who is asked"
    )
    chance = f"{verdict.probability:.0%}"
    assert (
        panel.ui.runScoreLabel.text == f"Best so far, at iteration 3: better than the start with probability {chance}"
    )


def test_doubt_is_what_the_best_of_so_many_scores_gains_by_chance(tmp_path):
    def reader(*values: float) -> RunReader:
        return RunReader(tmp_path, scores=[Best(n, value) for n, value in enumerate(values)])

    assert reader(0.3).doubt() == reader(0.3, 0.9).doubt() == reader(0.3, 0.3, 0.3).doubt() == LEAST_DIFFERENCE
    noise = 0.5 + np.random.default_rng(0).normal(0, 0.05, (200, 12))
    gains = [(max(row[1:]) - row.mean()) / reader(*row).doubt() for row in noise]
    assert 0.5 < np.median(gains) < 1.0, "noise alone is hardly ever called better"


def test_the_start_model_looks_for_the_heart_if_it_is_asked_to(panel, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(Check, "start", lambda _self, *arguments: given.append(arguments))
    for wanted in (True, False):
        panel._parameterNode.lookForHeart = wanted
        panel.scansStep.place = str(tmp_path)
        panel.scansStep._startCheck()
        (_python, _module, arguments, environment) = given[-1]
        line = arguments(Path("/tmp"))
        assert ("--model" in line) is wanted and environment == panel.logic.environment
        assert not wanted or line[line.index("--model") + 1] == "tiny@1.0.0"


def test_scans_are_looked_at_again_with_another_start_model(panel, monkeypatch, tmp_path):
    looked = []
    monkeypatch.setattr(Check, "look", lambda _self, *_, model, **__: looked.append(model))
    panel._parameterNode.scansFolder = str(tmp_path)
    panel._parameterNode.lookForHeart = True
    place, fields = tmp_path / "models" / "other-1.0.0", tiny_models.card_fields(preprocessing=TINY, id="other")
    models.write_package(place, tiny_models.state(), **fields)
    panel.howStep.refreshModels()
    panel._parameterNode.startModel = "other@1.0.0"
    assert looked[-2:] == ["tiny@1.0.0", "other@1.0.0"]


def test_a_scan_that_is_unticked_is_not_left_out_of_another_folder(panel, monkeypatch, tmp_path):
    monkeypatch.setattr(Check, "look", lambda *_, **__: None)
    parameters = panel._parameterNode
    for name in "ab":
        (tmp_path / name).mkdir()
    parameters.scansFolder = str(tmp_path / "a")
    parameters.excludedScans = '["scan1"]'
    parameters.lookForHeart = not parameters.lookForHeart  # the same scans, looked at again
    assert parameters.excludedScans == '["scan1"]'
    parameters.scansFolder = str(tmp_path / "b")
    assert parameters.excludedScans == "[]"


def test_picture_of_a_scan_is_shown_large_by_a_double_click(panel, tmp_path):
    from SIFASegmentationLib import Dialogs

    picture = qt.QPixmap(60, 40)
    picture.fill(qt.QColor(90, 90, 90))
    picture.save(str(tmp_path / "scan.png"))
    with stage.person():
        Dialogs.showPicture(tmp_path / "scan.png", "Scan 1")
    (window,) = [w for w in slicer.app.topLevelWidgets() if w.windowTitle == "Scan 1"]
    assert window.isVisible()
    window.close()


def test_a_picture_that_is_larger_than_its_window_is_scrolled(panel, tmp_path):
    from SIFASegmentationLib import Dialogs

    qt.QPixmap(900, 6000).save(str(tmp_path / "scan.png"))
    with stage.person():
        Dialogs.showPicture(tmp_path / "scan.png", "Scan 2")
    (window,) = [w for w in slicer.app.topLevelWidgets() if w.windowTitle == "Scan 2"]
    window.resize(900, 400)
    slicer.app.processEvents()
    (area,) = window.findChildren(qt.QScrollArea)
    assert area.widget().width == 900 and area.widget().height == 6000
    assert area.verticalScrollBar().maximum >= 6000 - 400 and area.horizontalScrollBar().maximum <= 40
    window.close()
