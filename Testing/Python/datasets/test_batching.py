"""A batch is a function of seed and iteration; image and labels stay together whatever is done to them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import training_data
from SIFALib.datasets import NO_AUGMENTATION, Augmentation, Batch, Order, batch, batches, drawn, prepared, view
from SIFALib.datasets.augmentation import augment, centre
from SIFALib.datasets.domains import joined
from SIFALib.datasets.planes import Stack
from SIFALib.networks.arrays import to_numpy
from SIFALib.support.errors import DataError
from training_data import settings, toy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def domains(folder):
    return training_data.domains(folder)


@pytest.fixture(scope="module")
def labelled(folder, domains):
    """The same with a labelled target."""
    training_data.source(folder / "labelled", 2, 200)
    return prepared(settings(folder, target=str(folder / "labelled"), target_labels=True), folder / "cache")


def arrays(made: Batch) -> list[np.ndarray]:
    tensors = [made.source, made.source_labels, made.target]
    return [to_numpy(t) for t in (*tensors, *([] if made.target_labels is None else [made.target_labels]))]


def same(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


def test_a_batch_has_the_shapes_and_the_range_that_the_method_takes(domains, folder):
    made = batch(domains, settings(folder), 0, 0, 5)
    source, labels, target = arrays(made)
    assert source.shape == target.shape == (5, 1, 32, 32) and labels.shape == (5, 32, 32)
    assert source.dtype == target.dtype == np.float32 and labels.dtype == np.uint8
    assert made.target_labels is None
    assert max(np.abs(source).max(), np.abs(target).max()) <= 1.0 and labels.max() <= 4


def test_balanced_scans_are_drawn_alike_however_many_slices_they_have(domains, folder):
    few, many = (domains.source.only(domains.source.volume == n) for n in (0, 1))
    uneven = joined([few.only(np.arange(len(few)) < 1 + np.argmin(few.coarse)), many])
    shares = {}
    for balanced in (False, True):
        chosen = replace(settings(folder, coarse_share=0.0), balanced=balanced)
        shares[balanced] = drawn(uneven, chosen, [1, 2, 3], range(200))[2].mean()
    assert 0.4 < shares[True] < 0.6 < shares[False]


def test_batches_depend_on_seed_and_iteration_alone(domains, folder):
    chosen = settings(folder)
    first = [batch(domains, chosen, 7, n, 4) for n in range(4)]
    for n in (2, 0, 3, 1):
        assert same(batch(domains, chosen, 7, n, 4), first[n])
    assert not same(first[0], first[1]) and not same(batch(domains, chosen, 8, 0, 4), first[0])


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_any_number_of_processes_share_one_batch(domains, folder, world):
    chosen = settings(folder)
    whole = arrays(batch(domains, chosen, 1, 5, 6))
    parts = [arrays(batch(domains, chosen, 1, 5, 6, rank, world)) for rank in range(world)]
    assert all(len(p[0]) == 6 // world for p in parts)
    for n, expected in enumerate(whole):
        assert np.array_equal(np.concatenate([p[n] for p in parts]), expected)


@pytest.mark.parametrize(("size", "world"), [(2, 3), (5, 2), (2, 0)])
def test_a_batch_that_cannot_be_shared_equally_is_refused(domains, folder, size, world):
    with pytest.raises(ValueError, match=f"{size} slices cannot be shared by {world}"):
        batch(domains, settings(folder), 0, 0, size, 0, world)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_change_nothing_but_the_time(domains, folder, workers):
    chosen = settings(folder)
    made = list(batches(domains, chosen, Order(3, 10, 21, 2), workers))
    assert len(made) == 11 and all(seconds >= 0 for _, seconds in made)
    assert all(same(b, batch(domains, chosen, 3, 10 + n, 2)) for n, (b, _) in enumerate(made))


def test_stopping_early_leaves_no_thread_behind(domains, folder):
    before = threading.active_count()
    stream = batches(domains, settings(folder), Order(0, 0, 1000, 2), workers=2)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_an_error_in_a_worker_reaches_whoever_waits(domains, folder):
    gone = replace(domains, target=replace(domains.target, volume=np.zeros(0, int)))
    with pytest.raises(DataError, match="no slices"):
        next(batches(gone, settings(folder), Order(0, 0, 5, 2), workers=2))


def test_coarse_slices_come_as_often_as_asked(domains, folder):
    coarse = domains.source.coarse
    told = np.broadcast_to(coarse[:, None, None], (len(coarse), 40, 40)).astype(np.float32)
    marked = replace(domains, source=replace(domains.source, images=Stack.of([told])))
    for share in (0.0, 0.4, 1.0):
        chosen = settings(folder, coarse_share=share, augmentation=NO_AUGMENTATION)
        seen = to_numpy(batch(marked, chosen, 0, 0, 400).source).mean()
        assert abs(seen - share) < 0.08


def test_without_augmentation_slices_are_what_the_cache_holds(domains, folder):
    chosen = settings(folder, augmentation=NO_AUGMENTATION)
    kept = to_numpy(view(domains.source, slice(None), 32)[0])[:, 0]
    for image in to_numpy(batch(domains, chosen, 0, 0, 20).source)[:, 0]:
        assert (kept == image).all((1, 2)).any()


def test_labels_of_the_target_come_only_where_they_are_asked_for(labelled, folder):
    chosen = settings(folder, target=str(folder / "labelled"), target_labels=True)
    made = batch(labelled, chosen, 0, 0, 40)
    assert made.target_labels is not None and to_numpy(made.target_labels).max() == 4
    hidden = prepared(replace(chosen, target_labels=False), folder / "cache")
    assert hidden.target.labels is None and batch(hidden, chosen, 0, 0, 2).target_labels is None


def test_every_slice_is_drawn_sooner_or_later(domains, folder):
    chosen = settings(folder, augmentation=NO_AUGMENTATION)
    source = to_numpy(batch(domains, chosen, 0, 0, 500).source)[:, 0]
    kept = to_numpy(view(domains.source, slice(None), 32)[0])[:, 0]
    assert all((source == image).all((1, 2)).any() for image in kept)


def plane(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A slice [96, 96] whose grey value tells its class."""
    _, labels = toy(seed, (3, 96, 96))
    image = np.array([-0.8, -0.4, 0.0, 0.4, 0.8], np.float32)[labels[1]]
    return image, labels[1]


