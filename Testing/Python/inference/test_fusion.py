"""Three planes are averaged where the scan bears it, on one grid, and a stack of thick slices is left in its own."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
from drawings import BALL, BLOOD, SMALL, Reader, dice, drawing, middle_of, smooth, tilted, varied_network
from SIFALib.imaging import slices
from SIFALib.imaging.geometry import Geometry
from SIFALib.imaging.slices import SliceGrid
from SIFALib.inference import Options, fusion, segment, segment_steps
from SIFALib.networks import engine


def planes_of(geometry: Geometry, words: str = "auto", pixel_mm: float = 1.0) -> list[str]:
    own = slices.choose_plane(geometry)
    return [plane.name for plane in fusion.planes(geometry, own, pixel_mm, words)]


@pytest.mark.parametrize(
    ("spacing", "size", "expected"),
    [
        ((1.0, 1.0, 1.0), (200, 200, 150), ["axial", "sagittal", "coronal"]),
        ((0.4, 0.4, 1.25), (512, 512, 120), ["axial", "sagittal", "coronal"]),  # finer than the network sees
        ((1.4, 1.4, 3.0), (200, 200, 60), ["axial", "sagittal", "coronal"]),
        ((0.7, 0.7, 3.0), (400, 400, 60), ["axial"]),
        ((8.0, 0.7, 0.7), (12, 200, 200), ["sagittal"]),
        ((1.4, 8.0, 1.4), (200, 16, 200), ["coronal"]),
        ((0.45, 0.45, 2.0), (512, 512, 5), ["axial"]),  # one slice, copied five times
        ((1.0, 1.0, 1.5), (200, 200, 20), ["axial"]),  # thin slices, but too few
    ],
)
def test_only_a_scan_that_shows_something_across_its_slices_is_cut_across_them(spacing, size, expected):
    geometry = Geometry(size, (0.0,) * 3, spacing)
    assert planes_of(geometry) == expected
    assert planes_of(geometry, "three") == expected  # nobody can ask for what is not there
    assert planes_of(geometry, "one") == expected[:1]


def test_an_oblique_stack_stays_in_its_own_plane():
    geometry = Geometry((12, 200, 200), (0.0,) * 3, (8.0, 0.7, 0.7), tilted((2, 0, 1), (1, -1, 1), 30.0))
    own = slices.choose_plane(geometry)
    assert fusion.planes(geometry, own, 1.0) == (own,) and own.axes[2] == 0


def grids_of(geometry: Geometry, spacing_mm: float, slice_mm: float) -> list[SliceGrid]:
    own = slices.choose_plane(geometry)
    box = slices.whole_box(geometry)
    return [
        slices.slice_grid(geometry, plane, box, spacing_mm, slice_mm * (1 + (n > 0)), 32)
        for n, plane in enumerate(fusion.planes(geometry, own, spacing_mm))
    ]


def field(geometry: Geometry, grid: SliceGrid) -> np.ndarray:
    """Two classes whose probabilities depend on the place in space alone: [slices, classes, rows, columns]."""
    index = np.empty((*grid.shape, 3))
    for w, axis in enumerate(grid.plane.axes):
        shape = [1, 1, 1]
        shape[2 - w] = -1
        index[..., axis] = grid.positions(w).reshape(shape)
    offset = geometry.point(index) - middle_of(geometry)
    p = 0.5 + offset @ (0.002, -0.003, 0.0025)
    return np.stack([p, 1 - p], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("order", "signs", "degrees"),
    [((0, 1, 2), (1, 1, 1), 0.0), ((2, 0, 1), (-1, 1, -1), 0.0), ((1, 2, 0), (1, -1, -1), 25.0)],
)
def test_what_all_views_say_of_a_place_is_averaged_at_that_place(order, signs, degrees):
    geometry = Geometry((50, 44, 40), (5.0, -7.0, 9.0), (1.5, 1.6, 1.7), tilted(order, signs, degrees))
    grids = grids_of(geometry, 2.0, 3.0)
    assert len({grid.plane.axes[2] for grid in grids}) == 3
    fused = fusion.Fusion(2, grids[0])
    for grid in grids:
        for first in range(0, grid.count[2], 5):  # batch by batch, as they come
            fused.add(field(geometry, grid)[first : first + 5], first, grid)
        fused.close(grid)
    seen = fused.passes == 3
    expected = field(geometry, grids[0]).swapaxes(0, 1)
    mean = fused.mean()
    assert seen.mean() > 0.3 and np.abs(mean - expected)[:, seen].max() < 0.01  # ends of a view: half a slice
    assert np.median(np.abs(mean - expected)) < 1e-5
    assert np.allclose(mean.sum(axis=0), 1, atol=1e-5)


def test_a_single_pass_is_taken_to_the_last_bit():
    grid = grids_of(BALL, 2.0, 2.0)[0]
    p = np.random.default_rng(0).dirichlet(np.ones(5), grid.shape).astype(np.float32).transpose(0, 3, 1, 2)
    fused = fusion.Fusion(5, grid)
    fused.add(p[:7], 0, grid)
    fused.add(p[7:], 7, grid)
    fused.close(grid)
    assert np.array_equal(fused.mean(), p.swapaxes(0, 1)) and np.array_equal(fused.mean(), p.swapaxes(0, 1))


@pytest.mark.parametrize("classes", [1, 5, 8])
def test_the_likeliest_class_is_that_of_argmax_the_first_of_several_alike(classes):
    p = np.random.default_rng(0).integers(0, 4, (classes, 5, 6, 7)).astype(np.float32)
    found = fusion.likeliest(p)
    assert found.dtype == np.uint8 and np.array_equal(found, p.argmax(axis=0))


class Jumpy(Reader):
    """Reads the drawing like its parent, but draws everything too large in one slice and too small in the next."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        threshold = BLOOD / 2 + self.rng.choice([-90, 90], (len(batch), 1, 1))
        out = np.zeros((len(batch), 5, *batch.shape[1:]), np.float32)
        out[:, 3] = (batch + 1) * 400 - 200 > threshold
        out[:, 0] = 1 - out[:, 3]
        return out


