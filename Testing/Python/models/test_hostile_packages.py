"""Promises about model packages from strangers: refused in a sentence, nothing run, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from SIFALib.models import archive as model_archive
from SIFALib.models import store as models
from SIFALib.models import weights
from SIFALib.models.store import ModelStore
from SIFALib.networks import loading
from SIFALib.support.errors import ModelError


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    (tmp_path / "user").mkdir()
    return ModelStore(tmp_path / "bundled", tmp_path / "user")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A sound package, for the tests to spoil."""
    return tiny_models.write(tmp_path / "download").folder


def refused(store: ModelStore, path: Path) -> str:
    """The sentence with which `path` is refused; nothing may be left of it in or beside the store."""
    around = set(store.user.parent.rglob("*"))
    with pytest.raises(ModelError) as refusal:
        store.import_package(path)
    assert set(store.user.parent.rglob("*")) == around
    sentence = str(refusal.value)
    assert str(path) in sentence, "the sentence must name what was given, not a temporary file"
    assert ".tmp" not in sentence and "\n" not in sentence and len(sentence) < 600
    return sentence


def reseal(folder: Path, data: bytes) -> Path:
    """Put `data` in the place of the weights and make the card agree with it, as a skilled forger would."""
    (folder / "model.safetensors").write_bytes(data)
    card = json.loads((folder / "model.json").read_text())
    card["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "model.json").write_text(json.dumps(card))
    return folder


def safetensors(entries: dict[str, Any] | bytes, numbers: bytes = b"") -> bytes:
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + numbers


def split(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Header and numbers of the weights in `folder`."""
    data = (folder / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def test_weights_that_the_card_does_not_vouch_for_are_refused(store, package):
    data = bytearray((package / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (package / "model.safetensors").write_bytes(data)
    assert "does not belong to its model card" in refused(store, package)


def test_one_changed_bit_is_found_when_a_model_in_use_is_loaded(store, package):
    installed = store.import_package(package)
    data = bytearray(installed.weights.read_bytes())
    data[len(data) // 2] ^= 1
    installed.weights.write_bytes(data)
    for use in (models.verify, loading.load_segmenter):
        with pytest.raises(ModelError, match="SHA-256"):
            use(installed)
    with pytest.raises(ModelError, match="SHA-256"):
        store.export(installed, store.user.parent / "out.zip")
    assert not (store.user.parent / "out.zip").exists()


FIRST = "encoder.c1.conv.weight"
NOTHING = {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}
NO_FILE = "is cut off, damaged, or no safetensors file"
Header = dict[str, Any]


def change(**changed: Any) -> Callable[[Header], Header]:
    return lambda header: header | {FIRST: header[FIRST] | changed}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda h: {f"{k}s" if k == FIRST else k: v for k, v in h.items()}, "1 of the network's tensors are missing"),
        (lambda h: h | {"extra": NOTHING}, "1 tensors are not of this network, 'extra'"),
        (lambda h: h | {"\x1b[2J": NOTHING}, r"'\x1b[2J'"),
        (lambda h: h | {"\x1b[2J": h[FIRST]}, NO_FILE),  # which of the two it names, safetensors leaves to chance
        (lambda h: {k: v for k, v in h.items() if k != FIRST}, NO_FILE),
        (change(shape=[1, 1, 7, 14]), "has the shape [1, 1, 7, 14], the network needs [2, 1, 7, 7]"),
        (change(shape=[2**40, 2**40, 7, 7]), NO_FILE),
        (change(shape=[2, 1, 7, -7]), NO_FILE),
        (change(shape=[2, 1, 7, 7.0]), NO_FILE),
        (change(shape=[1] * 1000), NO_FILE),
        (change(shape="2177"), NO_FILE),
        (change(shape=[2, 1, 7]), NO_FILE),
        (change(dtype="F32", shape=[1, 1, 7, 7]), "encoder.c1.conv.weight is of type F32; weights are F16"),
        (change(dtype="I16"), "is of type I16"),
        (change(dtype="BF16"), "is of type BF16"),
        (change(dtype="F99"), NO_FILE),
        (change(dtype={"a": 1}), NO_FILE),
        (change(data_offsets=[0, 10**18]), NO_FILE),
        (change(data_offsets=[-2, 194]), NO_FILE),
        (change(data_offsets=[0]), NO_FILE),
        (lambda h: h | {FIRST: 5}, NO_FILE),
        (lambda h: h | {FIRST: h[FIRST] | {"data_offsets": h["encoder.c2.conv.weight"]["data_offsets"]}}, NO_FILE),
    ],
)
def test_a_header_that_lies_about_the_tensors_is_refused(store, package, spoil, sentence):
    header, numbers = split(package)
    said = refused(store, reseal(package, safetensors(spoil(header), numbers)))
    assert sentence in said and said.isprintable()


@pytest.mark.parametrize(
    ("tensor", "value", "sentence"),
    [
        ("encoder.r5.c1.conv.weight", np.nan, "holds values that are not finite"),
        ("encoder.r5.c1.conv.weight", np.inf, "holds values that are not finite"),
        ("encoder.r5.c1.conv.weight", -np.inf, "holds values that are not finite"),
        ("encoder.c1.norm.running_var", -1, "holds a variance below 0"),
    ],
)
def test_weights_with_values_that_cannot_be_are_refused(store, package, tensor, value, sentence):
    header, numbers = split(package)
    spoilt = np.frombuffer(numbers, "<f2").copy()
    spoilt[header[tensor]["data_offsets"][0] // 2] = value
    assert f"{tensor} {sentence}" in refused(store, reseal(package, safetensors(header, spoilt.tobytes())))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x10\0\0\0\0",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 40) + b'{"a": ',
        safetensors(b"\xff\xfe"),
        safetensors(b'{"a": 1, "a": 2}'),
        safetensors(b"[[[[]]]]"),
        safetensors(b"[" * 50_000),
        safetensors(b"{ this is not json }"),
        b"plain text, long enough to have a header length",
    ],
)
def test_a_file_that_is_no_safetensors_file_is_refused(store, package, data):
    assert NO_FILE in refused(store, reseal(package, data))


def test_a_header_of_more_than_a_megabyte_is_refused_unread(store, package):
    data = struct.pack("<Q", 2 * 1024**2) + b" " * 2 * 1024**2
    assert "a header of 2097152 bytes" in refused(store, reseal(package, data))


def test_a_truncated_download_and_numbers_that_no_tensor_claims_are_refused(store, package):
    data = (package / "model.safetensors").read_bytes()
    assert NO_FILE in refused(store, reseal(package, data[: len(data) // 2]))
    assert NO_FILE in refused(store, reseal(package, data + b"payload"))


class Bomb:
    """Unpickling this writes a file: the proof that something was run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_in_the_clothes_of_weights_is_refused_and_never_run(store, package, protocol):
    witness = store.user.parent / "it-ran"
    assert "is a pickled file" in refused(store, reseal(package, pickle.dumps(Bomb(witness), protocol)))
    assert not witness.exists()


def test_a_torch_checkpoint_in_the_clothes_of_weights_is_refused(store, package, tmp_path):
    import torch

    torch.save({"a": torch.zeros(2)}, tmp_path / "checkpoint")
    data = (tmp_path / "checkpoint").read_bytes()
    assert "is a pickled file" in refused(store, reseal(package, data))


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "run.sh", "model.json.bak", "module.py"])
def test_a_file_that_no_model_needs_is_refused_in_a_folder_and_in_a_zip(store, package, name):
    (package / name).write_bytes(b"x")
    assert f"contains '{name}'" in refused(store, package)
    assert f"contains 'tiny/{name}'" in refused(store, zipped(package))


