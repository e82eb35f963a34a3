"""SIFATraining on the stage, at a size that takes seconds: a narrow start model, small scans, six iterations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_models
import tiny_runs
from SIFALib import models
from SIFALib.model_card import Preprocessing
from slicer_helpers import ReadyDependencies, stage

TINY = Preprocessing(
    spacing_mm=4.0, slice_spacing_mm=8.0, crop=32, locate_spacing_mm=8.0, locate_slice_spacing_mm=16.0
)
SIX_ITERATIONS = {
    "iterations": 6, "batch": 2, "threads": 1, "workers": 0, "save_every": 2, "judge_every": 3, "preview_every": 4,
    "data.size": 32, "method.history": 3, "method.objective": "source_only",
}  # fmt: skip
"""Advanced settings; supervised on the source alone, which takes a fifth of the time of the whole method."""


def new_panel(folder: Path, dependencies: Any = None, module: str = "SIFATraining"):
    """The panel as a Slicer shows it that was just started: models and runs are in `folder`."""
    from SIFATrainingLib import Widget
    from SIFATrainingLib.Logic import SIFATrainingLogic

    dependencies = dependencies or ReadyDependencies()
    store = models.ModelStore(folder / "bundled", folder / "models")
    if not (folder / "models" / "tiny-1.0.0").exists():
        models.write_package(
            folder / "models" / "tiny-1.0.0",
            tiny_models.state(),
            **tiny_models.card_fields(preprocessing=TINY),
        )
    original = Widget.SIFATrainingLogic
    Widget.SIFATrainingLogic = lambda: SIFATrainingLogic(dependencies, store)
    try:
        stage.close_module(module)
        panel = stage.open_module(module)
        (folder / "runs").mkdir(exist_ok=True)
        panel.logic.runsFolder = folder / "runs"
        panel.enter()
    finally:
        Widget.SIFATrainingLogic = original
    panel.runView._timer.setInterval(50)
    return panel


def choose(panel, scans: Path, **advanced: Any) -> None:
    """Scans as `tiny_runs.make_scans` writes them, both domains, and settings that take seconds; waits for the checks."""
    from SIFATrainingLib.Parameters import Source

    panel._parameterNode.advanced = json.dumps({**SIX_ITERATIONS, **advanced})
    panel._parameterNode.source = Source.FOLDER
    panel.ui.sourcePathEdit.currentPath = str(scans / "source")
    panel.ui.scansPathEdit.currentPath = str(scans / "target")
    stage.wait_until(lambda: not panel.scansStep.busy and not panel.sourceStep.busy)


def made_scans(folder: Path) -> Path:
    """Source and target of two scans each."""
    tiny_runs.make_scans(folder / "scans")
    return folder / "scans"


def start(panel) -> Path:
    """Press Start; the run's folder."""
    panel.ui.startButton.click()
    stage.wait_until(lambda: not panel.startStep.busy)
    assert panel.runView.path is not None, panel.ui.startStatusLabel.text
    return panel.runView.path


def wait_for(panel, *states: str) -> None:
    stage.wait_until(lambda: panel.runView.state in states, tiny_runs.PATIENCE)


def said(label) -> str:
    """What a label of the panel says, without its sign and colour."""
    from SIFATrainingLib import Words

    return Words.plain(label)
