"""Runs in SIFATraining's panel, driven by clicks: looked at, gone on with, compared, exported, deleted, never lost."""

from __future__ import annotations

from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import slicer
import tiny_models
import vtk
from SIFALib.imaging import pictures
from SIFALib.models import store
from SIFALib.runs import Best, RunFolder, best, failures, launch, status
from SIFALib.support import processes
from SIFATrainingLib import Tabs
from training_panel import (
    TINY,
    cells,
    choose,
    judged_run,
    made_scans,
    new_panel,
    no_new_process,
    opened,
    said,
    wait_for,
)

PANEL_WIDTH = 400  # pixels, as narrow as Slicer's module panel usually is


@pytest.fixture
def panel(tmp_path):
    with opened(tmp_path) as made:
        yield made


# What comes of it


def set_status(run: RunFolder, **fields) -> None:
    known = status.read(run.status)
    run.status.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(known, **fields))))


def opened_run(panel, tmp_path, scores: dict[int, float], **changes) -> RunFolder:
    """A run with these scores, opened from the list."""
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), scores, **changes)
    shown(panel, run)
    return run


def shown(panel, run) -> None:
    """Open a run from the list, by clicks."""
    panel.ui.refreshRunsButton.click()
    panel.ui.runsTable.selectRow([s.folder.path for s in panel.runsPanel.runs].index(run.path))
    panel.ui.openRunButton.click()


def test_a_better_model_is_offered_made_and_chosen(panel, tmp_path):
    opened_run(panel, tmp_path, {0: 0.41, 3: 0.52, 6: 0.5})
    assert said(panel.ui.verdictLabel) == "Better on your scans: score without labels 0.520, before 0.410."
    assert panel.ui.useModelButton.enabled and panel.ui.modelNameEdit.placeholderText == "site"
    panel.ui.modelNameEdit.text = "Our 0.55 T"
    panel.ui.useModelButton.click()
    (package,) = [p for p in panel.logic.store().packages() if p.card.id == "our-0-55-t"]
    store.verify(package)
    assert "is chosen in SIFA Segmentation" in panel.ui.afterStatusLabel.text
    stored = slicer.mrmlScene.GetSingletonNode("SIFASegmentation", "vtkMRMLScriptedModuleNode")
    assert stored.GetParameter("model") == "our-0-55-t@1.0.0"
    panel.ui.useModelButton.click()
    assert {p.card.version for p in panel.logic.store().packages() if p.card.id == "our-0-55-t"} == {"1.0.0", "1.1.0"}


def test_a_name_that_was_typed_for_one_runs_model_is_not_given_to_anothers(panel, tmp_path):
    other = judged_run(tmp_path / "runs" / "b", made_scans(tmp_path), {0: 0.41, 3: 0.52}, name="Other")
    opened_run(panel, tmp_path, {0: 0.41, 3: 0.52})
    panel.ui.modelNameEdit.text = "our-scanner"
    panel.afterPanel.show(panel.runView.reader, panel.runView.state)
    assert panel.ui.modelNameEdit.text == "our-scanner"
    shown(panel, other)
    assert panel.ui.modelNameEdit.text == ""
    panel.ui.useModelButton.click()
    assert [p.card.id for p in panel.logic.store().packages()] == ["other", "tiny"]


def test_a_worse_model_is_not_offered_first_and_the_sentence_says_why(panel, tmp_path):
    opened_run(panel, tmp_path, {0: 0.61, 3: 0.52, 6: 0.5})
    assert said(panel.ui.verdictLabel).startswith("Nothing better was found than the model that it started from")
    assert not panel.ui.useModelButton.enabled and "that one stays" in panel.ui.useModelButton.toolTip
    panel.afterPanel.onUse()  # as if it could be pressed: the library refuses, too
    assert "found nothing better than its starting point, which scored 0.610" in panel.ui.afterStatusLabel.text
    assert "--" not in panel.ui.afterStatusLabel.text  # that is for the command line
    panel.ui.runsTable.selectRow(0)
    panel.ui.exportRunButton.click()
    assert panel.ui.runsStatusLabel.text.endswith("which scored 0.610. Use the start model itself.")
    assert {p.card.id for p in panel.logic.store().packages()} == {"tiny"}
    panel.ui.useAnywayButton.click()
    assert "site" in {p.card.id for p in panel.logic.store().packages()}


def shown_with_models(panel, tmp_path, before: int, after: int) -> None:
    """Open a run whose models see one structure everywhere, or with 0 no heart."""
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), {0: 0.41, 3: 0.52})
    shutil.rmtree(tmp_path / "models" / "tiny-1.0.0")
    tiny_models.write_constant(tmp_path / "models" / "tiny-1.0.0", before, preprocessing=TINY)
    best.write(run.best, Best(3, 0.52), tiny_models.constant(after))
    shown(panel, run)


