"""A folder of scans in, a folder of results out: restartable, nothing of a person's lost, no scan holds up another."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from SIFALib import batch, batch_cases, batch_results, scan_files, segmentation_file, volume
from SIFALib.cli import main
from SIFALib.inference import NoHeartFound, Options, Progress, Result
from SIFALib.models import ModelCard
from SIFALib.volume import Geometry, Volume


def card_of(sha256: str) -> ModelCard:
    return ModelCard(
        sha256=sha256,
        sifa_version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        **tiny_models.card_fields(),
    )


CARD = card_of("0" * 64)
GRID = Geometry((40, 44, 20), (1.0, 2.0, 3.0), (4.0, 4.5, 6.0))
FIRST_SLICE_ML = 40 * 44 * 4.0 * 4.5 * 6.0 / 1000


def scan(seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(0, 99, GRID.shape).astype(np.int16), GRID, "scan")


@pytest.fixture
def place(tmp_path) -> Path:
    """Three scans: beside each other, in a folder with an accent and a blank, and a broken one."""
    scans = tmp_path / "scans"
    (scans / "é b").mkdir(parents=True)
    volume.write(scan(1), scans / "one.nrrd")
    volume.write(scan(2), scans / "é b" / "two.nii.gz")
    (scans / "broken.nii.gz").write_bytes(b"no image")
    return scans


class Segmenter:
    """Left ventricle in the first slice; counts what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.given: list[Volume] = []
        self.error = error

    def __call__(self, given: Volume):
        self.given.append(given)
        yield Progress("Segmenting", 0.5, 3.0)
        if self.error is not None:
            raise self.error
        labels = np.zeros(given.geometry.shape, np.uint8)
        labels[0] = 3
        flags = [{"structure": "LA", "kind": "missing", "warns": True, "message": "Left atrium is missing."}]
        ml = {"LV": float((labels == 3).sum() * given.geometry.voxel_ml)}
        yield Progress("Segmenting", 1.0, 0.0)
        return Result(Volume(labels, given.geometry), None, {"volumes_ml": ml, "flags": flags})


def finish(steps):
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events


def run(place: Path, out: Path, segmenter: Segmenter | None = None, card=CARD, options=Options()):
    cases = batch.find_cases(place)
    return finish(batch.run(cases, batch.prepare_folder(out), segmenter or Segmenter(), card, options))


def table(out: Path) -> list[dict]:
    return list(csv.DictReader((out / batch.TABLE).read_text(encoding="utf-8").splitlines()))


def states(rows) -> dict[str, str]:
    return {row.name: row.state for row in rows}


def test_every_scan_gets_a_segmentation_a_report_and_a_row(place, tmp_path):
    rows, events = run(place, tmp_path / "out")
    assert states(rows) == {"broken": batch.FAILED, "one": batch.DONE, "é b_two": batch.DONE}
    for name, seed in (("one", 1), ("é b_two", 2)):
        labels, structures = segmentation_file.read_seg_nrrd(tmp_path / "out" / f"{name}.seg.nrrd")
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
    assert [row.volumes_ml.get("LV") for row in rows if row.state == batch.KEPT] == [
        pytest.approx(FIRST_SLICE_ML)
    ] * 2
    volume.write(scan(7), place / "one.nrrd")
    rows, _ = run(place, tmp_path / "out", again)
    assert states(rows)["one"] == batch.DONE and len(again.given) == 1


@pytest.mark.parametrize("what", ["model", "options"])
def test_another_model_or_other_options_do_everything_again(place, tmp_path, what):
    run(place, tmp_path / "out")
    again = Segmenter()
    if what == "model":
        run(place, tmp_path / "out", again, card=card_of("1" * 64))
    else:
        run(place, tmp_path / "out", again, options=Options(structures=("LV",)))
    assert len(again.given) == 2


def test_the_device_decides_nothing_about_what_is_done(place, tmp_path):
    run(place, tmp_path / "out")
    again = Segmenter()
    run(place, tmp_path / "out", again, options=Options(device="cuda", batch_size=3))
    assert not again.given


