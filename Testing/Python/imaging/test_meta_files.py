"""MetaImages in a file for each slice: read whole, or refused; nothing is made up."""

from __future__ import annotations

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