def compare(panel) -> None:
    panel.ui.compareButton.click()
    assert panel.ui.compareButton.text == "Cancel"
    stage.wait_until(lambda: not panel.afterPanel.comparison.busy)


def comparison_rows(panel) -> list[list[str]]:
    """The rows of the comparison: one cell over all columns where a scan begins."""
    table = panel.ui.comparisonTable
    spans = [table.columnSpan(row, 0) for row in range(table.rowCount)]
    return [[table.item(row, c).text() for c in range(1 + 4 - span)] for row, span in enumerate(spans)]


def test_old_and_new_model_are_compared_on_own_scans(panel, tmp_path):
    shown_with_models(panel, tmp_path, 1, 3)
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "target0 before")
    compare(panel)
    assert own.GetSegmentation().GetNumberOfSegments() == 0  # one of the same name is left alone
    assert panel.afterPanel.comparison.scans[0].before is not own
    table = comparison_rows(panel)
    assert [row[0] for row in table if len(row) == 1] == ["target0", "target1"] and len(table) == 10
    name, before, after, agreement = table[1]
    assert name == "Left ventricular myocardium" and float(before) > 0 == float(after) == float(agreement)
    assert float(table[3][1]) == 0 < float(table[3][2])  # left ventricle
    panel.tabs.select(Tabs.RESULT)
    panel.parent.setFixedWidth(PANEL_WIDTH)
    panel.parent.show()
    WORLD.app.processEvents()
    assert panel.ui.comparisonTable.horizontalScrollBar().maximum == 0  # all columns are seen
    for compared in panel.afterPanel.comparison.scans:
        for node in (compared.before, compared.after):
            assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is compared.volume
            assert node.GetSegmentation().GetNumberOfSegments() == 4
            made_by = vtk.reference("")
            assert node.GetSegmentation().GetSegment("LV").GetTag("DICOM.SegmentAlgorithmName", made_by)
            assert made_by == ("SIFA tiny@1.0.0" if node is compared.before else "SIFA run Site")
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    with no_new_process():
        compare(panel)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == count  # filled anew


def test_a_run_that_began_with_a_models_folder_is_compared_with_that_model(panel, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(panel.afterPanel.comparison.task, "send", lambda _python, request, _more: sent.append(request))
    place = str(panel.logic.store().get("tiny").folder)
    opened_run(panel, tmp_path, {0: 0.41, 3: 0.52}, start_model=place)
    panel.ui.compareButton.click()
    assert [request["model"] for request in sent] == [place]


def test_scans_are_shown_one_at_a_time_before_on_the_left_and_after_on_the_right(panel, tmp_path):
    layout = slicer.mrmlScene.AddNode(slicer.vtkMRMLLayoutNode())
    shown_with_models(panel, tmp_path, 3, 3)
    with no_new_process():
        compare(panel)
    first, second = panel.afterPanel.comparison.scans

    def seen() -> list[tuple[str, ...]]:
        nodes = [n for c in (first, second) for n in (c.before, c.after)]
        return [(n.GetName(), *n.GetDisplayNode().GetViewNodeIDs()) for n in nodes if n.GetDisplayVisibility()]

    left, right = "vtkMRMLSliceNodeRed", "vtkMRMLSliceNodeYellow"
    assert seen() == [("target0 before", left), ("target0 after", right)]
    assert layout.GetViewArrangement() == layout.SlicerLayoutSideBySideView
    panel.ui.comparisonTable.cellClicked.emit(6, 0)  # a row of the second scan
    assert seen() == [("target1 before", left), ("target1 after", right)]
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActiveVolumeID() == second.volume.GetID()
    slicer.mrmlScene.RemoveNode(first.volume)
    panel.ui.comparisonTable.cellClicked.emit(0, 0)  # what was taken out of the scene is not shown
    assert seen() == []


def test_a_scan_on_which_one_model_finds_nothing_is_told(panel, tmp_path):
    shown_with_models(panel, tmp_path, 0, 3)
    with no_new_process():
        compare(panel)
    assert [(c.before, c.after is None) for c in panel.afterPanel.comparison.scans] == [(None, False)] * 2
    assert "before: No heart was found" in panel.ui.comparisonLabel.text
    assert comparison_rows(panel)[3][1] == "-" == comparison_rows(panel)[3][3]


# Runs


def test_runs_are_listed_opened_and_deleted(panel, tmp_path):
    scans = made_scans(tmp_path)
    judged_run(tmp_path / "runs" / "a", scans, {0: 0.41, 3: 0.52})
    judged_run(tmp_path / "runs" / "b", scans, {0: 0.41}, state="failed", name="Other")
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "run.json").write_text("{")
    panel.ui.refreshRunsButton.click()
    table = {row[0]: row[1:] for row in cells(panel.ui.runsTable)}
    assert table["Site"] == ["finished", "3 / 6", "0.520"] and table["Other"][0] == "failed"
    assert table["c"][0] == "unreadable"
    rows = [row[0] for row in cells(panel.ui.runsTable)]
    panel.ui.runsTable.selectRow(rows.index("c"))
    assert not panel.ui.openRunButton.enabled and panel.ui.deleteRunButton.enabled
    panel.ui.runsTable.selectRow(rows.index("Site"))
    assert not panel.ui.resumeRunButton.enabled and panel.ui.longerRunButton.enabled
    panel.ui.longerBox.value = 2
    panel.ui.longerRunButton.click()
    assert panel.ui.runsStatusLabel.text == "It has done 3 iterations already; give more."
    panel.ui.exportRunButton.click()
    assert "is among the models now" in panel.ui.runsStatusLabel.text
    with stage.person(str(tmp_path / "site 1.2")):
        panel.ui.exportRunButton.click()
    assert panel.ui.runsStatusLabel.text.endswith(f"is in {tmp_path / 'site 1.2.zip'}.")
    panel.ui.showRunButton.click()
    assert panel.ui.runsStatusLabel.text == str(tmp_path / "runs" / "a")
    panel.openRun(tmp_path / "runs" / "b")
    panel.ui.deleteRunButton.click()
    assert panel.runView.path == tmp_path / "runs" / "b"  # the one that is looked at stays
    assert not (tmp_path / "runs" / "a").exists() and (scans / "target").exists()
    assert sorted(row[0] for row in cells(panel.ui.runsTable)) == ["Other", "c"]


