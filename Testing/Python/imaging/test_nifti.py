"""Promises of nifti.py: sound files of every kind pass, and no missing voxel does."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from SIFALib.imaging.nifti import check_nifti, read_nifti
from SIFALib.support.errors import VolumeError

VOXELS = np.random.default_rng(0).normal(0, 300, (6, 8, 10)).astype(np.int16)


def nifti(version: int = 1, order: str = "<", spacing: tuple[float, ...] = (1.0, 2.0, 3.0)) -> bytes:
    """A NIfTI file, put together by hand from the definition of its header."""
    dims, data = (3, 10, 8, 6, 1, 1, 1, 1), VOXELS.astype(f"{order}i2").tobytes()
    header = bytearray(348 if version == 1 else 540)
    fields = (
        ((0, "i", 348), (40, "8h", *dims), (70, "2h", 4, 16), (76, "4f", 1, *spacing), (108, "f", 352.0))
        if version == 1
        else ((0, "i", 540), (12, "2h", 4, 16), (16, "8q", *dims), (104, "4d", 1, *spacing), (168, "q", 544))
    )
    for place, kind, *values in fields:
        struct.pack_into(f"{order}{kind}", header, place, *values)
    header[344:348] = b"n+1\0" if version == 1 else header[344:348]
    header[4:12] = header[4:12] if version == 1 else b"n+2\0\r\n\x1a\n"
    return bytes(header) + bytes(4) + data


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
def test_sound_files_pass_and_a_missing_voxel_does_not(tmp_path, version, order, packed):
    data = nifti(version, order)
    path = tmp_path / ("a.nii.gz" if packed else "a.nii")
    path.write_bytes(gzip.compress(data) if packed else data)
    check_nifti(path)
    path.write_bytes(gzip.compress(data[:-2]) if packed else data[:-2])
    with pytest.raises(VolumeError, match="voxels are missing at its end"):
        check_nifti(path)


def test_the_files_made_here_are_what_the_reader_reads(tmp_path):
    (tmp_path / "a.nii").write_bytes(nifti())
    image = sitk.ReadImage(str(tmp_path / "a.nii"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), VOXELS)
    assert image.GetSpacing() == (1.0, 2.0, 3.0)


def test_what_other_programs_write_passes(tmp_path):
    data = nifti()
    several = b"".join(gzip.compress(data[n : n + 300]) for n in range(0, len(data), 300))
    for name, content in {
        "several gzip members.nii.gz": several,
        "not packed.nii.gz": data,
        "bytes after the voxels.nii": data + b"extension",
        "bytes after the voxels.nii.gz": gzip.compress(data + b"extension"),
        "bytes after the packed ones.nii.gz": gzip.compress(data) + bytes(20),
        "negative spacing.nii": nifti(spacing=(-1.0, 2.0, 3.0)),
    }.items():
        (tmp_path / name).write_bytes(content)
        check_nifti(tmp_path / name)


def test_an_axis_of_one_voxel_needs_no_spacing(tmp_path):
    data = bytearray(nifti(spacing=(1.0, 2.0, 0.0)))
    struct.pack_into("<8h", data, 40, 3, 10, 48, 1, 1, 1, 1, 1)
    (tmp_path / "a.nii").write_bytes(data)
    check_nifti(tmp_path / "a.nii")


def test_what_is_no_nifti_file_is_refused_whatever_its_name_says(tmp_path):
    for name, content in {"b.nii": b"abc", "c.nii.gz": b"no NIfTI" * 100}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VolumeError, match="of another kind than its name says, or damaged"):
            check_nifti(tmp_path / name)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_packed_file_cut_anywhere_is_refused(tmp_path, part):
    packed = gzip.compress(nifti())
    path: Path = tmp_path / "a.nii.gz"
    path.write_bytes(packed[: 2 + int(part * (len(packed) - 2))])
    with pytest.raises(VolumeError, match="cut off"):
        check_nifti(path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_packed_file_with_one_wrong_bit_in_its_voxels_is_refused(tmp_path, part, bit):
    packed = bytearray(gzip.compress(nifti()))
    packed[10 + int(part * (len(packed) - 10))] ^= 1 << bit  # behind the name and date that gzip keeps of a file
    path: Path = tmp_path / "a.nii.gz"
    path.write_bytes(packed)
    with pytest.raises(VolumeError, match=r"a\.nii\.gz is (damaged|cut off).* Copy it again\."):
        check_nifti(path)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("packed", [True, False])
def test_voxels_that_are_no_numbers_are_counted_before_the_reader_makes_zeros_of_them(
    tmp_path, monkeypatch, kind, packed
):
    monkeypatch.setattr("SIFALib.imaging.nifti.CHUNK", 1001)  # chunks that end within a voxel
    monkeypatch.setattr("SIFALib.imaging.voxel_data.CHUNK", 1001)
    voxels = VOXELS.astype(kind)
    header = bytearray(nifti(order=kind[0])[:352])
    struct.pack_into(f"{kind[0]}2h", header, 70, 16 if kind[1:] == "f4" else 64, 8 * voxels.itemsize)
    path = tmp_path / "a.nii"
    after = np.full(5, np.nan).tobytes()  # no voxels

    def write() -> None:
        data = bytes(header) + voxels.tobytes() + after
        path.write_bytes(gzip.compress(data) if packed else data)

    write()
    np.testing.assert_array_equal(read_nifti(path).array, voxels)
    voxels[0, 0, 0], voxels[3, 4, 5:7], voxels[-1, -1, -1] = np.nan, (np.inf, -np.inf), np.nan
    write()
    with pytest.raises(VolumeError, match=r"a\.nii holds 4 voxels that are not numbers"):
        read_nifti(path)
    check_nifti(path)  # whether all are numbers is not asked of what was just written


def test_the_file_that_was_named_is_read_and_none_beside_it(tmp_path):
    mine, other = nifti(), bytearray(nifti())
    other[352:] = np.full_like(VOXELS, 7).tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(mine))
    (tmp_path / "a.nii").write_bytes(other)
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz").array, VOXELS)
    assert (read_nifti(tmp_path / "a.nii").array == 7).all()


@pytest.mark.parametrize(
    ("slope", "intercept", "factor", "summand"),
    [(0, -1024, 1, 0), (float("nan"), float("nan"), 1, 0), (1, -1024, 1, -1024), (2.5, 3, 2.5, 3), (-1, 0, -1, 0)],
)
@pytest.mark.parametrize("kind", ["i2", "u1", "i4", "f4", "f8"])
def test_grey_values_have_the_factor_and_summand_of_the_header_and_none_where_the_factor_is_0(
    tmp_path, slope, intercept, factor, summand, kind
):
    voxels = np.abs(VOXELS).astype(kind)
    data = bytearray(nifti()[:352])
    code = {"i2": 4, "u1": 2, "i4": 8, "f4": 16, "f8": 64}[kind]
    struct.pack_into("<2h", data, 70, code, 8 * voxels.itemsize)
    struct.pack_into("<2f", data, 112, slope, intercept)
    (tmp_path / "a.nii").write_bytes(bytes(data) + voxels.tobytes())
    read = read_nifti(tmp_path / "a.nii").array
    np.testing.assert_array_equal(read, (voxels.astype(np.float64) * factor + summand).astype(read.dtype))
    if slope != 0 and slope == slope:  # where ITK keeps to the definition, type and bits are its own
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii")))
        assert read.dtype == theirs.dtype
        np.testing.assert_array_equal(read, theirs)


@pytest.mark.parametrize(
    ("place", "kind", "value", "sentence"),
    [
        (344, "B", ord("N"), "lacks the mark of a NIfTI file that holds its own voxels"),
        (345, "B", ord("i"), "lacks the mark of a NIfTI file that holds its own voxels"),
        (72, "h", 8, "claims to hold int16 values of 8 bits; its header is damaged"),
        (70, "h", 1536, r"holds values of a type \(number 1536\) that no scan has"),
        (70, "h", 128, "has 3 values a voxel"),
        (
            112,
            "f",
            float("inf"),
            r"the factor inf and the summand 0 \(scl_slope, scl_inter\), which cannot be computed",
        ),
        (42, "h", 32767, "is cut off: voxels are missing at its end"),
        (80, "f", float("inf"), "has the voxel spacing inf, 2, 3 mm"),
    ],
)
def test_a_field_that_cannot_be_is_refused(tmp_path, place, kind, value, sentence):
    data = bytearray(nifti())
    struct.pack_into("<2f", data, 112, 1, 0)
    struct.pack_into(f"<{kind}", data, place, value)
    (tmp_path / "a.nii").write_bytes(data)
    with pytest.raises(VolumeError, match=sentence):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("begin", [0, 300])
def test_voxels_that_would_begin_within_the_header_are_refused(tmp_path, version, begin):
    """nibabel looks for them behind the extension flag, ITK before it: two voxels apart."""
    data = bytearray(nifti(version))
    struct.pack_into("<f" if version == 1 else "<q", data, 108 if version == 1 else 168, begin)
    (tmp_path / "a.nii").write_bytes(data)
    with pytest.raises(VolumeError, match=rf"its voxels begin at byte {begin}, which cannot be"):
        read_nifti(tmp_path / "a.nii")


def test_much_more_than_the_header_says_is_told_and_far_more_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti() + bytes(1000)))
    assert "a.nii.gz holds 1000 bytes more than its header says" in read_nifti(path).notes[0]
    monkeypatch.setattr("SIFALib.imaging.nifti.MORE_BYTES", 999)
    with pytest.raises(VolumeError, match="holds far more than its header says"):
        read_nifti(path)


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    def no_room(*_):
        raise MemoryError

    (tmp_path / "a.nii").write_bytes(nifti())
    monkeypatch.setattr("SIFALib.imaging.nifti.np.empty", no_room)
    with pytest.raises(VolumeError, match="for which memory does not suffice; close other programs"):
        read_nifti(tmp_path / "a.nii")
