"""Promises of seg_nrrd.py: Slicer itself finds grid, labels, names, colours and codes as given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.reading import read
from SIFALib.imaging.seg_nrrd import read_seg_nrrd, write_labels, write_seg_nrrd
from SIFALib.models.structures import STRUCTURES
from SIFALib.support.errors import RequestError, VolumeError

READER = Path(__file__).parents[1] / "fixtures" / "slicer_reads_segmentation.py"


def turn(degrees: tuple[float, float, float]) -> np.ndarray:
    """A rotation matrix: about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


OBLIQUE = Geometry((40, 30, 20), (-11.1, 22.3, -33.7), (0.8, 0.9, 3.0), tuple(turn((25, -12, 7)).ravel()))
FLIPPED = Geometry((33, 21, 18), (100.0, -50.0, 7.0), (0.5, 0.5, 2.0), (-1, 0, 0, 0, 0, 1, 0, 1, 0))


def labels(geometry: Geometry, values: tuple[int, ...] = (1, 2, 3, 4)) -> Volume:
    """Random blocks of the given values, with a margin of background."""
    rng = np.random.default_rng(len(values))
    array = np.zeros(geometry.shape, np.uint8)
    inner = array[2:-3, 4:-2, 1:-6]
    if values:
        inner[:] = rng.choice((0, *values), inner.shape)
    return Volume(array, geometry, "case")


CASES = {
    "oblique": labels(OBLIQUE),
    "flipped, two structures missing": labels(FLIPPED, (1, 4)),
    "empty": labels(OBLIQUE, ()),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict[str, SimpleNamespace]:
    """What Slicer sees in the file that was written of each case."""
    folder = tmp_path_factory.mktemp("seg")
    paths = []
    for n, case in enumerate(CASES.values()):
        paths.append(folder / f"Étude {n}.seg.nrrd")
        write_seg_nrrd(case, paths[-1], model="tiny@1.0.0")
    run = subprocess.run(
        [sys.executable, str(READER), str(folder), *map(str, paths)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {
        name: SimpleNamespace(
            **json.loads((folder / f"{n}.json").read_text()),
            array=np.load(folder / f"{n}.npy"),
            written=paths[n],
            rewritten=folder / f"{n}.seg.nrrd",
        )
        for n, name in enumerate(CASES)
    }


@pytest.mark.parametrize("name", CASES)
def test_slicer_reads_names_colours_values_and_codes(seen, name):
    segments = seen[name].segments
    assert [s["name"] for s in segments] == [s.name for s in STRUCTURES]
    assert [s["id"] for s in segments] == [s.id for s in STRUCTURES]
    assert [s["terminology"] for s in segments] == [s.terminology_tag() for s in STRUCTURES]
    assert {tuple(s["made by"]) for s in segments} == {("AUTOMATIC", "SIFA tiny@1.0.0")}
    np.testing.assert_allclose([s["color"] for s in segments], np.array([s.color for s in STRUCTURES]) / 255, atol=1e-5)


@pytest.mark.parametrize("name", ["oblique", "flipped, two structures missing"])
def test_slicer_reads_the_same_labels_on_the_same_grid(seen, name):
    case, slicer = CASES[name], seen[name]
    assert slicer.layers == 1
    np.testing.assert_array_equal(slicer.array, case.array)
    assert [s["value"] for s in slicer.segments] == [s.value for s in STRUCTURES]
    geometry = case.geometry
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = geometry.axes * geometry.spacing, geometry.origin
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ matrix, slicer.ijk_to_ras, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_slicer_knows_the_grid_of_the_scan_as_reference_geometry(seen, name):
    numbers = [float(n) for n in seen[name].reference.rstrip(";").split(";")]
    geometry = CASES[name].geometry
    assert numbers[16:] == [end for n in geometry.size for end in (0, n - 1)]
    center = np.array(numbers[:16]).reshape(4, 4) @ [5, 6, 7, 1]
    np.testing.assert_allclose(center[:3], geometry.point((5, 6, 7)) * [-1, -1, 1], atol=1e-9)


def header(path: Path) -> dict[str, str]:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def test_the_file_says_what_slicer_writes_of_the_same_segmentation(seen):
    ours, slicers = header(seen["oblique"].written), header(seen["oblique"].rewritten)
    assert ours.keys() == slicers.keys()
    different = {key for key in ours if ours[key] != slicers[key]}
    assert different <= {"Segmentation_ConversionParameters"} | {f"Segment{n}_Color" for n in range(4)}


def test_what_slicer_writes_comes_back_here(seen):
    read_back, structures = read_seg_nrrd(seen["oblique"].rewritten)
    assert structures == STRUCTURES
    case = CASES["oblique"]
    np.testing.assert_array_equal(read_back.array, case.array)
    np.testing.assert_allclose(read_back.geometry.corners(), case.geometry.corners(), atol=1e-9)


def test_a_segmentation_comes_back_as_it_was(tmp_path):
    for name, case in CASES.items():
        write_seg_nrrd(case, tmp_path / "a.seg.nrrd")
        read_back, structures = read_seg_nrrd(tmp_path / "a.seg.nrrd")
        assert structures == STRUCTURES, name
        plain = read(tmp_path / "a.seg.nrrd")
        for back in (read_back, plain):
            np.testing.assert_array_equal(back.array, case.array)
            np.testing.assert_allclose(back.geometry.corners(), case.geometry.corners(), atol=1e-9)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".SEG.NRRD"])
def test_the_ending_of_the_name_picks_the_format(tmp_path, suffix):
    case = labels(FLIPPED)
    write_labels(case, tmp_path / f"out{suffix}")
    image = sitk.ReadImage(str(tmp_path / f"out{suffix}"))
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), case.array)
    np.testing.assert_allclose(Geometry.of(image).corners(), FLIPPED.corners(), atol=1e-4)
    assert ("Segment3_Name" in image.GetMetaDataKeys()) == suffix.lower().endswith(".seg.nrrd")


@pytest.mark.parametrize("name", ["labels.png", "labels", "labels.seg", "labels.nii.gz.txt"])
def test_an_ending_that_is_not_known_is_refused_with_those_that_are(tmp_path, name):
    with pytest.raises(RequestError, match=r"use \.seg\.nrrd for a segmentation, or \.nii\.gz"):
        write_labels(labels(FLIPPED), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.seg.nrrd"
    write_seg_nrrd(labels(FLIPPED), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_seg_nrrd(labels(OBLIQUE), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.seg.nrrd"]


def test_an_image_that_describes_no_segments_is_refused_as_segmentation(tmp_path):
    write_labels(labels(FLIPPED), tmp_path / "image.nrrd")
    with pytest.raises(VolumeError, match="describes no segments"):
        read_seg_nrrd(tmp_path / "image.nrrd")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("Segment1_LabelValue", "two", "the description of Segment1 is damaged"),
        ("Segment1_Color", "0.5 0.5", "the description of Segment1 is damaged"),
        ("Segment1_Tags", "TerminologyEntry:x~SCT^1~SCT^2^b^c~|", "the description of Segment1 is damaged"),
        ("Segment2_Layer", "1", "overlap"),
    ],
)
def test_a_damaged_description_and_segments_in_several_layers_are_refused(tmp_path, key, value, sentence):
    write_seg_nrrd(labels(FLIPPED), tmp_path / "a.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(VolumeError, match=sentence):
        read_seg_nrrd(tmp_path / "a.seg.nrrd")