MOVING = Augmentation(30.0, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0)


def test_labels_move_with_their_image():
    image, labels = plane()
    for seed in range(20):
        moved, classes = augment(image, labels, 64, MOVING, np.random.default_rng(seed))
        assert classes is not None and not np.array_equal(classes, centre(labels, 64))
        expected = np.array([-0.8, -0.4, 0.0, 0.4, 0.8], np.float32)[classes]
        inside = moved >= -0.8 - 1e-6  # beyond the slice there is nothing
        assert np.abs(moved - expected)[inside].max() <= 0.21 + 0.2  # between two classes the image is between them
        assert (np.abs(moved - expected)[inside] < 1e-4).mean() > 0.75
        assert set(np.unique(classes)) <= set(np.unique(labels))


def test_a_movement_of_nothing_is_exact():
    image, labels = plane()
    image = image + np.random.default_rng(0).normal(0, 0.1, image.shape).astype(np.float32)
    tiny = replace(NO_AUGMENTATION, shift=1e-12)
    moved, classes = augment(image, labels, 64, tiny, np.random.default_rng(0))
    assert np.allclose(moved, centre(image, 64), atol=1e-5) and np.array_equal(classes, centre(labels, 64))


def test_a_turn_by_a_right_angle_is_a_turn():
    image, labels = plane(1)
    turned = replace(NO_AUGMENTATION, rotation_deg=90.0)

    class Full(np.random.Generator):
        def uniform(self, low=0.0, high=1.0, size=None):
            return np.zeros(size) if size == 2 else np.array([1.0, 0, 0, 0, 0])

    moved, classes = augment(image, labels, 64, turned, Full(np.random.PCG64(0)))
    ways = [np.rot90(centre(labels, 64), k) for k in (1, 3)]
    assert any(np.array_equal(classes, way) for way in ways)
    assert any(np.allclose(moved, np.rot90(centre(image, 64), k), atol=1e-4) for k in (1, 3))


def test_grey_values_change_a_little_and_air_stays_air():
    image, labels = plane()
    image[:20] = -1.0
    colours = Augmentation(0.0, 0.0, 0.0, 0.0)
    seen = []
    for seed in range(30):
        changed, classes = augment(image, labels, 64, colours, np.random.default_rng(seed))
        assert np.array_equal(classes, centre(labels, 64))
        air = centre(image, 64) == -1.0
        assert (changed[air] == -1.0).all() and np.abs(changed).max() <= 1.0 and changed.dtype == np.float32
        seen.append(changed[~air].mean() - centre(image, 64)[~air].mean())
    assert 0.01 < np.std(seen) < 0.2


def test_values_beyond_the_range_are_not_cut_off_where_they_are_meant():
    image, _ = plane()
    image = image * 2.0 + 0.5
    changed, _ = augment(image, None, 64, Augmentation(), np.random.default_rng(0))
    assert changed.max() > 1.2 and np.isfinite(changed).all()


def test_a_class_that_is_none_is_handed_on(domains, folder):
    kept = domains.source.labels
    assert kept is not None
    none = Stack.of([np.full((len(kept), 40, 40), 255, np.uint8)])
    unknown = replace(domains, source=replace(domains.source, labels=none))
    labels = to_numpy(batch(unknown, settings(folder, augmentation=NO_AUGMENTATION), 0, 0, 2).source_labels)
    assert (labels == 255).all()


def test_labels_that_are_partial_say_of_which_classes_they_speak(tmp_path):
    """A scan of which nobody labelled the atrium counts as that, not as one without an atrium."""
    training_data.source(tmp_path / "source", 3)
    training_data.target(tmp_path / "target")
    for n in (0, 1, 2):
        _, labels = toy(n)
        kept = labels if n else np.where(labels == 2, 0, labels)
        training_data.write(tmp_path / "source" / f"s{n}_label.nii.gz", kept.astype(np.uint8))
    named = {str(n): n for n in range(1, 5)}  # in so small a heart the ventricle lies around the aorta
    whole, partial = (
        settings(tmp_path, validation_share=0.0, label_values=named),
        settings(tmp_path, validation_share=0.0, label_values=named, partial_labels=True),
    )
    ordinary, parts = prepared(whole, tmp_path / "cache"), prepared(partial, tmp_path / "cache")
    assert ordinary.fingerprint != parts.fingerprint and batch(ordinary, whole, 1, 0, 4).source_known is None
    assert any("class 2" in note for note in ordinary.notes) and not any("class 2" in note for note in parts.notes)
    seen = batch(parts, partial, 1, 0, 24)
    assert seen.source_known is not None
    assert {tuple(row) for row in seen.source_known.tolist()} == {(True,) * 5, (True, True, False, True, True)}
    for labels, known in zip(seen.source_labels, seen.source_known, strict=True):
        assert known[labels.long().unique()].all()
    moved = seen.map(lambda tensor: tensor + 0)
    assert (
        moved.source_known is not None and moved.source_known.equal(seen.source_known) and moved.target_labels is None
    )
