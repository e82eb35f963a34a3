"""Outlines of all phases as files that other programs and our own reader see in the same place, at the same time."""

from __future__ import annotations

import cine_studies as studies
import nibabel
import nrrd
import numpy as np
import pytest
from SIFALib.imaging import curves
from SIFALib.imaging.cine_writing import write_nifti, write_seq_nrrd
from SIFALib.imaging.nifti import read_nifti_sequence
from SIFALib.imaging.study import read_cine


def test_a_sequence_is_read_back_with_its_times_and_is_one_to_other_programs(tmp_path):
    labels, times = (studies.array() % 8).astype(np.uint8), [12.5 + 100.0 * t for t in range(studies.PHASES)]
    write_seq_nrrd(labels, studies.geometry(), times, tmp_path / "labels.seq.nrrd")
    cine = read_cine(tmp_path / "labels.seq.nrrd")
    np.testing.assert_array_equal(cine.array, labels)
    np.testing.assert_allclose(cine.geometry.corners(), studies.geometry().corners(), atol=1e-9)
    assert cine.times_ms == tuple(times)
    assert cine.name == "labels"
    array, header = nrrd.read(str(tmp_path / "labels.seq.nrrd"))
    np.testing.assert_array_equal(array.transpose(0, 3, 2, 1), labels)
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert header["axis 0 index type"] == "numeric"


def test_nifti_has_its_time_step_in_seconds(tmp_path):
    labels = (studies.array() % 8).astype(np.uint8)
    write_nifti(labels, studies.geometry(), 100.0, tmp_path / "labels.nii.gz")
    read = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(read.dataobj).transpose(3, 2, 1, 0), labels)
    assert read.header["pixdim"][4] == np.float32(0.1)
    assert read.header.get_xyzt_units() == ("mm", "sec")


@pytest.mark.parametrize(("unit", "step"), [("", 0.25), ("s", 0.1), ("ms", 100.0)])
def test_the_moments_of_a_sequence_are_times_where_their_unit_is_one(tmp_path, unit, step):
    labels = (studies.array() % 8).astype(np.uint8)
    moments = [step * t for t in range(studies.PHASES)]
    write_seq_nrrd(labels, studies.geometry(), moments, tmp_path / "labels.seq.nrrd", unit)
    cine = read_cine(tmp_path / "labels.seq.nrrd")
    assert cine.times_ms == (tuple(100.0 * t for t in range(studies.PHASES)) if unit else ())
    assert cine.heart_rate == (75 if unit else None)


def test_where_the_step_is_not_known_nifti_states_no_time(tmp_path):
    labels = (studies.array() % 8).astype(np.uint8)
    for name in ("labels.nii.gz", "labels.nii"):
        write_nifti(labels, studies.geometry(), 0.0, tmp_path / name)
        read = nibabel.load(tmp_path / name)
        assert read.header.get_xyzt_units() == ("mm", "unknown")
        np.testing.assert_array_equal(np.asarray(read.dataobj).transpose(3, 2, 1, 0), labels)
        np.testing.assert_allclose(
            read_cine(tmp_path / name).geometry.corners(), studies.geometry().corners(), atol=1e-4
        )
        assert read_nifti_sequence(tmp_path / name)[2] == 0.0


@pytest.mark.parametrize("step_ms", [100.0, 0.0])
@pytest.mark.parametrize(("codes", "unit"), [((1, 2), 2), ((2, 1), 2), ((1, 0), 1)])
def test_labels_lie_over_a_scan_that_says_its_place_in_two_ways_or_in_metres(tmp_path, codes, unit, step_ms):
    scale = 1000.0 if unit == 1 else 1.0
    here = np.array([[0.0, -2.0, 0, 30], [2, 0, 0, -40], [0, 0, 10, 12], [0, 0, 0, scale]]) / scale
    there = np.array([[-2.0, 0, 0, 20], [0, 2, 0, -15], [0, 0, 10, 10], [0, 0, 0, 1]])
    scan = nibabel.Nifti1Image(studies.array().transpose(3, 2, 1, 0), here)
    scan.set_qform(here, codes[0])
    scan.set_sform(there if codes[1] else None, codes[1])
    scan.header["xyzt_units"] = unit
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    cine = read_cine(tmp_path / "scan.nii.gz")
    write_nifti((cine.array % 8).astype(np.uint8), cine.geometry, step_ms, tmp_path / "labels.nii.gz")
    ours, theirs = (nibabel.load(tmp_path / name) for name in ("labels.nii.gz", "scan.nii.gz"))
    for form in ("get_qform", "get_sform"):
        one, other = (getattr(image, form)(coded=True) for image in (ours, theirs))
        assert one[1] == other[1]
        np.testing.assert_array_equal(one[0], other[0])
    assert ours.header.get_xyzt_units() == (theirs.header.get_xyzt_units()[0], "sec" if step_ms else "unknown")
    assert ours.header["pixdim"][4] == np.float32(step_ms / 1000 or 1.0)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj) % 8)


def test_curves_are_drawn_where_something_is_known_and_leave_the_rest_out(tmp_path):
    lines = [curves.Curve("LV", [100.0, 60.0, float("nan"), 90.0], (200, 0, 0), ((0, "ED"), (1, "ES")))]
    image = curves.draw(lines, [0.0, 100.0, 200.0, 300.0], "ms")
    red = (image[..., 0] > 150) & (image[..., 1:].max(axis=2) < 60)
    columns = np.flatnonzero(red[150:].any(axis=0))
    gap = np.diff(columns).max()
    assert gap > 200  # the moment that is not known
    curves.write(lines, [0.0, 100.0, 200.0, 300.0], "ms", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
