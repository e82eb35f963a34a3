"""Many processes, one cohort: every scan once, a killed one's scan by another, the table as of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import cohort_workers
import pytest
import tiny_runs
from batch_folders import CARD, FIRST_SLICE_ML, Segmenter, finish, models, run, scan, states, table
from SIFALib.imaging import writing
from SIFALib.imaging.seg_nrrd import read_seg_nrrd, write_seg_nrrd
from SIFALib.inference import Options
from SIFALib.inference.batch import cases, cohort, results
from SIFALib.inference.batch import run as batch
from SIFALib.support import files, lock
from SIFALib.support.errors import BatchError

SCANS = 40


def case_of(name: str) -> batch.Case:
    def steps():
        yield 0.0
        return scan(1)

    return batch.Case(name, f"/scans/{name}", steps, lambda: f"hash of {name}", f"/scans/{name}")


def hold(folder: Path, settings=None) -> cohort.Member:
    """A member that never leaves by itself, as a killed one, but of the process of this test."""
    context = cohort.joined(folder, settings or {})
    member = context.__enter__()
    held.append(context)
    return member


held: list = []


@pytest.fixture(autouse=True)
def _let_go():
    yield
    while held:
        held.pop().__exit__(None, None, None)


def without_seconds(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table(out)]


def test_four_processes_one_killed_do_every_scan_once_and_write_one_processs_table(tmp_path):
    place, alone, together, log = (tmp_path / n for n in ("scans", "alone", "together", "log"))
    place.mkdir()
    for n in range(SCANS - 1):
        writing.write(scan(n), place / f"{n:02}.nrrd")
    (place / "broken.nii.gz").write_bytes(b"no image")
    run(place, alone)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "cohort_workers", place, together, log], env=environment, check=True)
    given = [json.loads(line) for line in log.read_text().splitlines()]
    lost = [name for who, name in given if who == cohort_workers.VICTIM][-1]
    # every scan once, the lost one once more
    assert sorted(name for _, name in given) == sorted([*(f"{n:02}" for n in range(SCANS - 1)), lost])
    assert without_seconds(together) == without_seconds(alone)
    assert {p.name for p in together.iterdir()} == {p.name for p in alone.iterdir()}
    for n in range(SCANS - 1):
        assert (together / f"{n:02}.seg.nrrd").read_bytes() == (alone / f"{n:02}.seg.nrrd").read_bytes()


def test_what_another_works_on_is_left_to_it_and_waited_for(place, tmp_path):
    out = batch.prepare_folder(tmp_path / "out")
    first, second = Segmenter(), Segmenter()
    slow = batch.run(batch.find_cases(place), out, first, models())
    while next(slow).row.name != "one":
        pass
    quick = batch.run(batch.find_cases(place), out, second, models())
    stages = []
    while (event := next(quick)).stage != "Waiting for another process":
        stages.append((event.row.name, event.row.state))
    assert ("é b_two", batch.DONE) in stages and ("broken", batch.FAILED) in stages
    rows, _ = finish(slow)
    assert states(rows) == {"broken": batch.FAILED, "one": batch.DONE, "é b_two": batch.DONE}
    assert (out / cohort.FOLDER).exists()
    rows, _ = finish(quick)
    assert states(rows) == {"broken": batch.FAILED, "one": batch.DONE, "é b_two": batch.DONE}
    assert len(first.given) == len(second.given) == 1 and len(table(out)) == 3
    assert not (out / cohort.FOLDER).exists()


def test_a_scan_of_one_that_was_stopped_is_anothers(place, tmp_path):
    out = batch.prepare_folder(tmp_path / "out")
    stopped = batch.run(batch.find_cases(place), out, Segmenter(), models())
    while next(stopped).row.name != "one":
        pass
    other = hold(out)
    stopped.close()
    assert other.claim(case_of("one")) and not list(out.glob("one.*"))


def test_folders_of_scans_that_go_into_one_have_one_table(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        writing.write(scan(len(name)), tmp_path / name / f"{name}.nrrd")
    out = batch.prepare_folder(tmp_path / "out")
    first = batch.run(batch.find_cases(tmp_path / "a"), out, Segmenter(), models())
    next(first)
    run(tmp_path / "b", out)
    finish(first)
    assert [row["scan"] for row in table(out)] == ["a", "b"]


def test_other_options_are_another_cohort_that_waits_for_its_names(place, tmp_path):
    out = batch.prepare_folder(tmp_path / "out")
    member = hold(out, {"model": "other"})
    (one,) = (case for case in batch.find_cases(place) if case.name == "one")
    member.save(one, batch.Row("one", one.source, batch.FAILED, "of another model"))
    rows, _ = run(place, out, options=Options(structures=("LV",)))
    assert states(rows)["one"] == batch.DONE


class Elsewhere:
    """Makes the members that exist those of another computer."""

    def __init__(self, folder: Path) -> None:
        self.lock = folder / lock.FILE
        record = json.loads(self.lock.read_text())
        files.write_text(self.lock, json.dumps({**record, "host": "another-computer"}))

    def silent_for(self, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(self.lock, (then, then))


def test_another_computers_scan_is_taken_over_after_a_silence_and_it_notices(tmp_path):
    far, near = hold(tmp_path), hold(tmp_path)
    elsewhere = Elsewhere(far.folder)
    assert far.claim(case_of("x")) and not near.claim(case_of("X"))
    elsewhere.silent_for(cohort.SILENCE_SECONDS / 2)
    assert not near.claim(case_of("x"))
    elsewhere.silent_for(-10 * cohort.SILENCE_SECONDS)  # a clock far ahead says nothing
    assert near.claim(case_of("x"))
    near.release(case_of("x"))
    assert far.claim(case_of("x"))
    elsewhere.silent_for(2 * cohort.SILENCE_SECONDS)
    third = hold(tmp_path)  # who enters clears up
    assert third.claim(case_of("x")) and not far.folder.exists()
    with pytest.raises(BatchError, match="others took over its scans"):
        far.claim(case_of("y"))
    far.release(case_of("x"))
    assert not near.claim(case_of("x"))


def test_an_empty_claim_is_one_for_a_minute(tmp_path):
    member = hold(tmp_path)
    claim = member._claim(case_of("x"))
    claim.touch()
    assert not member.claim(case_of("x"))
    os.utime(claim, (0, 0))
    assert member.claim(case_of("x"))


@pytest.mark.parametrize("_again", range(8))  # who comes when differs from one time to the next
def test_of_many_that_take_a_dead_ones_claim_one_gets_it(tmp_path, _again):
    members = [hold(tmp_path) for _ in range(8)]
    members[0]._claim(case_of("x")).write_text("0" * 32)
    got: list[bool] = []
    threads = [threading.Thread(target=lambda m=m: got.append(m.claim(case_of("x")))) for m in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 1


def test_who_comes_while_the_last_one_goes_finds_a_place(tmp_path):
    def come_and_go() -> None:
        for _ in range(5):
            with cohort.joined(tmp_path, {}) as member:
                assert member.claim(case_of(member.folder.name))

    failures: list[BaseException] = []

    def told() -> None:
        try:
            come_and_go()
        except BaseException as error:  # of a thread, it would only be printed
            failures.append(error)

    threads = [threading.Thread(target=told) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and not list(tmp_path.iterdir())


def test_signs_of_life_are_given(tmp_path):
    with lock.held(tmp_path), lock.beating(tmp_path, 0.01):
        os.utime(tmp_path / lock.FILE, (0, 0))
        tiny_runs.wait_until(lambda: (tmp_path / lock.FILE).stat().st_mtime > 0)


def test_a_link_in_the_place_of_the_hidden_folder_is_never_followed(place, tmp_path):
    theirs = tmp_path / "theirs"
    (theirs / "files").mkdir(parents=True)
    (theirs / "files" / "thesis.txt").write_text("mine")
    out = batch.prepare_folder(tmp_path / "out")
    (out / cohort.FOLDER).symlink_to(theirs)
    with pytest.raises(BatchError, match="a link, which is never replaced"):
        run(place, out)
    assert (theirs / "files" / "thesis.txt").read_text() == "mine"
    with pytest.raises(BatchError, match="deletes when it ends"):
        batch.prepare_folder(tmp_path / cohort.FOLDER / "out")


def test_the_table_is_merged_from_the_reports_at_any_time(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    wanted = [row for row in table(out) if row["state"] == batch.DONE]
    (out / batch.TABLE).unlink()
    rows = batch.merge(batch.find_cases(place), out)
    assert states(rows) == {"broken": batch.WAITING, "one": batch.KEPT, "é b_two": batch.KEPT}
    merged = {row["scan"]: row for row in table(out)}
    same = ("LV (ml)", "look twice", "message", "source")
    assert all(merged[row["scan"]][key] == row[key] for row in wanted for key in same)


def test_names_of_files_fit_every_file_system():
    names = cases.file_names(["é" * 300, "心" * 300, "心" * 300, "x" * 79 + " é"])
    assert len(set(names)) == 4 and all(len(f"{n}{cases.REPORT}".encode()) <= 255 for n in names)


def test_a_merged_table_says_what_is_there_now_of_the_scans_that_are_there_now(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    corrected, structures = read_seg_nrrd(out / "one.seg.nrrd")
    more = corrected.array.copy()
    more[1] = 3
    write_seg_nrrd(replace(corrected, array=more), out / "one.seg.nrrd", structures)
    writing.write(scan(9), place / "é b" / "two.nii.gz")  # another one in its place
    batch.merge(batch.find_cases(place), out)
    rows = {row["scan"]: row for row in table(out)}
    assert float(rows["one"]["LV (ml)"]) == pytest.approx(2 * FIRST_SLICE_ML, abs=0.01)
    assert rows["one"]["message"] == results.CORRECTED
    changed = rows["é b_two"]
    assert (changed["state"], changed["LV (ml)"]) == (batch.WAITING, "") and "has changed since" in changed["message"]


def test_each_row_says_by_which_model_and_options_it_was_made(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    newer = replace(CARD, version="9.0.0", sha256="f" * 64)
    steps = batch.run(batch.find_cases(place), out, Segmenter(card=newer), models(newer), Options(views="one"))
    while next(steps).row.state != batch.DONE:  # the first one; then the batch is stopped
        pass
    steps.close()
    for again in (lambda: None, lambda: batch.merge(batch.find_cases(place), out)):
        again()
        rows = {row["scan"]: row["made by"] for row in table(out)}
        assert rows == {
            "broken": "",
            "one": f"{newer.id}@9.0.0 (ffffffff), views one",
            "é b_two": f"{CARD.key} ({CARD.sha256[:8]})",
        }
