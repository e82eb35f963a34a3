"""Folders that a batch reads and writes: which files are one scan, results of others, odd files, what is in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from batch_folders import GRID, Segmenter, finish, models, run, scan, states, table
from SIFALib.cli.main import main
from SIFALib.imaging import files, writing
from SIFALib.imaging.geometry import Volume
from SIFALib.inference import Options
from SIFALib.inference.batch import cases
from SIFALib.inference.batch import run as batch
from SIFALib.support.errors import BatchError


def test_results_need_a_folder_that_can_be_written_to(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BatchError, match="cannot be written to"):
        batch.prepare_folder(tmp_path / "file" / "out")


def test_a_folder_that_is_protected_is_named_and_no_temporary_file(tmp_path, monkeypatch):
    def refuse(path: Path, *_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path / ".1.tmp"))

    monkeypatch.setattr(batch.files, "check_writable", refuse)
    with pytest.raises(BatchError, match=r"out cannot be written to .*choose another folder") as refusal:
        batch.prepare_folder(tmp_path / "out")
    assert ".tmp" not in str(refusal.value)


@pytest.mark.parametrize("name", ["one.seg.nrrd", "one.sifa.json"])
def test_a_folder_where_a_result_would_be_is_told_in_the_row_before_the_work(place, tmp_path, name):
    out = tmp_path / "out"
    (out / name / "in it").mkdir(parents=True)
    segmenter = Segmenter()
    rows, _ = run(place, out, segmenter)
    assert states(rows) == {"broken": batch.FAILED, "one": batch.FAILED, "é b_two": batch.DONE}
    assert all(
        f"{out / name}: it is a folder, which is never replaced" in row.message for row in rows if row.name == "one"
    )
    assert len(segmenter.given) == 1 and (out / name / "in it").is_dir()
    assert [p.name for p in out.glob("one.*")] == [name]


def test_a_disc_of_dicom_is_one_scan_and_a_part_of_a_series_a_row_that_names_all_folders(tmp_path):
    headers = dicom_series.slices(scan(1).array, GRID)
    for n, header in enumerate(headers):
        folder = tmp_path / "disc" / f"DIR{n % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        header.save_as(folder / f"IM{n}", enforce_file_format=True)
    segmenter = Segmenter()
    rows, _ = run(tmp_path / "disc", tmp_path / "out", segmenter)
    assert states(rows) == {"disc": batch.DONE} and segmenter.given[0].geometry.size == GRID.size
    again, _ = run(tmp_path / "disc", tmp_path / "out")
    assert states(again) == {"disc": batch.KEPT}
    (tmp_path / "disc" / "DIR1" / "IM7").unlink()
    (tmp_path / "disc" / "DIR1" / "IM9").unlink()
    rows, _ = run(tmp_path / "disc", tmp_path / "other")
    assert states(rows) == {"DIR0": batch.FAILED, "DIR1": batch.FAILED}
    assert all("DIR0, " in row.message and "DIR1" in row.message for row in rows)


def test_voxels_beside_a_header_belong_to_the_scan(tmp_path):
    sitk.WriteImage(scan(1).image(), str(tmp_path / "one.mhd"))
    run(tmp_path, tmp_path / "out")
    array = np.fromfile(tmp_path / "one.raw", np.int16)
    (array + 1).tofile(tmp_path / "one.raw")
    os.utime(tmp_path / "one.raw", ns=(1, 1))
    again = Segmenter()
    run(tmp_path, tmp_path / "out", again)
    assert len(again.given) == 1


def test_another_scan_of_the_same_name_size_and_time_is_another_scan(tmp_path):
    for seed, patient in enumerate(("Q1", "Q2")):
        (tmp_path / patient).mkdir()
        sitk.WriteImage(scan(seed).image(), str(tmp_path / patient / "series001.nii"))
        os.utime(tmp_path / patient / "series001.nii", ns=(1, 1))
    out = tmp_path / "out"
    run(tmp_path / "Q1", out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.name != batch.TABLE}
    rows, _ = run(tmp_path / "Q2", out)
    assert states(rows) == {"series001": batch.FAILED}
    assert all(word in rows[0].message for word in ("series001.seg.nrrd", str(tmp_path / "Q1"), "rename"))
    assert all((out / name).read_bytes() == content for name, content in before.items())
    told = {row["source"]: row for row in table(out)}
    first, second = (str(tmp_path / patient / "series001.nii") for patient in ("Q1", "Q2"))
    assert float(told[first]["LV (ml)"]) > 0 and told[first]["state"] == batch.DONE
    assert told[second]["state"] == batch.FAILED and told[second]["LV (ml)"] == ""
    for _ in range(2):  # and so it stays
        run(tmp_path / "Q2", out)
        run(tmp_path / "Q1", out)
    assert [(row["source"], row["state"]) for row in table(out)] == [(first, batch.KEPT)]


def test_results_of_another_folder_keep_their_rows_as_long_as_they_lie_there(tmp_path):
    out = tmp_path / "out"
    for seed, patient in enumerate(("P1", "P2")):
        (tmp_path / patient).mkdir()
        writing.write(scan(seed), tmp_path / patient / f"{patient}.nrrd")
    run(tmp_path / "P1", out)
    run(tmp_path / "P2", out, options=Options(structures=("MYO", "LA")))
    rows = {row["scan"]: row for row in table(out)}
    assert list(rows["P1"])[2:5] == ["MYO (ml)", "LA (ml)", "LV (ml)"]
    assert rows["P1"]["state"] == rows["P2"]["state"] == batch.DONE and float(rows["P1"]["LV (ml)"]) > 0
    (out / "P1.seg.nrrd").unlink()
    run(tmp_path / "P2", out)
    assert [row["scan"] for row in table(out)] == ["P2"]


def test_a_scan_without_a_place_is_told_from_another_of_its_name(tmp_path):
    """As volumes of a scene are: tomorrow's may be called the same."""

    def case(seed: int) -> batch.Case:
        def steps():
            yield 0.0
            return scan(seed)

        return batch.Case("CT", "CT", steps, lambda: f"hash {seed}")

    out = batch.prepare_folder(tmp_path / "out")
    ends = [finish(batch.run([case(seed)], out, Segmenter(), models()))[0][0].state for seed in (1, 2, 1)]
    assert ends == [batch.DONE, batch.FAILED, batch.KEPT]


