"""Makes the pictures of SIFATraining: each state of its panel, on phantom scans of a simulated scanner.

    python Testing/Pictures/render_training.py [folder] [--states]

A real, short training runs behind those of the story. Look at them before they are committed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import render_panels
from HeadlessSlicer import stage
from render_panels import ROOT, grab, save

sys.path.insert(0, str(ROOT / "Testing" / "Python"))

SCREENSHOTS = ROOT / "SIFATraining" / "Resources" / "Screenshots"
SCANS = 5
SPACING_MM = 3.0
SHORT = {"iterations": 12, "batch": 2, "data.size": 64, "judge_every": 4, "preview_every": 2, "save_every": 4,
         "threads": 1, "workers": 0, "data.phantoms": 2}  # fmt: skip


def other_scanner(array: np.ndarray, seed: int) -> np.ndarray:
    """A CT as a low-field MR might show it: inverted soft tissue, little contrast, much noise, uneven brightness."""
    rng = np.random.default_rng(seed)
    grey = np.clip((array.astype(float) + 200.0) / 800.0, 0, 1)
    shown = np.where(array < -300, 0.02, 0.25 + 0.5 * np.sqrt(grey))
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in array.shape), indexing="ij")
    uneven = 1.0 + 0.25 * i - 0.2 * j + 0.1 * k
    return (1000 * np.abs(shown * uneven + rng.normal(0, 0.05, array.shape))).astype(np.int16)


def make_scans(folder: Path, count: int = SCANS, spacing_mm: float = SPACING_MM) -> None:
    from SIFALib import phantom, volume
    from SIFALib.volume import Volume

    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        made = phantom.make(2001 + seed, "ct", spacing_mm).image
        array = other_scanner(made.array, seed)
        volume.write(Volume(array, made.geometry), folder / f"patient {seed + 1:02d}.nrrd")


def curves_picture(chart, size: tuple[int, int] = (560, 300)) -> np.ndarray:
    """A chart node as VTK, on which Slicer's plot view rests, draws it."""
    import vtk
    from HeadlessSlicer import views
    from vtk.util.numpy_support import vtk_to_numpy

    views.check_renderer()
    view = vtk.vtkContextView()
    view.GetRenderer().SetBackground(1, 1, 1)
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    drawn = vtk.vtkChartXY()
    drawn.SetShowLegend(True)
    drawn.SetTitle(chart.GetTitle())
    drawn.GetAxis(1).SetTitle(chart.GetXAxisTitle())
    drawn.GetAxis(0).SetTitle(chart.GetYAxisTitle())
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(number)
        line = drawn.AddPlot(vtk.vtkChart.LINE)
        line.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        line.SetColorF(*series.GetColor())
        line.SetWidth(series.GetLineWidth())
        line.SetLabel(series.GetName())
        if series.GetMarkerStyle() != series.MarkerStyleNone:
            line.SetMarkerStyle(vtk.vtkPlotPoints.CIRCLE)
    view.GetScene().AddItem(drawn)
    window.Render()
    shot = vtk.vtkWindowToImageFilter()
    shot.SetInput(window)
    shot.ReadFrontBufferOff()
    shot.SetInputBufferTypeToRGB()
    shot.Update()
    image = shot.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()


