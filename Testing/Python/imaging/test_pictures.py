"""Pictures show the structures in their colours, in the right planes, and are written whole or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from drawings import GRID, drawing
from SIFALib.imaging import pictures
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.structures import STRUCTURES


def painted(path: Path) -> np.ndarray:
    """RGB [h, w, 3] of a PNG."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((image == np.array(color)).all(axis=-1).sum())


def test_a_volume_is_shown_in_three_planes_with_outlines(tmp_path: Path):
    scan, labels = drawing(GRID, aorta=True)
    path = tmp_path / "é.png"
    pictures.overlay(scan, Volume(labels, GRID, "labels"), path)
    image = painted(path)
    assert image.shape == (2 * 324, 3 * 324, 3)
    lv, aa = STRUCTURES[2], STRUCTURES[3]
    above, below = image[:324], image[324:]
    assert count(above, lv.color) == 0
    for third in range(3):
        assert count(below[:, third * 324 : (third + 1) * 324], lv.color) > 150  # the outline of a ball
    assert count(below, aa.color) == 0  # the middle planes of both balls miss the smaller one
    assert count(below, STRUCTURES[0].color) == 0


def test_a_stack_of_few_slices_is_shown_in_its_own_plane_alone(tmp_path: Path):
    geometry = Geometry((5, 180, 170), (0.0,) * 3, (2.0, 0.9, 0.9))
    scan, labels = drawing(geometry)
    pictures.overlay(scan, Volume(labels, geometry, "labels"), tmp_path / "a.png", truth=Volume(labels, geometry, "t"))
    assert painted(tmp_path / "a.png").shape == (3 * 324, 324, 3)


def test_flipped_storage_gives_the_same_picture(tmp_path: Path):
    scan, labels = drawing(GRID)
    pictures.overlay(scan, Volume(labels, GRID, "labels"), tmp_path / "a.png")
    flipped = dataclasses.replace(
        GRID,
        origin=tuple(float(x) for x in GRID.point((GRID.size[0] - 1, GRID.size[1] - 1, 0))),
        direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0),
    )
    turned = [np.ascontiguousarray(a[:, ::-1, ::-1]) for a in (scan.array, labels)]
    pictures.overlay(Volume(turned[0], flipped, "s"), Volume(turned[1], flipped, "l"), tmp_path / "b.png")
    difference = painted(tmp_path / "a.png").astype(int) - painted(tmp_path / "b.png")
    assert (np.abs(difference).max(axis=-1) > 40).mean() < 0.02  # the middle slice may lie a voxel beside


def test_no_labels_still_make_a_picture_and_a_missing_folder_a_sentence(tmp_path: Path):
    scan, labels = drawing(GRID)
    empty = Volume(np.zeros_like(labels), GRID, "none")
    pictures.overlay(scan, empty, tmp_path / "a.png")
    assert painted(tmp_path / "a.png").any()
    with pytest.raises(OSError, match=r"b\.png cannot be written"):
        pictures.overlay(scan, empty, tmp_path / "no" / "b.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]