def test_voxels_in_a_list_of_files_belong_to_the_scan(tmp_path):
    for number in range(3):
        (tmp_path / f"s{number}.raw").write_bytes(bytes([number]))
    (tmp_path / "list.mhd").write_text("NDims = 3\nElementDataFile = LIST\ns0.raw\ns1.raw\n")
    (tmp_path / "pattern.nhdr").write_text("NRRD0004\ntype: short\ndata file: s%d.raw 0 1 1\n\n")
    assert [p.name for p in files.members(tmp_path / "list.mhd")] == ["list.mhd", "s0.raw", "s1.raw"]
    assert len(files.members(tmp_path / "pattern.nhdr")) == 4
    before = files.content(tmp_path / "list.mhd")
    (tmp_path / "s1.raw").write_bytes(b"x")
    assert files.content(tmp_path / "list.mhd") != before


def test_what_nobody_foresaw_is_told_in_a_row_without_a_traceback(place, tmp_path, capsys, monkeypatch):
    def read(path: Path) -> Volume:
        raise OverflowError("too many\nvoxels")

    monkeypatch.setattr(cases, "read", read)
    tiny_models.write_constant(tmp_path / "models" / "tiny-1.0.0", 3)
    command = ["batch", str(place), str(tmp_path / "out"), "--models-folder", str(tmp_path / "models")]
    assert main([*command, "--model", "tiny"]) == 3
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and "one.nrrd: too many voxels." in shown.out
    main([*command, "--model", "tiny", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_links_that_lead_nowhere_are_told_and_hold_up_no_other(place, tmp_path):
    (place / "loop.nii.gz").symlink_to("loop.nii.gz")
    (place / "gone.nrrd").symlink_to("nowhere.nrrd")
    (place / "round").symlink_to("round")
    (place / "é b" / "back").symlink_to("..")
    rows, _ = run(place, tmp_path / "out")
    assert states(rows) == {
        "broken": batch.FAILED, "one": batch.DONE, "é b_two": batch.DONE, "loop": batch.FAILED, "gone": batch.FAILED,
    }  # fmt: skip
    assert all(f"{row.name}." in row.message for row in rows if row.name in ("loop", "gone"))


def test_a_name_that_is_no_text_ends_no_batch(place, tmp_path):
    os.rename(place / "one.nrrd", os.fsencode(place) + b"/one\xff.nrrd")
    rows, _ = run(place, tmp_path / "out")
    assert states(rows) == {"broken": batch.FAILED, "one": batch.FAILED, "é b_two": batch.DONE}
    assert "no text; rename it" in {row["scan"]: row for row in table(tmp_path / "out")}["one"]["message"]
