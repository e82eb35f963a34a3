"""Promises of out_of_distribution.py: what a model was not trained on is told, in plain words; what it was, is not."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tiny_models
import torch
from Benchmarks import calibrate as calibration
from Benchmarks.calibrate import reference_of
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.slices import choose_plane, slice_grid, whole_box
from SIFALib.inference import out_of_distribution
from SIFALib.inference.flags import Flag
from SIFALib.models import store
from SIFALib.models.card import DiceCurve, ModelCard, OutOfDistribution, feature_count
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.networks import loading
from SIFALib.networks.segmenter import Segmenter
from SIFALib.support.errors import ModelError

VALUES = {s.id: s.value for s in STRUCTURES}
SIDE, COUNT = 96, 40
GEOMETRY = Geometry((SIDE, SIDE, COUNT), (-48.0, -48.0, 10.0), (1.0, 1.0, 2.0))
GRID = slice_grid(GEOMETRY, choose_plane(GEOMETRY), whole_box(GEOMETRY), 1.0, 2.0)


def heart() -> np.ndarray:
    """Labels [slices, rows, columns]: a ventricle in its wall to the left, the atrium behind, the aorta on top."""
    k, j, i = np.indices((COUNT, SIDE, SIDE)).astype(float)

    def ball(z: float, y: float, x: float, radius: float) -> np.ndarray:
        return ((k - z) * 2) ** 2 + (j - y) ** 2 + (i - x) ** 2 < radius**2

    labels = np.zeros((COUNT, SIDE, SIDE), np.uint8)
    labels[ball(15, 40, 58, 26)] = 1
    labels[ball(15, 40, 58, 18)] = 3
    labels[ball(22, 70, 40, 15)] = 2
    labels[ball(32, 40, 34, 11)] = 4
    return labels


def image_of(labels: np.ndarray, seed: int = 0, noise: float = 0.05, wave: float = 0.0) -> np.ndarray:
    """Normalised slices: blood bright, muscle dark, with noise, or with waves that no training showed."""
    rng = np.random.default_rng(seed)
    grey = np.array((-0.7, -0.1, 0.5, 0.55, 0.5))[labels] + rng.normal(0, noise, labels.shape)
    grey += wave * np.sin(np.arange(labels.shape[-1]) * 2.0)
    return np.clip(grey, -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(3)
    return Segmenter("tmi2020", 2).eval()


@pytest.fixture(scope="module")
def card(segmenter: Segmenter) -> ModelCard:
    """A card whose reference was made of such hearts, and of small turns and changes of them."""
    labels = heart()
    chosen = out_of_distribution.slices_of(labels > 0)
    rng = np.random.default_rng(1)

    def measured(seeds: range) -> np.ndarray:
        rows = [
            out_of_distribution.features(
                segmenter, image_of(labels, s, 0.02 + 0.01 * (s % 7))[chosen], labels[chosen] > 0
            )
            for s in seeds
        ]
        return np.concatenate(rows)

    true = out_of_distribution.places(labels, VALUES, out_of_distribution.lps_of(GRID, GEOMETRY))
    shapes = true + rng.normal(0, 0.1, (60, len(true)))
    made = OutOfDistribution(
        made_of="drawn hearts",
        network=reference_of(measured(range(12)), measured(range(50, 56)), 6),
        places=reference_of(shapes[:40], shapes[40:], 5, 1.5),
    )
    fields = tiny_models.card_fields(out_of_distribution=made)
    return ModelCard(sha256="0" * 64, sifa_version="0.1.0", created="2026-01-01T00:00:00+00:00", **fields)


def scan(grey: np.ndarray) -> Volume:
    return Volume((grey * 400 + 200).astype(np.int16), GEOMETRY, "drawing")


def found(segmenter, card, grey, labels, known=(), geometry=GEOMETRY):
    volume = Volume((grey * 400 + 200).astype(np.int16), geometry, "drawing")
    return out_of_distribution.check(segmenter, card, volume, GRID, grey, labels, known)


def test_a_scan_like_the_training_raises_no_flag(segmenter, card):
    finding = found(segmenter, card, image_of(heart(), 99), heart())
    assert finding.flags == () and finding.notes == ()
    assert finding.measured["calibrated"] and finding.measured["unlike"] < 1
    json.dumps(finding.measured, allow_nan=False)


def test_a_scan_that_looks_otherwise_is_told_with_what_to_do(segmenter, card):
    (flag,) = found(segmenter, card, image_of(heart(), 99, wave=0.25), heart()).flags
    assert (flag.structure_id, flag.kind, flag.warns) == ("", "unfamiliar", True)
    assert "unlike what the model was trained on; check every outline" in flag.message
    assert "adapt the model" in flag.message


@pytest.mark.parametrize("axis", [0, 2])
def test_a_mirrored_header_is_told(segmenter, card, axis):
    """The same picture, whose header says left for right, or head for feet."""
    signs = [1.0, 1.0, 1.0]
    signs[2 - axis] = -1.0
    turned = dataclasses.replace(GEOMETRY, direction=tuple(np.diag(signs).ravel()))
    finding = found(segmenter, card, image_of(heart(), 99), heart(), geometry=turned)
    (flag,) = finding.flags
    assert flag.kind == "places" and "left and right, head and feet" in flag.message
    assert finding.measured["network"] < 1 < finding.measured["places"] == finding.measured["unlike"]


def with_the_right_heart(labels: np.ndarray) -> np.ndarray:
    """The same, with what lies on the patient's right, and in front: right ventricle, right atrium, pulmonary artery."""
    whole = labels.copy()
    for value, (z, y, x), radius in ((5, (15, 17, 33), 15), (6, (22, 55, 14), 15), (7, (33, 46, 52), 16)):
        k, j, i = np.indices(labels.shape).astype(float)
        whole[(((k - z) * 2) ** 2 + (j - y) ** 2 + (i - x) ** 2 < radius**2) & (whole == 0)] = value
    return whole


