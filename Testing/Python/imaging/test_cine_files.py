"""Cines in one file, NIfTI or NRRD: the heart of the study in DICOM, its times where a unit says so, or a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import cine_studies as studies
import numpy as np
import pytest
import SimpleITK as sitk
from cine_studies import PHASES, expect
from SIFALib.imaging.cine_files import count_of, holds_cine
from SIFALib.imaging.study import read_cine
from SIFALib.support.errors import VolumeError


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_nifti_with_four_axes_is_the_same_cine(tmp_path, ending):
    image4 = sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()])
    image4.SetSpacing((*studies.SPACING, 0.1))
    sitk.WriteImage(image4, str(tmp_path / f"cine{ending}"))
    cine = read_cine(tmp_path / f"cine{ending}")
    expect(cine)
    assert cine.name == "cine"
    assert cine.times_ms == tuple(100.0 * t for t in range(PHASES))
    assert cine.heart_rate == 75


def test_colours_of_nifti_are_no_phases(tmp_path):
    colours = np.repeat(studies.array()[..., None], 3, axis=-1)
    phases = [sitk.GetImageFromArray(np.ascontiguousarray(each), isVector=True) for each in colours]
    sitk.WriteImage(sitk.JoinSeries(phases), str(tmp_path / "cine.nii.gz"))
    with pytest.raises(VolumeError, match="has 3 values a voxel"):
        read_cine(tmp_path / "cine.nii.gz")


def test_nifti_without_a_time_that_can_be_has_none(tmp_path):
    sitk.WriteImage(
        sitk.JoinSeries([studies.geometry().to_image(p) for p in studies.array()]), str(tmp_path / "cine.nii.gz")
    )
    assert read_cine(tmp_path / "cine.nii.gz").times_ms == ()


@pytest.mark.parametrize("step", [-100.0, np.nan, np.inf])
def test_a_time_between_volumes_of_nifti_that_cannot_be_neither_orders_nor_times_them(tmp_path, step):
    path = tmp_path / "cine.nii"
    sitk.WriteImage(sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()]), str(path))
    header = bytearray(path.read_bytes())
    struct.pack_into("<f", header, 76 + 4 * 4, step)  # pixdim[4]
    header[123] = 2 | 16  # mm, ms
    path.write_bytes(header)
    cine = read_cine(path)
    expect(cine)
    assert (cine.times_ms, cine.heart_rate) == ((), None)
    assert f"states {step:g} ms between its volumes" in " ".join(cine.notes)


@pytest.mark.parametrize(("phases", "step"), [(2, 1.0), (3, 0.3), (4, 0.2)])
def test_too_few_volumes_for_a_beat_have_no_times_and_no_heart_rate(tmp_path, phases, step):
    image4 = sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()[:phases]])
    image4.SetSpacing((*studies.SPACING, step))
    sitk.WriteImage(image4, str(tmp_path / "ends.nii.gz"))
    cine = read_cine(tmp_path / "ends.nii.gz")
    assert (cine.phases, cine.times_ms, cine.heart_rate) == (phases, (), None)


MULTI_VOLUME = {"MultiVolume.FrameLabels": ",".join(str(100 * t) for t in range(PHASES))}
UNIT = "MultiVolume.FrameIdentifyingDICOMTagUnits"


@pytest.mark.parametrize(
    ("said", "timed"),
    [(MULTI_VOLUME, False), (MULTI_VOLUME | {UNIT: "na"}, False), (MULTI_VOLUME | {UNIT: "ms"}, True)],
)
def test_times_of_a_multi_volume_count_where_their_unit_is_stated(tmp_path, said, timed):
    image = sitk.Compose([studies.geometry().to_image(phase) for phase in studies.array()])
    for key, value in said.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "cine.nrrd"))
    cine = read_cine(tmp_path / "cine.nrrd")
    assert cine.times_ms == (tuple(100.0 * t for t in range(PHASES)) if timed else ())
    assert cine.heart_rate == (75 if timed else None)


def test_the_beat_of_a_file_is_as_long_as_its_images_span(tmp_path):
    image = sitk.Compose([studies.geometry().to_image(phase) for phase in studies.array()])
    image.SetMetaData("MultiVolume.FrameLabels", ",".join(str(100 * t + 400) for t in range(PHASES)))
    image.SetMetaData(UNIT, "ms")
    sitk.WriteImage(image, str(tmp_path / "cine.nrrd"))
    cine = read_cine(tmp_path / "cine.nrrd")
    assert (cine.times_ms[0], cine.heart_rate) == (400, 75)
    image.SetMetaData("MultiVolume.FrameLabels", ",".join(str(100 * t + 1_000_400) for t in range(PHASES)))
    sitk.WriteImage(image, str(tmp_path / "later.nrrd"))
    assert read_cine(tmp_path / "later.nrrd").times_ms == cine.times_ms


@pytest.mark.parametrize("last", ["600", "nan", "90000"])
def test_times_that_cannot_be_those_of_a_beat_are_not_taken_and_that_is_said(tmp_path, last):
    image = sitk.Compose([studies.geometry().to_image(phase) for phase in studies.array()])
    image.SetMetaData("MultiVolume.FrameLabels", ",".join([*(str(100 * t) for t in range(PHASES - 1)), last]))
    image.SetMetaData(UNIT, "ms")
    sitk.WriteImage(image, str(tmp_path / "cine.nrrd"))
    cine = read_cine(tmp_path / "cine.nrrd")
    expect(cine)
    assert (cine.times_ms, cine.heart_rate) == ((), None)
    assert f"0 to {float(last):g} ms, cannot be those of one beat" in " ".join(cine.notes)


def test_the_axis_of_volumes_may_be_the_last_and_each_volume_in_a_file(tmp_path):
    for t, phase in enumerate(studies.array()):
        (tmp_path / f"v{t}.raw").write_bytes(phase.tobytes())
    (tmp_path / "cine.nhdr").write_text(
        f"NRRD0004\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 24 24 5 {PHASES}\nendian: little\n"
        "space directions: (2,0,0) (0,2,0) (0,0,10) none\nkinds: domain domain domain list\nspace origin: (0,0,0)\n"
        "encoding: raw\ndata file: LIST\n" + "".join(f"v{t}.raw\n" for t in range(PHASES))
    )
    np.testing.assert_array_equal(read_cine(tmp_path / "cine.nhdr").array, studies.array())


def in_a_chest(phases: int, places: int) -> np.ndarray:
    """int16 [t, k, j, i]: the heart, in the middle of what rests."""
    chest = np.random.default_rng(0).integers(0, 300, (places, 60, 60)).astype(np.int16)
    beat = np.repeat(chest[None], phases, axis=0)
    beat[:, :, 18:42, 18:42] = studies.array(phases, places)
    return beat


def written(path: Path, beat: np.ndarray) -> Path:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(np.ascontiguousarray(each)) for each in beat]), str(path))
    return path


@pytest.mark.parametrize(("phases", "places"), [(20, 5), (5, 5), (3, 8), (2, 5), (4, 3), (3, 3), (2, 2)])
def test_phases_where_slices_should_be_are_refused(tmp_path, phases, places):
    beat = in_a_chest(phases, places)
    np.testing.assert_array_equal(read_cine(written(tmp_path / "cine.nii.gz", beat)).array, beat)
    with pytest.raises(VolumeError, match="phases where slices should be"):
        read_cine(written(tmp_path / "swapped.nii.gz", beat.swapaxes(0, 1)))


def test_thin_slices_between_which_less_changes_than_in_time_are_slices(tmp_path):
    k, j, i = np.indices((40, 24, 24))
    beat = [300 * (np.hypot(i - 12, np.hypot(j - 12, k - 20)) < 9 + 3 * np.cos(t)) + k for t in range(0, 7, 2)]
    assert read_cine(written(tmp_path / "cine.nii", np.array(beat, np.int16))).array.shape == (4, 40, 24, 24)


def test_volumes_are_in_the_order_of_their_times(tmp_path):
    order = [*range(PHASES)][::-1]
    image = sitk.Compose([studies.geometry().to_image(studies.array()[t]) for t in order])
    image.SetMetaData("MultiVolume.FrameLabels", ",".join(str(100 * t) for t in order))
    image.SetMetaData(UNIT, "ms")
    sitk.WriteImage(image, str(tmp_path / "cine.nrrd"))
    cine = read_cine(tmp_path / "cine.nrrd")
    assert np.array_equal(cine.array, studies.array())
    assert cine.times_ms == tuple(100.0 * t for t in range(PHASES))
    assert "their times order them" in cine.notes[0]


@pytest.mark.parametrize("kind", ["RGB-color", "3-color", "vector", "3-vector"])
def test_colours_and_directions_of_nrrd_are_no_phases(tmp_path, kind):
    path = tmp_path / "cine.nrrd"
    sitk.WriteImage(sitk.Compose([studies.geometry().to_image(p) for p in studies.array()[:3]]), str(path), False)
    head, empty, voxels = path.read_bytes().partition(b"\n\n")
    lines = [f"kinds: {kind} domain domain domain".encode() if b"kinds:" in x else x for x in head.split(b"\n")]
    path.write_bytes(b"\n".join(lines) + empty + voxels)
    assert not holds_cine(path)
    with pytest.raises(VolumeError, match="3 values a voxel"):
        read_cine(path)


def test_a_list_of_nrrd_holds_as_many_volumes_as_it_says(tmp_path):
    sitk.WriteImage(
        sitk.Compose([studies.geometry().to_image(p) for p in studies.array()]), str(tmp_path / "cine.nrrd")
    )
    assert count_of(tmp_path / "cine.nrrd") == PHASES != studies.array().shape[1]
