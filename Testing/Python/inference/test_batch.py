"""A folder of scans in, a folder of results out: restartable, nothing of a person's lost, no scan holds up another."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from batch_folders import CARD, FIRST_SLICE_ML, GRID, Segmenter, models, run, scan, states, table
from drawings import card_of
from SIFALib.cli.main import main
from SIFALib.imaging import seg_nrrd, writing
from SIFALib.imaging.geometry import Volume
from SIFALib.inference import Options
from SIFALib.inference.batch import results
from SIFALib.inference.batch import run as batch
from SIFALib.support.errors import BatchError, NoHeartFound


def test_every_scan_gets_a_segmentation_a_report_and_a_row(place, tmp_path):
    rows, events = run(place, tmp_path / "out")
    assert states(rows) == {"broken": batch.FAILED, "one": batch.DONE, "é b_two": batch.DONE}
    for name, seed in (("one", 1), ("é b_two", 2)):
        labels, structures = seg_nrrd.read_seg_nrrd(tmp_path / "out" / f"{name}.seg.nrrd")
        assert [s.id for s in structures] == ["MYO", "LA", "LV", "AA"]
        image = sitk.ReadImage(str(tmp_path / "out" / f"{name}.seg.nrrd"))
        assert "tiny@1.0.0" in image.GetMetaData("Segment0_Tags")  # who made it
        assert labels.geometry == scan(seed).geometry and (labels.array[0] == 3).all()
        assert json.loads((tmp_path / "out" / f"{name}.sifa.json").read_text())["volumes_ml"]["LV"] > 0
    written = {row["scan"]: row for row in table(tmp_path / "out")}
    assert float(written["one"]["LV (ml)"]) == pytest.approx(FIRST_SLICE_ML, abs=0.01)
    assert written["one"]["look twice"] == "Left atrium is missing."
    assert "broken.nii.gz" in written["broken"]["message"] and written["broken"]["LV (ml)"] == ""
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_what_is_done_is_not_done_again_and_what_changed_is(place, tmp_path):
    run(place, tmp_path / "out")
    again = Segmenter()
    rows, _ = run(place, tmp_path / "out", again)
    assert not again.given
    assert states(rows) == {"broken": batch.FAILED, "one": batch.KEPT, "é b_two": batch.KEPT}
    assert [row.volumes_ml.get("LV") for row in rows if row.state == batch.KEPT] == [pytest.approx(FIRST_SLICE_ML)] * 2
    writing.write(scan(7), place / "one.nrrd")
    rows, _ = run(place, tmp_path / "out", again)
    assert states(rows)["one"] == batch.DONE and len(again.given) == 1


@pytest.mark.parametrize(
    ("card", "options", "again"),
    [
        (card_of("1" * 64), Options(), True),
        (CARD, Options(structures=("LV",)), True),
        (CARD, Options(structures=("AA", "LV", "LA", "MYO")), False),
        (CARD, Options(device="cuda", batch_size=3), False),
    ],
    ids=["another model", "fewer structures", "all structures by name", "another device"],
)
def test_only_another_model_or_options_that_count_do_everything_again(place, tmp_path, card, options, again):
    run(place, tmp_path / "out")
    segmenter = Segmenter()
    run(place, tmp_path / "out", segmenter, card=card, options=options)
    assert len(segmenter.given) == (2 if again else 0)


def test_where_the_scans_lie_does_not_matter(place, tmp_path, monkeypatch):
    run(place, tmp_path / "out")
    again = Segmenter()
    place.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    run(Path("moved"), tmp_path / "out", again)
    assert not again.given


def test_a_segmentation_that_somebody_corrected_is_never_written_over(place, tmp_path):
    run(place, tmp_path / "out")
    edited = Volume(np.ones(GRID.shape, np.uint8), GRID)
    seg_nrrd.write_seg_nrrd(edited, tmp_path / "out" / "one.seg.nrrd")
    rows, _ = run(place, tmp_path / "out")
    row = next(row for row in rows if row.name == "one")
    assert row.state == batch.KEPT and "Corrected" in row.message and row.flags == ()
    assert row.volumes_ml["MYO"] == pytest.approx(20 * FIRST_SLICE_ML) and row.volumes_ml["LV"] == 0
    rows, _ = run(place, tmp_path / "out", options=Options(views="one"))
    row = next(row for row in rows if row.name == "one")
    assert row.state == batch.FAILED and "not written over" in row.message and "one.seg.nrrd" in row.message
    assert (seg_nrrd.read_seg_nrrd(tmp_path / "out" / "one.seg.nrrd")[0].array == 1).all()


def test_results_may_lie_among_the_scans_and_are_no_scans(place):
    (place / "one.json").write_text("what the scanner said")
    run(place, place)
    assert (place / "one.json").read_text() == "what the scanner said"
    rows, _ = run(place, place)
    assert len(rows) == 3


@pytest.mark.parametrize(
    "error, said",
    [
        (NoHeartFound("No heart was found in one."), "No heart was found in one."),
        (MemoryError("Not enough memory for 9 slices."), "Not enough memory for 9 slices."),
        (RuntimeError("odd"), "Something went wrong with {}: odd."),
    ],
)
def test_a_scan_that_fails_is_told_and_holds_up_no_other(place, tmp_path, error, said):
    rows, _ = run(place, tmp_path / "out", Segmenter(error))
    assert [row.message for row in rows if row.name == "one"] == [said.format(place / "one.nrrd")]
    assert len(rows) == 3 and len(table(tmp_path / "out")) == 3


def test_a_full_disk_ends_the_batch_with_a_sentence_and_keeps_what_is_done(place, tmp_path, monkeypatch):
    run(place, tmp_path / "out")
    before = (tmp_path / "out" / "one.seg.nrrd").read_bytes()
    writing.write(scan(9), place / "one.nrrd")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out"))

    monkeypatch.setattr(results, "write_seg_nrrd", full)
    with pytest.raises(BatchError, match=r"out \(.*the disk is full\).*what is finished stays"):
        run(place, tmp_path / "out")
    monkeypatch.undo()
    assert (tmp_path / "out" / "one.seg.nrrd").read_bytes() == before
    rows, _ = run(place, tmp_path / "out")
    assert states(rows)["one"] == batch.DONE


@pytest.mark.parametrize("moment", ["reading", "write_seg_nrrd", "files.write_text", "files.replace"])
@pytest.mark.parametrize("again", [False, True], ids=["first time", "replacing"])
def test_killed_at_any_moment_the_batch_goes_on(place, tmp_path, monkeypatch, moment, again):
    """A kill is an exception that nobody catches; nothing is cleaned up but what Python's own `finally` does."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    out = tmp_path / "out"
    if again:
        run(place, out)
        writing.write(scan(9), place / "one.nrrd")
    with monkeypatch.context() as patch:
        if moment == "reading":
            patch.setattr(batch, "check", kill)
        else:
            owner, _, name = moment.rpartition(".")
            patch.setattr(getattr(results, owner) if owner else results, name, kill)
        with pytest.raises(Killed):
            run(place, out)
    (out / ".sifa-unfinished").mkdir(exist_ok=True)
    (out / ".sifa-unfinished" / "one.seg.nrrd").write_bytes(b"half")
    rows, _ = run(place, out)
    assert states(rows)["one"] == batch.DONE and states(rows)["é b_two"] in (batch.DONE, batch.KEPT)
    assert states(run(place, out)[0]) == {"broken": batch.FAILED, "one": batch.KEPT, "é b_two": batch.KEPT}
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_time_left_counts_the_scans_that_wait(place, tmp_path):
    _, events = run(place, tmp_path / "out")
    first = next(e for e in events if e.row.name == "one" and e.stage == "Segmenting")
    assert first.seconds_left >= 6.0  # 3 s of this one and as many of the other


