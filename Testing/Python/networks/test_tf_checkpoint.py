"""The authors' TensorFlow checkpoints become models with the same numbers; anything else is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_bundles
import torch
from golden import recipe
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.cli import main
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.intensity import intensity_rule
from SIFALib.models import store as models
from SIFALib.models.card import Preprocessing
from SIFALib.networks import loading
from SIFALib.networks.tensorflow import checkpoint
from SIFALib.networks.tensorflow.bundle import read_bundle, read_variable
from SIFALib.support.errors import ModelError

SAVED = Path(__file__).parents[1] / "golden" / "checkpoints"  # indices that TensorFlow's saver wrote
STATE = {"beta1_power": 0.5, "beta1_power_1": 0.9, "beta2_power": 0.999, "beta2_power_1": 0.999}


def real_checkpoint(folder: Path, version: str) -> Path:
    """TensorFlow's own index beside its data file, whose numbers follow the recipe."""
    folder.mkdir(exist_ok=True)
    prefix = folder / "sifa_tiny"
    prefix.with_suffix(".index").write_bytes((SAVED / f"{version}.index").read_bytes())
    variables = read_bundle(prefix).variables
    values = [np.float32(STATE[name]) if name in STATE else recipe.fill(name, v.shape) for name, v in variables.items()]
    Path(f"{prefix}.data-00000-of-00001").write_bytes(b"".join(v.tobytes() for v in values))
    return prefix


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_tensorflow_saved_is_read_to_the_last_bit(tmp_path: Path, version: str) -> None:
    bundle = read_bundle(real_checkpoint(tmp_path, version))
    assert len(bundle.variables) == {"v1": 31, "v2": 32}[version]
    for name, variable in bundle.variables.items():
        values = read_variable(bundle, name)  # checks the sum that TensorFlow computed
        wanted = np.float32(STATE[name]) if name in STATE else recipe.fill(name, variable.shape)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, wanted)


def test_a_real_checkpoint_without_all_of_the_segmenter_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"144 of the 160 variables .* missing, Model/e_B/c2/Conv/weights for one"):
        checkpoint.inspect(real_checkpoint(tmp_path, "v1"))


