"""Volumes over a heartbeat, and the heart's function, as Slicer keeps them: two tables and a chart in the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from SIFALib.support.errors import RequestError
from slicer.i18n import tr as _

from . import CineNodes, Results, SceneConversion, Sequences

if TYPE_CHECKING:
    from SIFALib.inference.heart_function import HeartFunction

# Roles of the references from the segmentation node.
FUNCTION = "SIFA.HeartFunction"
CURVE = "SIFA.VolumeCurve"
SERIES = "SIFA.VolumeSeries"
RIGHT_SERIES = "SIFA.VolumeSeriesRight"
CHART = "SIFA.VolumeChart"
VENTRICLE, MUSCLE, RIGHT_VENTRICLE = "LV", "MYO", "RV"
Functions = Sequence[tuple[str, "HeartFunction"]]
"""Of each ventricle that has one the structure's id and its function."""


@dataclass(frozen=True)
class Curve:
    """Volumes at every time point. time: numbers, and their name with unit; volumes: ml by structure id, NaN where it
    was not found; names, colors (RGB 0..1): by structure id; heartRate: beats a minute, None if not known."""

    time: np.ndarray
    timeName: str
    volumes: dict[str, np.ndarray]
    names: dict[str, str]
    colors: dict[str, tuple[float, ...]]
    heartRate: float | None = None

    def function(self) -> HeartFunction:
        """ValueError says why there is none."""
        from SIFALib.inference.heart_function import heart_function

        if VENTRICLE not in self.volumes:
            raise RequestError(_("Without the left ventricle there is no ejection fraction; select it under Advanced."))
        muscle = self.volumes.get(MUSCLE)
        return heart_function(self.volumes[VENTRICLE].tolist(), muscle.tolist() if muscle is not None else None)

    def rightFunction(self) -> HeartFunction | None:
        """That of the right ventricle; None if nobody asked for it. ValueError says why there is none else."""
        from SIFALib.inference.heart_function import RIGHT, heart_function

        blood = self.volumes.get(RIGHT_VENTRICLE)
        return None if blood is None else heart_function(blood.tolist(), ventricle=RIGHT)

    def functions(self) -> tuple[list[tuple[str, HeartFunction]], list[str]]:
        """Of each ventricle that has one the structure's id and its function, the left one first; and sentences on why
        others have none."""
        found, failures = [], []
        for structureId, function in ((VENTRICLE, self.function), (RIGHT_VENTRICLE, self.rightFunction)):
            try:
                made = function()
            except ValueError as error:
                failures.append(str(error))
            else:
                found += [(structureId, made)] if made is not None else []
        return found, failures

    def column(self, structureId: str) -> str:
        return _("{structure} (ml)").format(structure=self.names[structureId])