def test_a_segmentation_that_somebody_corrected_is_never_written_over(place, tmp_path):
    run(place, tmp_path / "out")
    edited = Volume(np.ones(GRID.shape, np.uint8), GRID)
    segmentation_file.write_seg_nrrd(edited, tmp_path / "out" / "one.seg.nrrd")
    rows, _ = run(place, tmp_path / "out")
    row = next(row for row in rows if row.name == "one")
    assert row.state == batch.KEPT and "Corrected" in row.message and row.flags == ()
    assert row.volumes_ml["MYO"] == pytest.approx(20 * FIRST_SLICE_ML) and row.volumes_ml["LV"] == 0
    rows, _ = run(place, tmp_path / "out", options=Options(views="one"))
    row = next(row for row in rows if row.name == "one")
    assert row.state == batch.FAILED and "not written over" in row.message and "one.seg.nrrd" in row.message
    assert (segmentation_file.read_seg_nrrd(tmp_path / "out" / "one.seg.nrrd")[0].array == 1).all()


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
        (RuntimeError("odd"), "Something went wrong with {} (RuntimeError): odd."),
    ],
)
def test_a_scan_that_fails_is_told_and_holds_up_no_other(place, tmp_path, error, said):
    rows, _ = run(place, tmp_path / "out", Segmenter(error))
    assert [row.message for row in rows if row.name == "one"] == [said.format(place / "one.nrrd")]
    assert len(rows) == 3 and len(table(tmp_path / "out")) == 3


def test_a_full_disk_ends_the_batch_with_a_sentence_and_keeps_what_is_done(place, tmp_path, monkeypatch):
    run(place, tmp_path / "out")
    before = (tmp_path / "out" / "one.seg.nrrd").read_bytes()
    volume.write(scan(9), place / "one.nrrd")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out"))

    monkeypatch.setattr(batch_results, "write_seg_nrrd", full)
    with pytest.raises(batch.BatchError, match=r"out \(.*the disk is full\).*what is finished stays"):
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
        volume.write(scan(9), place / "one.nrrd")
    with monkeypatch.context() as patch:
        if moment == "reading":
            patch.setattr(batch, "check", kill)
        else:
            owner, _, name = moment.rpartition(".")
            patch.setattr(getattr(batch_results, owner) if owner else batch_results, name, kill)
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
    with pytest.raises(batch.BatchError, match="There is no folder"):
        batch.find_cases(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(batch.BatchError, match="holds no"):
        batch.find_cases(tmp_path)


def test_results_need_a_folder_that_can_be_written_to(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(batch.BatchError, match="cannot be written to"):
        batch.prepare_folder(tmp_path / "file" / "out")


def test_a_folder_that_is_protected_is_named_and_no_temporary_file(tmp_path, monkeypatch):
    def refuse(path: Path, text: str) -> None:
        temporary = str(path.with_name(f".{path.name}.1.tmp"))
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), temporary)

    monkeypatch.setattr(batch.files, "write_text", refuse)
    with pytest.raises(
        batch.BatchError, match=r"out cannot be written to .*choose another folder"
    ) as refusal:
        batch.prepare_folder(tmp_path / "out")
    assert ".tmp" not in str(refusal.value)


@pytest.mark.parametrize("name", ["one.seg.nrrd", "one.sifa.json"])
def test_a_folder_where_a_result_would_be_is_told_in_the_row_before_the_work(place, tmp_path, name):
    out = tmp_path / "out"
    (out / name / "in it").mkdir(parents=True)
    segmenter = Segmenter()
    rows, _ = run(place, out, segmenter)
    assert states(rows) == {"broken": batch.FAILED, "one": batch.FAILED, "é b_two": batch.DONE}
    assert all(f"{out / name} is a folder" in row.message for row in rows if row.name == "one")
    assert len(segmenter.given) == 1 and (out / name / "in it").is_dir()
    assert [p.name for p in out.glob("one.*")] == [name]


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
    assert main(["batch", str(place), str(tmp_path / "out"), "--structures", "RV"]) == 2
    assert main(["batch", str(place), str(tmp_path / "out"), "--device", "quantum"]) == 2
    assert not (tmp_path / "out").exists()


