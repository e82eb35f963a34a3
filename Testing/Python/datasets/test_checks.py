"""`sifa check-data` and training say the same about the same files: what they are, what is wrong, what to do."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import training_data
from SIFALib.cli import check_data
from SIFALib.cli.console import BAD_INPUT, OK, OUTPUT, USAGE
from SIFALib.cli.main import main
from SIFALib.datasets import Locator, Place, prepared, released
from SIFALib.datasets.label_values import parse
from SIFALib.imaging import reading
from SIFALib.support.errors import DataError
from training_data import settings, source, target, toy, write

IMAGE, LABELS = toy(0)


@pytest.fixture
def data(tmp_path):
    source(tmp_path / "source")
    target(tmp_path / "target")
    return tmp_path


def check(folder, *options: str) -> int:
    return main(["check-data", "--source", str(folder / "source"), "--target", str(folder / "target"), *options])


def test_sound_data_is_described_file_by_file(data, capsys):
    assert check(data, "--json", str(data / "r.json"), "--thumbnails", str(data / "t")) == OK
    said = capsys.readouterr().out
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in said.splitlines()}
    assert rows["source:s1"].startswith("source:s1 NIfTI CT 48 x 40 x 12 2 x 2 x 4 96 x 80 x 48 axial")
    assert rows["source:s1"].endswith("0, 1, 2, 3, 4 ok") and rows["target:t100"].startswith("target:t100 NRRD CT")
    assert "5 scans can be trained on" in said
    report = json.loads((data / "r.json").read_text())
    assert report["usable"] and len(report["scans"]) == 5
    low, median, high = report["scans"][0]["intensity"]
    assert low == IMAGE.min() and median == np.median(IMAGE) and high == IMAGE.max()
    pictures = sorted(p.name for p in (data / "t").iterdir())
    assert pictures == ["source-s0.png", "source-s1.png", "source-s2.png", "target-t100.png", "target-t101.png"]


def test_where_a_model_sees_the_heart_is_shown_and_where_it_sees_none_is_told(data, capsys, monkeypatch):
    places = iter([None, Place(np.array([[10.0, 10.0, 2.0], [30.0, 30.0, 9.0]]), 1, "it lies turned")])
    locator = Locator("a model", lambda volume: next(places))
    monkeypatch.setattr(check_data, "_locator", lambda options: locator)
    assert check(data, "--json", str(data / "r.json"), "--thumbnails", str(data / "t")) == OK
    said = capsys.readouterr().out
    assert "the model finds no heart in it" in said and "it lies turned" in said
    drawn = [sitk.GetArrayFromImage(sitk.ReadImage(str(data / "t" / f"target-t10{n}.png"))) for n in (0, 1)]
    coloured = [int((np.ptp(picture.astype(int), axis=-1) > 20).sum()) for picture in drawn]
    assert coloured[0] == 0 < coloured[1]


def test_each_scan_has_a_picture_of_its_own(tmp_path):
    for number, name in enumerate(("a/b", "a-b", "Süd", "x" * 120)):
        target(tmp_path / "target" / name, 1, number)
    assert main(["check-data", "--target", str(tmp_path / "target"), "--thumbnails", str(tmp_path / "t")]) == OK
    assert len([*(tmp_path / "t").iterdir()]) == 4


def with_nan(array: np.ndarray) -> np.ndarray:
    result = array.astype(np.float32)
    result[3, 4, 5] = np.nan
    return result


def truncate(path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


BAD = {
    "cut off": (lambda f: truncate(f / "source" / "s1.nii.gz"), r"s1\.nii\.gz is damaged or cut off"),
    "empty file": (lambda f: (f / "source" / "s1.nii.gz").write_bytes(b""), r"s1\.nii\.gz is empty"),
    "no image": (lambda f: (f / "target" / "t9.nrrd").write_text("x"), r"t9\.nrrd cannot be read as an image"),
    "constant": (lambda f: write(f / "target" / "c.nrrd", IMAGE * 0 + 7), "is constant"),
    "not a number": (lambda f: write(f / "target" / "n.nrrd", with_nan(IMAGE)), "1 voxels that are not numbers"),
    "4D": (lambda f: write_4d(f / "target" / "t.nii.gz"), r"t\.nii\.gz is a sequence of 3 volumes"),
    "label values": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS * 10),
        r"s1_label\.nii\.gz: the label values 10, 20, 30, 40 stand for no class; add --label-values 10=\?,20=\?",
    ),
    "mmwhs": (
        lambda f: write(f / "source" / "s1_label.nii.gz", np.array([0, 205, 420, 500, 820], np.int16)[LABELS]),
        "these are MM-WHS's values: add --label-values mmwhs",
    ),
    "fractions": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS.astype(np.float32) / 2),
        r"s1_label\.nii\.gz holds values that are no whole numbers",
    ),
    "nothing labelled": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS * 0),
        r"s1_label\.nii\.gz labels nothing",
    ),
    "no label map": (
        lambda f: (f / "source" / "s1_label.nii.gz").unlink(),
        r"s1\.nii\.gz has no label map; put it beside the image as s1_label",
    ),
    "spacing": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS, (2.0, 2.0, 3.0)),
        r"s1_label\.nii\.gz has spacing \(2, 2, 3\) mm but .*s1\.nii\.gz has spacing \(2, 2, 4\) mm; resample",
    ),
    "origin": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS, origin=(0.0, 9.0, 0.0)),
        r"s1_label\.nii\.gz has origin \(0, 9, 0\) mm \(LPS\)",
    ),
    "size": (
        lambda f: write(f / "source" / "s1_label.nii.gz", LABELS[:-1]),
        r"s1_label\.nii\.gz has 48 x 40 x 11 voxels but .*s1\.nii\.gz has 48 x 40 x 12 voxels",
    ),
    "twice": (
        lambda f: write(f / "target" / "again.nii.gz", toy(100)[0].astype(np.float32)),
        r"t100\.nrrd \(target\) and .*again\.nii\.gz \(target\) are the same image under two names",
    ),
    "in both": (
        lambda f: write(f / "target" / "mine.mha", toy(2)[0]),
        r"mine\.mha \(target\) and .*s2\.nii\.gz \(source\) are the same image; the target must not",
    ),
}  # fmt: skip


def write_4d(path) -> None:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(IMAGE)] * 3), str(path))


@pytest.mark.parametrize("case", BAD)
def test_one_bad_file_is_refused_by_name_here_and_by_training(data, capsys, case):
    harm, says = BAD[case]
    harm(data)
    assert check(data, "--json", str(data / "r.json")) == BAD_INPUT
    said = capsys.readouterr().out
    refused = "\n".join(line for line in said.splitlines() if line.startswith("REFUSED"))
    assert re.search(says, refused), refused
    assert "Traceback" not in said and json.loads((data / "r.json").read_text())["usable"] is False
    with pytest.raises(DataError, match=says):
        prepared(settings(data), data / "cache")


@pytest.mark.parametrize("case", BAD)
def test_what_the_command_suggests_is_enough_to_train_on_the_rest(data, capsys, case):
    BAD[case][0](data)
    check(data)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "--exclude" in line]
    options = line[line.index("--exclude") :].split()
    assert check(data, *options) == OK
    domains = prepared(settings(data, exclude=tuple(options[1::2])), data / "cache")
    assert len(domains.manifest) in (4, 5)


def test_all_bad_files_are_named_at_once(data):
    for n in range(3):
        truncate(data / "source" / f"s{n}.nii.gz")
    with pytest.raises(DataError, match=r"s0\.nii.*s1\.nii.*s2\.nii"):
        prepared(settings(data), data / "cache")


def test_the_same_fault_of_many_files_is_said_once(data):
    for n in range(3):
        write(data / "source" / f"s{n}_label.nii.gz", LABELS * 10)
    with pytest.raises(DataError, match=r"s0_label\.nii\.gz and 2 more: the label values") as caught:
        prepared(settings(data), data / "cache")
    assert str(caught.value).count("10=?") == 1


def test_a_mapping_of_label_values_makes_them_right(data):
    for n in range(3):
        values = np.array([0, 205, 420, 500, 820], np.int16)
        labels = values[toy(n)[1]]
        labels[0, 0] = 600
        write(data / "source" / f"s{n}_label.nii.gz", labels)
    assert check(data) == BAD_INPUT
    assert check(data, "--label-values", "mmwhs") == OK
    domains = prepared(settings(data, label_values=parse("mmwhs")), data / "cache")
    training_data.source(data / "plain")
    plain = prepared(settings(data, source=str(data / "plain")), data / "cache2")
    assert domains.source.labels is not None and plain.source.labels is not None
    by_name = {n: np.flatnonzero(domains.source.volume == k) for k, n in enumerate(domains.source.names)}
    for k, name in enumerate(plain.source.names):
        if name in by_name:
            same = plain.source.labels[np.flatnonzero(plain.source.volume == k)]
            assert np.array_equal(domains.source.labels[by_name[name]], same)
            break
    else:
        raise AssertionError("no scan is in both")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e300, 2.5])
def test_values_that_are_no_whole_numbers_are_refused_without_a_warning(data, capsys, odd):
    labels = LABELS.astype(np.float64)
    labels[0, 0, 0] = odd
    (data / "source" / "s1_label.nii.gz").unlink()
    write(data / "source" / "s1_label.nrrd", labels)
    assert check(data) == BAD_INPUT
    shown = capsys.readouterr()
    assert "holds values that are no whole numbers" in shown.out and "Warning" not in shown.err


def test_mappings_are_read_as_they_are_written():
    assert parse("500=3, 420=2") == {"500": 3, "420": 2}
    assert parse("mmwhs,850=4")["850"] == 4 and parse("mmwhs")["205"] == 1 and parse("") == {}
    for wrong in ("500", "a=1", "5=x", "5=-1", "--5=1", "\u00b2=1", "5=\u00b2"):
        with pytest.raises(ValueError, match="maps no label value"):
            parse(wrong)


def test_unknown_voxels_need_no_mapping(data):
    labels = toy(1)[1]
    labels[0] = 255
    write(data / "source" / "s1_label.nii.gz", labels)
    assert check(data) == OK


def test_a_class_that_no_scan_shows_is_mentioned(data, capsys):
    for n in range(3):
        labels = np.array([0, 2, 1, 3, 3], np.uint8)[toy(n)[1]]  # the muscle around the left ventricle
        write(data / "source" / f"s{n}_label.nii.gz", labels)
    assert check(data) == OK
    said = capsys.readouterr().out
    assert "holds class 4 (ascending aorta): the model will never draw it" in said
    assert "give --partial-labels" in said
    assert check(data, "--partial-labels") == OK
    said = capsys.readouterr().out
    assert "never draw it" not in said and "background" not in said and "partial" not in said


def test_too_few_slices_in_all_are_refused(data, capsys):
    shutil.rmtree(data / "target")
    write(data / "target" / "thin.nrrd", IMAGE[:2])
    assert check(data) == BAD_INPUT
    said = capsys.readouterr().out
    assert "has 2 slice(s) in all; at least" in said and "only 2 slice(s); it teaches little" in said


@pytest.mark.parametrize("place", ["source", "target"])
def test_an_empty_folder_is_refused_by_name(data, capsys, place):
    shutil.rmtree(data / place)
    (data / place).mkdir()
    assert check(data) == BAD_INPUT
    assert f"{data / place} holds no images" in capsys.readouterr().out
    with pytest.raises(DataError, match="holds no images"):
        prepared(settings(data), data / "cache")


def test_labels_of_the_target_are_checked_where_they_are_asked_for(data, capsys):
    assert check(data, "--target-labels") == BAD_INPUT
    assert "t100.nrrd has no label map" in capsys.readouterr().out


def test_phantoms_need_no_check(data, capsys):
    assert main(["check-data", "--source", "phantom:mr", "--target", str(data / "target")]) == OK
    assert "nothing to check" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, code, says",
    [
        ([], USAGE, "Name what to check"),
        (["--source", "x", "--label-values", "7"], USAGE, "maps no label value"),
        (["--source", "x", "--size", "100"], USAGE, "size is 100"),
        (["--source", "x", "--exclude", "s1"], USAGE, "source:NAME"),
        (["--source", "x", "--json", "/nowhere/r.json"], OUTPUT, "/nowhere does not exist"),
        (["--source", "/nowhere"], BAD_INPUT, ""),
    ],
)
def test_a_command_line_that_cannot_be_is_answered_by_a_sentence(capsys, options, code, says):
    assert main(["check-data", *options]) == code
    assert says in capsys.readouterr().err


def test_released_volumes_of_different_sizes_are_refused_as_training_refuses_them(data, capsys):
    place = data / "npz"
    place.mkdir()
    for n, side in enumerate((128, 128, 136)):
        image = np.random.default_rng(n).normal(size=(side, side, 9)).astype(np.float32)
        np.savez(place / f"v{n}.npz", image, np.zeros(image.shape, np.uint8))
    assert main(["check-data", "--target", str(place)]) == BAD_INPUT
    said = " ".join(capsys.readouterr().out.split())
    assert "v2.npz has slices of 136 x 136 pixels" in said and "--exclude target:v2.npz" in said
    assert main(["check-data", "--target", str(place), "--exclude", "target:v2.npz"]) == OK


@pytest.mark.parametrize("options", [(), ("--exclude", "source:s1"), ("--exclude", "source:nobody")])
@pytest.mark.parametrize("scan", ["source/s1.nii.gz", "source/s1_label.nii.gz", "target/t100.nrrd"])
def test_a_report_never_takes_the_place_of_a_scan(data, capsys, scan, options):
    before = (data / scan).read_bytes()
    assert check(data, "--json", str(data / scan), *options) == USAGE
    assert re.search("is the input, which is never written over|is a scan that is", capsys.readouterr().err)
    assert (data / scan).read_bytes() == before


def test_a_report_never_takes_the_place_of_a_list_of_scans(data, capsys):
    scans = data / "list.json"
    scans.write_text(json.dumps({"images": [str(p) for p in sorted((data / "target").iterdir())]}))
    before = scans.read_text()
    assert main(["check-data", "--target", str(scans), "--json", str(scans)]) == USAGE
    assert scans.read_text() == before


@pytest.mark.parametrize("file", ["s1.nii.gz", "s1_label.nii.gz"])
def test_what_nobody_foresaw_of_one_file_ends_no_check(data, capsys, monkeypatch, file):
    real = reading.read

    def read(path):
        if path.name == file:
            raise OverflowError("cannot convert float infinity to integer")
        return real(path)

    monkeypatch.setattr(reading, "read", read)
    assert check(data) == BAD_INPUT
    shown = capsys.readouterr()
    assert f"{file} cannot be used (OverflowError: cannot convert float infinity to integer)" in shown.out
    assert "good" in shown.out or "the other 4" in shown.out
    assert "Traceback" not in shown.err
    with pytest.raises(DataError, match=file.replace(".", r"\.")):
        prepared(settings(data), data / "cache")


def test_what_nobody_foresaw_of_a_released_file_ends_no_check(tmp_path, capsys, monkeypatch):
    def read(path):
        raise OverflowError("far too many")

    monkeypatch.setattr(released, "read_npz", read)
    (tmp_path / "a.npz").write_bytes(b"x")
    assert main(["check-data", "--target", str(tmp_path)]) == BAD_INPUT
    assert "a.npz cannot be used (OverflowError: far too many)" in capsys.readouterr().out


def test_links_that_lead_nowhere_end_no_check(data, capsys):
    (data / "target" / "loop.nii.gz").symlink_to("loop.nii.gz")
    (data / "target" / "round").symlink_to("round")
    (data / "target" / "back").symlink_to("..")
    assert check(data) == BAD_INPUT
    assert "loop.nii.gz is gone" in capsys.readouterr().out


def test_a_link_in_a_circle_is_no_scan(tmp_path, capsys):
    (tmp_path / "loop.nii.gz").symlink_to("loop.nii.gz")
    for output in ("out.nrrd", "out.dcm"):
        assert main(["segment", str(tmp_path / "loop.nii.gz"), str(tmp_path / output)]) == BAD_INPUT
        assert "loop.nii.gz does not exist" in capsys.readouterr().err
