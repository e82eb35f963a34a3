"""Promises of nifti_forms.py: what a header says twice is read by one rule, told, and given back to a result."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.imaging import Geometry, Volume, read, write
from SIFALib.imaging.writing import check_holds
from SIFALib.support.errors import RequestError, VolumeError

SHAPE = (20, 24, 22)  # voxels along i, j, k
VOXELS = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
PLACE = np.array([[-1.5, 0.2, 0.1, 30], [0.2, 1.49, -0.3, -40], [0.05, 0.31, 2.4, 12], [0, 0, 0, 1]])
STRAIGHT = np.array([[0.0, -1.5, 0, 30], [2, 0, 0, -40], [0, 0, 2.5, 12], [0, 0, 0, 1]])
ELSEWHERE = np.diag([-2.0, 1.5, 2.5, 1]) + np.pad([[20.0], [-15], [10]], ((0, 1), (3, 0)))


def nifti(
    path: Path, q: np.ndarray | None, s: np.ndarray | None, codes: tuple[int, int], kind: type = nibabel.Nifti1Image
):
    """A NIfTI file with these forms (RAS); pixdim of the qform, or else of the sform."""
    image = kind(VOXELS, q if q is not None else s)
    image.set_sform(s, codes[1])
    image.set_qform(q, codes[0])
    if q is None and s is not None:
        image.header["pixdim"][1:4] = np.linalg.norm(s[:3, :3], axis=0)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def patched(path: Path, kind: str, place: int, *values: float) -> Path:
    packed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    struct.pack_into(f"<{kind}", data, place, *values)
    path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))
    return path


def itk_corners(path: Path) -> np.ndarray:
    return Geometry.of(sitk.ReadImage(str(path))).corners()


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1), (0, 2), (2, 1)])
def test_an_ordinary_file_is_read_as_itk_reads_it_bit_for_bit_and_without_a_word(
    tmp_path: Path, codes: tuple[int, int]
):
    path = nifti(tmp_path / "a.nii.gz", STRAIGHT if codes[0] else None, STRAIGHT if codes[1] else None, codes)
    scan, theirs = read(path), sitk.ReadImage(str(path))
    assert repr(scan.geometry) == repr(Geometry.of(theirs))
    np.testing.assert_array_equal(scan.array, sitk.GetArrayFromImage(theirs))
    assert scan.notes == () and scan.geometry.forms is None


def test_an_oblique_file_is_read_as_itk_reads_it(tmp_path: Path):
    turned = np.eye(4)
    turned[:3, :3] = np.linalg.qr(PLACE[:3, :3])[0] * [1.5, 1.2, 2.5]
    path = nifti(tmp_path / "a.nii", turned, turned, (1, 1))
    assert repr(read(path).geometry) == repr(Geometry.of(sitk.ReadImage(str(path))))


@pytest.mark.parametrize(
    ("codes", "name"), [((1, 2), "qform"), ((2, 1), "sform"), ((1, 1), "sform"), ((4, 4), "qform")]
)
@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_two_places_are_told_and_a_result_lies_over_its_scan_in_every_program(
    tmp_path: Path, codes: tuple[int, int], name: str, ending: str
):
    path = nifti(tmp_path / f"a{ending}", STRAIGHT, ELSEWHERE, codes)
    scan = read(path)
    assert len(scan.notes) == 1 and f"the {name} was taken, as ITK and 3D Slicer do" in scan.notes[0]
    np.testing.assert_allclose(scan.geometry.corners(), itk_corners(path), atol=1e-4)
    result = tmp_path / f"result{ending}"
    write(Volume((scan.array > 0).astype(np.uint8), scan.geometry), result)
    np.testing.assert_allclose(itk_corners(result), itk_corners(path), atol=1e-4)
    ours, theirs = nibabel.load(result), nibabel.load(path)
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    for form in ("get_qform", "get_sform"):
        one, other = (getattr(image, form)(coded=True) for image in (ours, theirs))
        assert one[1] == other[1]
        np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(np.asarray(ours.dataobj), VOXELS > 0)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [], "nothing is left behind"


def test_voxel_sizes_that_differ_are_told_and_those_of_the_sform_count(tmp_path: Path):
    path = patched(nifti(tmp_path / "a.nii.gz", None, STRAIGHT, (0, 1)), "3f", 80, 1, 1, 1)
    scan = read(path)
    np.testing.assert_allclose(scan.geometry.spacing, (2, 1.5, 2.5), rtol=1e-6)
    assert "2 x 1.5 x 2.5 mm by its sform and 1 x 1 x 1 mm by its pixdim; the first was taken" in scan.notes[0]
    write(Volume((scan.array > 0).astype(np.uint8), scan.geometry), tmp_path / "result.nii.gz")
    np.testing.assert_allclose(itk_corners(tmp_path / "result.nii.gz"), itk_corners(path), atol=1e-4)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "result.nii.gz").affine, nibabel.load(path).affine)


def test_a_file_that_does_not_say_where_it_lies_is_told_and_its_result_says_no_more(tmp_path: Path):
    path = nifti(tmp_path / "a.nii.gz", STRAIGHT, STRAIGHT, (1, 1))
    patched(path, "2h", 252, 0, 0)
    scan = read(path)
    assert "does not say where its voxels lie (neither qform nor sform)" in scan.notes[0]
    write(Volume((scan.array > 0).astype(np.uint8), scan.geometry), tmp_path / "result.nii")
    np.testing.assert_allclose(itk_corners(tmp_path / "result.nii"), itk_corners(path), atol=1e-4)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "result.nii").affine, nibabel.load(path).affine)


def test_metres_are_read_as_such_and_given_back(tmp_path: Path):
    path = nifti(tmp_path / "a.nii", STRAIGHT / [1000, 1000, 1000, 1000] * 1.0, None, (1, 0))
    patched(path, "B", 123, 1)
    scan = read(path)
    np.testing.assert_allclose(scan.geometry.spacing, (2, 1.5, 2.5), rtol=1e-5)
    np.testing.assert_allclose(scan.geometry.corners(), itk_corners(path), atol=1e-3)
    write(Volume((scan.array > 0).astype(np.uint8), scan.geometry), tmp_path / "result.nii")
    np.testing.assert_array_equal(nibabel.load(tmp_path / "result.nii").affine, nibabel.load(path).affine)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_both_versions_of_the_format_are_read(tmp_path: Path, kind: type):
    path = nifti(tmp_path / "a.nii.gz", STRAIGHT, STRAIGHT, (1, 1), kind)
    scan = read(path)
    np.testing.assert_array_equal(scan.array, VOXELS.transpose())
    np.testing.assert_allclose(scan.geometry.point((3, 5, 7)) * (-1, -1, 1), (STRAIGHT @ (3, 5, 7, 1))[:3], atol=1e-4)


def test_a_quaternion_that_is_no_rotation_is_refused(tmp_path: Path):
    path = patched(nifti(tmp_path / "a.nii", STRAIGHT, None, (1, 0)), "3f", 256, 0.9, 0.9, 0.9)
    with pytest.raises(VolumeError, match="axes that are no rotation"):
        read(path)


def test_a_sheared_grid_is_refused_by_nifti_and_kept_by_nrrd(tmp_path: Path):
    lean = (1.0, 0.1, 0.0, 0.0, 0.995, 0.0, 0.0, 0.0, 1.0)
    sheared = Geometry((22, 24, 20), (1.0, 2.0, 3.0), (1.0, 1.0, 2.0), lean)
    for name in ("a.nii", "a.nii.gz", "A.NII.GZ"):
        with pytest.raises(RequestError, match=r"not at right angles .* choose \.seg\.nrrd or \.nrrd"):
            check_holds(sheared, "a.seg.nrrd", None, name)
        with pytest.raises(RequestError, match="which NIfTI cannot hold"):
            write(Volume(np.zeros(sheared.shape, np.uint8), sheared), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    write(Volume(np.zeros(sheared.shape, np.uint8), sheared), tmp_path / "a.nrrd")
    np.testing.assert_allclose(read(tmp_path / "a.nrrd").geometry.corners(), sheared.corners(), atol=1e-6)
    rounded = Geometry((22, 24, 20), (1.0, 2.0, 3.0), (1.0, 1.0, 2.0), (1.0, 1e-4, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    check_holds(rounded, "a.nii.gz")  # by 0.002 mm
