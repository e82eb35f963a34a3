"""Reading, checking and writing volumes: geometry is kept to the last bit, and unusable images are refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from SIFALib.imaging import checks, reading, writing
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.support.errors import VolumeError


def turned(degrees: float = 25.0, about: int = 2) -> tuple[float, ...]:
    """Direction of axes that are turned about one of them."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = [n for n in range(3) if n != about]
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return tuple(matrix.ravel())


def a_volume(dtype: type = np.int16, size: tuple[int, int, int] = (20, 24, 18)) -> Volume:
    geometry = Geometry(size, (-11.25, 22.5, -33.75), (0.75, 0.5, 3.0), turned(25.0, 0))
    array = np.random.default_rng(0).integers(0, 200, geometry.shape).astype(dtype)
    return Volume(array, geometry, "a")


@given(
    index=st.tuples(*[st.floats(-50, 50)] * 3), angle=st.floats(-180, 180), spacing=st.tuples(*[st.floats(0.1, 10)] * 3)
)
def test_point_and_index_are_inverse(index, angle, spacing):
    geometry = Geometry((10, 11, 12), (1.0, -2.0, 3.0), spacing, turned(angle, 1))
    assert np.allclose(geometry.index(geometry.point(index)), index, atol=1e-9)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz", ".nii"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_written_volume_reads_back_equal(tmp_path: Path, suffix: str, dtype: type):
    original = a_volume(dtype)
    path = tmp_path / f"ein Bild mit é{suffix}"
    writing.write(original, path)
    back = reading.read(path)
    assert back.array.dtype == dtype and np.array_equal(back.array, original.array)
    exact = 1e-4 if suffix.startswith(".nii") else 1e-11  # mm; NIfTI keeps single precision, NRRD spacing * direction
    assert back.geometry.size == original.geometry.size
    assert np.allclose(back.geometry.corners(), original.geometry.corners(), rtol=0, atol=exact)
    assert back.name == "ein Bild mit é"


def test_dicom_series_folder_is_read_with_its_geometry(tmp_path: Path):
    original = a_volume(np.int16, (20, 24, 5))
    dicom_series.write_plain(original, tmp_path / "série 1")
    back = reading.read(tmp_path / "série 1")
    assert np.array_equal(back.array, original.array)
    assert np.allclose(back.geometry.corners(), original.geometry.corners(), atol=1e-3)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([{"shift": 2.0}], r"series lie 3\.00 to 9\.00 mm apart .*slices are missing"),
        ([{}, {"first": 10}], "several slices at the same place"),
        ([{}, {"series": 2}], "holds 2 DICOM series"),
    ],
    ids=["slices are missing", "several volumes", "two series"],
)
def test_a_folder_that_is_not_one_whole_series_is_refused(tmp_path: Path, parts: list[dict], sentence: str):
    for part in parts:
        dicom_series.write_plain(a_volume(np.int16, (20, 24, 6)), tmp_path / "series", **part)
    with pytest.raises(VolumeError, match=sentence):
        reading.read(tmp_path / "series")


