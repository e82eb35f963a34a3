"""Volume nodes into the library's volumes, and labels and maps back into nodes.

Slicer's world is RAS, the library's LPS; both in mm. The library always gets the volume where it stands in
the world, under its parent transforms, since it finds the heart by anatomical direction. A grid whose axes
stay at right angles there (any rigid transform, scaling along the axes) goes over as it is, voxel for voxel.
Any other (shear, warp) is resampled into the nearest right-angled box, and the labels are taken back into the
node's own grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from SIFALib.support.errors import VolumeError
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from . import GridResampling, Surfaces

if TYPE_CHECKING:
    from SIFALib.imaging import Geometry, Volume
    from SIFALib.models.structures import Structure

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SKEW_TOLERANCE = 1e-4  # cosine between two axes; moves a corner of a 500 mm volume by 0.05 mm
FINEST_COPY_MM = 0.8  # spacing of a resampled copy; the networks look at 1 mm
LARGEST_COPY = 2.0e8  # voxels
MAP_COLORS = "Inferno"  # one of Slicer's colour tables
MAP_SHOWN = 0.1  # below it, a map lets the scan through
OURS, ALGORITHM = "SIFA.Structure", "DICOM.SegmentAlgorithmName"  # tags of the segments that SIFA made


@dataclass(frozen=True)
class Placement:
    """A volume node's grid in the world.

    size: voxels (i, j, k). toNode: 4x4, voxel indices -> node RAS. toWorld: node RAS -> world RAS, any
    transform. linear: toWorld as 4x4, None for a warp.
    """

    size: tuple[int, int, int]
    toNode: np.ndarray
    toWorld: vtk.vtkGeneralTransform
    linear: np.ndarray | None

    @staticmethod
    def of(imageNode: slicer.vtkMRMLVolumeNode, volumeNode: slicer.vtkMRMLVolumeNode | None = None) -> Placement:
        """Of an image, under the transforms of `volumeNode`, which stands for it in the scene; None: its own."""
        volumeNode = volumeNode or imageNode
        matrix = vtk.vtkMatrix4x4()
        imageNode.GetIJKToRASMatrix(matrix)
        toNode = slicer.util.arrayFromVTKMatrix(matrix)
        return Placement(imageNode.GetImageData().GetDimensions(), toNode, *Placement.transformOf(volumeNode))

    @staticmethod
    def transformOf(node: slicer.vtkMRMLTransformableNode) -> tuple[vtk.vtkGeneralTransform, np.ndarray | None]:
        """`toWorld` and `linear` of what stands under the node's transforms."""
        toWorld, linear = vtk.vtkGeneralTransform(), np.eye(4)
        parent = node.GetParentTransformNode()
        if parent is None:
            return toWorld, linear
        parent.GetTransformToWorld(toWorld)
        if not parent.IsTransformToWorldLinear():
            return toWorld, None
        matrix = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(matrix)
        return toWorld, slicer.util.arrayFromVTKMatrix(matrix)

    def worldPoints(self, indices: np.ndarray) -> np.ndarray:
        """[N, 3] voxel indices (i, j, k) -> LPS mm in the world."""
        points = indices @ self.toNode[:3, :3].T + self.toNode[:3, 3]
        return _transformed(points, self.toWorld) @ RAS_TO_LPS[:3, :3]

    def indices(self, points: np.ndarray) -> np.ndarray:
        """[N, 3] LPS mm in the world -> continuous voxel indices (i, j, k)."""
        inside = _transformed(points @ RAS_TO_LPS[:3, :3], self.toWorld.GetInverse())
        index: np.ndarray = (inside - self.toNode[:3, 3]) @ np.linalg.inv(self.toNode[:3, :3]).T
        return index

    def geometry(self, sheared: bool = False) -> Geometry | None:
        """The world geometry if it is a right-angled grid, or a linear one at all if it may be sheared; else None."""
        if self.linear is None:
            return None
        matrix = RAS_TO_LPS @ self.linear @ self.toNode
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if spacing.min() <= 0:
            raise VolumeError(_("The volume's transform flattens it to nothing; correct the transform."))
        axes = matrix[:3, :3] / spacing
        if not sheared and np.abs(axes.T @ axes - np.eye(3)).max() > SKEW_TOLERANCE:
            return None
        return _geometry(self.size, matrix[:3, 3], spacing, axes)

    def centreSteps(self) -> np.ndarray:
        """[3, 3] LPS mm: column a is one step along index axis a, in the world, at the centre of the grid."""
        centre = (np.array(self.size) - 1) / 2
        steps: np.ndarray = (self.worldPoints(centre + np.eye(3) / 2) - self.worldPoints(centre - np.eye(3) / 2)).T
        return steps

    @property
    def voxelMl(self) -> float:
        """Volume of the central voxel in the world; of every voxel, unless the transform is a warp."""
        return float(abs(np.linalg.det(self.centreSteps()))) / 1000.0

    def uprightGeometry(self) -> Geometry:
        """A right-angled grid that holds the whole volume in the world and turns little from its axes."""
        columns = self.centreSteps()
        u, _scales, v = np.linalg.svd(columns)
        axes = u @ v  # the orthogonal matrix nearest to the local change of the map
        spacing = np.maximum(np.linalg.norm(columns, axis=0), FINEST_COPY_MM)
        lattice, _steps = GridResampling.indexLattice(self.size, lambda index: self.worldPoints(index))
        along = lattice.reshape(-1, 3) @ axes
        low, high = along.min(axis=0), along.max(axis=0)
        size = np.ceil((high - low) / spacing).astype(int) + 1
        if not np.isfinite(along).all() or size.prod() > LARGEST_COPY:
            raise VolumeError(_("The volume's transform stretches it too far to be segmented; correct the transform."))
        return _geometry(tuple(int(n) for n in size), axes @ low, spacing, axes)


