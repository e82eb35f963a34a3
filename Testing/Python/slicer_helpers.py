"""What the tests of the Slicer side share: the stage, volumes in the scene, a predictable segmenter."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import tiny_models
from HeadlessSlicer import stage
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.segmentation import Options, Progress, Result
from SIFALib.models import store as models
from SIFALib.models.structures import STRUCTURES

WORLD = stage.start()
import slicer  # noqa: E402 - after the stage has chosen an offscreen renderer

stage.load_modules()
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # and back
IDS = tuple(s.id for s in STRUCTURES)

Rule = Callable[[Volume], np.ndarray]  # the world-space volume that the logic hands over -> uint8 labels


def by_value(volume: Volume) -> np.ndarray:
    """Voxels near 100, 200, 300, 400 are structures 1, 2, 3, 4."""
    return np.clip(np.rint(np.asarray(volume.array, float) / 100.0), 0, 4).astype(np.uint8)


def balls(points: np.ndarray) -> np.ndarray:
    """Labels 1..4 at LPS points [..., 3]: four balls, none symmetric to another."""
    centres = np.array([(12.0, -8.0, 5.0), (-14.0, 10.0, 9.0), (6.0, 14.0, -12.0), (-10.0, -12.0, -10.0)])
    labels = np.zeros(points.shape[:-1], np.uint8)
    for value, (centre, radius) in enumerate(zip(centres, (9.0, 8.0, 7.0, 6.0), strict=True), start=1):
        labels[np.linalg.norm(points - centre, axis=-1) < radius] = value
    return labels


def grid_points(geometry: Geometry) -> np.ndarray:
    """[K, J, I, 3] LPS mm."""
    k, j, i = np.indices(geometry.shape)
    return geometry.point(np.stack([i, j, k], axis=-1))


def by_place(volume: Volume) -> np.ndarray:
    """`balls` in the world, whatever the image shows: right only if the geometry that arrives is."""
    return balls(grid_points(volume.geometry))


class FakeBackend:
    """Labels by a rule, in `count` steps; remembers what it was given. Its store holds a real package."""

    def __init__(self, folder: Path, rule: Rule = by_value, count: int = 3):
        if not (folder / "bundled").exists():
            models.write_package(
                folder / "bundled" / "tiny", tiny_models.state(), **tiny_models.card_fields()
            )
        self._store = models.ModelStore(folder / "bundled", folder / "user")
        self.rule, self.count = rule, count
        self.volume: Volume | None = None
        self.given: Options | None = None
        self.taken = 0
        self.closed = False
        self.before_step: Callable[[int], None] = lambda step: None

    def store(self) -> models.ModelStore:
        return self._store

    def options(self, **choices) -> Options:
        return Options(**choices)

    def steps(self, volume: Volume, package, options: Options) -> Generator[Progress, None, Result]:
        self.volume, self.given = volume, options
        try:
            for step in itertools.islice(itertools.count(), self.count):
                self.before_step(step)
                self.taken += 1
                yield Progress("Segmenting", step / self.count, float(self.count - step))
        finally:
            self.closed = True
        wanted = [s for s in STRUCTURES if options.structures is None or s.id in options.structures]
        labels = self.rule(volume)
        labels[~np.isin(labels, [s.value for s in wanted])] = 0
        voxel = volume.geometry.voxel_ml
        flag = {"structure": "LA", "kind": "fragments", "message": "Left atrium is in 2 pieces; check it."}
        report = {
            "model": {"id": package.card.id, "version": package.card.version},
            "plane": "axial",
            "device": "cpu",
            "precision": "float32",
            "seconds": {"network": 1.0},
            "volumes_ml": {s.id: float((labels == s.value).sum() * voxel) for s in wanted},
            "flags": [flag] if "LA" in {s.id for s in wanted} else [],
            "notes": [],
            "expected_dice": {s.id: 0.9 - 0.1 * s.value for s in wanted},
        }
        unsure = None
        if options.uncertainty:
            unsure = Volume((labels > 0).astype(np.float16) / 2, volume.geometry, "uncertainty")
        return Result(Volume(labels, volume.geometry, volume.name), None, report, unsure)


class ReadyDependencies:
    """Everything is installed; says how often it was asked."""

    def __init__(self):
        self.asked = 0
        self.python = sys.executable

    def ensure(self) -> None:
        self.asked += 1

    def trySteps(self):
        return iter(())


def rotation(*degrees: float) -> np.ndarray:
    """4x4: turns about x, then y, then z."""
    matrix = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(4)
        a, b = [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def ijk_to_ras(size=(64, 56, 48), spacing=(1.0, 1.1, 1.2), turn=(0, 0, 0), flip=(1, 1, 1)) -> np.ndarray:
    """A grid about the origin of the world."""
    matrix = rotation(*turn) @ np.diag([*(s * f for s, f in zip(spacing, flip, strict=True)), 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(size) - 1) / 2)
    return matrix


def add_volume(array: np.ndarray, matrix: np.ndarray, name: str = "Scan"):
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name=name)


def world_points(node) -> np.ndarray:
    """[K, J, I, 3] LPS mm of a volume node's voxels under its transforms; by VTK, point for point."""
    import vtk

    placement = vtk.vtkGeneralTransform()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetTransformToWorld(placement)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    k, j, i = np.indices(node.GetImageData().GetDimensions()[::-1])
    index = np.stack([i, j, k], axis=-1).reshape(-1, 3)
    points = np.array([placement.TransformPoint(p) for p in index @ to_ras[:3, :3].T + to_ras[:3, 3]])
    return (points @ LPS[:3, :3]).reshape(*i.shape, 3)


def add_linear_transform(matrix: np.ndarray, parent=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Placed")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def exported_labels(segmentation, volume) -> np.ndarray:
    """Labels 0..4 in the volume's grid, as Slicer itself exports them."""
    import vtk

    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "exported")
    ids = vtk.vtkStringArray()
    for segment_id in IDS:
        if segmentation.GetSegmentation().GetSegment(segment_id):
            ids.InsertNextValue(segment_id)
    slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(segmentation, ids, labels, volume)
    array = slicer.util.arrayFromVolume(labels).copy()
    slicer.mrmlScene.RemoveNode(labels)
    values = np.array([0] + [s.value for s in STRUCTURES if segmentation.GetSegmentation().GetSegment(s.id)])
    return values[array].astype(np.uint8)


def dice(a: np.ndarray, b: np.ndarray, value: int) -> float:
    return 2.0 * ((a == value) & (b == value)).sum() / ((a == value).sum() + (b == value).sum())