DAMAGE = {
    "cut": lambda data: data[: len(data) - 100],
    "cut in its head": lambda data: data[:200],
    "cut before its head": lambda data: data[:100],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"Dear colleague",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("suffix", [".dcm", ""])
@pytest.mark.parametrize("slices", [(4,), (2,), (0, 1, 3, 4)])
def test_a_dicom_series_with_a_damaged_file_is_refused_by_the_name_of_the_file(
    tmp_path: Path, how: str, suffix: str, slices: tuple[int, ...]
):
    """The reader drops such files without a word; at the end of a series no gap tells of it."""
    folder = tmp_path / "series"
    dicom_series.write_plain(a_volume(np.int16, (20, 24, 6)), folder)
    for file in list(folder.iterdir()):
        file.rename(file.with_suffix(suffix))
    for k in slices:
        file = folder / f"1-{k}{suffix}"
        file.write_bytes(DAMAGE[how](file.read_bytes()))
    shown = ", ".join(f"1-{k}{suffix}" for k in slices[:3]) + (" and 1 more" if len(slices) > 3 else "")
    with pytest.raises(VolumeError, match=rf"series is incomplete: no slice can be read from {shown}\. Copy"):
        reading.read(folder)


def test_other_files_beside_a_dicom_series_do_not_matter(tmp_path: Path):
    original = a_volume(np.int16, (20, 24, 5))
    dicom_series.write_plain(original, tmp_path)
    slice_of_it = (tmp_path / "1-1.dcm").read_bytes()
    for name in ("README", "notes 1.txt", ".DS_Store", "Thumbs.db", "report.pdf", "viewer.exe", "empty"):
        (tmp_path / name).write_bytes(b"" if name == "empty" else b"whatever" * 99)
    (tmp_path / "._1-1.dcm").write_bytes(b"AppleDouble")
    (tmp_path / "DICOMDIR").write_bytes(slice_of_it[:300])
    ct, report = b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.88.11"
    head = slice_of_it[:400].replace(b"UI" + bytes([len(ct), 0]) + ct, b"UI" + bytes([30, 0]) + report + b"\0")
    assert report in head
    (tmp_path / "1-9.dcm").write_bytes(head)  # DICOM, but no image
    (tmp_path / "subfolder.dcm").mkdir()
    assert np.array_equal(reading.read(tmp_path).array, original.array)


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "labels.nrrd"
    writing.write(a_volume(), path)
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise RuntimeError("ITK ERROR: no space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full_disk)
    with pytest.raises(OSError, match=r"cannot be written: .*no space left.*disk full"):
        writing.write(a_volume(np.uint8), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_only_partly_written_is_told_and_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, part: float
):
    """Of a full disk ITK's NIfTI writer raises nothing."""
    path = tmp_path / f"labels{suffix}"
    writing.write(a_volume(), path)
    before = path.read_bytes()
    write = sitk.WriteImage

    def short(image: sitk.Image, name: str, *rest: bool) -> None:
        write(image, name, *rest)
        os.truncate(name, int(part * os.path.getsize(name)))

    monkeypatch.setattr(sitk, "WriteImage", short)
    with pytest.raises(OSError, match=f"only a part of it .* disk full.*labels{suffix}"):
        writing.write(a_volume(np.float32), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_write_refuses_a_missing_folder_and_a_strange_suffix(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        writing.write(a_volume(), tmp_path / "no" / "a.nrrd")
    with pytest.raises(VolumeError, match="no suffix that can be written"):
        writing.write(a_volume(), tmp_path / "a.jpg")


def with_array(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Volume:
    k, j, i = array.shape
    return Volume(array, Geometry((i, j, k), (0.0, 0.0, 0.0), spacing), "scan.nii.gz")


NOISE = np.random.default_rng(1).normal(size=(20, 20, 20)).astype(np.float32)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (with_array(np.where(NOISE > 3, np.nan, NOISE)), "scan.nii.gz holds .* not numbers"),
        (with_array(np.where(NOISE > 3, np.inf, NOISE)), "not numbers"),
        (with_array(np.full((20, 20, 20), 7, np.int16)), "scan.nii.gz is constant .*7"),
        (with_array(NOISE[:, :4, :4]), "only .* voxels large"),
        (with_array(NOISE, (1.0, 0.0, 1.0)), "spacing .* must be above 0"),
        (with_array(NOISE, (1.0, float("nan"), 1.0)), "spacing"),
        (with_array(NOISE, (1.0, 1.0, 1e9)), r"spacing 1, 1, 1e\+09 mm, which no scanner has"),
        (with_array(NOISE, (1e30, 1e30, 1e30)), "spacing .* which no scanner has"),
        (with_array(NOISE, (0.7, 0.7, 5000.0)), "spacing 0.7, 0.7, 5000 mm, which no scanner has"),
        (with_array(NOISE, (1000.0, 1000.0, 1000.0)), "spacing 1000, 1000, 1000 mm"),
        (with_array(NOISE, (1e-4, 1e-4, 1e-4)), "spacing 0.0001, 0.0001, 0.0001 mm, which no scanner has"),
        (with_array(NOISE, (0.1, 0.1, 10.0)), "is 2, 2, 200 mm large, which no scan of a heart is"),
        (with_array(np.tile(NOISE, (1, 1, 4)), (50.0, 1.0, 1.0)), "is 4000, 20, 20 mm large"),
        (with_array(NOISE.astype(np.float64) * 1e300), r"values from -.*e\+300 .* cannot be computed with"),
        (with_array(NOISE * np.float32(1e37)), "cannot be computed with"),
        (
            Volume(NOISE, Geometry((20, 20, 20), (0.0, float("nan"), 0.0), (1.0,) * 3), "scan.nii.gz"),
            "has its origin at 0, nan, 0 mm, which is no place",
        ),
        (with_array(NOISE.astype(np.complex64)), "complex64; a grey image"),
        (Volume(NOISE, Geometry((20, 20, 20), (0.0,) * 3, (1.0,) * 3, (0.0,) * 9), "scan.nii.gz"), "do not span space"),
    ],
)
def test_unusable_volumes_are_refused_by_name(bad: Volume, sentence: str):
    with pytest.raises(VolumeError, match=sentence) as error:
        checks.check(bad)
    assert "scan.nii.gz" in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_usual_volumes_pass(dtype: type):
    checks.check(with_array((NOISE * 20 + 100).astype(dtype)))


@pytest.mark.parametrize("spacing", [(0.08, 0.08, 0.2), (0.6, 0.6, 0.75), (1.4, 1.4, 10.0), (3.0, 3.0, 50.0)])
def test_the_spacing_of_every_scanner_passes(spacing: tuple[float, float, float]):
    checks.check(with_array(np.tile(NOISE, (1, 10, 10)), spacing))


def test_a_volume_refuses_an_array_that_does_not_fit_its_geometry():
    with pytest.raises(VolumeError, match=r"shape \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 4)), Geometry((2, 3, 4), (0.0,) * 3, (1.0,) * 3), "x")
