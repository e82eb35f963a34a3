"""The scene, the logic and the real library with the bundled model, together."""

from __future__ import annotations

from slicer_helpers import (
    ReadyDependencies,
    add_linear_transform,
    add_volume,
    dice,
    exported_labels,
    ijk_to_ras,
    rotation,
)

# the lines above set the stage on which the others can be imported
# isort: split
import functools

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import tiny_models
from SIFALib import phantom
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models import store
from SIFASegmentationLib import PhantomSamples
from training_panel import TINY

from SIFASegmentation import SIFASegmentationLogic

SPACING_MM = 3.0
SHEAR = np.array([[1, 0.1, 0, 0], [0, 1, 0.08, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@functools.cache
def made(seed: int = 1):
    return phantom.make(seed, "ct", SPACING_MM)


@pytest.fixture(scope="module")
def logic():
    return SIFASegmentationLogic(dependencies=ReadyDependencies())


def add_phantom():
    return PhantomSamples.addVolume(made().image, "Phantom")


def add_heart_roi(volume):
    """A Markups ROI around the heart, in the world."""
    where = np.argwhere(made().labels.array > 0)[:, ::-1]
    corners = made().labels.geometry.point(np.stack([where.min(axis=0) - 4, where.max(axis=0) + 4]))
    corners = corners * [-1, -1, 1]
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Heart")
    roi.SetCenter(*corners.mean(axis=0))
    roi.SetSize(*np.abs(corners[1] - corners[0]))
    return roi


def set_grid(volume, matrix: np.ndarray) -> None:
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def grid_of(volume) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def dices(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice of the four structures; a missing one counts as 0."""
    return np.array([dice(labels, truth, value) for value in (1, 2, 3, 4)])


@pytest.mark.timeout(900)  # four scans
def test_phantom_is_segmented_wherever_it_lies_and_however_it_was_scanned(logic):
    """Against the truth as good under a shearing transform and scanned obliquely as it is; and the very same where it is
    stored oblique and brought back by a transform. In one plane: what three look like is no matter of the scene."""
    image, truth = made().image, made().labels
    volume = add_phantom()
    roi = add_heart_roi(volume)
    node = logic.segment(volume, roi=roi, views="one")
    table_is_the_report(logic, node)
    plain = exported_labels(node, volume)
    turn = rotation(20, -35, 50)
    set_grid(volume, np.linalg.inv(turn) @ grid_of(volume))
    volume.SetAndObserveTransformNodeID(add_linear_transform(turn).GetID())
    placed = exported_labels(logic.segment(volume, roi=roi, views="one"), volume)
    assert plain.any() and (plain != placed).mean() < 1e-4

    found = {"plain": dices(plain, truth.array)}
    volume = PhantomSamples.addVolume(image, "sheared")
    volume.SetAndObserveTransformNodeID(add_linear_transform(SHEAR).GetID())
    found["sheared"] = dices(exported_labels(logic.segment(volume, views="one"), volume), truth.array)
    grid = oblique_grid(truth.geometry)
    oblique = Volume.of(sitk.Resample(image.image(), grid, sitk.Transform(), sitk.sitkLinear, -1000), "oblique")
    oblique_truth = sitk.GetArrayFromImage(
        sitk.Resample(truth.image(), grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    )
    volume = PhantomSamples.addVolume(oblique, "oblique")
    found["oblique"] = dices(exported_labels(logic.segment(volume, roi=roi, views="one"), volume), oblique_truth)
    assert found["plain"].min() > 0.5
    for name in ("sheared", "oblique"):
        assert np.abs(found[name] - found["plain"]).max() < 0.2, found


def table_is_the_report(logic, node) -> None:
    """The volumes of the panel's table are those of the library's report."""
    report = logic.report(node)
    rows = logic.results(node)
    assert all(row.volumeMl > 0 for row in rows) and len(rows) == len(report["volumes_ml"]) == 7
    for row in rows:
        assert row.volumeMl == pytest.approx(report["volumes_ml"][row.structureId], rel=1e-9, abs=1e-9)
        assert report["voxels"][row.structureId] * SPACING_MM**3 / 1000 == pytest.approx(row.volumeMl, rel=1e-6)


def oblique_grid(geometry: Geometry) -> sitk.Image:
    """A grid of the same voxels, turned about the middle of `geometry`."""
    image = geometry.to_image()
    axes = rotation(12, -10, 18)[:3, :3] @ geometry.axes
    middle = (np.array(geometry.size) - 1) / 2
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin((geometry.point(middle) - axes @ (middle * geometry.spacing)).tolist())
    return image


@pytest.fixture
def quick(tmp_path):
    """The logic with a model that takes no time; everything is left ventricle to it."""
    tiny_models.write_constant(tmp_path / "bundled" / "tiny", 3, preprocessing=TINY)
    logic = SIFASegmentationLogic(dependencies=ReadyDependencies())
    logic.backend.store = lambda: store.ModelStore(tmp_path / "bundled", tmp_path / "user")
    return logic


def test_every_setting_of_the_panel_is_one_that_the_library_knows(quick):
    volume = add_phantom()
    roi = add_heart_roi(volume)
    node = quick.segment(volume, roi=roi, device="cpu", precision="float32", structures=["LV", "AA"], views="one")
    report = quick.report(node)
    assert report["device"] == "cpu" and report["precision"] == "float32"
    assert list(report["volumes_ml"]) == ["LV", "AA"] and report["volumes_ml"]["LV"] > 0
    assert report["batch_size"] == 1 and len(report["views"]) == 1


def test_unusable_volumes_are_refused_in_the_librarys_words(logic):
    array = np.zeros((40, 40, 40), np.float32)
    constant = add_volume(array, ijk_to_ras((40, 40, 40)), name="Blank")
    with pytest.raises(ValueError, match="Blank is constant"):
        logic.segment(constant)
    array[3, 4, 5] = np.nan
    broken = add_volume(array, ijk_to_ras((40, 40, 40)), name="Holes")
    with pytest.raises(ValueError, match="Holes holds 1 voxels that are not numbers"):
        logic.segment(broken)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_network_is_loaded_once_for_several_volumes(quick):
    quick.segment(add_phantom(), structures=["LV"], views="one")
    network = quick.backend._loaded[1]
    quick.segment(add_phantom(), structures=["LV", "AA"], views="one")
    assert quick.backend._loaded[1] is network
