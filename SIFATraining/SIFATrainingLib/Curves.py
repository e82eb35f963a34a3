"""Live curves as Slicer shows them: a chart, its series and their tables in the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .RunReader import GROUPS, SCORE

ROLE = "SIFA.Curves"  # attribute of our nodes: the name of the run
COLORS = {  # RGB 0..1; told apart with any colour vision (Okabe and Ito, 2008)
    "Segmentation": (0.0, 0.45, 0.70),
    "Self-training": (0.34, 0.71, 0.91),
    "Cycle": (0.90, 0.62, 0.0),
    "Adversarial": (0.80, 0.47, 0.65),
    SCORE: (0.0, 0.62, 0.45),
}


class Curves:
    """The chart of one run; nothing is added to the scene before it is asked for."""

    def __init__(self) -> None:
        self.chart: Any = None  # vtkMRMLPlotChartNode, once it was asked for
        self._tables: dict[str, slicer.vtkMRMLTableNode] = {}
        self._drawn: tuple[tuple[str, int, float], ...] = ()

    @property
    def shown(self) -> bool:
        return self.chart is not None and self.chart.GetScene() is not None

    def open(self, name: str) -> None:
        """Make the chart, and let the layout show it."""
        if not self.shown:
            self.chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", _("SIFA training curves"))
            self.chart.SetXAxisTitle(_("Iteration"))
            self.chart.SetYAxisTitle(_("Loss, score"))
            self._tables, self._drawn = {}, ()
            for curve in (*GROUPS, SCORE):
                self._add(curve)
        self.chart.SetTitle(name)
        slicer.modules.plots.logic().ShowChartInLayout(self.chart)

    def _add(self, curve: str) -> None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", f"SIFA {curve}")
        table.SetHideFromEditors(True)
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", _titles()[curve])
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetXColumnName(_("Iteration"))
        series.SetYColumnName(_titles()[curve])
        series.SetColor(*COLORS[curve])
        series.SetLineWidth(2)
        dots = series.MarkerStyleCircle if curve == SCORE else series.MarkerStyleNone
        series.SetMarkerStyle(dots)
        for node in (table, series, self.chart):
            node.SetAttribute(ROLE, curve)
            node.SetSaveWithScene(False)
        self.chart.AddAndObservePlotSeriesNodeID(series.GetID())
        self._tables[curve] = table

    def draw(self, curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Show these values, if the chart is open and they are new."""
        state = tuple((name, len(x), float(x[-1])) for name, (x, _y) in curves.items())
        if not self.shown or state == self._drawn:
            return
        self._drawn = state
        for curve, table in self._tables.items():
            x, y = curves.get(curve, (np.zeros(0), np.zeros(0)))
            slicer.util.updateTableFromArray(table, [x, y], [_("Iteration"), _titles()[curve]])
        self.chart.Modified()

    def close(self) -> None:
        """Take everything out of the scene."""
        if self.shown:
            scene = self.chart.GetScene()
            for number in reversed(range(self.chart.GetNumberOfPlotSeriesNodes())):
                scene.RemoveNode(self.chart.GetNthPlotSeriesNode(number))
            for table in self._tables.values():
                scene.RemoveNode(table)
            scene.RemoveNode(self.chart)
        self.chart, self._tables, self._drawn = None, {}, ()


def _titles() -> dict[str, str]:
    """What the person reads of each curve."""
    return {
        "Segmentation": _("Segmentation"),
        "Self-training": _("Self-training"),
        "Cycle": _("Cycle"),
        "Adversarial": _("Adversarial"),
        SCORE: _("Score without labels"),
    }
