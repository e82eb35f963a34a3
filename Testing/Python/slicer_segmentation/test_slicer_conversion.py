"""Volumes go from the scene to the library and come back right, wherever they stand."""

from __future__ import annotations

from slicer_helpers import (
    IDS,
    LPS,
    FakeBackend,
    ReadyDependencies,
    add_linear_transform,
    add_volume,
    balls,
    by_place,
    by_value,
    dice,
    exported_labels,
    grid_points,
    ijk_to_ras,
    rotation,
    stage,
    world_points,
)

# the lines above set the stage on which the others can be imported
# isort: split
import numpy as np
import pytest
import slicer
import vtk
from SIFALib.models.structures import PAPERS
from SIFALib.support.errors import VolumeError
from SIFASegmentationLib import EditorGeometry, GridResampling, SceneConversion

from SIFASegmentation import SIFASegmentationLogic

SIZE = (64, 56, 48)
GRIDS = {
    "axial": ijk_to_ras(SIZE),
    "as DICOM has it": ijk_to_ras(SIZE, flip=(-1, -1, 1)),
    "mirrored": ijk_to_ras(SIZE, flip=(1, -1, 1)),
    "oblique": ijk_to_ras(SIZE, turn=(25, -12, 40)),
    "sagittal": ijk_to_ras(SIZE, spacing=(1.0, 1.2, 1.4), turn=(90, 0, 90)),
}
SHEAR = np.array([[1, 0.25, 0, 2.0], [0, 1, 0.15, 0], [0, 0, 1, -3.0], [0, 0, 0, 1]])
TRANSFORMS = {
    "none": np.eye(4),
    "moved": np.array([[1, 0, 0, 4.0], [0, 1, 0, -3.0], [0, 0, 1, 2.5], [0, 0, 0, 1]]),
    "turned": rotation(30, -20, 55),
    "turned by half": rotation(0, 0, 180),
    "scaled": np.diag([1.2, 1.2, 1.2, 1.0]),
    "sheared": SHEAR,
    "sheared and turned": rotation(10, 20, 30) @ SHEAR,
}


def image_of(labels: np.ndarray) -> np.ndarray:
    return (100 * labels.astype(np.int16)).astype(np.int16)


def segment(tmp_path, node, rule=by_value, **choices):
    backend = FakeBackend(tmp_path, rule)
    segmentation = SIFASegmentationLogic(backend, ReadyDependencies()).segment(node, **choices)
    return backend, segmentation


@pytest.mark.parametrize("grid", GRIDS)
def test_library_gets_every_voxel_at_its_place_in_the_patient(grid, tmp_path):
    array = np.random.default_rng(0).integers(-1000, 2000, SIZE[::-1]).astype(np.int16)
    node = add_volume(array, GRIDS[grid])
    backend, _ = segment(tmp_path, node)
    assert np.array_equal(backend.volume.array, array)
    assert backend.volume.array.dtype == np.int16
    assert np.allclose(grid_points(backend.volume.geometry), world_points(node), atol=1e-9)


@pytest.mark.parametrize("transform", ["none", "moved", "turned", "turned by half", "scaled"])
@pytest.mark.parametrize("grid", GRIDS)
def test_result_is_exact_voxel_for_voxel_in_every_right_angled_grid(grid, transform, tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS[grid])
    placed = add_linear_transform(TRANSFORMS[transform])
    node.SetAndObserveTransformNodeID(placed.GetID())
    truth = balls(world_points(node))
    slicer.util.updateVolumeFromArray(node, image_of(truth))
    for rule in (by_value, by_place):
        _, segmentation = segment(tmp_path, node, rule)
        assert segmentation.GetTransformNodeID() == placed.GetID()
        assert np.array_equal(exported_labels(segmentation, node), truth)
    assert all((truth == value).any() for value in (1, 2, 3, 4))


@pytest.mark.parametrize("transform", ["sheared", "sheared and turned", "warped"])
def test_library_sees_a_skewed_image_at_its_place_in_the_world(transform, tmp_path):
    """Every voxel holds its own x, y or z in the world, so the resampled copy must do so, too."""
    node = add_volume(np.zeros(SIZE[::-1], np.float32), GRIDS["oblique"])
    placed = warp() if transform == "warped" else add_linear_transform(TRANSFORMS[transform])
    node.SetAndObserveTransformNodeID(placed.GetID())
    points = world_points(node)
    for axis in range(3):
        slicer.util.updateVolumeFromArray(node, points[..., axis].astype(np.float32))
        backend, _ = segment(tmp_path, node)
        expected = grid_points(backend.volume.geometry)[..., axis]
        seen = backend.volume.array > points[..., axis].min() + 1e-3
        assert seen.mean() > 0.4
        # half a voxel at the rim is held constant, so 5 % of the voxels may be further off
        assert np.percentile(np.abs(backend.volume.array - expected)[seen], 95) < 0.1


