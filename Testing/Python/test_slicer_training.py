"""SIFATraining's panel, driven by clicks: four steps, the run in the background, what comes of it, the list of runs."""

from __future__ import annotations

from slicer_helpers import WORLD, ReadyDependencies, add_volume, ijk_to_ras, stage

# the lines above set the stage on which the others can be imported
# isort: split
import json
import shutil

import numpy as np
import pytest
import qt
import slicer
import tiny_runs
from SIFALib import runs
from SIFALib.runs import control
from SIFASegmentationLib.Dependencies import DependencyError
from training_panel import choose, made_scans, new_panel, said, start, wait_for


@pytest.fixture
def panel(tmp_path):
    """The panel of a Slicer that was just started, in an empty scene."""
    stage.clear_scene()
    made = new_panel(tmp_path)
    yield made
    if made.runView.path is not None:
        made.logic.kill(made.runView.path)
    stage.close_module("SIFATraining")
    stage.clear_scene()


def cells(table) -> list[list[str]]:
    rows, columns = range(table.rowCount), range(table.columnCount)
    return [[table.item(row, column).text() for column in columns] for row in rows]


def test_a_run_goes_from_start_to_the_end_in_the_background(panel, tmp_path):
    ui = panel.ui
    assert not ui.startButton.enabled and ui.startButton.toolTip == "Choose the folder that holds your scans."
    choose(panel, made_scans(tmp_path))
    assert ui.startButton.enabled, ui.startButton.toolTip
    assert [row[0] for row in cells(ui.scansTable)] == ["target0", "target1"]
    assert cells(ui.scansTable)[0][1:] == ["MR", "4 × 4 × 8", "160 × 160 × 80", "fine"]
    assert "2 labelled images" in said(ui.sourceStateLabel) and "free" in said(ui.needsLabel)
    ui.runNameEdit.text = "Our 0.55 T"
    run = start(panel)
    assert run.parent == tmp_path / "runs" and run.name.endswith("our-0-55-t")
    assert panel.runView.state in ("starting", "preparing")
    wait_for(panel, "finished", "failed", "lost")
    assert panel.runView.state == "finished", said(ui.runStateLabel) + panel.runView.reader.log()
    assert ui.runBar.value == ui.runBar.maximum == 6
    assert set(tiny_runs.losses_of(run)) == set(range(1, 7))
    assert panel.logic.dependencies.asked == 1
