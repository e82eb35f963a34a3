"""A 4D scan in the scene, as Slicer loads one: a beating ball in a shell, both of volumes that are known."""

from __future__ import annotations

from slicer_helpers import by_value, ijk_to_ras

# the line above sets the stage on which the others can be imported
# isort: split
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from SIFALib.inference.segmentation import NoHeartFound

SIZE = (40, 36, 32)
SPACING = (2.0, 2.2, 2.4)  # mm
RADII = (20.0, 17.0, 13.0, 12.0, 15.0, 19.0)  # mm, of the left ventricle
SHELL_ML = 40.0
MUSCLE, VENTRICLE = 100, 300  # grey values that `by_value` takes for their structures


@dataclass(frozen=True)
class Scan:
    """lv_ml, muscle_ml: what the voxels hold at every time point."""

    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode
    volume: slicer.vtkMRMLScalarVolumeNode
    lv_ml: np.ndarray
    muscle_ml: np.ndarray


def heart(radius: float) -> np.ndarray:
    """int16 [k, j, i]: the ball, in a shell of SHELL_ML."""
    k, j, i = np.indices(SIZE[::-1])
    center = (np.array(SIZE) - 1) / 2
    distance = np.linalg.norm((np.stack([i, j, k], axis=-1) - center) * SPACING, axis=-1)
    outer = (radius**3 + SHELL_ML * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    return np.select([distance < radius, distance < outer], [VENTRICLE, MUSCLE], 0).astype(np.int16)


def add_beating(radii=RADII, name: str = "Patient 7", turn=(0, 0, 0), missing=()) -> Scan:
    """missing: time points whose image shows nothing. One item each 40 ms; the first is shown."""
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, ijk_to_ras(SIZE, SPACING, turn))
    images = [np.zeros(SIZE[::-1], np.int16) if t in missing else heart(r) for t, r in enumerate(radii)]
    for number, image in enumerate(images):
        item = slicer.vtkMRMLScalarVolumeNode()
        item.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(item, image)
        sequence.SetDataNodeAtValue(item, str(40 * number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.AddSynchronizedSequenceNodeID(sequence.GetID())
    browser.SelectFirstItem()
    ml = float(np.prod(SPACING)) / 1000
    counts = [[np.count_nonzero(image == value) * ml for image in images] for value in (VENTRICLE, MUSCLE)]
    volume = browser.GetProxyNode(sequence)
    volume.SetName(name)
    return Scan(browser, sequence, volume, np.array(counts[0]), np.array(counts[1]))


def node_ids() -> set[str]:
    return {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}


def table_rows(node) -> list[list[str]]:
    table = node.GetTable()
    rows, columns = range(table.GetNumberOfRows()), range(table.GetNumberOfColumns())
    return [[table.GetValue(row, column).ToString() for column in columns] for row in rows]


def follow_every_20_ms(scan: Scan) -> None:
    """Let the scan's browser follow a sequence of twice as many items, as of a trigger signal."""
    master = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "Signal")
    master.CopySequenceIndex(scan.sequence)
    for number in range(2 * scan.sequence.GetNumberOfDataNodes()):
        master.SetDataNodeAtValue(slicer.vtkMRMLTextNode(), str(20 * number))
    scan.browser.AddSynchronizedSequenceNodeID(master.GetID())
    scan.browser.SetAndObserveMasterSequenceNodeID(master.GetID())
    scan.browser.SelectFirstItem()


def refuse_when_empty(volume) -> np.ndarray:
    """As the library does where an image shows no heart."""
    if not np.asarray(volume.array).any():
        raise NoHeartFound("No heart was found.")
    return by_value(volume)
