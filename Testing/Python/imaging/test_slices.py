"""From a volume to slices and back: right for every orientation, nothing turned, nothing mixed, nothing lost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawings import tilted
from SIFALib.imaging import slices
from SIFALib.imaging.geometry import Geometry, Volume

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


def ball(geometry: Geometry, radius: float = 40.0) -> Volume:
    """A value that falls off linearly from the middle: linear interpolation of it is all but exact."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.size], indexing="ij"), -1)
    middle = geometry.point((np.array(geometry.size) - 1) / 2)
    distance = np.linalg.norm(geometry.point(index) - middle, axis=-1)
    return Volume(np.clip(radius - distance, -15, 30).transpose(2, 1, 0).astype(np.float32), geometry, "ball")


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_slices_look_the_same_however_the_voxels_are_stored(order, signs):
    """Axial slices run left in columns, back in rows, up from slice to slice, for all 48 ways to store a volume."""
    geometry = Geometry((64, 60, 56), (5.0, -7.0, 9.0), (1.0, 1.0, 1.0), tilted(order, signs, 0.0))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.size], indexing="ij"), -1)
    x, y, z = np.moveaxis(geometry.point(index), -1, 0)
    plane = slices.choose_plane(geometry)
    assert plane.name == "axial"
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), 1.0, 1.0)
    for coordinate, runs_along in ((x, 2), (y, 1), (z, 0)):  # of (slices, rows, columns)
        volume = Volume(coordinate.transpose(2, 1, 0).astype(np.float32), geometry, "coordinate")
        values, inside = slices.sample(volume, grid)
        first, last = np.argwhere(inside).min(axis=0), np.argwhere(inside).max(axis=0)
        part = values[first[0] : last[0] + 1, first[1] : last[1] + 1, first[2] : last[2] + 1]
        for axis in range(3):
            steps = np.diff(part, axis=axis)
            assert np.all(steps > 0.4) if axis == runs_along else np.all(np.abs(steps) < 1e-4)


@pytest.mark.parametrize(
    ("spacing", "size", "name"),
    [
        ((0.7, 0.7, 8.0), (200, 200, 12), "axial"),
        ((8.0, 0.7, 0.7), (12, 200, 200), "sagittal"),
        ((0.7, 8.0, 0.7), (200, 12, 200), "coronal"),
        ((1.0, 1.0, 1.0), (200, 200, 150), "axial"),
        ((1.0, 1.0, 1.0), (10, 200, 150), "sagittal"),
        ((0.6, 0.6, 2.0), (300, 300, 5), "axial"),
    ],
)
def test_a_stack_is_cut_in_the_plane_in_which_it_is_best_resolved(spacing, size, name):
    assert slices.choose_plane(Geometry(size, (0.0,) * 3, spacing)).name == name


def test_an_oblique_stack_is_cut_in_its_own_plane():
    geometry = Geometry((12, 200, 200), (0.0,) * 3, (8.0, 0.7, 0.7), tilted((2, 0, 1), (1, -1, 1), 30.0))
    plane = slices.choose_plane(geometry)
    assert plane.axes[2] == 0


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((110, 100, 50), (10.0, -20.0, 30.0), (1.1, 1.2, 2.2), tilted()),
        Geometry((40, 150, 140), (0.0, 0.0, 0.0), (6.0, 0.9, 0.8), tilted((2, 0, 1), (-1, 1, -1))),
        Geometry((200, 210, 190), (1.0, 2.0, 3.0), (0.5, 0.5, 0.5), tilted((1, 2, 0), (1, -1, 1))),
        Geometry((191, 200, 194), (1.0, 2.0, 3.0), (0.4, 0.4, 0.4), tilted((1, 2, 0), (1, -1, 1))),
        Geometry((120, 130, 304), (1.0, 2.0, 3.0), (0.8, 0.8, 0.4)),
    ],
    ids=["anisotropic", "sagittal stack", "finer than the network's grid", "no multiple of the stride", "304 slices"],
)
def test_there_and_back_gives_the_same_values_in_the_same_places(geometry: Geometry):
    volume = ball(geometry)
    plane = slices.choose_plane(geometry)
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), 1.0, 2.0, 192)
    values, _ = slices.sample(volume, grid)
    back = np.full(geometry.shape, np.nan, np.float32)
    for k, where, plane_values in slices.paste(values[None], grid, geometry):
        back[k][where] = plane_values[0]
    assert np.isfinite(back).all()  # every voxel of the volume is reached
    error = np.abs(back - volume.array)
    assert (
        error.max() < 1.5 and error.mean() < 0.05
    )  # mm: below half a slice distance everywhere, next to nothing on average


def test_thick_slices_are_never_mixed():
    geometry = Geometry((100, 90, 7), (0.0,) * 3, (1.0, 1.0, 10.0))
    array = np.repeat(np.arange(7, dtype=np.float32)[:, None, None], 90, 1).repeat(100, 2)
    volume = Volume(array, geometry, "stack")
    grid = slices.slice_grid(geometry, slices.choose_plane(geometry), slices.whole_box(geometry), 1.3, 2.0)
    values, inside = slices.sample(volume, grid)
    assert values.shape[0] == 7
    for k in range(7):
        assert np.all(values[k][inside[k]] == k)


def test_a_coarser_grid_averages_instead_of_skipping():
    """Noise falls as the mean of the voxels under a coarse pixel: a grid that skips would keep it all."""
    geometry = Geometry((160, 160, 80), (0.0,) * 3, (0.5, 0.5, 0.5))
    noise = np.random.default_rng(0).normal(0, 1, geometry.shape).astype(np.float32)
    grid = slices.slice_grid(geometry, slices.choose_plane(geometry), slices.whole_box(geometry), 2.0, 2.0)
    values, inside = slices.sample(Volume(noise, geometry, "noise"), grid)
    assert values[inside].std() < 2 / np.sqrt(4 * 4 * 4)


def test_a_region_of_interest_becomes_its_box():
    geometry = Geometry((100, 100, 100), (0.0,) * 3, (1.0, 2.0, 1.0))
    box = slices.box_of_roi(geometry, (10.0, 30.0, 20.0, 60.0, -50.0, 40.0))
    assert box.tolist() == [[10, 10, 0], [30, 30, 40]]
    with pytest.raises(ValueError, match="outside of the volume"):
        slices.box_of_roi(geometry, (500.0, 600.0, 0.0, 10.0, 0.0, 10.0))
