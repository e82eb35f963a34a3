"""Where voxels of NRRD and MetaImage files lie: as the header says, or a sentence says what it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.imaging import reading
from SIFALib.imaging.header_places import NO_SIDES, NO_SIZE
from SIFALib.imaging.study import read_cine
from SIFALib.support.errors import VolumeError
from test_headers import DATA, NRRD, RAW_META, VOXELS

DIRECTIONS = "space directions: (2,0,0) (0,2,0) (0,0,3)\n"
TIMED = "space: {}\nspace directions: (-2,0,0,0) (0,-2,0,0) (0,0,3,0) (0,0,0,1)\n"


def nrrd(folder: Path, lines: str, name: str = "a.nrrd", phases: int = 0) -> Path:
    """The voxels below a header with these lines in it; phases: so many of them, one after the other."""
    header = NRRD if not phases else NRRD.replace("dimension: 3", "dimension: 4").replace("24 20", f"24 20 {phases}")
    (folder / name).write_bytes(f"{header}encoding: raw\n{lines}\n".encode() + max(1, phases) * DATA)
    return folder / name


def meta(folder: Path, lines: str) -> Path:
    (folder / "a.mha").write_bytes(f"{RAW_META}{lines}ElementDataFile = LOCAL\n".encode() + DATA)
    return folder / "a.mha"


@pytest.mark.parametrize("space", ["right-anterior-superior-time", "LAST", "RAST"])
def test_a_space_with_time_that_would_be_mirrored_is_refused(tmp_path: Path, space: str):
    for phases, read in ((1, reading.read), (6, read_cine)):
        with pytest.raises(VolumeError, match=r"would be read as another one.*left-posterior-superior"):
            read(nrrd(tmp_path, TIMED.format(space), phases=phases))
    path = nrrd(tmp_path, TIMED.format("left-posterior-superior-time"), phases=1)
    np.testing.assert_array_equal(reading.read(path).array, VOXELS)


@pytest.mark.parametrize("third", ["none", "(nan,nan,nan)"])
def test_a_third_axis_that_is_none_of_space_makes_no_volume(tmp_path: Path, third: str):
    lines = f"space: LPS\nkinds: domain domain time\nspace directions: (2,0,0) (0,2,0) {third}\n"
    with pytest.raises(VolumeError, match="has 2 axes with a direction in space"):
        reading.read(nrrd(tmp_path, lines))


def test_times_of_fewer_volumes_than_a_file_has_are_refused_by_its_name(tmp_path: Path):
    header = NRRD.replace("dimension: 3", "dimension: 4").replace("sizes: 22", "sizes: 6 22")
    header += f"space: LPS\nspace directions: none {DIRECTIONS.partition(': ')[2]}kinds: list domain domain domain\n"
    header += 'units: "ms" "" "" ""\naxis 0 index values:=0 100 200 300 400\nencoding: raw\n\n'
    (tmp_path / "a.seq.nrrd").write_bytes(header.encode() + 6 * DATA)
    with pytest.raises(VolumeError, match=r"a\.seq\.nrrd states 5 times of 6 volumes"):
        read_cine(tmp_path / "a.seq.nrrd")


RAS = "TransformMatrix = -1 0 0 0 -1 0 0 0 1\n"
OPEN = {
    "NRRD with nothing": ("a.nrrd", "", (NO_SIZE, NO_SIDES)),
    "NRRD with sizes alone": ("a.nrrd", "spacings: 2 2 3\n", (NO_SIDES,)),
    "NRRD of which one size is none": ("a.nrrd", "spacings: 2 2 nan\n", (NO_SIZE, NO_SIDES)),
    "NRRD in a space without a patient": ("a.nrrd", f"space: 3D-right-handed\n{DIRECTIONS}", (NO_SIDES,)),
    "NRRD in no space": ("a.nrrd", f"space dimension: 3\n{DIRECTIONS}", (NO_SIDES,)),
    "NRRD that says all": ("a.nrrd", f"space: RAS\n{DIRECTIONS}", ()),
    "MetaImage with nothing": ("a.mha", "", (NO_SIZE, NO_SIDES)),
    "MetaImage with sizes alone": ("a.mha", "ElementSpacing = 2 2 3\nAnatomicalOrientation = LPI\n", (NO_SIDES,)),
    "MetaImage that says all": ("a.mha", f"ElementSize = 2 2 3\n{RAS}", ()),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_a_header_leaves_open_is_told(tmp_path: Path, case: str):
    name, lines, notes = OPEN[case]
    path = nrrd(tmp_path, lines) if name == "a.nrrd" else meta(tmp_path, lines)
    volume = reading.read(path)
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert volume.notes == tuple(note.format(path) for note in notes)


def test_what_the_header_of_a_cine_leaves_open_is_told(tmp_path: Path):
    path = nrrd(tmp_path, "", phases=6)
    assert read_cine(path).notes == (NO_SIZE.format(path), NO_SIDES.format(path))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("Offset = 1 2 3\nOrigin = 0 0 0\n", "states offset and origin, which contradict each other"),
        ("Offset = 1 2 3\nPosition = 1 2 3.5\n", "states offset and position"),
        (f"{RAS}Orientation = 1 0 0 0 1 0 0 0 1\n", "states transformmatrix and orientation"),
        ("TransformMatrix = 2 0 0 0 2 0 0 0 2\n", "has axes of the lengths 2, 2, 2"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 0.9\n", "has axes of the lengths 1, 1, 0.9"),
    ],
)
def test_a_metaimage_that_contradicts_itself_is_refused(tmp_path: Path, lines: str, sentence: str):
    with pytest.raises(VolumeError, match=sentence):
        reading.read(meta(tmp_path, lines))


def test_a_metaimage_may_say_the_same_twice(tmp_path: Path):
    lines = f"Offset = 1 2 3\nPosition = 1.0 2 3\n{RAS}Rotation = -1.0 0 0 0 -1 0 0 0 1\nElementSpacing = 2 2 3\n"
    assert reading.read(meta(tmp_path, lines)).geometry.origin == (1, 2, 3)


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
@pytest.mark.parametrize("more", [0, 256])
def test_bytes_that_a_header_does_not_tell_of_are_told(tmp_path: Path, name: str, more: int):
    """A raw file with a header of its own: nobody can see from outside on which side of the voxels the rest lies."""
    (tmp_path / "v.raw").write_bytes(bytes(more) + DATA)
    whole = f"ElementSpacing = 2 2 3\n{RAS}ElementDataFile = v.raw\n"
    listed = f"encoding: raw\nspace: LPS\n{DIRECTIONS}data file: v.raw\n"
    (tmp_path / name).write_text(RAW_META + whole if name == "a.mhd" else NRRD + listed)
    notes = reading.read(tmp_path / name).notes
    assert notes == ((reading.MORE.format("v.raw", more, name),) if more else ())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
def test_what_itk_converts_to_a_metaimage_is_read(tmp_path: Path, name: str, packed: bool):
    volume = reading.read(nrrd(tmp_path, f"space: LPS\nkinds: domain domain domain\n{DIRECTIONS}"))
    sitk.WriteImage(volume.image(), str(tmp_path / name))
    sitk.WriteImage(
        sitk.ReadImage(str(tmp_path / name)), str(tmp_path / "b.mha"), packed
    )  # with dim[0], NRRD_kinds[0] ...
    read = reading.read(tmp_path / "b.mha")
    np.testing.assert_array_equal(read.array, VOXELS)
    np.testing.assert_allclose(read.geometry.corners(), volume.geometry.corners(), atol=1e-4)
