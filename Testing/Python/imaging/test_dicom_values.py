"""Grey values of DICOM: rescaled slice by slice, of the modality that is stated; damage ends in a sentence."""

from __future__ import annotations

import dicom_frames
import numpy as np
import pytest
from dicom_folders import GREY, OBLIQUE, SIZE, refused, removed, written
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
from SIFALib.imaging import reading
from SIFALib.imaging.intensity import intensity_rule
from SIFALib.models.card import Preprocessing
from SIFALib.support.errors import VolumeError

# Grey values


def test_each_slice_is_rescaled_by_its_own_rule(tmp_path):
    slopes = [1.0, *(1e-3 + 1e-5 * k for k in range(1, 9))]
    volume = reading.read(written(tmp_path / "s", change=lambda h, k: setattr(h, "RescaleSlope", slopes[k])))
    np.testing.assert_allclose(volume.array, GREY * np.reshape(slopes, (-1, 1, 1)), rtol=1e-6)


def test_signed_and_unsigned_slices_share_a_type_that_holds_both(tmp_path):
    def change(header: Dataset, k: int) -> None:
        if k % 2:
            stored = (GREY[k].astype(int) + 40000).astype("<u2")
            header.PixelRepresentation, header.RescaleIntercept, header.PixelData = 0, -40000, stored.tobytes()

    np.testing.assert_array_equal(reading.read(written(tmp_path / "s", change=change)).array, GREY)


@pytest.mark.parametrize("k", [0, 4])
def test_a_series_whose_slices_disagree_about_a_rescale_is_refused(tmp_path, k):
    change = removed("RescaleSlope", "RescaleIntercept")
    folder = written(tmp_path / "s", change=lambda h, n: change(h, n) if n == k else None)
    refused(folder, rf"1 of the 9 slices in .* state no rescale of their values, as 00{k}\.dcm")


def test_a_slope_of_nothing_is_refused(tmp_path):
    refused(written(tmp_path / "s", RescaleSlope=0), "rescale slope 0")


def test_each_frame_is_rescaled_by_its_own_rule(tmp_path):
    rules = [(1.0, 0.0), *((0.5, -10.0 * k) for k in range(1, 9))]
    volume = reading.read(dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, list(range(9)), rescales=rules))
    expected = [plane * slope + intercept for plane, (slope, intercept) in zip(GREY, rules, strict=True)]
    np.testing.assert_allclose(volume.array, expected)


CAPTURES = (MultiFrameGrayscaleByteSecondaryCaptureImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage)


@pytest.mark.parametrize("where", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
@pytest.mark.parametrize("kind", [*CAPTURES, EnhancedCTImageStorage])
def test_a_rescale_in_functional_groups_counts_in_every_class_of_file(tmp_path, kind, where):
    rules = [(1.0, -1024.0)] * 9 if where.startswith("Per") else []
    folder = dicom_frames.enhanced(tmp_path / "s", GREY, OBLIQUE, list(range(9)), rescales=rules)
    header = dcmread(folder / "000.dcm")
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = kind
    for groups in header[where].value:
        groups.PixelValueTransformationSequence[0].RescaleIntercept = -1024
    header.save_as(folder / "000.dcm")
    np.testing.assert_array_equal(reading.read(folder).array, GREY.astype(int) - 1024)


def test_a_table_of_values_is_refused_and_not_passed_over(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4, 0, 16], "HU", bytes(8)
    folder = written(tmp_path / "s", ModalityLUTSequence=[table], RescaleSlope=None, RescaleIntercept=None)
    refused(folder, r"000\.dcm says by a table what its values mean \(Modality LUT\)")


def test_hounsfield_units_are_what_they_are_however_they_are_shown(tmp_path):
    folder = written(tmp_path / "s", PhotometricInterpretation="MONOCHROME1", RescaleIntercept=-24)
    np.testing.assert_array_equal(reading.read(folder).array, GREY.astype(int) - 24)


def test_an_mr_of_which_nobody_can_tell_what_is_bright_is_refused(tmp_path):
    refused(written(tmp_path / "s", PhotometricInterpretation="MONOCHROME1", Modality="MR"), "stored as MONOCHROME1")


def test_colours_are_refused(tmp_path):
    pixels = bytes(3 * SIZE[0] * SIZE[1])
    colour = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
    }
    refused(written(tmp_path / "s", PixelData=pixels, **colour), "3 values a voxel")


def test_values_that_do_not_lie_in_the_lowest_bits_are_refused(tmp_path):
    """As ACR-NEMA allowed; whoever reads them as they stand takes them for sixteen times as much."""
    stored = ((GREY.astype(int) + 1024) << 4).astype("<u2")

    def raise_bits(header: Dataset, k: int) -> None:
        header.BitsStored, header.HighBit, header.PixelRepresentation = 12, 15, 0
        header.PixelData = stored[k].tobytes()

    refused(written(tmp_path / "s", change=raise_bits), "keeps its values in other than the lowest bits")


@pytest.mark.parametrize(
    ("changed", "said", "why"),
    [
        ({"Modality": "MR"}, "mr", "the DICOM headers say so"),
        ({"Modality": "CT", "PixelData": bytes(2 * SIZE[0] * SIZE[1])}, "ct", "the DICOM headers say so"),
        ({"Modality": "OT"}, "", ""),
        ({"Modality": "CT", "RescaleSlope": None, "RescaleIntercept": None}, "", ""),
        ({"Modality": "CT", "RescaleType": "HU"}, "ct", "the DICOM headers say so"),
        ({"Modality": "CT", "RescaleType": "MGML"}, "", ""),
        ({"Modality": "CT", "RescaleType": "Z_EFF"}, "", ""),
    ],
    ids=["mr with negative values", "ct without air", "other", "ct without a rescale", "hu", "iodine", "atoms"],
)
def test_the_modality_that_is_stated_decides(tmp_path, changed, said, why):
    """Where nothing is stated, the histogram does."""
    volume = reading.read(written(tmp_path / "s", **changed))
    preprocessing = Preprocessing()
    rule = intensity_rule(volume, preprocessing)
    assert volume.modality == said and rule.modality == (said or rule.modality)
    assert rule.why == why if said else "DICOM" not in rule.why
    assert intensity_rule(volume, preprocessing, "mr").name.startswith("percentiles"), "a person's word comes first"


# Damaged


@pytest.mark.parametrize(
    "changed",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2_000_000_000},
        {"SamplesPerPixel": 9},
        {"ImagePositionPatient": [1, 2]},
    ],
    ids=["pixels", "frames", "samples", "place"],
)
def test_numbers_that_cannot_be_are_told_in_a_sentence(tmp_path, changed):
    folder = written(tmp_path / "s")
    header = dcmread(folder / "004.dcm")
    for keyword, value in changed.items():
        setattr(header, keyword, value)
    header.save_as(folder / "004.dcm")
    refused(folder, "incomplete: no slice can be read from 004.dcm|does not say where|9 values a voxel|cut off")


def test_flipped_bits_never_end_in_anything_but_a_sentence(tmp_path):
    folder = written(tmp_path / "s")
    whole = (folder / "004.dcm").read_bytes()
    head = len(whole) - 2 * SIZE[0] * SIZE[1]
    generator = np.random.default_rng(1)
    for _ in range(40):
        data = bytearray(whole)
        data[generator.integers(132, head)] ^= 1 << generator.integers(8)
        (folder / "004.dcm").write_bytes(data)
        try:
            assert reading.read(folder).array.shape == GREY.shape
        except VolumeError as error:
            assert str(folder) in str(error)