def test_a_checkpoint_of_full_size_becomes_a_model_that_computes_the_same(tmp_path: Path, capsys) -> None:
    original = recipe.segmenter("tmi2020")
    prefix = tf_bundles.write(tmp_path / "sifa-19999", tf_bundles.variables_of(original))
    assert prefix.with_suffix(".data-00000-of-00001").stat().st_size > 110e6
    found = checkpoint.inspect(prefix)
    state = checkpoint.segmenter_state(found)
    assert (found.architecture.variant, found.architecture.width, found.architecture.classes) == ("tmi2020", 16, 5)
    for name, values in original.state_dict().items():
        np.testing.assert_array_equal(state[name], values.numpy())

    store = tmp_path / "models"
    arguments = ["import-tf", str(prefix), "mr2ct", "--modality", "ct", "--models-folder", str(store)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "TMI 2020" in said
    assert "27,535,568" in said  # values of e_B, as the specification counts them
    package = models.default_store(store).get("mr2ct")
    models.verify(package)
    assert package.card.preprocessing.zscore_range == (-2.8, 3.2)
    x = torch.tensor(recipe.images("img_B", 1)[:, :96, :96].transpose(0, 3, 1, 2))
    with torch.inference_mode():
        theirs, ours = original(x).softmax(1), loading.load_segmenter(package)(x).softmax(1)
    assert (theirs - ours).abs().max() < 0.05  # half precision on disk
    assert (theirs.argmax(1) == ours.argmax(1)).float().mean() > 0.98


@pytest.mark.parametrize("variant", ["tmi2020", "aaai2019"])
def test_paper_width_and_classes_are_told_by_the_shapes(tmp_path: Path, variant: str) -> None:
    segmenter, architecture = tf_bundles.small(variant)
    found = checkpoint.inspect(tf_bundles.write(tmp_path / "sifa-299", tf_bundles.variables_of(segmenter)))
    assert found.architecture == architecture
    state = checkpoint.segmenter_state(found)
    for name, values in segmenter.state_dict().items():
        np.testing.assert_array_equal(state[name], values.numpy())


@pytest.mark.parametrize(
    ("modality", "statistics", "span"),
    [("ct", "new", (-2.8, 3.2)), ("ct", "old", (-1.9, 3.0)), ("mr", "new", (-1.8, 4.4))],
)
def test_grey_values_reach_the_network_as_the_authors_made_them(
    modality: str, statistics: str, span: tuple[float, float]
) -> None:
    preprocessing = checkpoint.preprocessing(modality, statistics)
    rng = np.random.default_rng(0)
    array = rng.normal(100, 40, (20, 30, 30)).astype(np.float32)
    volume = Volume(array, Geometry((30, 30, 20), (0, 0, 0), (1, 1, 1)))
    rule = intensity_rule(volume, preprocessing, "auto")
    assert rule.name == f"z-scores {span[0]:g} to {span[1]:g}"
    scores = (array - array.mean()) / array.std()  # as their volumes come
    theirs = 2 * (scores - span[0]) / (span[1] - span[0]) - 1
    ours = rule.normalise(array, np.ones(array.shape, bool))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert ours.max() > 1 or ours.min() < -1  # nothing is clipped
    inside = np.zeros(array.shape, bool)
    inside[5:15] = True
    part = rule.normalise(array, inside)
    assert part[~inside].max() == part[inside].min()


def test_cards_without_z_scores_are_what_they_were() -> None:
    assert Preprocessing().zscore_range == ()
    with pytest.raises(ValueError, match="zscore_range"):
        Preprocessing(zscore_range=(3.0, -2.0))
    with pytest.raises(ValueError, match="zscore_range"):
        Preprocessing(zscore_range=(1.0,))


@pytest.fixture
def variables() -> dict[str, np.ndarray]:
    return tf_bundles.variables_of(tf_bundles.small()[0])


def refused(prefix: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        checkpoint.segmenter_state(checkpoint.inspect(prefix))
    assert str(prefix) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_variable_another_shape_type_or_paper_is_refused_by_name(tmp_path: Path, variables) -> None:
    name = "Model/e_B/r3/c1/Conv/weights"
    without = {k: v for k, v in variables.items() if k != name}
    refused(tf_bundles.write(tmp_path / "a", without), f"1 of the 161 .* {name}")
    refused(tf_bundles.write(tmp_path / "b", variables | {name: variables[name][..., :-1]}), f"{name} has the shape")
    double = variables | {name: variables[name].astype(np.float64)}
    refused(tf_bundles.write(tmp_path / "c", double), f"{name} is not of type float32")
    shallow = {k: v for k, v in variables.items() if "s_B_ll" not in k}
    refused(tf_bundles.write(tmp_path / "d", shallow), "neither paper")
    broken = variables | {name: np.full_like(variables[name], np.nan)}
    refused(tf_bundles.write(tmp_path / "e", broken), f"{name} holds values that are not finite")
    refused(tf_bundles.write(tmp_path / "f", {"w": np.zeros(3, np.float32)}), "no checkpoint of SIFA")
    odd = variables | {"Model/e_B/c1/Conv/weights": np.zeros((7, 7, 1, 3), np.float32)}
    refused(tf_bundles.write(tmp_path / "g", odd), "width is 3")


def test_damaged_data_are_refused(tmp_path: Path, variables) -> None:
    prefix = tf_bundles.write(tmp_path / "x", variables)
    data = Path(f"{prefix}.data-00000-of-00001")
    whole = data.read_bytes()
    data.write_bytes(whole[:-1000])
    refused(prefix, "cut off")
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    data.write_bytes(changed)
    refused(prefix, "checksum of 'Model/e_B.* is wrong")
    data.unlink()
    refused(prefix, "cannot be read")


def test_a_damaged_index_is_refused(tmp_path: Path, variables) -> None:
    prefix = tf_bundles.write(tmp_path / "x", variables)
    index = prefix.with_suffix(".index")
    whole = index.read_bytes()
    index.write_bytes(whole[:-1] + b"\0")
    refused(prefix, "mark at its end")
    index.write_bytes(whole[:20])
    refused(prefix, "mark at its end")
    index.write_bytes(whole[:500] + whole[600:])
    refused(prefix, "checksum of a block|beyond its end")
    changed = bytearray(whole)
    changed[100] ^= 1
    index.write_bytes(changed)
    refused(prefix, "checksum of a block")


def test_a_compressed_index_is_refused_by_the_name_of_its_compression(tmp_path: Path) -> None:
    prefix = tf_bundles.write(tmp_path / "x", {"w": np.zeros(3, np.float32)})
    whole = bytearray(prefix.with_suffix(".index").read_bytes())
    size = len(tf_bundles.block_of([]))
    stop = len(whole) - 48 - 5
    assert size and whole[stop] == 0
    whole[stop] = 1  # of the block that lists the others
    prefix.with_suffix(".index").write_bytes(whole)
    refused(prefix, "compressed with snappy")


NAME = b"Model/e_B/c1/Conv/weights"


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({NAME: tf_bundles.entry(1, (7, 7, 1, 2), 1 << 61, 392, 0)}, "ends before"),
        ({NAME: tf_bundles.entry(1, (7, 7, 1, 2), 1 << 63, 392, 0)}, "impossible place"),
        ({NAME: tf_bundles.entry(1, (7, 7, 1, 2), 0, 1 << 40, 0)}, "its shape .* does not"),
        ({NAME: tf_bundles.entry(1, (1 << 40, 7, 1, 2), 0, 392, 0)}, "impossible shape"),
        ({NAME: tf_bundles.entry(1, (2**64 - 1, 7, 1, 2), 0, 392, 0)}, "impossible shape"),
        ({NAME: tf_bundles.entry(1, (7,) * 9, 0, 392, 0)}, "impossible shape"),
        ({NAME: tf_bundles.entry(1, (7, 7, 1, 2), 0, 392, 0, shard=1)}, "impossible place"),
        ({NAME: tf_bundles.entry(1, (7, 7, 1, 2), 0, 392, 0, more=b"\x3a\x00")}, "in slices"),
        ({NAME: b"\x08\x01\x12\x7f\x12"}, "cut off"),
        ({NAME: b"\xff" * 30}, "too many bytes"),
        ({NAME: b"\x0b"}, "unknown form"),
        ({b"\xff\xfe": b"\x08\x01"}, "no text"),
        ({b"": b"\x08\x01\x10\x01"}, "big-endian"),
        ({b"": b"\x08\x00"}, "number of data files"),
    ],
)
def test_hostile_entries_are_refused(tmp_path: Path, variables, changed: dict[bytes, bytes], match: str) -> None:
    refused(tf_bundles.write(tmp_path / "x", variables, changed), match)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (tf_bundles.table_of([(b"a", tf_bundles.block_of([(b"a", b"")]))]), "no header"),
        (tf_bundles.table_of([(b"a", b"\x05\x01\x00a" + bytes(4))]), "beyond its block"),
        (tf_bundles.table_of([(b"a", b"\x00\x01\x7fa" + bytes(4))]), "beyond its block"),
        (tf_bundles.table_of([(b"a", b"\x00\x01\x00a" + b"\xff\xff\xff\x7f")]), "list of starts"),
        (tf_bundles.table_of([(b"a", b"\x00")]), "too short"),
        (tf_bundles.table_of([(b"a", b"")], [tf_bundles.varint(1 << 60) + b"\x10"]), "beyond its end"),
        (tf_bundles.table_of([(b"a", b"")], [b"\xff" * 12]), "too many bytes"),
        (tf_bundles.table_of([(k, tf_bundles.block_of([(k, b"")])) for k in (b"b", b"a")]), "out of order"),
        (
            tf_bundles.table_of([(k, tf_bundles.block_of([(b"a", b"")])) for k in (b"a", b"b")], [b"\0\x0c"] * 2),
            "over each other",
        ),
    ],
)
def test_hostile_tables_are_refused(tmp_path: Path, table: bytes, match: str) -> None:
    (tmp_path / "x.index").write_bytes(table)
    refused(tmp_path / "x", match)


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_at_all_raise_anything_but_a_sentence(tmp_path_factory, content: bytes, as_block: bool) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    if as_block:
        table = tf_bundles.table_of([(b"z", content)])
    else:
        table = tf_bundles.index_of({b"": tf_bundles.HEADER, NAME: content})
    (folder / "x.index").write_bytes(table)
    (folder / "x.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(ModelError):
        checkpoint.segmenter_state(checkpoint.inspect(folder / "x"))


def test_any_of_its_names_leads_to_a_checkpoint_and_what_is_none_is_refused(tmp_path: Path, variables) -> None:
    prefix = tf_bundles.write(tmp_path / "only" / "sifa-299", variables)
    names = [prefix, prefix.parent, f"{prefix}.index", f"{prefix}.data-00000-of-00001", f"{prefix}.meta"]
    assert {read_bundle(name).prefix for name in names} == {prefix}
    tf_bundles.write(tmp_path / "only" / "sifa-599", {"w": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match=r"holds 2 checkpoints .*sifa-299, sifa-599"):
        read_bundle(prefix.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no TensorFlow checkpoint"):
        read_bundle(tmp_path / "empty")
    with pytest.raises(ModelError, match="does not exist"):
        read_bundle(tmp_path / "nothing")
    other = tmp_path / "model.pth"
    other.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match=r"model.pth is no TensorFlow checkpoint"):
        read_bundle(other)


def test_import_says_what_it_found_and_never_overwrites(tmp_path: Path, capsys) -> None:
    segmenter, _ = tf_bundles.small("aaai2019")
    prefix = tf_bundles.write(tmp_path / "sifa-299", tf_bundles.variables_of(segmenter))
    store = tmp_path / "models"
    common = ["--modality", "ct", "--models-folder", str(store)]
    assert main(["import-tf", str(prefix), "old-ct", "--statistics", "old", *common]) == 0
    said = capsys.readouterr()
    assert "AAAI 2019" in said.out and "width 2, 5 classes, 3 channel(s)" in said.out
    assert "source discriminator" in said.out and "2 counters" in said.out
    assert "assumed" in said.err
    card = models.default_store(store).get("old-ct").card
    assert card.preprocessing.zscore_range == (-1.9, 3.0)
    assert card.preprocessing.plane == "coronal"
    assert "Not known, and assumed here" in card.trained_on
    before = (store / "old-ct-1.0.0" / "model.json").read_bytes()
    assert main(["import-tf", str(prefix), "old-ct", *common]) == 4
    assert "old-ct@1.0.0 is there already" in capsys.readouterr().err
    assert (store / "old-ct-1.0.0" / "model.json").read_bytes() == before
    assert [p.name for p in store.iterdir()] == ["old-ct-1.0.0"]
    assert main(["import-tf", str(prefix), "Old CT", *common]) == 2
    wrong = ["import-tf", str(prefix), "mr", "--statistics", "old", "--modality", "mr"]
    assert main([*wrong, "--models-folder", str(store)]) == 2
    assert "for CT" in capsys.readouterr().err
