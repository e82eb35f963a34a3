"""The scene, the logic and the real library with the bundled model, together."""

from __future__ import annotations

from slicer_helpers import (
    ReadyDependencies,
    add_linear_transform,
    add_volume,
    exported_labels,
    ijk_to_ras,
    rotation,
    stage,
)

# the lines above set the stage on which the others can be imported
# isort: split
import functools

import numpy as np
import pytest
import slicer
from SIFALib import phantom
from SIFASegmentationLib import PhantomSamples

from SIFASegmentation import SIFASegmentationLogic

SPACING_MM = 3.0


@functools.cache
def made(seed: int = 1):
    return phantom.make(seed, "ct", SPACING_MM)


@pytest.fixture(autouse=True)
def empty_scene():
    stage.clear_scene()
    yield
    stage.clear_scene()


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


def test_where_a_volume_stands_counts_not_how_it_got_there(logic):
    """The same patient, once as it is and once stored oblique and brought back by a transform: same result."""
    volume = add_phantom()
    roi = add_heart_roi(volume)
    plain = exported_labels(logic.segment(volume, roi=roi), volume)
    turn = rotation(20, -35, 50)
    set_grid(volume, np.linalg.inv(turn) @ grid_of(volume))
    volume.SetAndObserveTransformNodeID(add_linear_transform(turn).GetID())
    placed = exported_labels(logic.segment(volume, roi=roi), volume)
    assert plain.any()
    assert (plain != placed).mean() < 1e-4


def test_every_setting_of_the_panel_is_one_that_the_library_knows(logic):
    volume = add_phantom()
    roi = add_heart_roi(volume)
    node = logic.segment(volume, roi=roi, device="cpu", precision="float32", structures=["LV", "AA"])
    report = logic.report(node)
    assert report["device"] == "cpu" and report["precision"] == "float32"
    assert list(report["volumes_ml"]) == ["LV", "AA"]
    assert report["batch_size"] == 1


def test_volumes_of_the_table_are_those_of_the_librarys_report(logic):
    volume = add_phantom()
    node = logic.segment(volume, roi=add_heart_roi(volume))
    report = logic.report(node)
    for row in logic.results(node):
        assert row.volumeMl == pytest.approx(report["volumes_ml"][row.structureId], rel=1e-9, abs=1e-9)
        assert report["voxels"][row.structureId] * SPACING_MM**3 / 1000 == pytest.approx(
            row.volumeMl, rel=1e-6
        )


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


def test_network_is_loaded_once_for_several_volumes(logic):
    volume = add_phantom()
    roi = add_heart_roi(volume)
    logic.segment(volume, roi=roi, structures=["LV"])
    network = logic.backend._loaded[1]
    logic.segment(volume, roi=roi, structures=["AA"])
    assert logic.backend._loaded[1] is network