def test_a_run_of_another_computer_can_only_be_looked_at_without_moving_the_folder_of_runs(panel, tmp_path):
    run = judged_run(tmp_path / "from the cluster" / "a", made_scans(tmp_path), {0: 0.41, 3: 0.52}, state="stopped")
    set_status(run, host="cluster-17")
    panel.ui.runsFolderEdit.currentPath = str(run.path)
    assert panel.runView.path == run.path and panel.logic.runsFolder == tmp_path / "runs"
    assert panel.ui.runsFolderEdit.currentPath == str(tmp_path / "runs")
    assert not panel.ui.pauseButton.enabled and not panel.ui.stopButton.enabled
    assert "belongs to another computer" in panel.ui.readOnlyLabel.text
    assert "on cluster-17" in said(panel.ui.runStateLabel)
    assert panel.ui.useModelButton.enabled  # what a cluster has learned can be used here
    panel.ui.runsFolderEdit.currentPath = str(run.path.parent)
    panel.ui.runsTable.selectRow(0)
    assert panel.ui.openRunButton.enabled
    assert not panel.ui.resumeRunButton.enabled and not panel.ui.longerRunButton.enabled


def test_a_failure_arrives_as_its_sentence_and_can_be_copied_with_a_log_of_each_line_once(panel, tmp_path):
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), {0: 0.41}, state="failed")
    message = "The disk is full; the checkpoint of iteration 4 is sound."
    set_status(run, message=message, reason="disk_full", advice="resume", fields={"folder": str(run.path)})
    run.log.write_text("2026-01-02 03:04:05,678 INFO Saved 2.pt\n")
    (run.path / launch.OUTPUT).write_text("2026-01-02 03:04:05,678 Saved 2.pt\nSegmentation fault\n")
    shown(panel, run)
    assert said(panel.ui.runStateLabel) == f"{message} Then press Resume."
    panel.ui.copyDetailsButton.click()
    copied = WORLD.app.clipboard().text()
    log = "2026-01-02 03:04:05,678 INFO Saved 2.pt\nSegmentation fault"
    assert message in copied and copied.endswith(log) and '"iterations": 6' in copied
    panel.ui.logCollapsibleButton.collapsed = False
    assert panel.ui.logText.plainText == log


