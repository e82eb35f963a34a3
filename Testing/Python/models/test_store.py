"""Promises of model packages: a card says all, versions stay apart, weights come back as they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from SIFALib.models import store as models
from SIFALib.models.architectures import tensor_shapes
from SIFALib.models.store import ModelStore
from SIFALib.models.structures import STRUCTURES
from SIFALib.networks import loading
from SIFALib.support.errors import ModelError

LIBRARY = Path(models.__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """One bundled model, and an empty user folder."""
    tiny_models.write(tmp_path / "bundled" / "tiny-1.0.0")
    (tmp_path / "user").mkdir()
    return ModelStore(tmp_path / "bundled", tmp_path / "user")


# The weights


@pytest.mark.parametrize(("variant", "channels"), [("tmi2020", 1), ("aaai2019", 3)])
@pytest.mark.parametrize("width", [2, 8])
def test_the_names_and_shapes_known_without_torch_are_those_of_the_network(variant, channels, width):
    from SIFALib.networks.segmenter import Segmenter

    shapes = tensor_shapes(models.Architecture(variant=variant, width=width, classes=4, input_channels=channels))
    network = Segmenter(variant=variant, width=width, classes=4).state_dict()
    assert shapes == {name: tuple(tensor.shape) for name, tensor in network.items()}


def test_a_loaded_network_computes_what_the_written_one_computed(tmp_path):
    import torch
    from SIFALib.networks.segmenter import Segmenter

    torch.manual_seed(0)
    written = Segmenter(width=2).half().float().eval()  # values that float16 holds exactly
    package = models.write_package(
        tmp_path / "new", loading.state_arrays(written.state_dict()), **tiny_models.card_fields()
    )
    loaded = loading.load_segmenter(models.read_package(package.folder))
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), written(image))
    assert not loaded.training


def test_weights_are_float16_on_disk_and_readable_by_the_reference_library(tmp_path):
    from safetensors.numpy import load_file

    package = tiny_models.write(tmp_path / "new")
    tensors = load_file(package.weights)
    assert {t.dtype for t in tensors.values()} == {np.dtype(np.float16)}
    for name, array in tiny_models.state().items():
        np.testing.assert_array_equal(tensors[name], array.astype(np.float16))


def test_weights_that_float16_cannot_hold_are_refused_when_written(tmp_path):
    state = tiny_models.state()
    state["encoder.r3.c1.conv.weight"][0, 0, 0, 0] = 1e6
    with pytest.raises(ModelError, match=r"encoder\.r3\.c1\.conv\.weight holds values that are not finite"):
        models.write_package(tmp_path / "new", state, **tiny_models.card_fields())
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_never_written_over_another(tmp_path):
    package = tiny_models.write(tmp_path / "new")
    before = package.weights.read_bytes()
    with pytest.raises(ModelError, match="exists already"):
        tiny_models.write(tmp_path / "new", name="Another")
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
    assert package.weights.read_bytes() == before


def test_models_are_listed_and_verified_without_torch(store):
    code = (
        "import sys; from pathlib import Path; from SIFALib import models\n"
        f"store = models.ModelStore(Path({str(store.bundled)!r}), Path({str(store.user)!r}))\n"
        "models.verify(store.get('tiny')); assert 'torch' not in sys.modules; "
        "print(store.get('tiny').card.key)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", cwd=LIBRARY, check=False
    )
    assert run.stdout.strip() == "tiny@1.0.0", run.stderr


# The store


def test_an_imported_version_stands_beside_the_older_one_and_is_preferred(store, tmp_path):
    newer = tiny_models.write(tmp_path / "download", version="1.10.0")
    tiny_models.write(store.user / "own-copy", version="1.9.0")
    imported = store.import_package(newer.folder)
    assert imported.folder == store.user / "tiny-1.10.0"
    assert [p.card.version for p in store.packages()] == ["1.10.0", "1.9.0", "1.0.0"]
    assert store.get("tiny").card.version == "1.10.0"
    assert store.get("tiny@1.9.0").folder.name == "own-copy"
    assert store.get("tiny@1.0.0").folder.parent == store.bundled
    loading.load_segmenter(store.get("tiny@1.0.0"))


def test_the_default_is_the_bundled_model_in_its_newest_version(store, tmp_path):
    store.import_package(tiny_models.write(tmp_path / "a", id="aaa", version="9.0.0").folder)
    assert store.default().card.key == "tiny@1.0.0"
    store.import_package(tiny_models.write(tmp_path / "b", version="1.1.0").folder)
    assert store.default().card.key == "tiny@1.0.0"  # an import is not the default by what it calls itself
    tiny_models.write(tmp_path / "bundled" / "tiny-1.0.1", version="1.0.1")
    assert store.default().card.key == "tiny@1.0.1"


def test_an_exported_model_is_imported_elsewhere_byte_for_byte(store, tmp_path):
    package = store.get("tiny")
    archive = store.export(package, tmp_path / "tiny.zip")
    elsewhere = ModelStore(tmp_path / "nothing", tmp_path / "Études α" / "models")
    imported = elsewhere.import_package(archive)
    assert imported.card == package.card
    for name in ("model.json", "model.safetensors"):
        assert (imported.folder / name).read_bytes() == (package.folder / name).read_bytes()
    again = store.export(package, tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_what_operating_systems_leave_in_folders_does_not_spoil_an_import(store, tmp_path):
    package = tiny_models.write(tmp_path / "download", version="2.0.0")
    (package.folder / ".DS_Store").write_bytes(b"clutter")
    (package.folder / "README.md").write_text("About this model")
    archive = tmp_path / "from-a-mac.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("tiny/", "")
        for path in package.folder.iterdir():
            file.write(path, f"tiny/{path.name}")
        file.writestr("__MACOSX/tiny/._model.json", b"clutter")
    imported = store.import_package(archive)
    assert sorted(p.name for p in imported.folder.iterdir()) == ["README.md", "model.json", "model.safetensors"]
    store.delete(imported)
    assert sorted(p.name for p in store.import_package(package.folder).folder.iterdir()) == [
        "README.md", "model.json", "model.safetensors",
    ]  # fmt: skip


def test_a_broken_model_is_listed_with_the_reason_beside_the_sound_ones(store):
    (store.user / "rubbish").mkdir()
    (store.user / "odd-1.0.0").mkdir()
    (store.user / "odd-1.0.0" / "model.json").write_bytes(b"\xff")
    half = tiny_models.write(store.user / "half", id="half")
    half.weights.unlink()
    copy = tiny_models.write(store.user / "copy")
    assert [p.card.key for p in store.packages()] == ["tiny@1.0.0"]
    reasons = {b.folder.name: b.reason for b in store.broken()}
    assert "there is no model.json in it" in reasons["rubbish"]
    assert "not valid UTF-8" in reasons["odd-1.0.0"]
    assert "model.safetensors is missing" in reasons["half"]
    assert f"{copy.folder} is the same model as" in reasons["copy"]
    with pytest.raises(ModelError, match="not valid UTF-8"):
        store.get("odd")


def test_a_card_is_parsed_once_as_long_as_it_stays_the_same(store):
    """Panels ask for all models whenever a person chooses anything."""
    first, again = store.default().card, store.default().card
    assert first is again
    file = store.bundled / "tiny-1.0.0" / "model.json"
    file.write_text(file.read_text(encoding="utf-8").replace(first.name, "Another name"), encoding="utf-8")
    assert store.default().card.name == "Another name" != first.name


def test_an_unknown_model_is_refused_with_the_list_of_those_that_exist(store, tmp_path):
    for wanted in ("big", "tiny@2.0.0"):
        with pytest.raises(ModelError, match=rf"There is no model '{wanted}'\. There are: tiny@1\.0\.0\."):
            store.get(wanted)
    empty = ModelStore(tmp_path / "a", tmp_path / "b")
    assert empty.packages() == () and empty.broken() == ()
    with pytest.raises(ModelError, match="import one"):
        empty.default()


def test_own_models_can_be_deleted_and_bundled_ones_cannot(store, tmp_path):
    imported = store.import_package(tiny_models.write(tmp_path / "download", version="2.0.0").folder)
    store.delete(imported)
    assert list(store.user.iterdir()) == []
    with pytest.raises(ModelError, match="only models that were imported can be deleted"):
        store.delete(store.get("tiny"))
    outside = tiny_models.write(tmp_path / "outside")
    with pytest.raises(ModelError, match="only models that were imported can be deleted"):
        store.delete(outside)
    assert store.get("tiny").weights.is_file() and outside.weights.is_file()


def test_a_broken_model_can_be_deleted_and_what_is_no_model_never(store):
    for name, lost in (("cardless", "model.json"), ("weightless", "model.safetensors")):
        (tiny_models.write(store.user / name).folder / lost).unlink()
    damaged = tiny_models.write(store.user / "damaged")
    (damaged.folder / "model.json").write_text("{")
    assert len(store.broken()) == 3
    for broken in store.broken():
        store.delete(broken)
    assert list(store.user.iterdir()) == []
    (store.user / "junk").mkdir()
    (store.user / "junk" / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="junk is no model"):
        store.delete(store.broken()[0])
    assert (store.user / "junk" / "thesis.txt").read_text() == "years of work"


def test_a_model_that_comes_with_sifa_needs_no_import(store, tmp_path):
    bundled = store.get("tiny")
    download = store.export(bundled, tmp_path / "download.zip")
    with pytest.raises(ModelError, match="comes with SIFA and is there already; nothing needs to be imported"):
        store.import_package(download)
    with pytest.raises(ModelError, match="comes with SIFA and stays"):
        store.delete(bundled)
    other = tiny_models.write_constant(tmp_path / "other", 3)
    with pytest.raises(ModelError, match="needs another id or version"):
        store.import_package(other.folder)


KILLED_IMPORT = """
import os, signal, sys
from pathlib import Path
from SIFALib.models import store
store.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # at the last moment
store.ModelStore(Path("nothing"), Path(sys.argv[1])).import_package(sys.argv[2])
"""


def test_the_leftover_of_a_killed_import_is_never_listed_and_swept_away_a_day_later(store, tmp_path):
    download = tiny_models.write(tmp_path / "download", version="2.0.0")
    for _ in range(2):
        command = [sys.executable, "-c", KILLED_IMPORT, str(store.user), str(download.folder)]
        assert subprocess.run(command, cwd=LIBRARY, check=False).returncode == -signal.SIGKILL
    old, fresh = store.user.iterdir()
    assert (old / "model.safetensors").is_file() and (fresh / "model.safetensors").is_file()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    assert [p.card.version for p in store.packages()] == ["1.0.0"] and store.broken() == ()
    store.import_package(download.folder)
    assert {p.name for p in store.user.iterdir()} == {fresh.name, "tiny-2.0.0"}


def test_the_user_folder_is_the_argument_then_the_environment_then_the_platforms(tmp_path, monkeypatch):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path / "environment"))
    assert models.default_store(tmp_path / "argument").user == tmp_path / "argument"
    assert models.default_store().user == tmp_path / "environment"
    monkeypatch.delenv("SIFA_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert models.default_store().user == tmp_path / "data" / "SIFA" / "models"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert models.default_store().user == tmp_path / "local" / "SIFA" / "models"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert models.default_store().user.parts[-4:] == ("Library", "Application Support", "SIFA", "models")


def test_the_models_that_come_with_sifa_are_sound_and_small(tmp_path):
    packages = models.default_store(tmp_path).packages()
    assert packages
    for package in packages:
        models.verify(package)
        assert package.weights.stat().st_size <= 8e6
        assert package.card.labels == STRUCTURES