def _geometry(size: Sequence[int], origin: np.ndarray, spacing: np.ndarray, axes: np.ndarray) -> Geometry:
    from SIFALib.imaging import Geometry

    def floats(values: np.ndarray) -> tuple[Any, ...]:
        return tuple(float(v) for v in np.ravel(values))

    i, j, k = size
    return Geometry((i, j, k), floats(origin), floats(spacing), floats(axes))


def _transformed(points: np.ndarray, transform: vtk.vtkAbstractTransform) -> np.ndarray:
    given, result = vtk.vtkPoints(), vtk.vtkPoints()
    given.SetDataTypeToDouble()
    result.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=float), deep=True))
    transform.TransformPoints(given, result)
    moved: np.ndarray = vtk_to_numpy(result.GetData()).copy()
    return moved


def volumeSteps(volumeNode: slicer.vtkMRMLVolumeNode, placement: Placement) -> Steps[Volume]:
    """The volume in the world; takes steps while it resamples a skewed or warped one. Raises VolumeError."""
    from SIFALib.imaging import Volume

    name = volumeNode.GetName()
    array = slicer.util.arrayFromVolume(volumeNode)
    if array.ndim != 3:
        text = _("{name} has {count} values a voxel (a colour image); a grey image is needed.")
        raise VolumeError(text.format(name=name, count=array.shape[-1]))
    geometry = placement.geometry()
    if geometry is not None:
        return Volume(array, geometry, name)
    upright = placement.uprightGeometry()
    copy = np.empty(upright.shape, np.float32)
    background = float(array.min())
    planes = GridResampling.sourceIndexPlanes(upright.size, lambda index: placement.indices(upright.point(index)))
    for k, plane in enumerate(planes):
        copy[k] = GridResampling.linear(array, plane, background)
        yield Progress(_("Straightening the volume"), (k + 1) / len(copy))
    return Volume(copy, upright, name)


def labelSteps(labels: Volume, placement: Placement) -> Steps[np.ndarray]:
    """Labels in the node's own grid, uint8 [k, j, i]; takes steps while it resamples."""
    return _backSteps(labels, placement, GridResampling.nearest, np.uint8)


