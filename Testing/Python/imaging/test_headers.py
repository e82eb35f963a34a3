"""Promises of headers.py and voxel_data.py: what is damaged or missing is refused, and whatever a reader can read passes."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.imaging import reading
from SIFALib.imaging.voxel_data import check_voxel_data
from SIFALib.support.errors import VolumeError

VOXELS = np.random.default_rng(0).normal(0, 300, (20, 24, 22)).astype("<i2")
NRRD = "NRRD0004\n# a comment\ntype: short\ndimension: 3\nsizes: 22 24 20\nendian: little\nkey:=encoding: raw\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 22 24 20\nElementType = MET_SHORT\nCompressedData = True\n"
META += "BinaryData = True\n"
RAW_META = META.replace("CompressedData = True", "CompressedData = False")
DATA = VOXELS.tobytes()
LENGTH = f"CompressedDataSize = {len(zlib.compress(DATA))}\n"

# header, bytes put after it, file that it names and its bytes
SOUND = {
    "gzip.nrrd": (NRRD + "encoding: gzip\n\n", gzip.compress(DATA), "", b""),
    "gz, Windows lines.nrrd": (NRRD.replace("\n", "\r\n") + "encoding: gz\r\n\r\n", gzip.compress(DATA), "", b""),
    "several members.nrrd": (
        NRRD + "encoding: gzip\n\n",
        gzip.compress(DATA[:999]) + gzip.compress(DATA[999:]),
        "",
        b"",
    ),
    "bytes skipped.nrrd": (NRRD + "encoding: gzip\nbyte skip: 7\n\n", gzip.compress(b"skipped" + DATA), "", b""),
    "gzip.nhdr": (NRRD + "encoding: gzip\ndata file: v.raw.gz\n", b"", "v.raw.gz", gzip.compress(DATA)),
    "lines skipped.nhdr": (
        NRRD + "encoding: gzip\nline skip: 2\ndatafile: w.raw.gz\n",
        b"",
        "w.raw.gz",
        b"one\ntwo\n" + gzip.compress(DATA),
    ),
    "zlib.mha": (META + LENGTH + "ElementDataFile = LOCAL\n", zlib.compress(DATA), "", b""),
    "zlib.mhd": (META + "ElementDataFile = v.zraw\n", b"", "v.zraw", zlib.compress(DATA)),
}


def write(folder: Path, name: str) -> tuple[Path, Path]:
    """The file with the header, and the file with the voxels."""
    header, after, other, data = SOUND[name]
    (folder / name).write_bytes(header.encode() + after)
    if other:
        (folder / other).write_bytes(data)
    return folder / name, folder / (other or name)


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_pass_and_are_read(tmp_path: Path, name: str):
    path, _ = write(tmp_path, name)
    check_voxel_data(path)
    np.testing.assert_array_equal(reading.read(path).array, VOXELS)


@pytest.mark.parametrize("name", SOUND)
def test_damaged_and_cut_voxels_are_refused_by_the_name_of_their_file(tmp_path: Path, name: str):
    path, place = write(tmp_path, name)
    sound = place.read_bytes()
    damaged = bytearray(sound)
    damaged[len(sound) // 2 : len(sound) // 2 + 16] = bytes(range(16))
    for content in (damaged, sound[:-1] + bytes([sound[-1] ^ 1])):  # the latter only by its checksum
        place.write_bytes(content)
        with pytest.raises(VolumeError, match=rf"{place.name} is damaged\. Copy it again\."):
            reading.read(path)
    place.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(VolumeError, match=rf"{place.name} is damaged or cut off: voxels are missing"):
        reading.read(path)


@pytest.mark.parametrize(
    ("name", "header", "sentence"),
    [
        ("a.mha", META, "does not say how many bytes its packed voxels take"),
        ("a.mha", META + "CompressedDataSize = 100\n", "is damaged or cut off"),
        ("a.mha", (META + LENGTH).replace("24 20", "24 21"), "is damaged or cut off"),
        ("a.mhd", META.replace("24 20", "24 21"), "v.zraw is damaged or cut off"),
    ],
)
def test_voxel_data_that_itk_would_make_up_are_refused(tmp_path: Path, name: str, header: str, sentence: str):
    local = name.endswith("a")
    place = "LOCAL" if local else "v.zraw"
    (tmp_path / "v.zraw").write_bytes(zlib.compress(DATA))
    after = zlib.compress(DATA) if local else b""
    (tmp_path / name).write_bytes(f"{header}ElementDataFile = {place}\n".encode() + after)
    with pytest.raises(VolumeError, match=sentence):
        reading.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mhd", RAW_META + "ElementDataFile = gone.raw\n"),
        ("a.mhd", META + "ElementDataFile = gone.raw\n"),
        ("a.nhdr", NRRD + "encoding: gzip\ndata file: gone.raw\n"),
        ("a.nhdr", NRRD + "encoding: raw\ndata file: gone.raw\n"),
    ],
)
def test_a_missing_file_of_voxels_is_named(tmp_path: Path, name: str, header: str):
    (tmp_path / name).write_text(header)
    with pytest.raises(VolumeError, match=rf"{name} has its voxels in .*gone\.raw, which does not exist; copy it"):
        reading.read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_metaimages_that_are_not_packed_are_whole_or_refused(tmp_path: Path, name: str):
    path = tmp_path / name
    place = path if name == "a.mha" else tmp_path / "v.raw"
    header = f"{RAW_META}ElementDataFile = {'LOCAL' if place is path else place.name}\n"
    path.write_text(header)
    with open(place, "ab") as file:
        file.write(DATA)
    np.testing.assert_array_equal(reading.read(path).array, VOXELS)
    place.write_bytes(place.read_bytes()[:-2])
    with pytest.raises(VolumeError, match=rf"{place.name} is cut off: voxels are missing at its end"):
        reading.read(path)


def test_bzip2_is_named_as_what_cannot_be_read(tmp_path: Path):
    path = tmp_path / "a.nrrd"
    path.write_bytes((NRRD + "encoding: bzip2\n\n").encode() + bz2.compress(DATA))
    with pytest.raises(VolumeError, match=r"a\.nrrd is packed with bzip2, which cannot be read here; save it again"):
        reading.read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nhdr", NRRD + "encoding: gzip\ndata file: slice%03d.gz 1 20 1\n"),
        ("a.nhdr", NRRD + "encoding: gzip\ndata file: LIST\n"),
        ("a.mha", META.replace("True", "False") + "ElementDataFile = LOCAL\n"),
        ("a.mhd", RAW_META + "HeaderSize = 100\nElementDataFile = v.raw\n"),
        ("a.mhd", RAW_META + "ElementDataFile = slice%03d.raw 1 20 1\n"),
        ("a.mhd", META + "ElementDataFile = LIST\n"),
        ("a.nii.gz", "no NIfTI"),
    ],
)
def test_what_is_not_understood_is_left_to_the_reader(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    check_voxel_data(tmp_path / name)


def test_what_the_library_writes_passes(tmp_path: Path):
    image = sitk.GetImageFromArray(VOXELS)
    for name in ("a.nrrd", "a.mha", "a.mhd", "a.nhdr"):
        sitk.WriteImage(image, str(tmp_path / name), True)
        check_voxel_data(tmp_path / name)


HOSTILE = {
    "NDims = 100": ("a.mha", RAW_META.replace("NDims = 3", "NDims = 100"), "has '100' as 'ndims', which cannot be"),
    "NDims = -1": ("a.mha", RAW_META.replace("NDims = 3", "NDims = -1"), "has '-1' as 'ndims', which cannot be"),
    "NDims = 1e308": ("a.mha", RAW_META.replace("NDims = 3", "NDims = 1e308"), "has '1e308' as 'ndims'"),
    "no NDims": ("a.mha", RAW_META.replace("NDims = 3\n", ""), "does not say first how many dimensions it has"),
    "twice": ("a.mha", RAW_META + "DimSize = 22 24 20\n", "says 'dimsize' twice in its header"),
    "sizes": ("a.mha", RAW_META.replace("22 24 20", "22 24 20 1"), "has '22 24 20 1' as 'dimsize'"),
    "digits": ("a.mha", RAW_META + f"ElementSpacing = 1 1 {'9' * 5000}\n", "as 'elementspacing', which cannot be"),
    "factor": ("a.mha", RAW_META + "ElementToIntensityFunctionSlope = 2\n", "as 'elementtointensityfunctionslope'"),
    "format string": ("a.mhd", RAW_META + "ElementDataFile = %s.raw 1 20 1\n", "as 'elementdatafile', which cannot be"),
    "no steps": ("a.mhd", RAW_META + "ElementDataFile = s%d.raw 1 20 0\n", "as 'elementdatafile', which cannot be"),
    "wide number": ("a.mhd", RAW_META + "ElementDataFile = s%09999d.raw 1 2 1\n", "as 'elementdatafile'"),
    "no line": ("a.mha", RAW_META + "nothing\n", "has a line in its header that is none"),
    "long type": ("a.nrrd", NRRD.replace("type: short", f"type: {'x' * 8000}"), "as 'type', which cannot be"),
    "line skip": ("a.nrrd", NRRD + "encoding: gzip\nline skip: 99999999999999\n\n", "as 'lineskip', which cannot be"),
    "unknown": ("a.nrrd", NRRD + "encoding: raw\nfield: 1\n\n", "has a field that this format does not have ('field')"),
    "no NRRD": ("a.nrrd", "NRRD\n" * 10, "of another kind than its name says"),
    "zeros": ("a.mha", "\0" * 100_000, "has a line in its header that is none"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_ends_or_stops_the_native_reader_never_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(reading.sitk, "ImageFileReader", None)
    file, header, sentence = HOSTILE[name]
    (tmp_path / file).write_text(header)
    with pytest.raises(VolumeError) as raised:
        reading.read(tmp_path / file)
    assert sentence in str(raised.value) and len(str(raised.value)) < 400


SPACE = "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
SPACING = "spacings: 2 2 3\n"
ENDS = "axis mins: 1 0 0\naxis maxs: {}\n"
LENGTHS = {
    "space units": ("a.nrrd", SPACE + 'space units: "mm" "mm" "cm"\n', "states its lengths in 'cm' (space units)"),
    "units": ("a.nrrd", SPACING + 'units: "m" "m" "m"\n', "states its lengths in 'm' (units), and only mm"),
    "DistanceUnits": ("a.mha", "DistanceUnits = um\n", "states its lengths in 'um' (DistanceUnits), and only mm"),
    "ends": ("a.nrrd", SPACING + ENDS.format("45 48 20"), "axis 3 that 20 voxels of 3 mm reach from 0 to 20 mm"),
    "ends alone": ("a.nrrd", ENDS.format("45 48 60"), "axis 1 that 22 voxels of 1 mm reach from 1 to 45 mm"),
}  # fmt: skip
SAID = {
    "mm": ("a.nrrd", SPACE + 'space units: "mm" "mm" "mm"\n'),
    "units of one axis": ("a.nrrd", SPACING + 'units: "mm" "" "???"\n'),
    "MetaImage in mm": ("a.mha", "DistanceUnits = mm\n"),
    "MetaImage in no unit": ("a.mha", "DistanceUnits = ?\n"),
    "ends of outer voxels": ("a.nrrd", SPACING + ENDS.format("45 48 60")),
    "centres of outer voxels": ("a.nrrd", SPACING + ENDS.format("43 46 57")),
    "ends that are none": ("a.nrrd", SPACING + ENDS.format("45 nan nan")),
}


def with_lines(folder: Path, name: str, lines: str) -> Path:
    """The voxels, raw, below a header with these lines in it."""
    header = f"{NRRD}encoding: raw\n{lines}\n" if name == "a.nrrd" else f"{RAW_META}{lines}ElementDataFile = LOCAL\n"
    (folder / name).write_bytes(header.encode() + DATA)
    return folder / name


@pytest.mark.parametrize("case", LENGTHS)
def test_lengths_in_other_units_or_that_contradict_each_other_are_refused(tmp_path: Path, case: str):
    name, lines, sentence = LENGTHS[case]
    with pytest.raises(VolumeError) as raised:
        reading.read(with_lines(tmp_path, name, lines))
    assert sentence in str(raised.value)


@pytest.mark.parametrize("case", SAID)
def test_lengths_in_mm_or_in_no_unit_are_read(tmp_path: Path, case: str):
    np.testing.assert_array_equal(reading.read(with_lines(tmp_path, *SAID[case])).array, VOXELS)


def test_the_unit_of_time_is_no_length(tmp_path: Path):
    header = NRRD.replace("dimension: 3", "dimension: 4").replace("sizes: 22", "sizes: 2 22") + "encoding: raw\n"
    header += 'kinds: list domain domain domain\nunits: "ms" "" "" ""\n\n'
    (tmp_path / "a.seq.nrrd").write_bytes(header.encode() + 2 * DATA)
    check_voxel_data(tmp_path / "a.seq.nrrd")
    no_kinds = header.replace("kinds: list domain domain domain\n", "").replace('"ms" "" "" ""', '"mm" "mm" "mm" "ms"')
    (tmp_path / "a.nrrd").write_bytes(no_kinds.encode() + 2 * DATA)
    check_voxel_data(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mha", RAW_META + "HeaderSize = 100\nElementDataFile = LOCAL\n"),
        ("a.mha", RAW_META + "HeaderSize = -1\nElementDataFile = LOCAL\n"),
        ("a.mha", META + LENGTH + "HeaderSize = 100\nElementDataFile = LOCAL\n"),
        ("a.mhd", META + "HeaderSize = 100\nElementDataFile = v.zraw\n"),
        ("a.mhd", META + LENGTH + "HeaderSize = -1\nElementDataFile = v.zraw\n"),
    ],
)
def test_text_of_a_header_is_never_read_for_voxels(tmp_path: Path, name: str, header: str):
    data = zlib.compress(DATA) if header.startswith(META) else DATA
    (tmp_path / "v.zraw").write_bytes(b"h" * 100 + data)
    (tmp_path / name).write_bytes(header.encode() + (data + b"more" if name == "a.mha" else b""))
    with pytest.raises(VolumeError, match=r"bytes to be skipped before its voxels \(HeaderSize = .*save it again"):
        reading.read(tmp_path / name)


@pytest.mark.parametrize("skipped", [100, -1])
def test_bytes_before_the_voxels_in_a_file_of_their_own_are_skipped(tmp_path: Path, skipped: int):
    (tmp_path / "v.raw").write_bytes(b"h" * 100 + DATA)
    (tmp_path / "a.mhd").write_text(f"{RAW_META}HeaderSize = {skipped}\nElementDataFile = v.raw\n")
    np.testing.assert_array_equal(reading.read(tmp_path / "a.mhd").array, VOXELS)


def test_a_sequence_and_layers_of_a_segmentation_are_called_so(tmp_path: Path):
    header = NRRD.replace("dimension: 3", "dimension: 4").replace("sizes: 22", "sizes: 3 22").replace("short", "uint8")
    header += "kinds: list domain domain domain\nencoding: raw\n"
    data = bytes(3 * VOXELS.size)
    (tmp_path / "a.seq.nrrd").write_bytes(f"{header}\n".encode() + data)
    with pytest.raises(VolumeError, match="is a sequence of 3 volumes; save the time point"):
        reading.read(tmp_path / "a.seq.nrrd")
    (tmp_path / "a.seg.nrrd").write_bytes(f"{header}Segment0_ID:=LV\n\n".encode() + data)
    with pytest.raises(VolumeError, match="is a segmentation of 3 layers, because its segments overlap"):
        reading.read(tmp_path / "a.seg.nrrd")


def test_fields_that_programs_add_to_a_metaimage_pass(tmp_path: Path):
    more = "0008|0060 = MR\nITK_InputFilterName = NiftiImageIO\nAnatomicalOrientation = RAI\nComment = a = b: c\n"
    more += "CenterOfRotation = 0 0 0\nModality = MET_MOD_MR\nElementMin = -1e+03\n"
    (tmp_path / "a.mha").write_bytes((RAW_META + more + "ElementDataFile = LOCAL\n").encode() + DATA)
    np.testing.assert_array_equal(reading.read(tmp_path / "a.mha").array, VOXELS)
