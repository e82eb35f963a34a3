"""Makes the pictures of SIFATraining: each state of its panel, and the README's tutorial.

    python Testing/Pictures/render_training.py [folder] [--states] [--work FOLDER]

The tutorial is done as it is told: the sample data, the preset "Quick look", every other setting as it stands. That
takes ten minutes on two cores. Look at the pictures before they are committed.
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
from SIFALib.imaging import reading, writing

sys.path.insert(0, str(ROOT / "Testing" / "Python" / "fixtures"))

SCREENSHOTS = ROOT / "SIFATraining" / "Resources" / "Screenshots"


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


def render_states(folder: Path, work: Path) -> None:
    """What the panel says when something is missing or wrong: nothing is trained for these."""
    import training_panel as tests
    from SIFALib.imaging import geometry, pictures
    from SIFALib.runs import failures
    from SIFATrainingLib import Tabs

    scans = tests.made_scans(work)
    panel = tests.new_panel(work)
    save(folder / "panel-empty.png", grab(panel))
    image = reading.read(scans / "target" / "target0.nii.gz")
    for number in range(8):
        brighter = geometry.Volume(image.array + np.float32(number + 1), image.geometry)
        writing.write(brighter, scans / "target" / f"patient {number:02d}.nii.gz")
    (scans / "target" / "patient 03.nii.gz").write_bytes(b"torn")
    tests.choose(panel, scans)
    save(folder / "panel-problem.png", grab(panel))
    judged = tests.judged_run(work / "runs" / "a", scans, {0: 0.61, 3: 0.52}, name="Not better")
    failed = tests.judged_run(work / "runs" / "b", scans, {0: 0.41}, state="failed", name="Out of memory", batch=8)
    why = failures.explained(MemoryError(), failed)
    said = {"message": str(why), "reason": why.code, "advice": why.advice}
    remote = tests.judged_run(work / "runs" / "c", scans, {0: 0.41, 3: 0.52}, state="stopped", name="On the cluster")
    for run, fields in ((failed, said), (remote, {"host": "cluster-17"})):
        run.status.write_text(json.dumps({**json.loads(run.status.read_text()), **fields}))
    pictures.write_png(np.full((96, 480, 3), 90, np.uint8), remote.previews / "00000003.png")
    for run, name in ((judged, "worse"), (failed, "failed"), (remote, "remote")):
        panel.openRun(run.path)
        panel.tabs.select(Tabs.RESULT if name == "worse" else Tabs.TRAIN)
        save(folder / f"panel-{name}.png", grab(panel))
    panel.tabs.select(Tabs.RUNS)
    panel.ui.runsTable.selectRow(0)
    save(folder / "panel-runs.png", grab(panel))
    stage.close_module("SIFATraining")


def render_story(folder: Path, work: Path) -> None:
    """The README's tutorial, from six scans of another scanner to the new model."""
    from SIFALib.models.store import default_store
    from SIFASegmentationLib import LowFieldSamples
    from SIFATrainingLib import Tabs
    from SIFATrainingLib.Parameters import Preset, Scans
    from training_panel import new_panel, start

    stage.clear_scene()
    panel = new_panel(work, bundled=default_store().bundled)
    panel._parameterNode.lookForHeart = True
    LowFieldSamples.load()
    panel.ui.scansKindSelector.currentIndex = list(Scans).index(Scans.SCENE)
    panel.ui.checkScansButton.click()
    stage.wait_until(lambda: panel.scansStep.check.running, 600)
    save(folder / "panel-checking.png", grab(panel))
    stage.wait_until(lambda: not panel.scansStep.busy, 600)
    panel.ui.presetSelector.currentIndex = list(Preset).index(Preset.QUICK)
    panel.ui.measureButton.click()
    stage.wait_until(lambda: not panel.howStep.task.running, 600)
    panel.ui.runNameEdit.text = "Our low-field scanner"
    panel.tabs.select(Tabs.SCANS)
    save(folder / "panel-ready.png", grab(panel))
    panel.tabs.select(Tabs.HOW)
    panel.ui.advancedCollapsibleButton.collapsed = False
    save(folder / "panel-advanced.png", grab(panel))
    panel.ui.advancedCollapsibleButton.collapsed = True
    start(panel)
    panel.ui.curvesButton.click()
    stage.wait_until(lambda: panel.runView.state not in ("starting",), 600)
    save(folder / "panel-preparing.png", grab(panel))
    enough = panel.howStep.configuration.iterations // 2
    stage.wait_until(lambda: len(panel.runView.reader.losses) > enough or panel.runView.state == "failed", 3000)
    save(folder / "panel-training.png", grab(panel))
    stage.wait_until(lambda: panel.runView.state in ("finished", "failed"), 3000)
    save(folder / "curves.png", curves_picture(panel.runView.curves.chart))
    panel.ui.compareButton.click()
    stage.wait_until(lambda: not panel.afterPanel.comparison.busy, 3000)
    if panel.ui.useModelButton.enabled:
        panel.ui.useModelButton.click()
    panel.tabs.select(Tabs.RESULT)
    save(folder / "panel-after.png", grab(panel))
    stage.close_module("SIFATraining")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SCREENSHOTS)
    parser.add_argument("--states", action="store_true", help="only those states that need no training")
    parser.add_argument("--work", type=Path, help="where the trainings are kept; without it they are deleted")
    options = parser.parse_args()
    stage.load_modules()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        render_states(options.folder, work / "states")
        if not options.states:
            render_story(options.folder, work / "story")


if __name__ == "__main__":
    assert render_panels.WORLD
    main()
