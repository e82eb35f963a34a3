"""The volumes of one result, to be taken along: as text, as a file, as a table of the scene."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk
from SIFALib.support import files
from slicer.i18n import tr as _

from . import SceneConversion
from .Results import Row

TABLE = "SIFA.Volumes"  # role of the reference from a segmentation node to its table of volumes


def titles() -> list[str]:
    return [_("Structure"), _("Volume (ml)"), _("Expected Dice")]


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """Numbers with a point, whatever the language, as a spreadsheet and a program read them."""
    return [[r.name, f"{r.volumeMl:.2f}", "" if r.sure is None else f"{r.sure:.3f}"] for r in rows]


def text(rows: Sequence[Row]) -> str:
    """As the clipboard takes it: a spreadsheet puts it into columns."""
    return "\n".join("\t".join(line) for line in [titles(), *cells(rows)]) + "\n"


def save(rows: Sequence[Row], path: Path) -> Path:
    """Write a CSV file, with that ending; returns its path. OSError."""
    path = path if path.suffix.lower() == ".csv" else path.with_name(path.name + ".csv")
    lines = io.StringIO()
    csv.writer(lines).writerows([titles(), *cells(rows)])
    files.write_text(path, lines.getvalue())
    return path


def toScene(segmentationNode: slicer.vtkMRMLSegmentationNode, rows: Sequence[Row]) -> slicer.vtkMRMLTableNode:
    """A table node of the scene beside the segmentation; the one of an earlier call is filled anew."""
    table = segmentationNode.GetNodeReference(TABLE)
    if table is None:
        name = _("{segmentation} volumes").format(segmentation=segmentationNode.GetName())
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name))
        segmentationNode.SetNodeReferenceID(TABLE, table.GetID())
        SceneConversion.placeBeside(table, segmentationNode)
    table.RemoveAllColumns()
    doubts = [math.nan if r.sure is None else r.sure for r in rows]
    values: list[list[Any]] = [[r.name for r in rows], [r.volumeMl for r in rows], doubts]
    for title, column in zip(titles(), values, strict=True):
        array = vtk.vtkStringArray() if title == titles()[0] else vtk.vtkDoubleArray()
        array.SetName(title)
        for value in column:
            array.InsertNextValue(value)
        table.AddColumn(array)
    return table
