"""Which models a segmentation may take."""

from __future__ import annotations

import pytest
import tiny_models
from SIFALib.models import models_of
from SIFALib.models.choice import AUTOMATIC, automatic
from SIFALib.models.store import Architecture, ModelStore, default_store
from SIFALib.models.structures import STRUCTURES
from SIFALib.support.errors import ModelError


def bundled(folder, **others):
    """A store with models of both ids that come with SIFA, the second with other fields of its card."""
    tiny_models.write(folder / "bundled" / "a", id="heart", version="1.1.0")
    tiny_models.write(folder / "bundled" / "b", id="heart-phantom", version="1.0.0", **others)
    return ModelStore(folder / "bundled", folder / "user")


def test_where_none_is_named_those_that_come_with_sifa_are_taken(tmp_path):
    store = bundled(tmp_path)
    for wanted in ("", AUTOMATIC):
        models = models_of(store, wanted)
        assert (models.stacks.card.key, models.others.card.key) == ("heart@1.1.0", "heart-phantom@1.0.0")
        assert models.automatic and models.name == AUTOMATIC
        assert models.key == "heart@1.1.0 or heart-phantom@1.0.0"
        assert models.sha256 == "+".join(package.card.sha256 for package in models.packages)


def test_a_named_one_serves_every_scan(tmp_path):
    store = bundled(tmp_path)
    folder = str(tmp_path / "bundled" / "b")
    for wanted in ("heart-phantom", "heart-phantom@1.0.0", folder):
        models = models_of(store, wanted)
        assert models.stacks == models.others and not models.automatic
        assert (models.name, models.key) == ("heart-phantom@1.0.0",) * 2
    with pytest.raises(ModelError, match="no model 'harte'"):
        models_of(store, "harte")


def test_an_import_takes_part_in_no_choice(tmp_path):
    store = bundled(tmp_path)
    store.import_package(tiny_models.write(tmp_path / "gift", id="heart", version="9.0.0").folder)
    assert models_of(store).key == "heart@1.1.0 or heart-phantom@1.0.0"


@pytest.mark.parametrize(
    ("there", "why"),
    [({}, "one alone"), ({"architecture": Architecture(width=2, classes=8), "labels": STRUCTURES}, "other structures")],
)
def test_one_alone_and_others_that_draw_other_structures_are_no_choice(there, why, tmp_path):
    store = ModelStore(tmp_path / "bundled", tmp_path / "user")
    tiny_models.write(tmp_path / "bundled" / "a", id="heart")
    if there:
        tiny_models.write(tmp_path / "bundled" / "b", id="heart-phantom", **there)
    assert automatic(store) is None, why
    assert models_of(store).key == "heart@1.0.0"


def test_the_bundled_ones_are_a_choice():
    models = automatic(default_store())
    assert models is not None
    assert [package.card.id for package in models.packages] == ["heart", "heart-phantom"]


def test_no_model_can_be_called_as_none_is(tmp_path):
    with pytest.raises(ModelError, match="means that the scan decides"):
        tiny_models.write(tmp_path / "auto", id=AUTOMATIC)