def of_seven(card: ModelCard) -> ModelCard:
    """The card of a model that draws all seven structures."""
    architecture = dataclasses.replace(card.architecture, classes=len(STRUCTURES) + 1)
    return dataclasses.replace(card, labels=STRUCTURES, quality=(), architecture=architecture)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirror_image_is_told_and_a_turn_is_not_one(segmenter, card, axis):
    whole = with_the_right_heart(heart())
    seven = of_seven(card)
    grey = image_of(np.minimum(whole, 4), 99)

    def told(signs: np.ndarray, known: tuple[Flag, ...] = ()):
        turned = dataclasses.replace(GEOMETRY, direction=tuple(np.diag(signs).ravel()))
        finding = found(segmenter, seven, grey, whole, known, turned)
        return [f for f in finding.flags if f.kind != "unfamiliar"], finding.measured["handedness"]

    half_a_turn = -np.ones(3)
    half_a_turn[axis] = 1.0
    flags, hand = told(np.ones(3))
    assert flags == [] and hand > 0.2
    flags, hand = told(half_a_turn)
    assert [f.kind for f in flags] == ["places"] and hand > 0.2
    ((flag,), hand) = told(-half_a_turn, (Flag("LA", "cut", ""),))
    assert flag.kind == "mirrored" and flag.warns and "left and right may be exchanged" in flag.message
    assert hand < out_of_distribution.MIRRORED


def test_scraps_at_the_edge_of_a_stack_say_nothing_of_left_and_right(segmenter, card):
    """Where only they were taken for atria and vessels, two good results on real crops were called mirror images."""
    whole, values = with_the_right_heart(heart()), {s.id: s.value for s in STRUCTURES}
    scraps = whole.copy()
    for name in ("LA", "AA", "PA"):
        scraps.ravel()[np.flatnonzero(whole == values[name])[4000:]] = 0  # 8 ml are left
    hands = [
        found(segmenter, of_seven(card), image_of(np.minimum(labels, 4)), labels, ()).measured["handedness"]
        for labels in (whole, scraps)
    ]
    assert hands[0] is not None and hands[1] is None


@pytest.mark.parametrize("kind", ["cut", "empty"])
def test_a_cut_heart_is_not_compared_with_whole_ones(segmenter, card, kind):
    signs = tuple(np.diag([-1.0, 1.0, 1.0]).ravel())
    known = (Flag("LV", kind, "only a part of it is shown"),)
    turned = dataclasses.replace(GEOMETRY, direction=signs)
    finding = found(segmenter, card, image_of(heart(), 99), heart(), known, turned)
    assert finding.flags == () and finding.measured["places"] is None