def mapSteps(values: Volume, placement: Placement) -> Steps[np.ndarray]:
    """A map of numbers in the node's own grid, float32 [k, j, i], 0 outside; takes steps while it resamples."""
    return _backSteps(values, placement, GridResampling.linear, np.float32)


def _backSteps(
    values: Volume, placement: Placement, rule: Callable[[np.ndarray, np.ndarray, float], np.ndarray], kind: type
) -> Steps[np.ndarray]:
    if placement.geometry() is not None:
        return values.array.astype(kind, copy=False)
    own = np.zeros(placement.size[::-1], kind)
    back = GridResampling.sourceIndexPlanes(
        placement.size, lambda index: values.geometry.index(placement.worldPoints(index))
    )
    for k, plane in enumerate(back):
        own[k] = rule(values.array, plane, 0)
        yield Progress(_("Taking the result back into the volume's grid"), (k + 1) / len(own))
    return own


def roiBox(roiNode: slicer.vtkMRMLMarkupsROINode) -> tuple[float, ...]:
    """(xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm: the upright box around a Markups ROI in the world."""
    r = [0.0] * 6
    roiNode.GetRASBounds(r)
    return (-r[1], -r[0], -r[3], -r[2], r[4], r[5])


def fillSegmentation(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    volumeNode: slicer.vtkMRMLVolumeNode,
    labels: np.ndarray,
    structures: tuple[Structure, ...],
    model: str = "",
) -> None:
    """Put `labels` (uint8 [k, j, i] in the volume's own grid) into the node, one segment a structure.

    model: id@version of the one that made them, for the segments' tags. The node gets the volume as reference geometry
    and stands under the volume's parent transform.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    wasModifying = segmentationNode.StartModify()
    putSegments(segmentationNode, slicer.util.arrayFromVTKMatrix(matrix), labels, structures, model)
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    # Only now: what lies between the transforms of the two nodes, Slicer would put into the geometry, too.
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentationNode.EndModify(wasModifying)


def putSegments(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    toNode: np.ndarray,
    labels: np.ndarray,
    structures: tuple[Structure, ...],
    model: str = "",
) -> None:
    """Put `labels` (uint8 [k, j, i], whose voxel indices `toNode`, 4x4, takes to the node's RAS) into the node, one
    segment a structure. Segment ids are as `segmentIdOf` tells; other segments stay. The new ones share one layer.
    """
    from SIFALib.imaging.components import bounding_box

    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, toNode)
    image = slicer.vtkOrientedImageData()
    # What lies around the structures takes memory and says nothing.
    box = bounding_box(labels) if labels.any() else (slice(0, 1),) * 3
    image.SetExtent([end for side in reversed(box) for end in (side.start, side.stop - 1)])
    part = np.ascontiguousarray(labels[box])
    scalars = numpy_to_vtk(part.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(scalars)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    representation = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    wasModifying = segmentationNode.StartModify()
    segmentation = segmentationNode.GetSegmentation()
    hadSurfaces = Surfaces.areShown(segmentationNode)
    segmentationNode.RemoveClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationName(representation)
    for structure in structures:
        segmentId = segmentIdOf(segmentation, structure.id)
        if segmentation.GetSegment(segmentId) is not None:
            segmentation.RemoveSegment(segmentId)
        segment = slicer.vtkSegment()
        segment.SetName(structure.name)
        segment.SetColor(*(c / 255.0 for c in structure.color))
        # Slicer's terminology paints the chambers so alike that they cannot be told apart; ours stay what they are.
        segment.SetColorAutoGenerated(False)
        segment.SetNameAutoGenerated(False)
        for tag, value in {**structure.tags(model), OURS: structure.id}.items():
            segment.SetTag(tag, value)
        segment.SetLabelValue(structure.value)
        segment.AddRepresentation(representation, image)
        segmentation.AddSegment(segment, segmentId)
    segmentationNode.EndModify(wasModifying)
    if segmentationNode.GetDisplayNode() is None and segmentationNode.GetScene() is not None:
        segmentationNode.CreateDefaultDisplayNodes()
    if hadSurfaces:
        Surfaces.show(segmentationNode)


def segmentIdOf(segmentation: slicer.vtkSegmentation, structureId: str) -> str:
    """The id that SIFA's segment of a structure has there, or will have: the structure's own, unless a person has given
    that to another segment."""
    names = (f"{structureId} SIFA {number}".removesuffix(" 1") for number in count(1))
    return next(name for name in chain([structureId], names) if _isFree(segmentation, name))


def referenceVolume(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLVolumeNode | None:
    """The volume whose grid is the segmentation's; None if it has none."""
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def isMoved(segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the two stand under different transforms."""
    return bool(segmentationNode.GetTransformNodeID() != volumeNode.GetTransformNodeID())


def holdsOwn(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether it has segments that a person, or another module, has made."""
    segmentation = segmentationNode.GetSegmentation()
    return not all(_isFree(segmentation, segmentId) for segmentId in segmentation.GetSegmentIDs())


def _isFree(segmentation: slicer.vtkSegmentation, segmentId: str) -> bool:
    """Whether there is no segment of that id but one that SIFA made."""
    segment, made = segmentation.GetSegment(segmentId), vtk.reference("")
    if segment is None or segment.GetTag(OURS, made):
        return True
    return bool(segment.GetTag(ALGORITHM, made)) and str(made).startswith("SIFA ")  # of a version without OURS


def newSegmentation(volumeNode: slicer.vtkMRMLVolumeNode, scanName: str = "") -> slicer.vtkMRMLSegmentationNode:
    """A segmentation node in the scene, beside the volume and named after it, or after the scan that it shows."""
    name = _("{volume} segmentation").format(volume=scanName or volumeNode.GetName())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name))
    placeBeside(node, volumeNode)
    return node


