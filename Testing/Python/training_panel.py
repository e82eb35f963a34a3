"""SIFATraining on the stage, at a size that takes seconds: a narrow start model, small scans, six iterations."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tiny_models
import tiny_runs
from SIFALib.models import store as models
from SIFALib.models.card import Preprocessing
from SIFALib.runs import Best, RunFolder, best, create, events, status
from SIFALib.support import processes
from slicer_helpers import ReadyDependencies, stage

TINY = Preprocessing(
    spacing_mm=4.0, slice_spacing_mm=8.0, crop=32, locate_spacing_mm=8.0, locate_slice_spacing_mm=16.0
)
SIX_ITERATIONS = {
    "iterations": 6, "batch": 2, "threads": 1, "workers": 0, "save_every": 2, "judge_every": 3, "preview_every": 4,
    "data.size": 32, "method.history": 3, "method.objective": "source_only",
}  # fmt: skip
"""Advanced settings; supervised on the source alone, which takes a fifth of the time of the whole method."""


def new_panel(
    folder: Path, dependencies: Any = None, module: str = "SIFATraining", bundled: Path | None = None
):
    """The panel as a Slicer shows it that was just started: models and runs are in `folder`.

    bundled: where the models are that come with SIFA; without it there is one, the tiny one.
    """
    import qt
    from SIFATrainingLib import Logic, Widget

    dependencies = dependencies or ReadyDependencies()
    store = models.ModelStore(bundled or folder / "bundled", folder / "models")
    if bundled is None and not (folder / "models" / "tiny-1.0.0").exists():
        models.write_package(
            folder / "models" / "tiny-1.0.0",
            tiny_models.state(),
            **tiny_models.card_fields(preprocessing=TINY),
        )
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    qt.QSettings().setValue(Logic.SETTING, str(folder / "runs"))
    original = Widget.SIFATrainingLogic
    Widget.SIFATrainingLogic = lambda: Logic.SIFATrainingLogic(dependencies, store)
    try:
        stage.close_module(module)
        panel = stage.open_module(module)
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


def judged_run(
    path: Path, scans: Path, scores: dict[int, float], state: str = "finished", **changes: Any
) -> RunFolder:
    """A run as a training leaves it that began with the tiny model, with these scores by iteration; nothing is trained."""
    started = tiny_runs.configuration(
        scans, start_model="tiny@1.0.0", name="Site", method=tiny_runs.supervised()
    )
    folder = create(path, dataclasses.replace(started, **changes))
    with events.EventLog(folder.events) as log:
        kept = None
        for iteration, value in scores.items():
            judged = Best(iteration, value, {"supervised": value})
            better = judged.beats(kept)
            log.append("score", iteration, value=value, parts=judged.parts, vetoes=(), best=better)
            if better:
                kept = judged
                best.write(folder.best, judged, tiny_models.state(seed=iteration))
    me = processes.this_process()
    gone = processes.Process(me.pid, "another start", me.host)
    last = status.Status(
        state, gone.pid, gone.started, gone.host, 6, max(scores, default=0), status.now(),
        best_iteration=kept.iteration if kept else None, best_score=kept.value if kept else None,
    )  # fmt: skip
    folder.status.write_text(json.dumps(dataclasses.asdict(last)), encoding="utf-8")
    return folder


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """The panel of a Slicer that was just started, in an empty scene; it is thrown away at the end, with its run."""
    stage.clear_scene()
    panel = new_panel(folder)
    yield panel
    if panel.runView.path is not None:
        panel.logic.kill(panel.runView.path)
    stage.close_module("SIFATraining")
    stage.clear_scene()


def cells(table) -> list[list[str]]:
    """What a table shows."""
    rows, columns = range(table.rowCount), range(table.columnCount)
    return [[table.item(row, column).text() for column in columns] for row in rows]


def wait_for(panel, *states: str) -> None:
    """Until the run is in one of these states; patience begins anew whenever it has done something."""
    view = panel.runView

    def done() -> tuple:
        log = RunFolder(view.path).log
        return view.state, len(view.reader.losses), log.stat().st_size if log.exists() else 0

    while view.state not in states:
        before = done()
        stage.wait_until(lambda before=before: view.state in states or done() != before, tiny_runs.PATIENCE)


def said(label) -> str:
    """What a label of the panel says, without its sign and colour."""
    from SIFATrainingLib import Words

    return Words.plain(label)
