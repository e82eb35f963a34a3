"""Makes the pictures of SIFATraining: each state of its panel, on phantom scans of a simulated scanner.

    python Testing/Pictures/render_training.py [folder]

A real training of some minutes runs behind them. Look at them before they are committed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import render_panels
from HeadlessSlicer import stage
from render_panels import ROOT, above, grab, save

SCREENSHOTS = ROOT / "SIFATraining" / "Resources" / "Screenshots"
SCANS = 6
SPACING_MM = 2.5
SHORT = {"iterations": 40, "batch": 2, "data.size": 96, "judge_every": 10, "preview_every": 5, "save_every": 10,
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


def render(folder: Path, work: Path) -> None:
    sys.path.insert(0, str(ROOT / "Testing" / "Python"))
    from SIFALib.models import default_store
    from training_panel import new_panel, start, wait_for

    panel = new_panel(work)
    panel.logic._store = type(default_store())(default_store().bundled, work / "models")
    panel.howStep.refreshModels()
    fold(panel, "scans", "source", "how", "start")
    save(folder / "panel-start.png", grab(panel))
    if not (work / "scans").exists():
        make_scans(work / "scans")
    panel._parameterNode.startModel = "heart-phantom"
    panel._parameterNode.startModel = default_store().default().card.key
    panel.ui.scansPathEdit.currentPath = str(work / "scans")
    save(folder / "panel-checking.png", grab(panel))
    stage.wait_until(lambda: not panel.scansStep.busy, 600)
    panel._parameterNode.advanced = json.dumps(SHORT)
    panel.ui.measureButton.click()
    stage.wait_until(lambda: not panel.howStep.errand.running, 600)
    save(folder / "panel-ready.png", grab(panel))
    panel.ui.advancedCollapsibleButton.collapsed = False
    fold(panel, "how")
    save(folder / "panel-advanced.png", grab(panel))
    panel.ui.advancedCollapsibleButton.collapsed = True
    panel.ui.runNameEdit.text = "Our low-field scanner"
    start(panel)
    panel.ui.curvesButton.click()
    fold(panel, "run")
    stage.wait_until(lambda: panel.runView.state not in ("starting",), 600)
    save(folder / "panel-preparing.png", grab(panel))
    stage.wait_until(lambda: len(panel.runView.reader.losses) > 22 or panel.runView.state == "failed", 3000)
    panel.runView.refresh()
    save(folder / "panel-running.png", grab(panel))
    wait_for(panel, "finished", "failed")
    panel.runView.refresh()
    save(folder / "curves.png", curves_picture(panel.runView.curves.chart))
    panel.ui.compareButton.click()
    stage.wait_until(lambda: not panel.afterPanel.errand.running, 3000)
    fold(panel, "run", "after")
    save(folder / "panel-after.png", grab(panel))
    fold(panel, "runs")
    panel.ui.runsTable.selectRow(0)
    save(folder / "panel-runs.png", grab(panel))
    save(folder / "overview.png", above(grab(panel)))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS
    stage.load_modules()
    with tempfile.TemporaryDirectory() as work:
        render(folder, Path(sys.argv[2]) if len(sys.argv) > 2 else Path(work))


if __name__ == "__main__":
    assert render_panels.WORLD
    main()