def curve(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> Curve:
    """From the segments of all time points as they are now, edits included. RequestError if it is no such result."""
    result = Sequences.result(segmentationNode)
    if result is None:
        name = segmentationNode.GetName() if segmentationNode is not None else _("This node")
        raise RequestError(_("{name} is no segmentation of all time points by SIFA.").format(name=name))
    rows = [{row.structureId: row for row in Results.rows(item)} for item in result.items]
    known = {structureId: row for time in rows for structureId, row in time.items()}
    volumes = {
        structureId: np.array([time[structureId].volumeMl if structureId in time else 0.0 for time in rows])
        for structureId in known
    }
    times, name = _times(result.sequence)
    return Curve(
        times,
        name,
        {structureId: np.where(ml > 0, ml, np.nan) for structureId, ml in volumes.items()},
        {structureId: row.name for structureId, row in known.items()},
        {structureId: tuple(c / 255 for c in row.color) for structureId, row in known.items()},
        (CineNodes.said(SceneConversion.referenceVolume(result.node)) or {}).get("heart_rate"),
    )


def _times(sequence: slicer.vtkMRMLSequenceNode) -> tuple[np.ndarray, str]:
    """The index as numbers, or counted from 1 if it is text."""
    values = [sequence.GetNthIndexValue(number) for number in range(sequence.GetNumberOfDataNodes())]
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return np.arange(1.0, len(values) + 1), _("Time point")
    name, unit = sequence.GetIndexName() or _("Time"), sequence.GetIndexUnit()
    return numbers, f"{name} ({unit})" if unit else name


def quantities(functions: Functions, heartRate: float | None = None) -> list[tuple[str, float, str]]:
    """What is told of the heart's function: name, value, unit; the left ventricle is not named, the right one is."""
    rows = []
    for structureId, function in functions:
        right = structureId == RIGHT_VENTRICLE
        told = ofOne(function, heartRate)
        rows += [(_("RV: {quantity}").format(quantity=n) if right else n, v, u) for n, v, u in told]
    return rows


def ofOne(function: HeartFunction, heartRate: float | None = None) -> list[tuple[str, float, str]]:
    """The same of one ventricle, by names alone."""
    rows = [
        (_("End-diastolic volume"), function.edv_ml, "ml"),
        (_("End-systolic volume"), function.esv_ml, "ml"),
        (_("Stroke volume"), function.stroke_volume_ml, "ml"),
        (_("Ejection fraction"), 100 * function.ejection_fraction, "%"),
    ]
    if heartRate:
        rows.append((_("Cardiac output"), function.stroke_volume_ml * heartRate / 1000.0, "l/min"))
    return rows if function.mass_g is None else [*rows, (_("Myocardial mass"), function.mass_g, "g")]


def write(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Curve:
    """Make the tables and the chart of a result, or bring them up to date; what is not known is taken away."""
    found = curve(segmentationNode)
    table = _node(segmentationNode, CURVE, "vtkMRMLTableNode", _("{scan} volumes over time"))
    volumes = {found.column(structureId): ml for structureId, ml in found.volumes.items()}
    _fill(table, {found.timeName: found.time, **volumes})
    if VENTRICLE in found.volumes:
        _chart(segmentationNode, found, table)
    else:
        _remove(segmentationNode, CHART, SERIES, RIGHT_SERIES)
    rows = quantities(found.functions()[0], found.heartRate)
    if not rows:
        _remove(segmentationNode, FUNCTION)
    else:
        names, values, units = zip(*rows, strict=True)
        table = _node(segmentationNode, FUNCTION, "vtkMRMLTableNode", _("{scan} heart function"))
        _fill(table, {_("Quantity"): names, _("Value"): [round(value, 1) for value in values], _("Unit"): units})
    return found


def _remove(segmentationNode: slicer.vtkMRMLSegmentationNode, *roles: str) -> None:
    for node in filter(None, map(segmentationNode.GetNodeReference, roles)):
        slicer.mrmlScene.RemoveNode(node)


def _node(segmentationNode: slicer.vtkMRMLSegmentationNode, role: str, kind: str, name: str) -> slicer.vtkMRMLNode:
    """The node that the segmentation refers to by this role, made if there is none yet."""
    node = segmentationNode.GetNodeReference(role)
    if node is None:
        scan = SceneConversion.referenceVolume(segmentationNode)
        whole = Sequences.browsed(scan)
        name = name.format(scan=whole.name if whole else (scan or segmentationNode).GetName())
        node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))
        segmentationNode.SetNodeReferenceID(role, node.GetID())
        SceneConversion.placeBeside(node, segmentationNode)
    return node


def _fill(tableNode: slicer.vtkMRMLTableNode, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Put columns of texts or numbers into a table node, which counts as changed only if they are others."""
    table = vtk.vtkTable()
    for title, cells in columns.items():
        column = vtk.vtkStringArray() if isinstance(cells[0], str) else vtk.vtkDoubleArray()
        column.SetName(title)
        for cell in cells:
            column.InsertNextValue(cell)
        table.AddColumn(column)
    if _texts(tableNode.GetTable()) != _texts(table):
        tableNode.SetAndObserveTable(table)


def _texts(table: vtk.vtkTable) -> list[list[str]]:
    columns = [(number, table.GetColumnName(number)) for number in range(table.GetNumberOfColumns())]
    rows = range(table.GetNumberOfRows())
    return [[title, *(table.GetValue(row, number).ToString() for row in rows)] for number, title in columns]


def _chart(segmentationNode: slicer.vtkMRMLSegmentationNode, found: Curve, table: slicer.vtkMRMLTableNode) -> None:
    """The chart of the left ventricle's volume, and of the right one's beside it where that is known."""
    chart = _node(segmentationNode, CHART, "vtkMRMLPlotChartNode", _("{scan} left ventricle over time"))
    _series(segmentationNode, found, table, chart, (SERIES, VENTRICLE, _("{scan} left ventricle")))
    both = RIGHT_VENTRICLE in found.volumes
    if both:
        _series(segmentationNode, found, table, chart, (RIGHT_SERIES, RIGHT_VENTRICLE, _("{scan} right ventricle")))
    else:
        _remove(segmentationNode, RIGHT_SERIES)
    chart.SetTitle(chart.GetName())
    chart.SetXAxisTitle(found.timeName)
    chart.SetYAxisTitle(_("Volume (ml)") if both else found.column(VENTRICLE))
    chart.SetLegendVisibility(both)


def _series(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    found: Curve,
    table: slicer.vtkMRMLTableNode,
    chart: slicer.vtkMRMLPlotChartNode,
    what: tuple[str, str, str],
) -> None:
    """Let the chart show the volume of a structure; what: role of the series, the structure's id, name of the series."""
    role, structureId, name = what
    series = _node(segmentationNode, role, "vtkMRMLPlotSeriesNode", name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName(found.timeName)
    series.SetYColumnName(found.column(structureId))
    series.SetColor(*found.colors[structureId])
    series.SetLineWidth(2)
    series.SetMarkerStyle(series.MarkerStyleCircle)
    if not chart.HasPlotSeriesNodeID(series.GetID()):
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