def zipped(folder: Path, extra: dict[str, bytes] | None = None) -> Path:
    """A zip of the package, with further entries under exactly the given names."""
    path = folder.parent / "package.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"tiny/{file.name}")
        for name, data in (extra or {}).items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name  # past the normalisation that zipfile does itself
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "tiny/../../evil.json",
        "../../../../../../tmp/model.json",
        "/etc/evil.json",
        "//server/share/model.json",
        "C:\\evil.json",
        "C:/evil.json",
        "..\\evil.json",
        "tiny\\model.json",
    ],
)
def test_a_zip_entry_that_leads_out_of_its_folder_is_refused(store, package, name):
    assert "leads out of its folder" in refused(store, zipped(package, {name: b"{}"}))


def test_links_and_devices_are_refused_in_a_folder_and_in_a_zip(store, package, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("private")
    archive = zipped(package)
    with zipfile.ZipFile(archive, "a") as file:
        info = zipfile.ZipInfo("tiny/README.md")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, str(secret))
    assert "a link or a device" in refused(store, archive)
    (package / "README.md").symlink_to(secret)
    assert "a link or a device" in refused(store, package)
    (package / "README.md").unlink()
    os.mkfifo(package / "README.md")
    assert "a link or a device" in refused(store, package)


def test_linked_weights_in_the_store_are_refused_when_loaded(store, package):
    installed = store.import_package(package)
    elsewhere = store.user.parent / "elsewhere.safetensors"
    installed.weights.rename(elsewhere)
    installed.weights.symlink_to(elsewhere)
    with pytest.raises(ModelError, match="no ordinary file"):
        loading.load_segmenter(installed)


