"""Promises about model cards: read as they were written, refused by the name of what is wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.models import card as model_card
from SIFALib.models import store as models
from SIFALib.models.card import ModelCard
from SIFALib.support.errors import ModelError

OLD_CARD = Path(__file__).parents[1] / "fixtures" / "old_files" / "model-0.3.json"


def card(**changed: object) -> ModelCard:
    fields = {"sha256": "0" * 64, "sifa_version": "0.1.0", "created": "2026-11-23T14:00:00+00:00"}
    return ModelCard(**(fields | tiny_models.card_fields(**changed)))


def edited(tmp_path: Path, **keys: object) -> bytes:
    """The text of a sound model.json in which top-level `keys` are replaced, or removed by None."""
    data = json.loads(card().to_json()) | keys
    return json.dumps({k: v for k, v in data.items() if v is not None}).encode()


def test_a_card_comes_back_from_json_as_it_was_and_cannot_be_changed_in_place():
    made = card(name="Modèle d'essai", quality=(models.Quality("a", "ASSD (mm)", "c", {"LV": 1.5, "AA": 2.0}),))
    assert ModelCard.from_json(made.to_json()) == made
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.id = "other"  # type: ignore[misc]


def test_a_card_of_version_0_3_is_read_and_written_anew():
    text = OLD_CARD.read_bytes()
    assert b'"familiarity"' in text and b'"format": 1' in text
    read = ModelCard.from_json(text)
    assert read.out_of_distribution is not None and read.out_of_distribution.network.limit == 1.713
    anew = read.to_json()
    assert '"out_of_distribution"' in anew and '"format": 2' in anew and "familiarity" not in anew
    assert ModelCard.from_json(anew) == dataclasses.replace(read, format=2)


def test_a_card_tells_names_colours_and_snomed_codes_of_its_labels():
    label = json.loads(card().to_json())["labels"][2]
    assert (label["value"], label["id"], label["name"]) == (3, "LV", "Left ventricle")
    assert label["type"] == {"scheme": "SCT", "value": "87878005", "meaning": "Left ventricle"}
    assert len(label["color"]) == 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"spacing_mm": 0.1}, "preprocessing.spacing_mm is 0.1; it must, with 2 mm between slices, make at most 100"),
        ({"locate_spacing_mm": 0.1}, "preprocessing.locate_spacing_mm is 0.1; it must"),
        ({"locate_slice_spacing_mm": 0.1}, "preprocessing.locate_spacing_mm is 2.5; it must, with 0.1 mm"),
        ({"crop": 1024}, "preprocessing.crop is 1024; it must make a block of at most 100 million voxels; it has 537"),
        ({"ct_window_hu": [0.0, 1e-300]}, "ct_window_hu is [0.0, 1e-300]; it must be 1 HU wide at least"),
        ({"percentiles": [50.0, 50.0001]}, "percentiles is [50.0, 50.0001]; it must be 1 apart at least"),
        ({"zscore_range": [0.0, 1e-300]}, "zscore_range is [0.0, 1e-300]; it must be 0.01 apart at least"),
    ],
)
def test_a_card_that_would_stall_or_crash_a_segmentation_is_refused(changed, sentence):
    data = json.loads(card().to_json())
    data["preprocessing"].update(changed)
    with pytest.raises(ModelError) as refusal:
        ModelCard.from_json(json.dumps(data))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"colour": "red"}, "colour is no key that this SIFA knows"),
        ({"\x1b[2J": 1}, r"\x1b[2J is no key"),
        ({"licence": None}, "licence is missing"),
        ({"format": 3}, "update SIFA"),
        ({"format": 0}, "format is 0; it must be 2"),
        ({"format": True}, "a whole number is needed"),
        ({"id": "../up"}, "id is '../up'"),
        ({"id": "Big"}, "small letters"),
        ({"version": "1.0"}, "version is '1.0'; it must be like 1.0.0"),
        ({"version": "01.0.0"}, "version is '01.0.0'"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"modality": "US"}, "modality is 'US'; it must be CT, MR, CT/MR"),
        ({"name": "a\nb"}, "one line"),
        ({"name": "a\x1b[31m"}, "control characters"),
        ({"name": "  "}, "name is ''; it must say something"),
        ({"trained_on": "x" * 5000}, "trained_on has 5000 characters"),
        ({"created": "yesterday"}, "created is 'yesterday'"),
        ({"architecture": "sifa"}, "an object with named values is needed"),
        ({"architecture": {"width": 7}}, "architecture.width is 7; it must be an even number from 2 to 32"),
        ({"architecture": {"width": 1e9}}, "architecture.width is 1000000000.0; a whole number is needed"),
        ({"architecture": {"width": 10**9}}, "architecture.width is 1000000000"),
        ({"architecture": {"variant": "v3"}}, "must be tmi2020, aaai2019, unet"),
        ({"architecture": {"variant": "aaai2019"}}, "architecture.input_channels is 1; it must be 3"),
        ({"architecture": {"classes": 4}}, "labels is [1, 2, 3, 4]; it must have the values [1, 2, 3]"),
        ({"architecture": {"depth": 3}}, "architecture.depth is no key"),
        ({"preprocessing": {"crop": 100}}, "preprocessing.crop is 100; it must be a multiple of 8"),
        ({"preprocessing": {"spacing_mm": 0}}, "preprocessing.spacing_mm is 0.0; it must be 0.1 to 20"),
        ({"preprocessing": {"spacing_mm": "1"}}, "preprocessing.spacing_mm is '1'; a number is needed"),
        ({"preprocessing": {"ct_window_hu": [600, -200]}}, "must rise"),
        ({"preprocessing": {"percentiles": [1, 50, 99]}}, "a list of 2 is needed"),
        ({"preprocessing": {"plane": "oblique"}}, "must be axial, coronal, sagittal"),
        (
            {"preprocessing": {"zscore_range": [3, -2]}},
            "zscore_range is [3.0, -2.0]; it must be empty or two that rise",
        ),
        ({"preprocessing": {"zscore_range": [1]}}, "zscore_range is [1.0]"),
        ({"labels": []}, "labels is []"),
        ({"labels": 4}, "labels is 4; a list of at most 100 is needed"),
        ({"quality": [{"data": "a", "measure": "b", "rule": "c", "values": {"RV": 1}}]}, "of structures of this"),
        ({"quality": [{"data": "a", "measure": "b", "rule": "", "values": {}}]}, "quality[0].rule is ''"),
        ({"quality": [{"data": "a", "measure": "b", "values": {}}]}, "quality[0].rule is missing"),
    ],
)
def test_an_impossible_card_is_refused_by_the_name_of_the_key(tmp_path, keys, sentence):
    with pytest.raises(ModelError) as refusal:
        ModelCard.from_json(edited(tmp_path, **keys), "model.json")
    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith("model.json")
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize("key", ["value", "id", "color", "type"])
def test_labels_that_contradict_each_other_are_refused(key):
    data = json.loads(card().to_json())
    data["labels"][1][key] = {
        "value": 1,
        "id": "myo",
        "color": [0, 0, 256],
        "type": {"scheme": "SCT", "value": "1~2", "meaning": "x"},
    }[key]
    with pytest.raises(ModelError, match="labels"):
        ModelCard.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[]", "an object with named values"),
        (b'{"id": "\xff"}', "not valid UTF-8"),
        (b'{"id": "a", "id": "b"}', "'id' stands twice"),
        (b'{"format": NaN}', "NaN"),
        (b'{"format": 1e999}', "1e999"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_card_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ModelError, match=sentence):
        ModelCard.from_json(text)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps({"format": 1, "id": value}).encode()
    )
)
def test_no_bytes_make_a_card_reader_fail_in_another_way(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_versions_are_ordered_as_semver_orders_them():
    ordered = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    versions = [*ordered.split(), "1.2.0", "1.10.0", "2.0.0"]
    shuffled = versions[::2] + versions[1::2]
    assert sorted(shuffled, key=model_card.version_key) == versions