def jumps(mask: np.ndarray) -> int:
    """Voxels at which an axial slice contradicts both of its neighbours."""
    return int(((mask[1:-1] != mask[:-2]) & (mask[:-2] == mask[2:])).sum())


def test_outlines_that_jump_from_slice_to_slice_are_healed_by_the_other_views(monkeypatch):
    scan, truth = drawing(BALL)
    blurred = dataclasses.replace(scan, array=smooth(scan.array))
    found = {}
    for words in ("one", "three"):
        monkeypatch.setattr(engine, "prepare", lambda *_: Jumpy())
        found[words] = segment(blurred, None, SMALL, Options(views=words)).labels.array == 3
    assert jumps(found["three"]) < 0.7 * jumps(found["one"])
    assert dice(found["three"], truth == 3) > dice(found["one"], truth == 3)


def test_a_thick_stack_gives_the_labels_of_its_own_plane_whatever_is_asked_for(reader):
    stack = Geometry((16, 80, 76), (0.0,) * 3, (8.0, 1.8, 1.8), tilted((0, 1, 2), (1, 1, -1), 10.0))
    scan, truth = drawing(stack)
    results = {w: segment(scan, None, SMALL, Options(views=w)) for w in ("auto", "one", "three")}
    assert all(r.report.views == ("sagittal",) for r in results.values())
    assert all(np.array_equal(r.labels.array, results["one"].labels.array) for r in results.values())
    assert dice(results["three"].labels.array == 3, truth == 3) > 0.95


def test_three_views_keep_the_grid_and_say_what_they_are(reader):
    oblique = dataclasses.replace(BALL, direction=tilted((2, 0, 1), (1, -1, 1), 20.0))
    scan, truth = drawing(oblique)
    result = segment(scan, None, SMALL)
    assert result.labels.geometry == oblique and sorted(result.report.views) == ["axial", "coronal", "sagittal"]
    assert dice(result.labels.array == 3, truth == 3) > 0.95
    fractions = [p.fraction for p in segment_steps(scan, None, SMALL)]
    assert sum(b < a for a, b in itertools.pairwise(fractions)) <= 1 and fractions[-1] == 1


def test_the_batch_size_changes_no_label_of_three_views():
    network = varied_network()
    scan, _ = drawing(Geometry((40, 38, 36), (0.0,) * 3, (2.0, 2.0, 2.0)), 18.0)
    results = [segment(scan, network, SMALL, Options(batch_size=n, views="three")) for n in (1, 5)]
    assert len(results[0].report.views) == 3 and len(np.unique(results[0].labels.array)) > 1
    assert np.array_equal(results[0].labels.array, results[1].labels.array)


def test_three_views_take_little_more_memory_than_one(reader):
    scan, _ = drawing(BALL)
    peaks = {}
    for words in ("one", "three", "one", "three"):  # the first round only imports
        tracemalloc.start()
        segment(scan, None, SMALL, Options(views=words))
        peaks[words] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["three"] < 1.5 * peaks["one"]
