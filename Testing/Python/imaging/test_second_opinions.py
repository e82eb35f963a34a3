"""Metrics agree with medpy, geometry with nibabel and SimpleITK, on files that each of the three wrote."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medpy.metric import binary
from scipy.ndimage import gaussian_filter
from SIFALib import phantom
from SIFALib.imaging import Geometry, Volume, read, write
from SIFALib.imaging.metrics import assd_mm, dice
from test_seg_nrrd import turn

RNG = np.random.default_rng(0)
RAS_OF_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
GEOMETRIES = {
    "straight": Geometry((19, 23, 17), (-100.0, 20.0, -33.5), (0.8, 0.9, 3.0)),
    "oblique": Geometry((19, 23, 17), (-11.1, 22.3, -33.7), (0.8, 0.9, 3.0), tuple(turn((25, -12, 7)).ravel())),
    "sagittal": Geometry((19, 23, 17), (9.0, -5.0, 7.0), (0.7, 0.6, 5.0), (0, 0, 1, 1, 0, 0, 0, -1, 0)),
    "left-handed": Geometry((19, 23, 17), (9.0, -5.0, 7.0), (1.0, 2.0, 3.0), (-1, 0, 0, 0, 1, 0, 0, 0, 1)),
}


def affine(geometry: Geometry) -> np.ndarray:
    """[4, 4] from (i, j, k, 1) to RAS mm, as nibabel counts."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = geometry.axes * geometry.spacing, geometry.origin
    return RAS_OF_LPS @ matrix


def voxels(geometry: Geometry, kind: str = "i2") -> np.ndarray:
    """Grey values [k, j, i]."""
    return (
        RNG.normal(0, 90, geometry.shape).astype(kind) if kind != "u1" else RNG.integers(0, 255, geometry.shape, "u1")
    )


@pytest.fixture(scope="module")
def hearts() -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each structure the masks of a phantom's and of the same, moved."""
    labels = phantom.make(1, "ct", 6.0).labels.array
    moved = np.roll(labels, (1, -2, 2), (0, 1, 2))
    return [(labels == value, moved == value) for value in (1, 2, 3, 4)]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 3.0), (5.0, 0.6, 0.6)], ids=str)
def test_dice_and_surface_distance_agree_with_medpy(hearts, spacing: tuple[float, float, float]):
    smooth = [gaussian_filter(RNG.normal(size=(24, 30, 28)), 2) for _ in range(4)]
    masks = [noise > np.quantile(noise, share) for noise, share in zip(smooth, (0.5, 0.7, 0.9, 0.97), strict=True)]
    pairs = [(a, b) for a in masks for b in masks] + hearts
    for a, b in pairs:
        assert dice(a, b) == pytest.approx(binary.dc(a, b), abs=1e-12)
        # medpy's `assd` was the mean of these two up to 0.4; since 0.5 all distances count alike
        expected = (binary.asd(a, b, spacing[::-1]) + binary.asd(b, a, spacing[::-1])) / 2
        assert assd_mm(a, b, spacing) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_nibabel_finds_every_voxel_of_a_written_file_where_it_lies(tmp_path: Path, name: str):
    geometry = GEOMETRIES[name]
    volume = Volume(voxels(geometry), geometry)
    write(volume, tmp_path / "a.nii.gz")
    other = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(other.dataobj).T, volume.array)
    index = np.stack(np.indices(geometry.size), -1).reshape(-1, 3)
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(other.affine, index), geometry.point(index) * (-1, -1, 1), atol=1e-3
    )
    codes = nibabel.aff2axcodes(affine(geometry))
    assert codes == nibabel.aff2axcodes(other.affine)


@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0)], ids=["both", "sform", "qform"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8", ">i2", ">f4"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_what_nibabel_writes_is_read_where_it_and_simpleitk_see_it(tmp_path: Path, name: str, kind: str, codes):
    geometry = GEOMETRIES[name]
    array = np.abs(voxels(geometry, "f8")).astype(kind)
    header = nibabel.Nifti1Header(endianness=">" if kind[0] == ">" else "<")
    image = nibabel.Nifti1Image(array.T, affine(geometry), header, dtype=array.dtype)
    image.set_sform(affine(geometry), codes[0])
    image.set_qform(affine(geometry), codes[1])
    for path in (tmp_path / "a.nii.gz", tmp_path / "a.nii"):
        nibabel.save(image, path)
        back, other = read(path), sitk.ReadImage(str(path))
        np.testing.assert_array_equal(back.array, array)
        assert back.array.dtype == sitk.GetArrayViewFromImage(other).dtype and back.array.flags.c_contiguous
        assert back.geometry == Geometry.of(other), "bit for bit"
        np.testing.assert_allclose(back.geometry.corners(), geometry.corners(), atol=1e-3)


@pytest.mark.parametrize(("slope", "inter"), [(2.0, 0.0), (1.0, -1024.0), (0.5, 3.0)])
def test_grey_values_with_a_factor_are_what_nibabel_and_simpleitk_make_of_them(tmp_path: Path, slope, inter):
    geometry = GEOMETRIES["straight"]
    image = nibabel.Nifti1Image(voxels(geometry).T, affine(geometry))
    image.header.set_slope_inter(slope, inter)
    nibabel.save(image, tmp_path / "a.nii.gz")
    back = read(tmp_path / "a.nii.gz").array
    np.testing.assert_array_equal(back, sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz"))))
    np.testing.assert_allclose(back, nibabel.load(tmp_path / "a.nii.gz").get_fdata().T, rtol=1e-6, atol=1e-3)


def test_a_fourth_axis_of_length_one_carries_nothing(tmp_path: Path):
    geometry = GEOMETRIES["oblique"]
    array = voxels(geometry)
    nibabel.save(nibabel.Nifti1Image(array.T[..., None], affine(geometry)), tmp_path / "a.nii.gz")
    back = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.array, array)
    np.testing.assert_allclose(back.geometry.corners(), geometry.corners(), atol=1e-3)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_points_and_indices_are_those_of_simpleitk(name: str):
    geometry = GEOMETRIES[name]
    image = geometry.to_image()
    for index in RNG.uniform(-5, 25, (20, 3)):
        point = image.TransformContinuousIndexToPhysicalPoint(index.tolist())
        np.testing.assert_allclose(geometry.point(index), point, atol=1e-9)
        np.testing.assert_allclose(geometry.index(point), index, atol=1e-9)
