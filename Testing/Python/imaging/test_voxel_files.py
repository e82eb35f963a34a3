"""MetaImages and NRRD in a file for each slice: read whole, or refused; nothing is made up."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from SIFALib.imaging import reading
from SIFALib.support.errors import VolumeError
from test_headers import META, RAW_META, VOXELS

SLICES = [f"s{n:02}.raw" for n in range(20)]
FEWER = {
    "a list of fewer files": "LIST\n" + "\n".join(SLICES[:-1]),
    "a list of more files": "LIST\n" + "\n".join([*SLICES, SLICES[0]]),
    "a list of files for the whole": "LIST 3\n" + "\n".join(SLICES),
    "numbers of fewer files": "s%02d.raw 0 18 1",
    "every second number": "s%02d.raw 0 19 2",
    "numbers that go down": "s%02d.raw 19 0 -1",
}


def in_slices(folder: Path, header: str, voxels: str, data: list[bytes]) -> Path:
    for name, each in zip(SLICES, data, strict=True):
        (folder / name).write_bytes(each)
    (folder / "a.mhd").write_text(f"{header}ElementDataFile = {voxels}\n")
    return folder / "a.mhd"


@pytest.mark.parametrize("voxels", ["LIST\n" + "\n".join(SLICES), "LIST 2\n" + "\n".join(SLICES), "s%02d.raw 0 19 1"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_metaimage_in_a_file_for_each_slice_is_read(tmp_path: Path, voxels: str, packed: bool):
    data = [zlib.compress(s.tobytes()) if packed else s.tobytes() for s in VOXELS]
    path = in_slices(tmp_path, META if packed else RAW_META, voxels, data)
    np.testing.assert_array_equal(reading.read(path).array, VOXELS)
    (tmp_path / SLICES[7]).write_bytes(data[7][:-9])
    with pytest.raises(VolumeError, match=rf"{SLICES[7]} is .*cut off: voxels are missing"):
        reading.read(path)


@pytest.mark.parametrize("case", FEWER)
def test_slices_that_no_file_holds_are_never_made_up(tmp_path: Path, case: str):
    path = in_slices(tmp_path, RAW_META, FEWER[case], [s.tobytes() for s in VOXELS])
    with pytest.raises(VolumeError, match=r"a\.mhd needs \d+ files for its slices but names \d+"):
        reading.read(path)


def test_one_length_of_several_packed_files_is_refused(tmp_path: Path):
    data = [zlib.compress(s.tobytes()) for s in VOXELS]
    path = in_slices(tmp_path, META + "CompressedDataSize = 500\n", "s%02d.raw 0 19 1", data)
    with pytest.raises(VolumeError, match="has them in several files"):
        reading.read(path)


OWN = {
    "NRRD": b"NRRD0004\ntype: short\n\n",
    "MetaImage": b"ObjectType = Image\nNDims = 2\n",
    "NIfTI": (348).to_bytes(4, "little") + bytes(348),
    "DICOM": bytes(128) + b"DICM",
    "a picture": b"\x89PNG\r\n",
}


def nrrd_in_slices(folder: Path, voxels: str, data: list[bytes], encoding: str = "raw", more: str = "") -> Path:
    for name, each in zip(SLICES, data, strict=True):
        (folder / name).write_bytes(each)
    size = " ".join(map(str, VOXELS.shape[::-1]))
    (folder / "a.nhdr").write_text(
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {size}\nendian: little\n"
        "space directions: (1,0,0) (0,1,0) (0,0,5)\nspace origin: (0,0,0)\n"
        f"encoding: {encoding}\n{more}data file: {voxels}\n"
    )
    return folder / "a.nhdr"


LISTED = "LIST\n" + "\n".join(SLICES)


@pytest.mark.parametrize("voxels", [LISTED, LISTED.replace("LIST", "LIST 2"), "s%02d.raw 0 19 1", "s%02d.raw 0 19 1 2"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_nrrd_in_a_file_for_each_slice_is_read_and_what_is_cut_off_or_damaged_refused(tmp_path, voxels, packed):
    data = [gzip.compress(s.tobytes()) if packed else s.tobytes() for s in VOXELS]
    path = nrrd_in_slices(tmp_path, voxels, data, "gzip" if packed else "raw")
    volume = reading.read(path)
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert not volume.notes
    (tmp_path / SLICES[7]).write_bytes(data[7][:-9])
    with pytest.raises(VolumeError, match=rf"{SLICES[7]} is .*cut off: voxels are missing"):
        reading.read(path)


def test_packed_slices_of_an_nrrd_are_held_against_their_checksums(tmp_path):
    data = [gzip.compress(s.tobytes()) for s in VOXELS]
    data[7] = data[7][:-8] + bytes(4) + data[7][-4:]
    with pytest.raises(VolumeError, match=rf"{SLICES[7]} is damaged"):
        reading.read(nrrd_in_slices(tmp_path, LISTED, data, "gzip"))


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("kind", ["list of NRRD", "packed list of NRRD", "list of a MetaImage", "one file"])
def test_a_header_of_its_own_in_a_file_of_voxels_is_never_read_for_voxels(tmp_path, kind, own):
    data = [OWN[own] + s.tobytes() for s in VOXELS]
    if kind == "list of a MetaImage":
        path = in_slices(tmp_path, RAW_META, "LIST\n" + "\n".join(SLICES), data)
    elif kind == "one file":
        path = nrrd_in_slices(tmp_path, "all.raw", data)
        (tmp_path / "all.raw").write_bytes(OWN[own] + VOXELS.tobytes())
    else:
        packed = kind.startswith("packed")
        path = nrrd_in_slices(
            tmp_path, LISTED, [gzip.compress(d) if packed else d for d in data], "gzip" if packed else "raw"
        )
    with pytest.raises(VolumeError, match="has a header of its own, which would be read for voxels"):
        reading.read(path)


@pytest.mark.parametrize("skip", ["byte skip: -1\n", f"byte skip: {len(OWN['NRRD'])}\n", "line skip: 3\n"])
def test_a_header_that_is_to_be_skipped_is_skipped(tmp_path, skip):
    volume = reading.read(nrrd_in_slices(tmp_path, LISTED, [OWN["NRRD"] + s.tobytes() for s in VOXELS], more=skip))
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert not volume.notes


def test_other_bytes_beside_the_voxels_of_a_list_are_told(tmp_path):
    data = [s.tobytes() + bytes(12) for s in VOXELS]
    for path in (nrrd_in_slices(tmp_path, LISTED, data), in_slices(tmp_path, RAW_META, "s%02d.raw 0 19 1", data)):
        (note,) = [note for note in reading.read(path).notes if "bytes more" in note]
        assert "holds 240 bytes more than" in note


@pytest.mark.parametrize(
    ("voxels", "sentence"),
    [
        ("LIST\n" + "\n".join(SLICES[:-1]), "needs 20 files for its slices but names 19"),
        ("s%02d.raw 0 38 2", r"has voxels in s20\.raw, which does not exist"),
        ("LIST\n" + "\n".join([*SLICES[:-1], SLICES[0]]), r"has voxels in s00\.raw twice"),
        ("LIST 3\n" + "\n".join(SLICES[:3]), "needs 20 files for its slices but names 3"),
    ],
)
def test_files_of_an_nrrd_that_do_not_fit_its_slices_are_refused(tmp_path, voxels, sentence):
    with pytest.raises(VolumeError, match=sentence):
        reading.read(nrrd_in_slices(tmp_path, voxels, [s.tobytes() for s in VOXELS]))


def test_numbers_of_an_nrrd_may_go_down(tmp_path):
    path = nrrd_in_slices(tmp_path, "s%02d.raw 19 0 -1", [s.tobytes() for s in VOXELS])
    np.testing.assert_array_equal(reading.read(path).array, VOXELS[::-1])