def fold(panel, *unfolded: str) -> None:
    """All sections folded but those."""
    for name in ("scans", "source", "how", "start", "run", "after", "runs"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = name not in unfolded


def render_states(folder: Path, work: Path) -> None:
    """What the panel says when something is missing or wrong: nothing is trained for these."""
    import training_panel as tests
    from SIFALib import pictures, volume
    from SIFALib.runs import failures

    scans = tests.made_scans(work)
    panel = tests.new_panel(work)
    fold(panel, "scans", "source", "how", "start")
    save(folder / "panel-start.png", grab(panel))
    image = volume.read(scans / "target" / "target0.nii.gz")
    for number in range(8):
        brighter = volume.Volume(image.array + np.float32(number + 1), image.geometry)
        volume.write(brighter, scans / "target" / f"patient {number:02d}.nii.gz")
    (scans / "target" / "patient 03.nii.gz").write_bytes(b"torn")
    tests.choose(panel, scans)
    save(folder / "panel-problem.png", grab(panel))
    judged = tests.judged_run(work / "runs" / "a", scans, {0: 0.61, 3: 0.52}, name="Not better")
    failed = tests.judged_run(
        work / "runs" / "b", scans, {0: 0.41}, state="failed", name="Out of memory", batch=8
    )
    message = failures.sentence(MemoryError(), failed)
    remote = tests.judged_run(
        work / "runs" / "c", scans, {0: 0.41, 3: 0.52}, state="stopped", name="On the cluster"
    )
    for run, fields in ((failed, {"message": message}), (remote, {"host": "cluster-17"})):
        run.status.write_text(json.dumps({**json.loads(run.status.read_text()), **fields}))
    pictures.write_png(np.full((96, 480, 3), 90, np.uint8), remote.previews / "00000003.png")
    for run, name in ((judged, "worse"), (failed, "failed"), (remote, "remote")):
        panel.openRun(run.path)
        fold(panel, "run", "after")
        save(folder / f"panel-{name}.png", grab(panel))
    fold(panel, "runs")
    panel.ui.runsTable.selectRow(0)
    save(folder / "panel-runs.png", grab(panel))
    stage.close_module("SIFATraining")


def render_story(folder: Path, work: Path) -> None:
    """A training from the scans to the new model."""
    from SIFALib.models import default_store
    from training_panel import new_panel, start

    panel = new_panel(work)
    panel.logic._store = type(default_store())(default_store().bundled, work / "models")
    panel.howStep.refreshModels()
    panel._parameterNode.startModel = default_store().default().card.key
    fold(panel, "scans", "source", "how", "start")
    make_scans(work / "scanner")
    panel.ui.scansPathEdit.currentPath = str(work / "scanner")
    save(folder / "panel-checking.png", grab(panel))
    stage.wait_until(lambda: not panel.scansStep.busy, 600)
    panel._parameterNode.advanced = json.dumps(SHORT)
    panel.ui.measureButton.click()
    stage.wait_until(lambda: not panel.howStep.errand.running, 600)
    panel.ui.runNameEdit.text = "Our low-field scanner"
    save(folder / "panel-ready.png", grab(panel))
    panel.ui.advancedCollapsibleButton.collapsed = False
    fold(panel, "how")
    save(folder / "panel-advanced.png", grab(panel))
    panel.ui.advancedCollapsibleButton.collapsed = True
    start(panel)
    panel.ui.curvesButton.click()
    fold(panel, "run")
    stage.wait_until(lambda: panel.runView.state not in ("starting",), 600)
    save(folder / "panel-preparing.png", grab(panel))
    enough = SHORT["iterations"] // 2
    stage.wait_until(
        lambda: len(panel.runView.reader.losses) > enough or panel.runView.state == "failed", 3000
    )
    save(folder / "panel-training.png", grab(panel))
    stage.wait_until(lambda: panel.runView.state in ("finished", "failed"), 3000)
    save(folder / "curves.png", curves_picture(panel.runView.curves.chart))
    panel.ui.compareButton.click()
    stage.wait_until(lambda: not panel.afterPanel.comparison.busy, 3000)
    fold(panel, "run", "after")
    save(folder / "panel-after.png", grab(panel))
    stage.close_module("SIFATraining")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SCREENSHOTS)
    parser.add_argument("--states", action="store_true", help="only those states that need no training")
    options = parser.parse_args()
    stage.load_modules()
    with tempfile.TemporaryDirectory() as work:
        render_states(options.folder, Path(work) / "states")
        if not options.states:
            render_story(options.folder, Path(work) / "story")


if __name__ == "__main__":
    assert render_panels.WORLD
    main()