def warp():
    """A grid transform whose vectors vary by up to 6 mm over 100 mm."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Warped")
    n, spacing = 13, 10.0
    at = (np.arange(n) - (n - 1) / 2) * spacing
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    vectors = np.stack([3 * np.sin(y / 25), 3 * np.cos(z / 30), 3 * np.sin(x / 28 + 1)], axis=-1)
    image = vtk.vtkImageData()
    image.SetDimensions(n, n, n)
    image.SetSpacing(spacing, spacing, spacing)
    image.SetOrigin(at[0], at[0], at[0])
    scalars = vtk.util.numpy_support.numpy_to_vtk(vectors.reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(scalars)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToCubic()
    node.SetAndObserveTransformFromParent(transform)
    return node


@pytest.mark.parametrize("transform", ["sheared", "sheared and turned", "warped and turned"])
def test_skewed_volume_comes_out_right(transform, tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    if transform in TRANSFORMS:
        placed = add_linear_transform(TRANSFORMS[transform])
    else:
        placed = warp()
        placed.SetAndObserveTransformNodeID(add_linear_transform(TRANSFORMS["turned"]).GetID())
    node.SetAndObserveTransformNodeID(placed.GetID())
    truth = balls(world_points(node))
    slicer.util.updateVolumeFromArray(node, image_of(truth))
    backend, segmentation = segment(tmp_path, node, by_place)
    axes = backend.volume.geometry.axes
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert segmentation.GetTransformNodeID() == placed.GetID()
    labels = exported_labels(segmentation, node)
    assert min(dice(labels, truth, value) for value in (1, 2, 3, 4)) > 0.93


def test_transforms_above_transforms_are_all_followed(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["axial"])
    outer = add_linear_transform(TRANSFORMS["turned"])
    inner = add_linear_transform(TRANSFORMS["moved"], parent=outer)
    node.SetAndObserveTransformNodeID(inner.GetID())
    truth = balls(world_points(node))
    _, segmentation = segment(tmp_path, node, by_place)
    assert np.array_equal(exported_labels(segmentation, node), truth)


def test_segmentation_stays_on_the_volume_when_the_transform_changes_later(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    placed = add_linear_transform(TRANSFORMS["turned"])
    node.SetAndObserveTransformNodeID(placed.GetID())
    _, segmentation = segment(tmp_path, node, by_place)
    before = exported_labels(segmentation, node)
    slicer.util.updateTransformMatrixFromArray(placed, TRANSFORMS["moved"])
    assert np.array_equal(exported_labels(segmentation, node), before)


@pytest.mark.parametrize("transform", ["none", "moved", "turned", "scaled"])
def test_result_is_edited_in_the_grid_of_the_volume_where_that_stands(transform, tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    node.SetAndObserveTransformNodeID(add_linear_transform(TRANSFORMS[transform]).GetID())
    _, segmentation = segment(tmp_path, node, by_place)
    grid, placed = EditorGeometry.gridOf(segmentation, node), SceneConversion.Placement.of(node)
    assert grid.size == placed.size
    ends = np.array([[0, 0, 0], np.array(SIZE) - 1])
    np.testing.assert_allclose(grid.worldPoints(ends), placed.worldPoints(ends), atol=1e-3)


@pytest.mark.parametrize("transform", ["moved", "turned", "sheared", "warped"])
@pytest.mark.parametrize("moves", ["volume", "segmentation"])
def test_what_a_person_has_drawn_stays_where_it_was_in_the_world(moves, transform, tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    world = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["axial"], "World")
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    placed = warp() if transform == "warped" else add_linear_transform(TRANSFORMS[transform])
    (node if moves == "volume" else mine).SetAndObserveTransformNodeID(placed.GetID())
    own = mine.GetSegmentation().AddEmptySegment("Tumour", "Tumour")
    drawn = np.zeros(SIZE[::-1], np.uint8)
    drawn[20:30, 22:34, 25:40] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, mine, own, world)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(mine, own, world).copy()
    truth = balls(world_points(node))
    slicer.util.updateVolumeFromArray(node, image_of(truth))
    standing = mine.GetTransformNodeID()
    for _ in range(2):
        _, segmentation = segment(tmp_path, node, by_place, outputSegmentation=mine)
        assert segmentation is mine and mine.GetTransformNodeID() == standing
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(mine, own, world), before) and before.any()
        labels = exported_labels(mine, node)
        least = 1.0 if transform in ("moved", "turned") else 0.85  # resampled thrice on the way, balls of 6 to 9 voxels
        assert min(dice(labels, truth, value) for value in (1, 2, 3, 4)) >= least


def test_a_result_without_segments_of_a_persons_follows_the_volume(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    _, segmentation = segment(tmp_path, node, by_place)
    placed = add_linear_transform(TRANSFORMS["turned"])
    node.SetAndObserveTransformNodeID(placed.GetID())
    _, again = segment(tmp_path, node, by_place, outputSegmentation=segmentation)
    assert again is segmentation and again.GetTransformNodeID() == placed.GetID()
    assert np.array_equal(exported_labels(again, node), balls(world_points(node)))


def test_flattening_transform_and_colour_volume_are_refused_in_words(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["axial"])
    node.SetAndObserveTransformNodeID(add_linear_transform(np.diag([1.0, 1.0, 0.0, 1.0])).GetID())
    photo = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    slicer.util.updateVolumeFromArray(photo, np.zeros((20, 20, 20, 3), np.uint8))
    for refused, said in ((node, "flattens it to nothing"), (photo, "Photo has 3 values a voxel")):
        with pytest.raises(VolumeError, match=said):
            segment(tmp_path, refused)


def test_volumes_in_ml_are_those_of_the_world(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    node.SetAndObserveTransformNodeID(add_linear_transform(TRANSFORMS["scaled"]).GetID())
    truth = balls(world_points(node))
    _, segmentation = segment(tmp_path, node, by_place)
    rows = SIFASegmentationLogic.results(segmentation)
    voxel_ml = 1.0 * 1.1 * 1.2 * 1.2**3 / 1000
    assert [row.structureId for row in rows] == list(IDS)
    for row, value in zip(rows, (1, 2, 3, 4), strict=True):
        assert row.volumeMl == pytest.approx((truth == value).sum() * voxel_ml, rel=1e-6)


def test_roi_reaches_the_library_in_its_own_axes(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["axial"])
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Heart")
    roi.SetCenter(10, -20, 30)
    roi.SetSize(40, 60, 80)
    backend, _ = segment(tmp_path, node, roi=roi)
    assert backend.given.roi == pytest.approx((-30, 10, -10, 50, -10, 70))
    roi.SetAndObserveTransformNodeID(add_linear_transform(TRANSFORMS["moved"]).GetID())
    backend, _ = segment(tmp_path, node, roi=roi)
    assert backend.given.roi == pytest.approx((-34, 6, -7, 53, -7.5, 72.5))


def test_saved_segmentation_of_one_layer_reloads_with_names_colours_and_codes(tmp_path):
    node = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    truth = balls(world_points(node))
    _, segmentation = segment(tmp_path, node, by_place)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is node
    storage = segmentation.CreateDefaultStorageNode()
    slicer.mrmlScene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "heart.seg.nrrd"))
    assert storage.WriteData(segmentation) == 1
    stage.clear_scene()
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "heart.seg.nrrd"))
    back = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "back")
    assert storage.ReadData(back) == 1
    again = add_volume(np.zeros(SIZE[::-1], np.int16), GRIDS["oblique"])
    assert np.array_equal(exported_labels(back, again), truth)
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    for structure in PAPERS:
        found = back.GetSegmentation().GetSegment(structure.id)
        assert found.GetName() == structure.name
        assert np.allclose(found.GetColor(), np.array(structure.color) / 255, atol=1e-3)
        tag, entry = vtk.reference(""), slicer.vtkSlicerTerminologyEntry()
        assert found.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
        assert logic.DeserializeTerminologyEntry(str(tag), entry)
        assert entry.GetTypeObject().GetCodeValue() == structure.type.value
        assert entry.GetTypeObject().GetCodeMeaning() == structure.type.meaning
        assert entry.GetCategoryObject().GetCodeValue() == "123037004"
        nothing = (entry.GetTypeModifierObject(), entry.GetRegionObject(), entry.GetRegionModifierObject())
        assert {each.GetCodeValue() for each in nothing} == {None}, "the exporter leaves out what is None only"
        for name, said in (("Type", "AUTOMATIC"), ("Name", "SIFA tiny@1.0.0")):
            assert found.GetTag(f"DICOM.SegmentAlgorithm{name}", tag)
            assert str(tag) == said, "without it the exporter says MANUAL"


@pytest.mark.parametrize("size", [(7, 5, 4), (1, 6, 13), (20, 20, 2)])
def test_interpolated_index_map_is_exact_for_a_linear_map(size):
    rng = np.random.default_rng(3)
    matrix, shift = rng.normal(size=(3, 3)), rng.normal(size=3)
    planes = GridResampling.sourceIndexPlanes(size, lambda index: index @ matrix.T + shift)
    for k, plane in enumerate(planes):
        j, i = np.indices(size[1::-1])
        expected = np.stack([i, j, np.full_like(i, k)], axis=-1) @ matrix.T + shift
        assert np.allclose(plane, expected, atol=1e-12)


def test_trilinear_values_are_those_of_a_linear_image():
    k, j, i = np.indices((6, 7, 8))
    array = (2.0 * i - 3.0 * j + 0.5 * k).astype(np.float32)
    index = np.random.default_rng(0).uniform(0, 5, (50, 3))
    assert np.allclose(GridResampling.linear(array, index, -1), index @ [2.0, -3.0, 0.5], atol=1e-4)
    assert GridResampling.linear(array, np.array([[-0.6, 0, 0], [0, 6.6, 0]]), -9.0).tolist() == [-9.0, -9.0]
    assert GridResampling.nearest(array, np.array([[1.4, 2.6, 0.2]]), -9.0).tolist() == [2.0 - 9.0]


def test_conversion_of_axes_is_its_own_inverse():
    assert np.array_equal(LPS, SceneConversion.RAS_TO_LPS) and np.array_equal(LPS @ LPS, np.eye(4))
