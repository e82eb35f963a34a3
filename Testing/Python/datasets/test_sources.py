"""Scans are found, and paired with their label maps, in every layout that people keep them in."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import training_data
from SIFALib.datasets import DataSettings, prepared
from SIFALib.datasets.scans import examine
from SIFALib.datasets.sources import find
from SIFALib.imaging import Geometry, Volume, reading
from SIFALib.support.errors import DataError
from training_data import toy, write

IMAGE, LABELS = toy()


def pairs(folder: Path, *files: str) -> dict[str, tuple[str, str | None]]:
    """Write these files, find them, and return name -> (image, label map), relative to the folder."""
    for file in files:
        write(folder / file, LABELS)
    found = find(str(folder), labelled=True).scans
    return {
        s.name: (s.image.relative_to(folder).as_posix(), s.label.relative_to(folder).as_posix() if s.label else None)
        for s in found
    }


LAYOUTS = {
    "beside": (["a.nii.gz", "a_label.nii.gz", "b.nii.gz", "b_seg.nrrd"], {"a": 1, "b": 3}),
    "mmwhs": (["ct_train_1001_image.nii.gz", "ct_train_1001_label.nii.gz"], {"ct_train_1001_image": 1}),
    "subfolders": (["images/x.nii.gz", "labels/x.nii.gz"], {"x": 1}),
    "nnunet": (["imagesTr/h_001_0000.nii.gz", "labelsTr/h_001.nii.gz"], {"h_001": 1}),
    "cases": (["p1/image.mha", "p1/label.mha", "p2/image.mha", "p2/label.mha"], {"p1": 1, "p2": 3}),
    "cases by any name": (["p1/scan7.nii.gz", "p1/heart_seg.nii.gz", "p2/scan7.nii.gz", "p2/heart_seg.nii.gz"],
                          {"p1/scan7": 1, "p2/scan7": 3}),
    "both modalities": (["a_ct.nii.gz", "a_ct_label.nii.gz", "a_mr.nii.gz", "a_mr_label.nii.gz"],
                        {"a_ct": 1, "a_mr": 3}),
    "cases by other words": (["7/p07_gated.nii.gz", "7/p7_ventricle_seg.nii.gz", "p08/scan.mha", "p08/p08_ed_seg.mha"],
                             {"7/p07_gated": 1, "p08": 3}),
    "cases by the name of the folder": (["p7/ct_2024.nii.gz", "p7/p7_seg.nii.gz"], {"p7/ct_2024": 1}),
    "one case": (["image.nii.gz", "label.nii.gz"], {"case": 1}),
    "slicer": (["a.nrrd", "a.seg.nrrd"], {"a": 1}),
    "dotted": (["scan.1.2.nii.gz", "scan.1.2-label.nii.gz"], {"scan.1.2": 1}),
    "sites": (["s1/images/x.nii.gz", "s1/labels/x.nii.gz", "s2/images/x.nii.gz", "s2/labels/x.nii.gz"],
              {"s1/x": 1, "s2/x": 3}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_pairs_each_image_with_its_label_map(tmp_path, layout):
    files, wanted = LAYOUTS[layout]
    found = pairs(tmp_path / "case", *files)
    assert set(found) == set(wanted)
    assert {name: pair[1] for name, pair in found.items()} == {n: files[label] for n, label in wanted.items()}


def test_a_test_set_without_labels_beside_the_training_set_is_no_source(tmp_path):
    found = pairs(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b_0000.nii.gz")
    assert list(found) == ["a"]


def test_a_target_ignores_label_maps(tmp_path):
    for file in ("a.nii.gz", "a_label.nii.gz", "labels/b.nii.gz", "images/b.nii.gz"):
        write(tmp_path / file, LABELS)
    scans = find(str(tmp_path), labelled=False).scans
    assert [(s.image.name, s.label) for s in scans] == [("a.nii.gz", None), ("b.nii.gz", None)]


def test_a_label_map_without_an_image_is_mentioned(tmp_path):
    write(tmp_path / "a.nii.gz", IMAGE)
    write(tmp_path / "a_label.nii.gz", LABELS)
    write(tmp_path / "z_label.nii.gz", LABELS)
    found = find(str(tmp_path), labelled=True)
    assert len(found.scans) == 1 and "z_label.nii.gz is the label map of no image" in found.notes[0]


def test_two_label_maps_of_one_image_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"several label maps .*a_label\.nii\.gz"):
        pairs(tmp_path, "a.nii.gz", "a_label.nii.gz", "a_seg.nii.gz")


def test_a_label_map_that_could_belong_to_two_images_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"a_label\.nii\.gz may be the label map of .*a_ct.* or of .*a_mr"):
        pairs(tmp_path, "a_ct.nii.gz", "a_mr.nii.gz", "a_label.nii.gz")


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("p1/ed.nii.gz", "p1/es_label.nii.gz"),
        ("p1/mr.nii.gz", "p1/ct_label.nii.gz"),
        ("p1_mr.nii.gz", "p1_ct_label.nii.gz"),
        ("site1/images/p01.nii.gz", "site1/labels/p02.nii.gz"),
        ("a/p01.nii.gz", "a/p02_seg.nii.gz"),
        ("a/p01_ed.nii.gz", "a/p01_es_seg.nii.gz"),
    ],
)
def test_an_image_and_a_label_map_that_are_called_like_different_ones_are_no_pair(tmp_path, image, label):
    write(tmp_path / image, IMAGE)
    write(tmp_path / label, LABELS)
    found = find(str(tmp_path), labelled=True)
    (scan,) = found.scans
    assert scan.label is None and f"{label} is the label map of no image" in found.notes[0]
    (problem,) = examine(scan, "source", DataSettings("data", "phantom"))[0].problems
    assert f"{label} lies beside it, but their names are those of different images; name them alike" in problem


@pytest.mark.parametrize("shape", ["columns", "rows"])
def test_a_list_names_files_relative_to_itself(tmp_path, shape):
    write(tmp_path / "data" / "x.nii.gz", IMAGE)
    write(tmp_path / "elsewhere" / "y.nii.gz", LABELS)
    image, label = "../data/x.nii.gz", "../elsewhere/y.nii.gz"
    data = {"images": [image], "labels": [label]} if shape == "columns" else [{"image": image, "label": label}]
    path = tmp_path / "lists" / "list.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data))
    (scan,) = find(str(path), labelled=True).scans
    assert scan.name == "x" and scan.label is not None and scan.label.resolve().name == "y.nii.gz"


@pytest.mark.parametrize(
    "text, says",
    [
        ('[{"image": "gone.nii.gz"}]', "gone.nii.gz, which"),
        ('{"images": ["a"], "labels": []', "not valid JSON"),
        ('{"images": ["a", "b"], "labels": ["a"]}', "2 images but 1 labels"),
        ('{"pictures": []}', "no list of scans"),
        ('[{"image": 7}]', "no list of scans"),
        ("[]", "holds no images"),
        (json.dumps(["x" * 1000]), "which .* lists, does not exist"),
        (json.dumps(["/nowhere/a.nii.gz"]), "/nowhere/a.nii.gz, which .* lists, does not exist"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        find(str(path), labelled=True)


def test_scans_of_a_list_have_names_that_differ(tmp_path):
    files = [f"case{n}/mr/image.nii.gz" for n in range(4)]
    for file in files:
        write(tmp_path / file, IMAGE)
    (tmp_path / "list.json").write_text(json.dumps([*files, files[0]]))
    names = [s.name for s in find(str(tmp_path / "list.json"), labelled=False).scans]
    assert len(set(names)) == 5 and names[:2] == ["image", "mr/image"]


def test_a_folder_of_dicom_files_is_one_scan_and_pairs_with_its_label_map(tmp_path):
    series(tmp_path / "images" / "case1")
    write(tmp_path / "labels" / "case1.nii.gz", LABELS)
    (scan,) = find(str(tmp_path), labelled=True).scans
    assert (scan.name, scan.kind) == ("case1", "DICOM series")
    assert scan.label == tmp_path / "labels" / "case1.nii.gz"
    (alone,) = find(str(tmp_path / "images" / "case1"), labelled=False).scans
    assert alone.name == "case1"


def parts(folder: Path, *slices: slice) -> None:
    """One series of twelve slices, cut into folders."""
    series(folder / "all", 12)
    files = sorted((folder / "all").iterdir(), key=lambda f: int(f.stem.split("-")[1]))
    for n, each in enumerate(slices):
        (folder / f"DIR{n:03}").mkdir()
        for file in files[each]:
            (folder / f"DIR{n:03}" / file.name).write_bytes(file.read_bytes())
    shutil.rmtree(folder / "all")


@pytest.mark.parametrize(
    "cut", [(slice(0, 6), slice(6, 12)), (slice(0, 12, 2), slice(1, 12, 2))], ids=["halves", "combs"]
)
def test_a_dicom_series_in_several_folders_is_one_scan(tmp_path, cut):
    parts(tmp_path / "disc" / "p1", *cut)
    series(tmp_path / "disc" / "p2", 12, start=50)
    found = find(str(tmp_path / "disc"), labelled=False)
    assert [s.name for s in found.scans] == ["p1", "p2"]
    assert reading.read(found.scans[0].image).geometry.size == (20, 20, 12)
    (note,) = found.notes
    assert "DIR000" in note and "DIR001" in note and "read as one scan" in note


def test_a_part_of_a_series_that_cannot_be_joined_is_refused_with_the_names_of_all_folders(tmp_path):
    parts(tmp_path / "mixed", slice(0, 6), slice(6, 12))
    series(tmp_path / "mixed" / "DIR001", 12, start=50)
    parts(tmp_path / "gap", slice(0, 5), slice(8, 12))
    for name in ("mixed", "gap"):
        found = find(str(tmp_path / name), labelled=False).scans
        assert len(found) == 2
        for scan in found:
            (problem,) = examine(scan, "target", DataSettings("phantom", "phantom"))[0].problems
            assert "DIR000" in problem and "DIR001" in problem and "put all files of the series" in problem


def test_copies_of_a_series_stay_scans_of_their_own(tmp_path):
    for name in "ab":
        series(tmp_path / name, 12)
    assert [s.name for s in find(str(tmp_path), labelled=False).scans] == ["a", "b"]


@pytest.mark.parametrize("name", ["{}.dicom", "{}.img", "CT.1.{}.abc", "I{}"])
def test_dicom_is_found_by_its_content_and_what_is_no_image_is_none(tmp_path, name):
    series(tmp_path / "case", 12)
    for n, file in enumerate(sorted((tmp_path / "case").iterdir())):
        file.rename(file.with_name(name.format(n)))
    whole = (tmp_path / "case" / name.format(0)).read_bytes()
    image = b"1.2.840.10008.5.1.4.1.1.2\0"
    (tmp_path / "DICOMDIR").write_bytes(whole.replace(image, b"1.2.840.10008.1.3.10".ljust(len(image), b"\0")))
    (scan,) = find(str(tmp_path), labelled=False).scans
    assert (scan.name, scan.kind) == ("case", "DICOM series")


def test_a_folder_that_cannot_be_read_is_a_scan_with_a_problem_and_holds_up_no_other(tmp_path, monkeypatch):
    write(tmp_path / "a.nii.gz", IMAGE)
    (tmp_path / "lost+found").mkdir()
    scandir, iterdir = os.scandir, Path.iterdir

    def locked(look):
        def instead(path):
            if Path(path).name == "lost+found":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return look(path)

        return instead

    monkeypatch.setattr(os, "scandir", locked(scandir))
    monkeypatch.setattr(Path, "iterdir", locked(iterdir))
    good, bad = find(str(tmp_path), labelled=False).scans
    assert (good.name, bad.name) == ("a", "lost+found")
    (problem,) = examine(bad, "target", DataSettings("phantom", "phantom"))[0].problems
    assert "lost+found cannot be read (Permission denied)" in problem
    with pytest.raises(DataError, match="cannot be read"):
        find(str(tmp_path / "lost+found"), labelled=False)


def test_dicom_series_and_lists_are_trained_on(tmp_path):
    series(tmp_path / "site" / "patient1", 12)
    series(tmp_path / "site" / "patient2", 12, start=50)
    training_data.source(tmp_path / "source", 2)
    files = [{"image": f"source/s{n}.nii.gz", "label": f"source/s{n}_label.nii.gz"} for n in range(2)]
    (tmp_path / "source.json").write_text(json.dumps(files))
    places = {"source": str(tmp_path / "source.json"), "target": str(tmp_path / "site")}
    domains = prepared(training_data.settings(tmp_path, **places), tmp_path / "cache")
    assert {*domains.target.names, *domains.target_validation.names} == {"patient1", "patient2"}
    assert {*domains.source.names, *domains.source_validation.names} == {"s0", "s1"}


def series(folder: Path, count: int = 3, start: int = 0) -> None:
    """A DICOM series, each slice brighter than the last and lit from one side."""
    grey = np.add.outer(np.arange(count) + start, np.broadcast_to(np.arange(20), (20, 20))).astype(np.int16)
    geometry = Geometry((20, 20, count), (0.0,) * 3, (1.0,) * 3)
    dicom_series.write_plain(Volume(grey, geometry), folder, series=start + 1)


def test_hidden_files_and_foreign_files_are_passed_over(tmp_path):
    write(tmp_path / "a.nii.gz", IMAGE)
    write(tmp_path / ".b.nii.gz", IMAGE)
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "LICENSE").write_text("text")
    assert [s.name for s in find(str(tmp_path), labelled=False).scans] == ["a"]


def test_excluded_scans_are_left_out_and_a_name_that_is_none_is_mentioned(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.nii.gz", IMAGE)
    found = find(str(tmp_path), False, ("b", "q"))
    assert [s.name for s in found.scans] == ["a", "c"] and "q is to be excluded" in found.notes[0]


def test_nothing_to_train_on_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        find(str(tmp_path), labelled=False)
    with pytest.raises(DataError, match="nowhere does not exist"):
        find(str(tmp_path / "nowhere"), labelled=False)
    write(tmp_path / "a.nii.gz", IMAGE)
    with pytest.raises(DataError, match="not excluded"):
        find(str(tmp_path), False, ("a",))