def test_no_folder_and_no_scan_are_named(tmp_path):
    with pytest.raises(BatchError, match="There is no folder"):
        batch.find_cases(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(BatchError, match="holds no"):
        batch.find_cases(tmp_path)


def test_names_of_files_differ_on_every_system():
    names = batch.file_names(["a/b", "a b", "A_B", "..", "x" * 300, "x" * 300, "a:b"])
    assert len({n.lower() for n in names}) == len(names)
    assert all(n and len(n) <= 90 and not set(n) & set('/\\:*?"<>|') for n in names)
    assert names[0] == "a_b" and names[1] == "a b"


def test_the_command_says_what_became_of_each_scan_and_fails_if_one_did(place, tmp_path, capsys):
    tiny_models.write_constant(tmp_path / "models" / "tiny-1.0.0", 3)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    store = ("--model", "tiny", "--models-folder", str(tmp_path / "models"))
    command = ["batch", str(place), str(tmp_path / "out"), *store]
    assert main(command) == 3
    shown = capsys.readouterr()
    assert "2 of 3 scans are done" in shown.out and "one  done  MYO 0.0 ml" in shown.out
    assert "broken  failed" in shown.out and "broken.nii.gz" in shown.out
    (place / "broken.nii.gz").unlink()
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert {row["state"] for row in table(tmp_path / "out")} == {batch.KEPT}


def test_the_command_refuses_what_cannot_be_before_it_begins(place, tmp_path, capsys):
    assert main(["batch", str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 3
    assert main(["batch", str(place), str(tmp_path / "out"), "--structures", "kidney"]) == 2
    assert main(["batch", str(place), str(tmp_path / "out"), "--device", "quantum"]) == 2
    assert not (tmp_path / "out").exists()


def test_an_odd_report_counts_as_none(tmp_path):
    for text in ("[1]", "{", "\udc00"):
        (tmp_path / "one.sifa.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert results.report_of(tmp_path, "one") == {}


def test_hidden_files_and_a_table_of_somebody_else_stay(place, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    others = [".family.png", "._holiday.png", ".lock.tmp", ".backup.seg.nrrd"]
    for name in others:
        (out / name).write_bytes(b"mine")
    run(place, out)
    assert all((out / name).read_bytes() == b"mine" for name in others)
    (out / batch.TABLE).write_text("week,litres\n1,2\n")
    with pytest.raises(BatchError, match="is no table of a batch"):
        run(place, out)
    assert (out / batch.TABLE).read_text() == "week,litres\n1,2\n"


def test_the_table_keeps_what_it_said_of_scans_that_are_not_reached_again(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    before = table(out)
    steps = batch.run(batch.find_cases(place), batch.prepare_folder(out), Segmenter(), models())
    while next(steps).row.state != batch.FAILED:  # the first one, "broken"
        pass
    steps.close()
    assert [row["LV (ml)"] for row in table(out)] == [row["LV (ml)"] for row in before]


def test_a_table_that_another_program_holds_open_stops_nothing(place, tmp_path, monkeypatch):
    """As on Windows, where an open file cannot be replaced."""
    real, held = results.files.replace, [2]

    def replace(temporary: Path, path: Path) -> None:
        if path.name == batch.TABLE and held[0]:
            held[0] -= 1
            raise PermissionError(errno.EACCES, "in use", str(path))
        real(temporary, path)

    monkeypatch.setattr(results.files, "replace", replace)
    rows, _ = run(place, tmp_path / "out")
    assert states(rows)["one"] == batch.DONE and len(table(tmp_path / "out")) == 3
    held[0] = 9
    with pytest.raises(BatchError, match=r"volumes\.csv: in use"):
        run(place, tmp_path / "out")
