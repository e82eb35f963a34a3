"""Label maps that could be learned from, and wrongly: told or refused before anything is."""

from __future__ import annotations

import shutil
import unicodedata

import numpy as np
import pytest
import training_data
from SIFALib.cli import main
from SIFALib.datasets import label_folder, label_values, sources
from SIFALib.support.errors import RequestError


def checked(capsys: pytest.CaptureFixture, *options: str) -> tuple[int, str]:
    code = main(["check-data", *options])
    found = capsys.readouterr()
    return code, found.out + found.err


def test_a_map_without_background_is_refused_and_one_of_which_the_rest_is_unknown_is_not(tmp_path, capsys):
    source = training_data.source(tmp_path / "source")
    training_data.write(source / "s1_label.nii.gz", np.full(training_data.SHAPE, 3, np.uint8))
    code, told = checked(capsys, "--source", str(source))
    assert code == 3 and "s1_label.nii.gz labels every voxel, so that structures would fill the whole scan" in told
    _, labels = training_data.toy(1)
    training_data.write(source / "s1_label.nii.gz", np.where(labels == 0, 255, labels).astype(np.uint8))
    assert checked(capsys, "--source", str(source))[0] == 0


def test_labels_that_are_those_of_another_image_are_told(tmp_path, capsys):
    source = training_data.source(tmp_path / "source")
    shutil.copy(source / "s1_label.nii.gz", source / "s2_label.nii.gz")
    code, told = checked(capsys, "--source", str(source))
    assert code == 0 and told.count("its labels are those of source:s1, voxel by voxel") == 1


def test_a_class_that_the_network_does_not_have_is_none(tmp_path, capsys):
    source = training_data.source(tmp_path / "source", 1)
    code, told = checked(capsys, "--source", str(source), "--label-values", "1=9,2=2,3=3,4=4")
    assert code == 3 and "the label value 1 stands for no class; add --label-values 2=2,3=3,4=4,1=?" in told
    assert label_values.table([1, 2], {"1": 5, "2": 255}, 5) == {1: 0, 2: 255}
    assert label_values.table([3], {"3": 4}, 4) is None


def test_a_value_of_two_classes_is_refused_and_one_beside_a_data_set_is_meant():
    with pytest.raises(RequestError, match="label value 1 is said to be class 1 and class 2"):
        label_values.parse("1=1,01=2")
    assert label_values.parse("acdc,1=0,1=0")["1"] == 0


@pytest.mark.parametrize("of_image", ["NFC", "NFD"])
def test_accents_pair_image_and_labels_however_they_are_written(tmp_path, of_image):
    other = {"NFC": "NFD", "NFD": "NFC"}[of_image]
    image, label = unicodedata.normalize(of_image, "Jörg"), unicodedata.normalize(other, "Jörg_label")
    for n, folder in enumerate(("beside", "apart")):
        for name, array in zip((image, label), training_data.toy(n), strict=True):
            place = tmp_path / folder / ("labels" if name == label and folder == "apart" else "")
            training_data.write(place / f"{name}.nii.gz", array)
    (scan,) = sources.find(str(tmp_path / "beside"), labelled=True).scans
    assert scan.label is not None
    shutil.move(tmp_path / "apart" / "labels", tmp_path / "labels")
    (scan,) = label_folder.pairs(tmp_path / "apart", tmp_path / "labels")
    assert scan.label is not None


def test_a_list_may_begin_as_windows_editors_let_it(tmp_path):
    training_data.source(tmp_path, 1)
    told = b'[{"image": "s0.nii.gz", "label": "s0_label.nii.gz"}]'
    (tmp_path / "list.json").write_bytes(b"\xef\xbb\xbf" + told)
    assert [scan.name for scan in sources.find(str(tmp_path / "list.json"), labelled=True).scans] == ["s0"]