@pytest.mark.parametrize(
    ("declared", "sentence"), [(None, "package.zip: model.json is larger than the 1 MB"), (1000, "")]
)
def test_a_zip_bomb_is_refused_whether_it_admits_its_size_or_lies(store, package, declared, sentence):
    (package / "model.json").unlink()
    size = 8 * model_archive.LIMITS["model.json"]
    archive = zipped(package, {"tiny/model.json": b" " * size})
    if declared:
        archive.write_bytes(archive.read_bytes().replace(struct.pack("<L", size), struct.pack("<L", declared)))
    assert sentence in refused(store, archive)


def test_what_unfolds_beyond_its_limit_is_cut_off_whatever_was_declared(tmp_path):
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return b" " * size

    source = Endless()
    with pytest.raises(ModelError, match="larger than the 1 MB"):
        model_archive._copy(source, tmp_path / "model.json", "it")  # type: ignore[arg-type]
    assert source.given <= model_archive.LIMITS["model.json"] + model_archive.CHUNK


def test_weights_larger_than_any_network_are_refused_unread(store, package):
    with open(package / "model.safetensors", "r+b") as file:
        file.truncate(weights.MAX_BYTES + 1)  # sparse: takes no room on the disk
    assert "larger than the 268 MB" in refused(store, package)


def test_a_zip_with_a_huge_table_of_contents_is_refused_before_it_is_read(store, package):
    extra = {f"tiny/{'x' * 60}{n}": b"" for n in range(1000)}
    assert "far more entries" in refused(store, zipped(package, extra))


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"tiny/model.json": b"{}"}, "contains model.json twice"),
        ({"other/README.md": b"x"}, "several folders"),
        ({"tiny/deeper/README.md": b"x"}, "contains 'tiny/deeper/README.md'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_that_holds_more_than_one_model_is_refused(store, package, extra, sentence):
    assert sentence in refused(store, zipped(package, extra))


def test_a_zip_without_card_or_weights_is_refused(store, package):
    for name in ("model.safetensors", "model.json"):
        (package / name).unlink()
        assert f"there is no {name} in it" in refused(store, zipped(package))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(store, package, method):
    archive = package.parent / "package.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.write(package / "model.json", "model.json")
    assert "compressed in an unusual way" in refused(store, archive)


def test_what_is_neither_folder_nor_zip_is_refused(store, package, tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    assert "neither a folder nor a zip file" in refused(store, tmp_path / "text.zip")
    assert "does not exist" in refused(store, tmp_path / "nothing.zip")
    assert "give the folder that it lies in" in refused(store, package / "model.safetensors")
    (tmp_path / "empty").mkdir()
    assert "there is no model.json in it" in refused(store, tmp_path / "empty")


def test_a_model_that_is_there_already_is_refused(store, package):
    first = store.import_package(package)
    assert "tiny@1.0.0 is there already" in refused_after(store, package)
    assert first.weights.is_file()


def refused_after(store: ModelStore, path: Path) -> str:
    before = {p: p.stat().st_mtime_ns for p in store.user.rglob("*")}
    with pytest.raises(ModelError) as refusal:
        store.import_package(path)
    assert {p: p.stat().st_mtime_ns for p in store.user.rglob("*")} == before
    return str(refusal.value)


def test_an_unknown_key_in_the_card_is_refused(store, package):
    card = json.loads((package / "model.json").read_text())
    (package / "model.json").write_text(json.dumps(card | {"run_after_import": "rm -rf"}))
    assert "run_after_import is no key" in refused(store, package)


def test_a_card_larger_than_any_card_is_refused_unread(store, package):
    (package / "model.json").write_bytes(b" " * (2 * 1024**2))
    assert "larger than" in refused(store, package)


def test_a_full_disk_is_told_and_leaves_nothing(store, package, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in refused(store, package)


def test_a_user_folder_that_cannot_be_made_is_told(package, tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = ModelStore(tmp_path / "bundled", tmp_path / "file" / "models")
    with pytest.raises(ModelError, match=r"cannot be copied into .*models"):
        store.import_package(package)
