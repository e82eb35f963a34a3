"""Outlines of all time points as they are now, corrections included, on the grid of the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from . import SceneConversion, Sequences

if TYPE_CHECKING:
    from SIFALib.models.structures import Structure


def labelSteps(
    result: Sequences.Browsed, scan: Sequences.Browsed, structures: Sequence[Structure]
) -> Steps[np.ndarray]:
    """uint8 [t, k, j, i]; where segments overlap, the later structure counts."""
    phases = []
    for number, image in enumerate(scan.items):
        yield Progress(_("Reading the outlines"), number / scan.count)
        value = scan.sequence.GetNthIndexValue(number)
        item = result.sequence.GetDataNodeAtValue(value, True)
        phases.append(_labels(item, image, structures))
    return np.stack(phases)


def _labels(
    item: slicer.vtkMRMLSegmentationNode | None, image: slicer.vtkMRMLVolumeNode, structures: Sequence[Structure]
) -> np.ndarray:
    size = image.GetImageData().GetDimensions()
    labels = np.zeros(size[::-1], np.uint8)
    if item is None:
        return labels
    grid, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    image.GetIJKToRASMatrix(matrix)
    grid.SetExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    grid.SetGeometryFromImageToWorldMatrix(matrix)
    segmentation = item.GetSegmentation()
    kind = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(kind):
        segmentation.CreateRepresentation(kind)  # where surfaces were made what the outlines are
    layers: dict[int, np.ndarray] = {}
    for structure in structures:
        segment = segmentation.GetSegment(SceneConversion.segmentIdOf(segmentation, structure.id))
        layer = segment.GetRepresentation(kind) if segment is not None else None
        if layer is None:
            continue
        key = layer.GetAddressAsString("")
        if key not in layers:
            layers[key] = _onGrid(layer, grid)
        labels[layers[key] == segment.GetLabelValue()] = structure.value
    return labels


def _onGrid(layer: slicer.vtkOrientedImageData, grid: slicer.vtkOrientedImageData) -> np.ndarray:
    """The labels of a layer, which spans what was drawn only, on the whole grid."""
    whole = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    resample(layer, grid, whole, False)
    columns, rows, slices = whole.GetDimensions()
    found: np.ndarray = vtk_to_numpy(whole.GetPointData().GetScalars()).reshape(slices, rows, columns)
    return found
