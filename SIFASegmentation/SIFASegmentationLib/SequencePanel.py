"""What the panel says of all time points: the choice to take them, the heart's function, the curve; and which is shown."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import HeartFunctionNodes, Results, SequenceLogic, Sequences, Tables
from .EditFollower import EditFollower
from .Parameters import SIFASegmentationParameterNode

LAST = -1.0  # priority of an observer that wants to see what the others made of it
SURFACE = "Closed surface"


def offerTimePoints(ui: Any, parameterNode: SIFASegmentationParameterNode) -> bool:
    """Show the choice where the input volume shows a sequence; whether all its time points are to be segmented."""
    scan = Sequences.browsed(parameterNode.inputVolume)
    ui.allTimePointsCheckBox.setVisible(scan is not None)
    if scan is not None:
        ui.allTimePointsCheckBox.text = _("All {count} time points").format(count=scan.count)
    everything = scan is not None and parameterNode.allTimePoints
    ui.uncertaintyCheckBox.enabled = not everything
    ui.uncertaintyCheckBox.toolTip = (
        _("A map is made of single time points only; untick all time points to get one.")
        if everything
        else _("Also make a volume that says of every voxel how unsure the model is, from 0 to 1.")
    )
    return everything


class SequencePanel(VTKObservationMixin):
    """The part of the section Results that only a result of all time points has."""

    def __init__(self, ui: Any, showItem: Callable[[slicer.vtkMRMLSegmentationNode], None]) -> None:
        """showItem: shows what is known of the time point that a segmentation node shows now."""
        super().__init__()
        self.ui, self._showItem = ui, showItem
        self._result: Sequences.Browsed | None = None
        self._shown, self._surfaces = -1, False
        self._follower = EditFollower(self._onEdited)
        ui.showCurveButton.connect("clicked(bool)", self.onShowCurve)
        ui.show3DButton.connect("clicked(bool)", self.onShow3D)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Fill it from a node, and follow its browser; a node that shows no sequence of ours empties and hides it."""
        self.leave()
        self._follower.follow(segmentationNode)
        self._result = Sequences.result(segmentationNode)
        for part in (self.ui.timePointLabel, self.ui.functionFrame):
            part.setVisible(self._result is not None)
        self.ui.showCurveButton.setVisible(False)
        if self._result is None:
            return
        segmentationNode = self._result.node
        self._fill(HeartFunctionNodes.write(segmentationNode), self._result)
        self.ui.showCurveButton.setVisible(self._chart() is not None)
        self._surfaces = segmentationNode.GetSegmentation().ContainsRepresentation(SURFACE)
        self._nameTimePoint(self._result)
        self.addObserver(self._result.browser, vtk.vtkCommand.ModifiedEvent, self.onBrowser, priority=LAST)

    def leave(self) -> None:
        """Stop following the browser. Tables and chart go on to follow the outlines, which others may show or edit."""
        self.removeObservers()
        self._result = None

    def close(self) -> None:
        """Follow nothing any more."""
        self.leave()
        self._follower.follow(None)

    def _onEdited(self, curve: HeartFunctionNodes.Curve) -> None:
        """Outlines were corrected: the figures are those of the new ones at once."""
        if self._result is not None and self._result.node.GetScene() is not None:
            self._fill(curve, self._result)
            self._showItem(self._result.node)

    def _fill(self, curve: HeartFunctionNodes.Curve, result: Sequences.Browsed) -> None:
        functions, failures = curve.functions()
        notes: list[tuple[str, str]] = []
        for structureId, function in functions:
            diastole, systole = (_index(result, at) for at in (function.end_diastole, function.end_systole))
            text = _("End-diastole at {diastole}, end-systole at {systole}.").format(diastole=diastole, systole=systole)
            notes.append(("ℹ", text if structureId == HeartFunctionNodes.VENTRICLE else f"{structureId}: {text}"))
            notes += [("⚠", remark) for remark in function.remarks]
        notes += [("⚠", failure) for failure in failures]
        _fillTable(self.ui.functionTable, functions, curve.heartRate)
        notes += [("⚠", failure) for failure in _failures(result)]
        lines = [f"{sign}&nbsp;&nbsp;{html.escape(text)}" for sign, text in notes]
        self.ui.functionLabel.text = "<br>".join(lines)

    def _nameTimePoint(self, result: Sequences.Browsed) -> None:
        self._shown = result.shown
        nothing = _("The scan has no time point where the browser is now.")
        self.ui.timePointLabel.text = _timePoint(result, self._shown) if self._shown >= 0 else nothing

    def onBrowser(self, caller: Any = None, event: Any = None) -> None:
        """Show what is known of the time point that the browser has gone to, surfaces included if they were shown."""
        if self._result is None or self._result.shown == self._shown:
            return
        node = self._result.node
        if node.GetScene() is None:
            self.leave()
            return
        self._nameTimePoint(self._result)
        if self._surfaces and self._shown >= 0 and not node.GetSegmentation().ContainsRepresentation(SURFACE):
            node.CreateClosedSurfaceRepresentation()
        self._showItem(node)

    def onShow3D(self, shown: bool) -> None:
        """Each time point has surfaces of its own, so the button alone does not tell at the next one."""
        self._surfaces = shown

    def _chart(self) -> slicer.vtkMRMLPlotChartNode | None:
        return self._result.node.GetNodeReference(HeartFunctionNodes.CHART) if self._result else None

    def onShowCurve(self, _checked: bool = False) -> None:
        """Show the chart in Slicer's plot view."""
        slicer.modules.plots.logic().ShowChartInLayout(self._chart())


def _fillTable(table: Any, functions: HeartFunctionNodes.Functions, heartRate: float | None) -> None:
    """A row for each quantity; the ventricles beside each other where there are two."""
    told = [HeartFunctionNodes.ofOne(function, heartRate) for _structureId, function in functions]
    names = list(dict.fromkeys(name for rows in told for name, _value, _unit in rows))
    heads = [structureId for structureId, _function in functions] if len(functions) > 1 else [_("Value")]
    Tables.prepare(table, [_("Heart function"), *heads])
    table.setVisible(bool(names))
    table.setRowCount(len(names))
    cells = [{name: f"{value:.1f} {unit}" for name, value, unit in rows} for rows in told]
    for index, name in enumerate(names):
        Tables.fillRow(table, index, (name, *(column.get(name, "") for column in cells)), numbersFrom=1)
    Tables.fitHeight(table, len(names))


def _failures(result: Sequences.Browsed) -> list[str]:
    """A sentence on each time point that could not be segmented, one on those with other flags."""
    from SIFALib.inference.heart_function import named

    failed, flagged = [], []
    for number, item in enumerate(result.items):
        warnings = [flag for flag in (Results.report(item) or {})["flags"] if flag.get("warns", True)]
        reasons = [flag["message"] for flag in warnings if flag["kind"] == SequenceLogic.FAILED]
        failed += [f"{_timePoint(result, number)}: {reason}" for reason in reasons]
        flagged += [number] if warnings and not reasons else []
    if flagged:
        failed.append(_("Quality flags at {timePoints}.").format(timePoints=named(flagged)))
    return failed


def _index(result: Sequences.Browsed, number: int) -> str:
    return _("time point {number} ({index})").format(number=number + 1, index=result.indexText(number))


def _timePoint(result: Sequences.Browsed, number: int) -> str:
    return _("Time point {number} of {count} ({index})").format(
        number=number + 1, count=result.count, index=result.indexText(number)
    )
