"""The authors' slices and volumes are read as their code reads them; files that are not theirs are refused by name."""

from __future__ import annotations

import contextlib
import struct
import zipfile

import numpy as np
import pytest
import training_data
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.datasets import NO_AUGMENTATION, DataSettings, batch, prepared, released, tfrecord
from SIFALib.support.errors import DataError
from training_data import released_slices, slice_record


def write_records(path, count: int = 1, first: int = 0, side: int = 64):
    """A file of that many records; the middle slices and labels in it."""
    made = [released_slices(first + n, side) for n in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(slice_record(*pair) for pair in made))
    return np.stack([i[..., 1] for i, _ in made]).astype(np.float32), np.stack([n[..., 1] for _, n in made])


def test_only_the_middle_slice_of_a_record_is_read_bit_for_bit(tmp_path):
    images, labels = write_records(tmp_path / "a.tfrecords", 3)
    read_images, read_labels = released.read(tmp_path / "a.tfrecords")
    assert np.array_equal(read_images, images) and np.array_equal(read_labels, labels)
    assert read_labels.dtype == np.uint8 and read_labels.max() == 5


@pytest.mark.parametrize("harm", ["data", "length", "sum", "cut", "text", "empty"])
def test_a_damaged_file_is_refused_by_name(tmp_path, harm):
    path = tmp_path / "a.tfrecords"
    write_records(path)
    data = bytearray(path.read_bytes())
    if harm == "data":
        data[500] ^= 4
    elif harm == "length":
        data[0] ^= 1
    elif harm == "sum":
        data[-1] ^= 1
    elif harm == "cut":
        data = data[:-100]
    elif harm == "text":
        data = bytearray(b"These are not the records that you are looking for.")
    else:
        data = bytearray()
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tfrecords"):
        released.read(path)


def test_a_record_of_other_things_is_refused_by_name(tmp_path):
    path = tmp_path / "a.tfrecords"
    image, labels = released_slices(0)
    sizes = {f"{kind}size_dim{n}": 64 if n < 2 else 3 for kind in "dl" for n in range(3)}
    volumes = {"data_vol": image.astype("<f4").tobytes(), "label_vol": labels.astype("<f4").tobytes()}
    wrong = {
        "no data_vol": {**sizes, "label_vol": volumes["label_vol"]},
        "no dsize_dim1": {k: v for k, v in (sizes | volumes).items() if k != "dsize_dim1"},
        "not those of": {**sizes, **volumes, "data_vol": b"1234"},
        "not three slices": {**sizes, **volumes, "lsize_dim2": 4},
        "no numbers": {**sizes, **volumes, "data_vol": np.full((64, 64, 3), np.nan, "<f4").tobytes()},
        "labels out of": {**sizes, **volumes, "label_vol": np.full((64, 64, 3), 0.5, "<f4").tobytes()},
    }
    for says, features in wrong.items():
        path.write_bytes(training_data.record(training_data.example(features)))
        with pytest.raises(DataError, match=says):
            released.read(path)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_in_another_way(data):
    with contextlib.suppress(ValueError, struct.error):
        tfrecord.example(data)


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_any_length_are_read(value):
    data = training_data.example({"n": value})
    assert tfrecord.example(data) == {"n": [value]}


def settings(folder, **changed) -> DataSettings:
    values = {
        "source": str(folder / "mr"),
        "target": str(folder / "ct"),
        "size": 64,
        "augmentation": NO_AUGMENTATION,
        "source_normalisation": "sifa_mr",
        "target_normalisation": "sifa_ct",
    }
    return DataSettings(**(values | changed))


def test_folders_of_records_are_scaled_by_the_authors_statistics_without_limits(tmp_path):
    mr = np.concatenate([write_records(tmp_path / "mr" / f"{n}.tfrecords", 1, n)[0] for n in range(10)])
    ct = np.concatenate([write_records(tmp_path / "ct" / f"{n}.tfrecords", 1, 100 + n)[0] for n in range(10)])
    domains = prepared(settings(tmp_path), tmp_path / "cache")
    everything = np.concatenate([domains.source.images[:], domains.source_validation.images[:]])
    expected = 2 * (mr + 1.8) / (4.4 + 1.8) - 1
    assert np.allclose(np.sort(everything.ravel()), np.sort(expected.ravel()), atol=1e-6)
    everything = np.concatenate([domains.target.images[:], domains.target_validation.images[:]])
    expected = 2 * (ct + 2.8) / (3.2 + 2.8) - 1
    assert np.allclose(np.sort(everything.ravel()), np.sort(expected.ravel()), atol=1e-6)
    assert expected.min() < -1  # the authors do not clip
    assert len(domains.source_validation.names) == 2 and domains.target.labels is None
    made = batch(domains, settings(tmp_path), 0, 0, 64)
    assert made.source.shape == (64, 1, 64, 64) and int(made.source_labels.max()) == 5  # label 5: no class


def test_the_older_statistics_and_percentiles_can_be_had(tmp_path):
    raw = write_records(tmp_path / "ct" / "a.tfrecords", 10)[0]
    write_records(tmp_path / "mr" / "b.tfrecords", 10, 50)
    old = prepared(settings(tmp_path, target_normalisation="sifa_ct_old"), tmp_path / "cache").target.images[:]
    assert np.allclose(old, 2 * (raw + 1.9) / (3.0 + 1.9) - 1, atol=1e-6)
    card = prepared(settings(tmp_path, target_normalisation="card"), tmp_path / "cache").target.images[:]
    assert card.min() == -1 and card.max() == 1