def test_without_contrast_agent_or_in_noise_blood_cannot_be_told_from_muscle(segmenter, card):
    flat = np.where(heart() > 0, 0.1, -0.7) + np.random.default_rng(0).normal(0, 0.05, heart().shape)
    for grey in (flat.astype(np.float32), image_of(heart(), 99, noise=0.7)):
        finding = found(segmenter, card, grey, heart())
        assert "contrast" in {f.kind for f in finding.flags}
        assert finding.measured["separation"] < out_of_distribution.SEPARATION


def test_a_scan_that_was_saved_as_pictures_is_told(segmenter, card):
    grey = image_of(heart(), 99)
    volume = Volume(((grey + 1) * 127.5).astype(np.uint8), GEOMETRY, "pictures")
    for read_as, kinds, notes in (("ct", ["scale"], ()), ("mr", [], (out_of_distribution.PICTURE,))):
        finding = out_of_distribution.check(segmenter, card, volume, GRID, grey, heart(), read_as=read_as)
        assert [f.kind for f in finding.flags] == kinds and finding.notes == notes
    assert not out_of_distribution.is_picture(scan(grey).array)
    assert not out_of_distribution.is_picture(np.random.default_rng(0).uniform(0, 255, (9, 9, 9)).astype(np.float32))


def test_without_a_reference_the_check_says_that_it_was_not_made(card):
    bare = dataclasses.replace(card, out_of_distribution=None)
    finding = found(None, bare, image_of(heart()), heart())
    assert finding.flags == () and "was not checked" in finding.notes[0]
    assert finding.measured["calibrated"] is False and finding.measured["unlike"] is None


def test_a_model_of_other_structures_can_be_asked_too(segmenter, card):
    other = dataclasses.replace(
        card, labels=tuple(dataclasses.replace(s, id=f"X{s.value}") for s in PAPERS), quality=()
    )
    finding = found(segmenter, other, image_of(heart(), 99), heart())
    assert finding.measured["places"] is None and finding.measured["separation"] is None
    assert finding.measured["network"] < 1


def test_nothing_that_could_be_compared_is_not_called_familiar(segmenter, card):
    labels = np.zeros_like(heart())
    labels[3, :20, :20] = 3
    finding = found(segmenter, card, image_of(heart()), labels, (Flag("MYO", "empty", ""),))
    assert finding.measured["unlike"] is None
    (flag,) = finding.flags
    assert flag.kind == "little" and flag.warns and "10 cm2" in flag.message
    assert (
        found(segmenter, card, image_of(heart()), np.zeros_like(labels)).flags == ()
    )  # what is missing, flags.py says


def test_slices_are_chosen_evenly_through_what_was_found():
    mask = np.zeros((50, 64, 64), bool)
    mask[10:42, :40, :40] = True
    mask[45, :3, :3] = True
    chosen = out_of_distribution.slices_of(mask)
    assert len(chosen) == 8 and (np.diff(chosen) == 4).all() and 10 <= chosen[0] < 14 and 38 <= chosen[-1] < 42
    assert len(out_of_distribution.slices_of(np.zeros((5, 64, 64), bool))) == 0


def test_features_ignore_what_was_not_outlined(segmenter):
    labels = heart()
    grey = image_of(labels)
    changed = grey.copy()
    changed[:, :, :4] = 1.0  # far from the heart
    one, other = (out_of_distribution.features(segmenter, g[14:16], labels[14:16] > 0) for g in (grey, changed))
    assert one.shape == (2, feature_count(segmenter.architecture)) and np.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_at_most_one_in_twenty_of_what_is_alike_is_called_unlike():
    rng = np.random.default_rng(5)
    mixing = rng.normal(0, 1, (12, 12))
    known, unseen, new, strange = (rng.normal(0, 1, (n, 12)) @ mixing for n in (400, 200, 2000, 200))
    made = reference_of(known, unseen, 6)
    assert (out_of_distribution.distances(made, unseen) > made.limit).mean() <= 0.05
    assert 0.02 < (out_of_distribution.distances(made, new) > made.limit).mean() < 0.09
    assert (out_of_distribution.distances(made, strange + 8 * mixing[0]) > made.limit).mean() > 0.95
    assert out_of_distribution.distances(made, new).mean() == pytest.approx(1.0, abs=0.1)


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="5 and 3 examples are too few"):
        reference_of(np.ones((5, 12)), np.ones((3, 12)), 6)


