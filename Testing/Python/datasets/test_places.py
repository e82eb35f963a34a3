"""Where people say that the hearts are: exactly there the slices are cut, and what cannot be is a sentence."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.cli import check_data
from SIFALib.cli.console import BAD_INPUT, OK, USAGE
from SIFALib.cli.main import main
from SIFALib.datasets import HeartBox, Locator, Place, cutting, places, placing, preparation, prepared, scans
from SIFALib.imaging import geometry, reading, writing
from SIFALib.runs import RunFolder, pack
from SIFALib.support.errors import DataError, RecordError
from training_data import SHAPE, settings, source, target, toy

FOUND = np.array([[4.0, 4.0, 1.0], [20.0, 20.0, 6.0]])
BOX = (40.0, 70.0, 30.0, 60.0, 8.0, 40.0)  # voxels 20..35, 15..30, 2..10
NAME = "target:t100"


@pytest.fixture
def data(tmp_path):
    source(tmp_path / "source", 1)
    target(tmp_path / "target")
    return tmp_path


def finder(quarters: int = 0) -> Locator:
    return Locator("a model", lambda volume: Place(FOUND), lambda volume, box: quarters)


def content(data) -> str:
    from SIFALib.datasets.scans import content_hash

    return content_hash(reading.read(data / "target" / "t100.nrrd").array)


def of(slices, name: str) -> np.ndarray:
    return np.asarray(slices.images)[(slices.volume == slices.names.index(name)) & ~slices.coarse]


def test_slices_are_cut_where_the_box_is_and_nowhere_else(data):
    whole = settings(data, validation_share=0.0)
    found = prepared(whole, data / "cache", finder())
    said = dataclasses.replace(whole, places={NAME: HeartBox(BOX, content(data))})
    corrected = prepared(said, data / "cache", finder())
    one, other = of(found.target, "t100"), of(corrected.target, "t100")
    assert len(one) == 6 and len(other) == 9  # as many slices as the boxes are high
    assert np.array_equal(of(found.target, "t101"), of(corrected.target, "t101"))
    assert found.fingerprint != corrected.fingerprint
    by_hand = Locator("another", lambda volume: Place(np.array([[20.0, 15.0, 2.0], [35.0, 30.0, 10.0]])))
    assert np.array_equal(other, of(prepared(whole, data / "other", by_hand).target, "t100"))
    turned = prepared(said, data / "turned", finder(1))
    assert np.array_equal(of(turned.target, "t100"), np.rot90(other, -1, (1, 2)))
    assert len(of(prepared(said, data / "without").target, "t100")) == 9  # a box needs no model


def test_a_run_without_places_has_the_slices_that_it_had(data):
    first = prepared(settings(data), data / "cache", finder())
    kept = {p: p.stat().st_mtime_ns for p in (data / "cache").rglob("*.npy")}
    again = prepared(settings(data, places={NAME: HeartBox(BOX)}, exclude=(NAME,)), data / "cache", finder())
    assert first.manifest["target:t101"] == again.manifest["target:t101"]
    assert kept.items() <= {p: p.stat().st_mtime_ns for p in (data / "cache").rglob("*.npy")}.items()


@pytest.mark.parametrize(
    ("heart", "name", "said"),
    [
        (
            HeartBox((500.0, 550.0, 0.0, 50.0, 0.0, 50.0)),
            NAME,
            r"t100\.nrrd has its heart's box outside of the image, .* x 0 to \d+, y 0 .* mm \(LPS\); correct the box",
        ),
        (
            HeartBox(BOX, "of another"),
            NAME,
            r"t100\.nrrd is not the image any more that its heart's box was drawn on \(its grey values .*\); draw it anew "
            r".*--write-places",
        ),
        (HeartBox(BOX), "target:t7", r"The place of a heart is said of t7, but .*target holds no such scan"),
    ],
)
def test_a_box_that_does_not_belong_is_told_before_anything_is_trained(data, heart, name, said, capsys):
    with pytest.raises(DataError, match=said):
        prepared(settings(data, places={name: heart}), data / "cache", finder())
    places.write(data / "places.json", places.Places({name: heart}))
    command = ["check-data", "--target", str(data / "target"), "--places", str(data / "places.json")]
    assert main(command) == BAD_INPUT
    assert re.search(rf"REFUSED: .*{said}", capsys.readouterr().out)


def test_a_box_that_does_not_belong_is_told_before_any_other_scan_is_cut(data, monkeypatch):
    made: list[str] = []

    def cut(image, *_):
        made.append(image.name)
        return cutting.cut(image, *_)

    monkeypatch.setattr(preparation, "cut", cut)
    wrong = settings(data, places={NAME: HeartBox((500.0, 550.0, 0.0, 50.0, 0.0, 50.0))})
    with pytest.raises(DataError, match="outside of the image"):
        prepared(wrong, data / "cache", finder())
    assert made == []
    right = dataclasses.replace(wrong, places={NAME: HeartBox(BOX)})
    prepared(right, data / "cache", finder())
    assert sorted(made) == ["s0", "t100", "t101"], "each once"


def test_what_a_check_writes_is_what_a_training_takes(data, capsys, monkeypatch):
    seen = iter([Place(FOUND), None])
    monkeypatch.setattr(check_data, "_locator", lambda options: Locator("a model", lambda volume: next(seen)))
    file = data / "places.json"
    command = ["check-data", "--target", str(data / "target"), "--write-places", str(file)]
    assert main(command) == USAGE and "--write-places needs --model" in capsys.readouterr().err
    pictures = ["--thumbnails", str(data / "seen")]
    assert main([*command, "--model", "x", "--json", str(data / "r.json"), *pictures]) == OK
    said = capsys.readouterr().err
    assert f"wrote {file}: hearts with a box: 1, scans left out: 1" in said and f"2 scans into {data / 'seen'}" in said
    written = places.read(file)
    assert written.hearts[NAME].box == (8.0, 40.0, 8.0, 40.0, 4.0, 24.0) and written.left_out == ("target:t101",)
    assert written.hearts[NAME].content == content(data)
    assert written.hearts[NAME].grid == places.grid_of(reading.read(data / "target" / "t100.nrrd").geometry)
    report = json.loads((data / "r.json").read_text())["scans"]
    assert [scan["heart_mm"] for scan in report] == [[8.0, 40.0, 8.0, 40.0, 4.0, 24.0], []]
    run = ["--source", str(data / "source"), "--target", str(data / "target"), "--create-only", "--places", str(file)]
    assert main(["train", str(data / "run"), *run]) == OK
    made = RunFolder(data / "run").read().configuration.data
    assert made.places == written.hearts and made.exclude == ("target:t101",)


def test_scans_in_which_nobody_looked_are_not_left_out(data, capsys):
    places.write(data / "p.json", places.Places({NAME: HeartBox(BOX)}, ("target:t7",)))
    command = ["check-data", "--target", str(data / "target"), "--places", str(data / "p.json")]
    assert main([*command, "--write-places", str(data / "q.json")]) == OK, capsys.readouterr().out
    written = places.read(data / "q.json")
    assert written.hearts[NAME].box == pytest.approx(BOX) and set(written.hearts) == {NAME}
    assert written.left_out == ("target:t7",), "as was said, and not t101"


def test_a_run_for_another_computer_takes_its_boxes_along_under_the_new_names(data):
    places.write(data / "p.json", places.Places({"target:t101": HeartBox(BOX)}, (NAME,)))
    run = ["--source", "phantom", "--target", str(data / "target"), "--create-only", "--places", str(data / "p.json")]
    assert main(["train", str(data / "run"), *run]) == OK
    text = (data / "run" / "run.json").read_text()
    list(pack.steps({"configuration": text, "place": str(data / "packed")}, data))
    packed = json.loads((data / "packed" / "configuration.json").read_text())["configuration"]["data"]
    assert (
        packed["places"] == {"target:0001": {"box": list(BOX), "content": "", "grid": ""}} and packed["exclude"] == []
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not valid JSON"),
        ('{"hearts": {"t100": {"box": [0, 50, 0, 50, 0, 50]}}}', "must be like target:NAME"),
        ('{"hearts": {"source:s1": {"box": [0, 50, 0, 50, 0, 50]}}}', "must be like target:NAME"),
        ('{"hearts": {"target:t100": {"box": [50, 0, 0, 50, 0, 50]}}}', "5 to 1000 mm a side"),
        ('{"hearts": {"target:t100": {"box": [0, 50, 0, 50]}}}', "a list of 6 is needed"),
        ('{"hearts": {"target:t100": {"box": [9e9, 9000000050, 0, 50, 0, 50]}}}', "of the origin"),
        ('{"hearts": {"target:t100": {"box": [0, 50, 0, 50, 0, 50], "grid": "1 2 nan"}}}', "must be 12 numbers in mm"),
        ('{"format": 9}', "update SIFA"),
        ('{"herz": {}}', "no key that this SIFA knows"),
        ("[" * 100_000, "damaged"),
        (" " * (places.MAX_BYTES + 1), "is larger than any file of places"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_name(tmp_path, text, said):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match=said) as error:
        places.read(tmp_path / "p.json")
    assert "p.json" in str(error.value)


def test_places_and_labels_of_the_target_exclude_each_other(data):
    with pytest.raises(RecordError, match="hearts are where labels are"):
        settings(data, places={NAME: HeartBox(BOX)}, target_labels=True)


def test_a_box_belongs_to_a_scan_where_it_lay_and_a_file_of_before_to_its_grey_values(data):
    path = data / "target" / "t100.nrrd"
    image = reading.read(path)
    said = HeartBox(BOX, content(data), places.grid_of(image.geometry))
    x, y, z = image.geometry.origin
    for shift, hearts in ((0.001, said), (5.0, HeartBox(BOX, content(data)))):
        moved = dataclasses.replace(image.geometry, origin=(x + shift, y, z))
        writing.write(geometry.Volume(image.array, moved), path)
        assert NAME in prepared(settings(data, places={NAME: hearts}), data / f"{shift}").manifest
    with pytest.raises(
        DataError, match=r"t100\.nrrd lies elsewhere now .* drawn on it \(its first voxel has moved by 5\.0"
    ):
        prepared(settings(data, places={NAME: said}), data / "cache", finder())


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        (lambda i: i[:, :, :-8], r"not the image any more .* \(it covers 96\.0 x 80\.0 x 16\.0 mm where it covered 96\.0 x"),
        (lambda i: sitk.BinShrink(i, (2, 1, 1)), r"is not the image any more .* \(its first voxel has moved by 1\.0 mm\)"),
        (lambda i: i + 1, r"is not the image any more .* \(its grey values are others"),
        (lambda i: sitk.JoinSeries([i] * 9), r"t100, but the image is a cine now, .*: t100 ED, t100 between, t100 ES"),
    ],
    ids=["cropped", "resampled", "other values", "a cine"],
)  # fmt: skip
def test_what_is_different_since_a_box_was_drawn_is_said(data, changed, how):
    (data / "target" / "t100.nrrd").unlink()
    image = sitk.GetImageFromArray(toy(100)[0])
    image.SetSpacing((2.0, 2.0, 4.0))
    path = data / "target" / "t100.nii.gz"
    sitk.WriteImage(image, str(path))
    said = HeartBox(BOX, scans.content_hash(toy(100)[0]), places.grid_of(reading.read(path).geometry))
    assert NAME in prepared(settings(data, places={NAME: said}), data / "cache").manifest
    sitk.WriteImage(changed(image), str(path))
    with pytest.raises(DataError, match=how):
        prepared(settings(data, places={NAME: said}), data / "cache")


def test_a_box_of_a_cines_phase_is_not_one_of_the_volume_that_it_became(data):
    with pytest.raises(
        DataError, match="said of t100 ED, but the image is no cine any more but one volume, t100; draw"
    ):
        prepared(settings(data, places={f"{NAME} ED": HeartBox(BOX)}), data / "cache")


def test_a_box_goes_to_the_world_and_back():
    grid = geometry.Geometry(SHAPE[::-1], (5.0, -20.0, 7.0), (2.0, 3.0, 4.0), (-1.0, 0, 0, 0, 0, 1.0, 0, -1.0, 0))
    box = placing.world_box(grid, FOUND)
    assert box == (-35.0, -3.0, -16.0, 4.0, -53.0, -5.0)
    assert placing.index_box(grid, box) == pytest.approx(FOUND)
    volume = geometry.Volume(toy(1)[0], grid)
    assert placing.shown(volume, FOUND).array.sum() == 17 * 17 * 6