def test_whoever_scales_released_slices_in_another_way_than_the_authors_is_told(tmp_path):
    write_records(tmp_path / "ct" / "a.tfrecords", 10)
    write_records(tmp_path / "mr" / "b.tfrecords", 10, 50)
    domains = prepared(settings(tmp_path, target_normalisation="card"), tmp_path / "cache")
    said = [note for note in domains.notes if "not as the authors do" in note]
    assert len(said) == 1 and "data.target_normalisation to sifa_mr or sifa_ct" in said[0]


def test_a_list_of_more_numbers_than_there_could_be_is_refused(monkeypatch):
    data = training_data.example({"n": 2**63})
    monkeypatch.setattr(tfrecord, "MOST_NUMBERS", 1)
    with pytest.raises(ValueError, match="more numbers"):
        tfrecord.example(data)


def test_slices_of_another_size_than_is_trained_on_are_refused(tmp_path):
    write_records(tmp_path / "mr" / "a.tfrecords", 10)
    write_records(tmp_path / "ct" / "a.tfrecords", 10, 50)
    with pytest.raises(DataError, match=r"a\.tfrecords has slices of 64 x 64"):
        prepared(settings(tmp_path, size=96), tmp_path / "cache")
    write_records(tmp_path / "ct" / "b.tfrecords", 10, 70, side=72)
    with pytest.raises(DataError, match=r"b\.tfrecords has slices of 72 x 72 pixels, .*a\.tfrecords of 64 x 64"):
        prepared(settings(tmp_path), tmp_path / "cache")
    middle = prepared(settings(tmp_path, target=str(tmp_path / "ct" / "a.tfrecords"), size=48), tmp_path / "cache")
    assert batch(middle, settings(tmp_path, size=48), 0, 0, 2).target.shape == (2, 1, 48, 48)


def test_one_bad_file_among_many_is_refused_by_name_and_can_be_excluded(tmp_path):
    for n in range(9):
        write_records(tmp_path / "mr" / f"{n}.tfrecords", 1, n)
        write_records(tmp_path / "ct" / f"{n}.tfrecords", 1, 50 + n)
    (tmp_path / "ct" / "4.tfrecords").write_bytes(b"x")
    with pytest.raises(DataError, match=r"4\.tfrecords is cut off.*--exclude target:4\.tfrecords"):
        prepared(settings(tmp_path), tmp_path / "cache")
    chosen = settings(tmp_path, exclude=("target:4.tfrecords",))
    domains = prepared(chosen, tmp_path / "cache")
    assert len(domains.target.names) + len(domains.target_validation.names) == 8


def test_volumes_of_pnp_adanet_are_turned_as_the_authors_turn_them(tmp_path):
    rng = np.random.default_rng(0)
    image, labels = rng.normal(0, 1, (64, 64, 9)).astype(np.float32), rng.integers(0, 5, (64, 64, 9))
    np.savez(tmp_path / "v.npz", image, labels)
    read_image, read_labels = released.read_npz(tmp_path / "v.npz")
    assert np.array_equal(read_image[4], np.flip(image, (0, 1))[:, :, 4])
    assert np.array_equal(read_labels[4], np.flip(labels, (0, 1))[:, :, 4])
    (tmp_path / "ct").mkdir()
    np.savez(tmp_path / "ct" / "v.npz", image, labels)
    write_records(tmp_path / "mr" / "a.tfrecords", 10)
    domains = prepared(settings(tmp_path), tmp_path / "cache")
    assert np.allclose(domains.target.images[4], 2 * (read_image[4] + 2.8) / 6.0 - 1, atol=1e-6)


@pytest.mark.parametrize("harm", ["text", "one", "shapes", "objects", "labels", "nan", "encrypted", "deflated", "huge"])
def test_a_volume_that_is_none_is_refused_by_name_and_never_unpickled(tmp_path, harm):
    path = tmp_path / "v.npz"
    volume = np.zeros((8, 8, 8), np.float32)
    if harm == "text":
        path.write_text("no archive")
    elif harm == "one":
        np.savez(path, volume)
    elif harm == "shapes":
        np.savez(path, volume, volume[:4])
    elif harm == "objects":
        np.savez(path, np.array([{}, {}], object), volume)
    elif harm == "labels":
        np.savez(path, volume, volume - 1)
    elif harm in ("encrypted", "deflated"):
        np.savez_compressed(path, volume, volume)
        data = bytearray(path.read_bytes())
        if harm == "encrypted":  # the flag in the archive's directory and before the array
            data[data.index(b"PK\1\2") + 8] |= 1
            data[6] |= 1
        else:
            start = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
            data[start : start + 4] = b"\xff" * 4
        path.write_bytes(data)
    elif harm == "huge":
        with zipfile.ZipFile(path, "w") as archive:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000), }\n"
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
            for name in ("arr_0.npy", "arr_1.npy"):
                archive.writestr(name, start + header)
    else:
        np.savez(path, volume * np.nan, volume)
    with pytest.raises(DataError, match=r"v\.npz is no volume|v\.npz holds"):
        released.read(path)