def test_the_reference_is_kept_in_the_card_and_comes_back(card):
    text = card.to_json()
    assert ModelCard.from_json(text) == card
    assert max(len(line) for line in text.splitlines()) > 100 and len(text.splitlines()) < 200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f["network"]["scale"].pop(), "out_of_distribution.network.scale is 15; it must have 16 numbers"),
        (lambda f: f["network"].update(limit=0), "out_of_distribution.network.limit is 0.0; it must be above 0"),
        (lambda f: f["network"]["variances"].__setitem__(0, -1), "variances is -1.0; it must be above 0"),
        (lambda f: f["network"]["directions"][0].pop(), "directions is 15; it must each have 16 numbers"),
        (lambda f: f.update(places=f["network"]), "places.mean is 16; it must have 11 numbers"),
        (lambda f: f.update(version=2), "out_of_distribution.version is 2; it must be 1"),
        (lambda f: f.update(network=f["places"]), "it must have 16 numbers for a network of width 2"),
        (lambda f: f["network"]["mean"].__setitem__(0, 1e299), "mean is 1e+299; it must be -1000000 to 1000000"),
        (lambda f: f["network"]["scale"].__setitem__(0, 1e-300), "scale is 1e-300; it must be 1e-06 to 1000000"),
        (lambda f: f.update(made_of=" "), "out_of_distribution.made_of is ''"),
    ],
)
def test_an_impossible_reference_is_refused_by_the_name_of_the_key(card, change, sentence):
    data = json.loads(card.to_json())
    change(data["out_of_distribution"])
    with pytest.raises(ModelError) as refusal:
        ModelCard.from_json(json.dumps(data))
    assert sentence in str(refusal.value)


def test_a_reference_without_directions_measures_all_by_the_rest(card):
    reference = dataclasses.replace(card.out_of_distribution.network, directions=(), variances=())
    measured = np.array([reference.mean]) + 2 * np.array(reference.scale)
    assert out_of_distribution.distances(reference, measured) == pytest.approx(2 / np.sqrt(reference.rest))


def test_one_call_gives_a_model_its_reference_and_leaves_its_weights_alone(tmp_path, monkeypatch):
    from SIFALib.phantom.slices.anatomies import load_anatomies, make_anatomies

    monkeypatch.setattr(calibration, "SHAPE_MM", 10.0)
    (shape,) = calibration.shape_features([1])
    assert shape.shape == (11,) and shape[5] > 0  # from the ventricle the atrium lies behind,
    assert shape[8] < 0 < shape[10]  # and the aorta to the right, above
    spread = np.random.default_rng(0).normal(0, 0.1, (60, 11))
    monkeypatch.setattr(calibration, "shape_features", lambda seeds: shape + spread[: len(seeds)])
    monkeypatch.setattr(calibration, "SHOWN_PIXELS", 100)
    make_anatomies(tmp_path / "anatomies", [1], 6.0)
    package = tiny_models.write_constant(tmp_path / "tiny", 3)
    before = package.weights.read_bytes()
    anatomies = load_anatomies(tmp_path / "anatomies")
    made = calibration.calibrate(
        loading.load_segmenter(package), 64, anatomies, anatomies, fit=20, held_out=4, shapes=(12, 2)
    )
    curve = DiceCurve("4 structures", 0.5, 2.0)
    after = calibration.write(package, made, curve)
    assert after.card.out_of_distribution == made and after.card.dice_curve == curve
    assert after.weights.read_bytes() == before
    assert dataclasses.replace(after.card, out_of_distribution=None, dice_curve=None) == package.card
    store.verify(after)
    assert sorted(p.name for p in after.folder.iterdir()) == ["model.json", "model.safetensors"]
