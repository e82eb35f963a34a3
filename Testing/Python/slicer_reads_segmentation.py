"""Read .seg.nrrd files with 3D Slicer's own code and say what Slicer sees. Run in a process of its own.

    python slicer_reads_segmentation.py OUTPUT_FOLDER FILE...

For FILE number n it writes n.json (segments, reference geometry, matrix), n.npy (the labels on the grid of
the file's reference geometry) and n.seg.nrrd (the same segmentation, written again by Slicer).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk


def storage(scene: Any, path: Path) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    node.SetFileName(str(path))
    return node


def describe(scene: Any, path: Path, target: Path) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "read")
    assert storage(scene, path).ReadData(node) == 1, f"Slicer cannot read {path}"
    segmentation = node.GetSegmentation()
    segments = []
    for n in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(n)
        tag = vtk.reference("")
        segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
        made_by = [vtk.reference(""), vtk.reference("")]
        for name, value in zip(("Type", "Name"), made_by, strict=True):
            segment.GetTag(f"DICOM.SegmentAlgorithm{name}", value)
        segments.append(
            {
                "id": segmentation.GetNthSegmentID(n),
                "name": segment.GetName(),
                "color": list(segment.GetColor()),
                "value": segment.GetLabelValue(),
                "terminology": str(tag),
                "made by": [str(value) for value in made_by],
            }
        )
    export = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "exported")
    ids = vtk.vtkStringArray()
    segmentation.GetSegmentIDs(ids)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    extent_of_reference = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    assert logic.ExportSegmentsToLabelmapNode(node, ids, export, None, extent_of_reference)
    matrix = vtk.vtkMatrix4x4()
    export.GetIJKToRASMatrix(matrix)
    empty = export.GetImageData().GetPointData().GetScalars() is None  # Slicer's way with nothing to export
    labels = np.zeros(0, np.uint8) if empty else slicer.util.arrayFromVolume(export)
    np.save(target.with_suffix(".npy"), labels)
    facts = {
        "segments": segments,
        "reference": segmentation.GetConversionParameter("Reference image geometry"),
        "layers": segmentation.GetNumberOfLayers(),
        "ijk_to_ras": slicer.util.arrayFromVTKMatrix(matrix).tolist(),
    }
    target.with_suffix(".json").write_text(json.dumps(facts))
    assert storage(scene, target.with_suffix(".seg.nrrd")).WriteData(node) == 1


def main(folder: str, *paths: str) -> None:
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    for n, path in enumerate(paths):
        describe(scene, Path(path), Path(folder) / str(n))


if __name__ == "__main__":
    main(*sys.argv[1:])
