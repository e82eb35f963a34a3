"""Training slices are cut and scaled as inference cuts and scales them, and show the heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
from SIFALib.datasets.augmentation import centre
from SIFALib.datasets.cutting import Locator, Place, border_size, cut, sample_labels
from SIFALib.datasets.settings import DataSettings
from SIFALib.imaging import slices
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.passes import NetworkInput
from training_data import PREPROCESSING, SPACING, toy

SETTINGS = DataSettings(source="phantom", target="phantom", preprocessing=PREPROCESSING, size=32)


def volumes(seed: int = 0, shape=(12, 40, 48), offset: float = 1000.0) -> tuple[Volume, Volume]:
    """A toy scan without Hounsfield units, and its labels."""
    grey, labels = toy(seed, shape)
    geometry = Geometry((shape[2], shape[1], shape[0]), (3.0, -7.0, 11.0), SPACING)
    return Volume((grey + offset).astype(np.int16), geometry, "toy"), Volume(labels, geometry, "labels")


@pytest.mark.parametrize("offset", [0.0, 1000.0], ids=["ct", "mr"])
def test_training_sees_the_very_pixels_that_inference_shows_the_network(tmp_path, offset):
    image, labels = volumes(offset=offset)
    package = tiny_models.write(tmp_path / "model", preprocessing=PREPROCESSING)
    given, plane = NetworkInput.of(image, package.card), slices.choose_plane(image.geometry, PREPROCESSING.plane)
    made = cut(image, labels, SETTINGS, "source")
    where = np.argwhere(labels.array > 0)[:, ::-1]
    margin = slices.LOCATE_MARGIN_MM / np.array(SPACING)
    whole = slices.whole_box(image.geometry)
    box = np.clip(np.stack([where.min(0) - margin, where.max(0) + margin]), whole[0], whole[1])
    pre = PREPROCESSING
    fine = slices.slice_grid(image.geometry, plane, box, pre.spacing_mm, pre.slice_spacing_mm, pre.crop)
    expected = np.stack([centre(each, 32) for each in given.images(fine)])
    assert np.array_equal(np.stack([centre(plane, 32) for plane in made.images[~made.coarse]]), expected)
    coarse = slices.slice_grid(image.geometry, plane, whole, pre.locate_spacing_mm, pre.locate_slice_spacing_mm, 64)
    expected = np.stack([centre(each, 32) for each in given.images(coarse)])
    assert np.array_equal(np.stack([centre(plane, 32) for plane in made.images[made.coarse]]), expected)


def test_labels_lie_on_their_image():
    image, labels = volumes()
    made = cut(image, labels, SETTINGS, "source")
    assert made.labels is not None and made.images.shape == made.labels.shape
    fine_images, fine_labels = made.images[~made.coarse], made.labels[~made.coarse]
    assert {0, 1, 2, 3, 4} == set(np.unique(fine_labels))
    means = [fine_images[fine_labels == value].mean() for value in (1, 2, 3, 4)]
    assert means == sorted(means) and min(np.diff(means)) > 0.03  # the toy's shells grow brighter inwards


def test_every_slice_is_a_little_larger_than_what_is_trained_on():
    image, labels = volumes()
    for size in (32, 48, 96):
        side = cut(image, labels, replace(SETTINGS, size=size), "source").images.shape[1]
        assert side == border_size(size) >= 1.2 * size


def test_positions_are_millimetres_along_the_scan():
    image, labels = volumes()
    made = cut(image, labels, SETTINGS, "source")
    steps = np.diff(np.sort(made.position[~made.coarse]))
    assert np.allclose(steps, SPACING[2]) and made.spacing_mm.tolist() == [[2.0, 2.0, 4.0]]
    assert made.position.min() >= 0 and made.position.max() <= image.geometry.extent_mm[2]


def test_a_located_heart_stands_in_the_middle():
    image, labels = volumes(shape=(12, 96, 128))
    corner = Volume(np.roll(image.array, (-24, -30), (1, 2)), image.geometry, "toy")
    moved = Volume(np.roll(labels.array, (-24, -30), (1, 2)), image.geometry, "labels")
    block = np.argwhere(moved.array > 2)[:, ::-1]
    locator = Locator("test", lambda volume: Place(np.stack([block.min(0), block.max(0)]).astype(float)))
    made = cut(corner, None, SETTINGS, "target", locator(corner))
    told = cut(corner, moved, SETTINGS, "target", locator(corner))
    assert made.labels is None and np.array_equal(made.images, told.images)
    assert told.labels is not None
    where = np.argwhere(told.labels[~told.coarse] == 4)[:, 1:].mean(0)
    assert np.abs(where - (border_size(32) - 1) / 2).max() < 2


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_slices_of_a_turned_heart_are_cut_as_the_model_sees_them(quarters):
    image, _ = volumes(shape=(12, 96, 96))
    box = np.array([[30.0, 30.0, 2.0], [65.0, 65.0, 9.0]])
    upright, turned = (cut(image, None, SETTINGS, "target", Place(box, n)) for n in (0, quarters))
    assert np.allclose(turned.images, np.rot90(upright.images, -quarters, (1, 2)), atol=1e-4)  # rounding of positions
    assert np.array_equal(turned.position, upright.position)


def test_a_wide_scan_of_unknown_heart_is_seen_all_over():
    image, labels = volumes(shape=(40, 64, 64))
    ramp = np.broadcast_to(np.arange(64) * 10, (40, 64, 64)).astype(np.int16)
    made = cut(Volume(np.ascontiguousarray(ramp), image.geometry, "ramp"), None, SETTINGS, "target")
    fine = made.images[~made.coarse]
    assert fine.min() == -1.0 and fine.max() == 1.0  # from edge to edge, though no slice is that wide
    assert (fine.max((1, 2)) - fine.min((1, 2))).max() < 1.5
    again = cut(Volume(np.ascontiguousarray(ramp), image.geometry, "ramp"), None, SETTINGS, "target")
    assert np.array_equal(made.images, again.images)
    del labels


def test_a_coarse_element_holds_the_class_that_fills_most_of_it():
    geometry = Geometry((4, 4, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    array = np.zeros((4, 4, 4), np.uint8)
    array[:, :, :3] = 3
    array[:, :, 3] = 255
    array[0, 0, 0] = 1
    plane = slices.choose_plane(geometry, "axial")
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), 4.0, 4.0, 16)
    result = sample_labels(Volume(array, geometry, "labels"), grid)
    inside = slices.sample(Volume(array, geometry, "labels"), grid)[1]
    assert set(result[inside]) == {3} and not result[~inside].any()


@pytest.mark.parametrize("step", [1, 3, 6])
def test_labels_on_their_own_grid_are_unchanged(step):
    labels = np.random.default_rng(step).integers(0, 5, (6, 16, 16)).astype(np.uint8)
    geometry = Geometry((16, 16, 6), (0.0, 0.0, 0.0), (1.0, 1.0, float(step)))
    plane = slices.choose_plane(geometry, "axial")
    grid = slices.slice_grid(geometry, plane, slices.whole_box(geometry), 1.0, float(step), 16)
    assert np.array_equal(sample_labels(Volume(labels, geometry, "labels"), grid), labels)


def test_scores_of_the_authors_are_not_cut_off():
    image, labels = volumes()
    made = cut(image, labels, replace(SETTINGS, source_normalisation="sifa_ct"), "source")
    assert made.images[~made.coarse].max() > made.images[~made.coarse].mean() and made.images.dtype == np.float32
    low, high = -2.8, 3.2
    fine = made.images[~made.coarse].astype(float)
    scores = (fine + 1) / 2 * (high - low) + low
    assert abs(scores.mean()) < 0.5