def test_an_odd_report_counts_as_none(tmp_path):
    for text in ("[1]", "{", "\udc00"):
        (tmp_path / "one.sifa.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert batch_results.report_of(tmp_path, "one") == {}


def test_hidden_files_and_a_table_of_somebody_else_stay(place, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    others = [".family.png", "._holiday.png", ".lock.tmp", ".backup.seg.nrrd"]
    for name in others:
        (out / name).write_bytes(b"mine")
    run(place, out)
    assert all((out / name).read_bytes() == b"mine" for name in others)
    (out / batch.TABLE).write_text("week,litres\n1,2\n")
    with pytest.raises(batch.BatchError, match="is no table of a batch"):
        run(place, out)
    assert (out / batch.TABLE).read_text() == "week,litres\n1,2\n"


def test_the_table_keeps_what_it_said_of_scans_that_are_not_reached_again(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    before = table(out)
    steps = batch.run(batch.find_cases(place), batch.prepare_folder(out), Segmenter(), CARD)
    while next(steps).row.state != batch.FAILED:  # the first one, "broken"
        pass
    steps.close()
    assert [row["LV (ml)"] for row in table(out)] == [row["LV (ml)"] for row in before]


def test_two_batches_do_not_write_into_one_folder(place, tmp_path, monkeypatch):
    out = batch.prepare_folder(tmp_path / "out")
    first = batch.run(batch.find_cases(place), out, Segmenter(), CARD)
    next(first)
    with pytest.raises(batch.BatchError, match="Another batch writes into"):
        run(place, out)
    finish(first)
    assert states(run(place, out)[0])["one"] == batch.KEPT


def test_a_table_that_another_program_holds_open_stops_nothing(place, tmp_path, monkeypatch):
    """As on Windows, where an open file cannot be replaced."""
    real, held = batch_results.files.replace, [2]

    def replace(temporary: Path, path: Path) -> None:
        if path.name == batch.TABLE and held[0]:
            held[0] -= 1
            raise PermissionError(errno.EACCES, "in use", str(path))
        real(temporary, path)

    monkeypatch.setattr(batch_results.files, "replace", replace)
    rows, _ = run(place, tmp_path / "out")
    assert states(rows)["one"] == batch.DONE and len(table(tmp_path / "out")) == 3
    held[0] = 9
    with pytest.raises(batch.BatchError, match=r"volumes\.csv: in use"):
        run(place, tmp_path / "out")


def test_all_structures_asked_for_by_name_are_all_structures(place, tmp_path):
    run(place, tmp_path / "out")
    again = Segmenter()
    run(place, tmp_path / "out", again, options=Options(structures=("AA", "LV", "LA", "MYO")))
    assert not again.given


def test_where_the_scans_lie_does_not_matter(place, tmp_path, monkeypatch):
    run(place, tmp_path / "out")
    again = Segmenter()
    place.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    run(Path("moved"), tmp_path / "out", again)
    assert not again.given


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
        volume.write(scan(seed), tmp_path / patient / f"{patient}.nrrd")
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
    ends = [finish(batch.run([case(seed)], out, Segmenter(), CARD))[0][0].state for seed in (1, 2, 1)]
    assert ends == [batch.DONE, batch.FAILED, batch.KEPT]


def test_voxels_in_a_list_of_files_belong_to_the_scan(tmp_path):
    for number in range(3):
        (tmp_path / f"s{number}.raw").write_bytes(bytes([number]))
    (tmp_path / "list.mhd").write_text("NDims = 3\nElementDataFile = LIST\ns0.raw\ns1.raw\n")
    (tmp_path / "pattern.nhdr").write_text("NRRD0004\ntype: short\ndata file: s%d.raw 0 1 1\n\n")
    assert [p.name for p in scan_files.members(tmp_path / "list.mhd")] == ["list.mhd", "s0.raw", "s1.raw"]
    assert len(scan_files.members(tmp_path / "pattern.nhdr")) == 4
    before = scan_files.content(tmp_path / "list.mhd")
    (tmp_path / "s1.raw").write_bytes(b"x")
    assert scan_files.content(tmp_path / "list.mhd") != before


def test_what_nobody_foresaw_is_told_in_a_row_without_a_traceback(place, tmp_path, capsys, monkeypatch):
    def read(path: Path) -> Volume:
        raise OverflowError("too many\nvoxels")

    monkeypatch.setattr(batch_cases, "read", read)
    tiny_models.write_constant(tmp_path / "models" / "tiny-1.0.0", 3)
    command = ["batch", str(place), str(tmp_path / "out"), "--models-folder", str(tmp_path / "models")]
    assert main([*command, "--model", "tiny"]) == 3
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and "one.nrrd (OverflowError): too many voxels." in shown.out
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