def test_curves_and_newest_preview_are_shown(panel, tmp_path):
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), {0: 0.41, 3: 0.52})
    for iteration in (0, 3):
        pictures.write_png(np.full((20, 60, 3), iteration, np.uint8), run.previews / f"{iteration:08d}.png")
    with run.events.open("a") as log:
        for n in (4, 5, 6):
            losses = {"segmentation": n / 10, "cycle_source": 1.0, "cycle_target": 2.0, "generator": 0.25}
            log.write(json.dumps({"kind": "losses", "iteration": n, "time": "", "losses": losses}) + "\n")
    shown(panel, run)
    assert panel.ui.previewLabel.toolTip == "After iteration 3"
    panel.ui.curvesButton.click()
    chart = panel.runView.curves.chart
    assert chart.GetNumberOfPlotSeriesNodes() == 5
    values = {}
    for number in range(5):
        series = chart.GetNthPlotSeriesNode(number)
        table = series.GetTableNode().GetTable()
        column = table.GetColumnByName(series.GetYColumnName())
        values[series.GetName()] = [round(column.GetValue(n), 3) for n in range(column.GetNumberOfTuples())]
    assert values["Segmentation"] == [0.4, 0.5, 0.6] and values["Cycle"] == [3.0, 3.0, 3.0]
    assert values["Adversarial"] == [0.25] * 3 and values["Score without labels"] == [0.41, 0.52]
    panel.runView.open(None)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0


def test_two_slicers_do_not_fight_over_a_run(panel, tmp_path):
    run = opened_run(panel, tmp_path, {0: 0.41}, state="stopped")
    with run.held():  # another Slicer's process
        panel.ui.pauseButton.click()
        assert panel.runView.state == "starting"
        wait_for(panel, "lost")
        assert "is in use: process" in said(panel.ui.runStateLabel)
        panel.runsPanel.refresh()
        panel.ui.runsTable.selectRow(0)
        panel.ui.deleteRunButton.click()
        assert run.path.exists() and "is in use" in panel.ui.runsStatusLabel.text


# Nothing is lost


@pytest.fixture
def worker():
    """A process that lives, and may be ended with its run."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    yield process
    process.kill()
    process.wait()


def works_on(run: RunFolder, worker: subprocess.Popen) -> None:
    set_status(run, pid=worker.pid, process_started=processes.started(worker.pid))


def test_a_run_that_ended_meanwhile_is_shown_at_the_next_start_and_only_then(panel, tmp_path, worker):
    run = judged_run(tmp_path / "runs" / "a", made_scans(tmp_path), {0: 0.41, 3: 0.52}, state="running")
    works_on(run, worker)
    shown(panel, run)
    assert panel.runView.state == "running"
    stage.close_module("SIFATraining")
    set_status(run, state="finished")
    found = new_panel(tmp_path)
    assert found.runView.path == run.path and said(found.ui.verdictLabel).startswith("Better on your scans")
    stage.close_module("SIFATraining")
    again = new_panel(tmp_path)
    assert again.runView.path is None


def test_a_run_that_ran_out_of_memory_goes_on_with_less(panel, tmp_path, monkeypatch):
    scans = made_scans(tmp_path)
    run = judged_run(tmp_path / "runs" / "a", scans, {0: 0.41}, state="failed", batch=4, device="cuda")
    why = failures.explained(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), run)
    set_status(run, message=str(why), reason=why.code, advice=why.advice)
    started = []
    monkeypatch.setattr(panel.logic, "launch", started.append)
    shown(panel, run)
    for parts, device, how in ((2, "cuda", "in 2 parts"), (4, "cuda", "in 4 parts"), (4, "cpu", "on the CPU")):
        sentence = said(panel.ui.runStateLabel)
        assert sentence.startswith("Memory ran out. Press Resume") and how in sentence
        panel.ui.pauseButton.click()
        configuration = run.read().configuration
        assert (configuration.accumulate, configuration.device) == (parts, device)
    assert started == [run.path] * 3
    assert "close other programs. Then press Resume." in said(panel.ui.runStateLabel)  # nothing is left to be tried
    set_status(run, message="The scans were moved.", reason="data", advice="")
    panel.ui.pauseButton.click()
    assert len(started) == 4 and run.read().configuration == configuration


def test_a_run_folder_that_vanishes_is_told_and_one_that_comes_back_is_shown(panel, tmp_path):
    run = opened_run(panel, tmp_path, {0: 0.41, 3: 0.52})
    run.path.rename(tmp_path / "elsewhere")
    panel.runView.refresh()
    assert said(panel.ui.runStateLabel) == f"{run.path} is no folder; it is no run."
    assert cells(panel.ui.runsTable) == [] and panel.ui.afterCollapsibleButton.isHidden()
    (tmp_path / "elsewhere").rename(run.path)
    panel.runView.refresh()
    assert said(panel.ui.runStateLabel) == "Finished" and len(cells(panel.ui.runsTable)) == 1


def test_who_starts_a_second_run_is_told_that_the_first_is_going_on(panel, tmp_path, worker):
    scans = made_scans(tmp_path)
    run = judged_run(tmp_path / "runs" / "a", scans, {0: 0.41}, state="paused", name="By night")
    works_on(run, worker)
    panel.ui.refreshRunsButton.click()
    choose(panel, scans)
    assert panel.ui.startButton.enabled
    assert "“By night” is being trained now" in said(panel.ui.needsLabel)