def fillMap(mapNode: slicer.vtkMRMLScalarVolumeNode, volumeNode: slicer.vtkMRMLVolumeNode, values: np.ndarray) -> None:
    """Put `values` (float32 [k, j, i] in the volume's own grid, 0..1) into a scalar volume node, shown in colours."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    wasModifying = mapNode.StartModify()
    mapNode.SetIJKToRASMatrix(matrix)
    slicer.util.updateVolumeFromArray(mapNode, values)
    mapNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    mapNode.EndModify(wasModifying)
    if mapNode.GetDisplayNode() is None:
        mapNode.CreateDefaultDisplayNodes()
    display = mapNode.GetDisplayNode()
    colors = slicer.mrmlScene.GetFirstNodeByName(MAP_COLORS)
    if colors is not None:
        display.SetAndObserveColorNodeID(colors.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetLowerThreshold(MAP_SHOWN)
    display.SetApplyThreshold(True)


def structureVoxels(segmentationNode: slicer.vtkMRMLSegmentationNode, structureId: str) -> int:
    """Voxels of SIFA's segment of a structure, as it is now; 0 if there is none."""
    return voxelCount(segmentationNode, segmentIdOf(segmentationNode.GetSegmentation(), structureId))


def voxelCount(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str) -> int:
    """Voxels of a segment, as it is now; 0 if there is none of that id."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if segment is None:
        return 0
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(segmentationNode, segmentId)
    return 0 if array is None else int(np.count_nonzero(array == segment.GetLabelValue()))


def ijkToRas(geometry: Geometry) -> np.ndarray:
    """4x4: voxel indices -> RAS mm, as a node keeps the place of its voxels."""
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes * np.asarray(geometry.spacing)
    matrix[:3, 3] = geometry.origin
    ras: np.ndarray = RAS_TO_LPS @ matrix
    return ras


def placeBeside(node: slicer.vtkMRMLNode, volumeNode: slicer.vtkMRMLNode) -> None:
    """Put a node where the volume is in the subject hierarchy: same study, same folder."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    item, beside = (hierarchy.GetItemByDataNode(each) for each in (node, volumeNode))
    if hierarchy.GetInvalidItemID() not in (item, beside):
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))
