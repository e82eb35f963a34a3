"""The parts of a run folder, without training: configuration, lock, events, checkpoints, best model, status."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import tiny_runs
import torch
from SIFALib import runs
from SIFALib.runs import checkpoints, configuration, control, events, status
from SIFALib.support import files, lock, processes, schema
from SIFALib.support.errors import InUse, RecordError, RunError
from SIFALib.support.processes import Process


@pytest.fixture
def folder(tmp_path: Path) -> runs.RunFolder:
    return runs.create(tmp_path / "run", tiny_runs.configuration(tmp_path))


def status_now(process: Process, **fields) -> status.Status:
    fields = {"state": "running", "iterations": 9, "heartbeat": status.now(), **fields}
    return status.Status(pid=process.pid, process_started=process.started, host=process.host, **fields)


def write_status(folder: runs.RunFolder, value: status.Status) -> None:
    files.write_text(folder.status, json.dumps(dataclasses.asdict(value)))


# --- run.json


def test_a_configuration_survives_the_way_through_the_file(folder, tmp_path: Path):
    assert folder.read().configuration == tiny_runs.configuration(tmp_path)
    assert folder.read().versions["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("speed", 3, "configuration.speed is no key"),
        ("compile", 1, "configuration.compile is 1; true or false"),
        ("accumulate", 5, "accumulate is 5; it must divide the batch of 2"),
        ("precision", "half", "precision is 'half'; it must be auto, float32, bfloat16"),
        ("save_every", 0, "save_every is 0; it must be 1 to 10000000"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_by_name(folder, key, value, named):
    tree = json.loads(folder.run_file.read_text())
    tree["configuration"][key] = value
    folder.run_file.write_text(json.dumps(tree))
    with pytest.raises(RunError, match=named) as caught:
        folder.read()
    assert str(folder.run_file) in str(caught.value)


def test_a_run_of_a_newer_format_asks_for_an_update(folder):
    tree = json.loads(folder.run_file.read_text())
    folder.run_file.write_text(json.dumps({**tree, "format": 99, "future": True}))
    with pytest.raises(RunError, match="update SIFA"):
        folder.read()


def test_only_what_is_free_to_change_changes_on_the_way(folder):
    before = folder.read().configuration
    folder.change(configuration.changed(before, {"data.size": 64}))  # nothing has been computed yet
    assert folder.read().configuration.data.size == 64
    folder.change(before)
    folder.remember_data("0" * 64, {})
    folder.change(configuration.changed(before, {"iterations": 50, "threads": 2, "save_every": 7}))
    assert folder.read().configuration.iterations == 50
    with pytest.raises(RunError, match=r"another data\.size, method\.cycle_weight"):
        folder.change(configuration.changed(before, {"data.size": 64, "method.cycle_weight": 3}))
    with pytest.raises(RunError, match=r"method\.wdith is no key"):
        configuration.changed(before, {"method.wdith": 4})
    assert folder.read().configuration.data.size == 32


def test_a_record_holds_truth_values_and_nothing():
    @dataclasses.dataclass(frozen=True)
    class Sample:
        on: bool
        count: int | None = None
        names: dict[str, str] = dataclasses.field(default_factory=dict)

    globals()["Sample"] = Sample  # where the names in its annotations are looked up
    assert schema.decode(Sample, {"on": True}) == Sample(True)
    assert schema.decode(Sample, {"on": False, "count": 3, "names": {"a": "b"}}) == Sample(False, 3, {"a": "b"})
    assert schema.decode(Sample, {"on": True, "count": None}).count is None
    for wrong in ({"on": 1}, {"on": "true"}, {"on": True, "count": True}, {"on": None}, {"count": 1}):
        with pytest.raises(RecordError, match=r"on|count"):
            schema.decode(Sample, wrong)


def test_a_new_run_never_overwrites(folder, tmp_path: Path):
    with pytest.raises(RunError, match="exists already"):
        runs.create(folder.path, tiny_runs.configuration(tmp_path))
    (tmp_path / "empty").mkdir()
    assert runs.create(tmp_path / "empty", tiny_runs.configuration(tmp_path)).run_file.exists()


def test_of_two_that_make_the_same_run_at_once_one_is_told_that_it_exists(tmp_path: Path, monkeypatch):
    settings = tiny_runs.configuration(tmp_path)
    rename = Path.rename

    def slower(stage: Path, path: Path) -> None:
        monkeypatch.setattr(Path, "rename", rename)
        runs.create(path, settings)
        stage.rename(path)

    monkeypatch.setattr(Path, "rename", slower)
    with pytest.raises(RunError, match="exists already"):
        runs.create(tmp_path / "two", settings)
    assert [p.name for p in tmp_path.iterdir()] == ["two"]


def test_the_current_folder_is_no_place_for_a_run(tmp_path: Path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for path in (".", tmp_path / "empty"):
        with pytest.raises(RunError, match="is the current folder"):
            runs.create(path, tiny_runs.configuration(tmp_path))
    assert Path.cwd().is_dir()


def test_reading_a_run_needs_no_torch_and_nothing_that_is_installed_later(folder):
    write_status(folder, status_now(Process(1, "then", "another-computer")))
    code = (
        "import sys; sys.modules['psutil'] = sys.modules['filelock'] = None\n"
        "import SIFALib.runs, SIFALib.cli.train; from SIFALib.runs import control\n"
        f"seen = control.look({str(folder.path)!r}); sys.exit('torch' in sys.modules or seen.state != 'running')"
    )
    assert tiny_runs.start("-c", code).wait() == 0


# --- files


def test_a_file_that_fails_half_way_leaves_the_former_and_no_rest(tmp_path: Path):
    path = tmp_path / "a.json"
    files.write_text(path, "former")
    with pytest.raises(RuntimeError), files.written(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "former" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


# --- lock


def test_another_computers_run_is_its_own_as_long_as_its_heart_beats(folder):
    holder = Process(1, "then", "another-computer")
    files.write_text(folder.path / lock.FILE, json.dumps(dataclasses.asdict(holder)))
    write_status(folder, status_now(holder))
    os.utime(folder.path / lock.FILE, (0, 0))
    with pytest.raises(InUse, match="on another-computer"), folder.held():
        pass
    long_ago = datetime.now(timezone.utc) - timedelta(seconds=2 * lock.SILENCE_SECONDS)
    write_status(folder, status_now(holder, heartbeat=long_ago.isoformat()))
    assert control.look(folder.path).state == "interrupted"
    with folder.held():
        pass


# --- events


def test_events_after_the_checkpoint_and_a_torn_line_are_cut_off(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    with events.EventLog(path) as log:
        for iteration in range(1, 6):
            log.append("losses", iteration, losses={"cycle": 0.1 * iteration})
        log.append("score", 5, value=0.5)
    with open(path, "ab") as file:
        file.write(b'{"kind": "losses", "iterat')
    assert len(list(events.read(path))) == 6
    events.cut(path, 5)
    assert [e["iteration"] for e in events.read(path)] == [1, 2, 3, 4, 5, 5]
    assert path.read_bytes().endswith(b"}\n")
    events.cut(path, 3)
    assert [e["iteration"] for e in events.read(path)] == [1, 2, 3]
    events.cut(path, -1)
    assert path.read_bytes() == b""


def test_a_number_that_json_does_not_have_is_never_logged(tmp_path: Path):
    with events.EventLog(tmp_path / "e") as log, pytest.raises(ValueError, match="JSON"):
        log.append("losses", 1, losses={"cycle": float("nan")})
    assert (tmp_path / "e").read_bytes() == b""


# --- checkpoints


def save(folder: Path, iteration: int, keep: int = 2, **content) -> Path:
    return checkpoints.save(folder, iteration, {"state": {"w": torch.arange(5000.0) + iteration}, **content}, keep)


def test_the_last_checkpoints_are_kept(tmp_path: Path):
    for iteration in (5, 10, 100):
        save(tmp_path, iteration)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000010.pt", "00000100.pt"]
    loaded = checkpoints.load_newest(tmp_path)
    assert loaded is not None and loaded["iteration"] == 100 and loaded["state"]["w"][0] == 100


@pytest.mark.parametrize("damage", ["flipped", "short", "empty"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_serves(tmp_path: Path, damage: str):
    save(tmp_path, 5)
    path = save(tmp_path, 10)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # in the middle of the weights, where torch itself would not see it
    path.write_bytes({"flipped": data, "short": data[:-3000], "empty": b""}[damage])
    with pytest.raises(RunError, match=r"00000010\.pt"):
        checkpoints.load(path)
    loaded = checkpoints.load_newest(tmp_path)
    assert loaded is not None and loaded["iteration"] == 5
    (tmp_path / "00000005.pt").unlink()
    with pytest.raises(RunError, match="No older one is left"):
        checkpoints.load_newest(tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_never_saved(tmp_path: Path, bad: float):
    save(tmp_path, 5)
    weights = torch.ones(3)
    weights[1] = bad
    with pytest.raises(FloatingPointError, match=r"state\.encoder\.1 is not finite after iteration 6"):
        checkpoints.save(tmp_path, 6, {"state": {"encoder": [torch.ones(2), weights]}}, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["00000005.pt"]


def test_a_checkpoint_that_would_run_a_program_is_refused(tmp_path: Path):
    torch.save({"format": 1, "state": Path("x")}, tmp_path / "00000001.pt")
    with pytest.raises(RunError, match="cannot be read"):
        checkpoints.load(tmp_path / "00000001.pt")


# --- best


def test_the_state_of_a_run_whose_process_is_gone_is_interrupted(folder):
    assert control.look(folder.path).state == "new"
    write_status(folder, status_now(processes.this_process()))
    assert control.look(folder.path).state == "running"
    write_status(folder, status_now(Process(os.getpid(), "another start", platform.node())))
    assert control.look(folder.path).state == "interrupted"
    write_status(folder, status_now(Process(os.getpid(), "another start", platform.node()), state="finished"))
    assert control.look(folder.path).state == "finished"


def test_nobody_is_asked_where_nobody_works(folder):
    for ask in (control.stop, control.pause, control.resume):
        with pytest.raises(RunError, match="it is new"):
            ask(folder.path)
    assert not folder.stop_request.exists() and not folder.pause_request.exists()


def test_runs_are_listed_with_what_is_wrong_with_them(folder):
    (folder.path.parent / "broken").mkdir()
    (folder.path.parent / "broken" / "run.json").write_text("{")
    found = {seen.folder.path.name: seen.state for seen in control.runs_in(folder.path.parent)}
    assert found == {"broken": "broken", "run": "new"}


def test_the_heartbeat_goes_on_while_nothing_happens(folder, monkeypatch):
    monkeypatch.setattr(status, "HEARTBEAT_SECONDS", 0.01)
    first = status_now(processes.this_process())
    with status.Reporter(folder.status, first) as reporter:
        reporter.update(iteration=3)  # in memory: the heartbeat brings it to the disk
        tiny_runs.wait_until(lambda: tiny_runs.status_of(folder.path)["iteration"] == 3)
        folder.status.unlink()
        tiny_runs.wait_until(folder.status.exists)
    assert status.read(folder.status).state == "running"


@pytest.mark.parametrize("message", ["a\x1b[2Jb\u200b\udcff.nii cannot be read.", "scan.nii is damaged. " * 900])
def test_whatever_a_message_names_the_status_can_be_read(folder, message: str):
    first = status_now(processes.this_process(), state="preparing")
    with status.Reporter(folder.status, first) as reporter:
        reporter.update(state="running", message=message)
        assert status.read(folder.status).message.endswith(("?.nii cannot be read.", " ..."))
        reporter.fail(RunError(message, advice="resume", folder=message))
    assert control.look(folder.path).state == "failed"


def test_what_the_heartbeat_cannot_write_is_raised_to_the_owner(folder, monkeypatch):
    monkeypatch.setattr(status, "HEARTBEAT_SECONDS", 0.01)
    with status.Reporter(folder.status, status_now(processes.this_process())) as reporter:
        folder.path.rename(folder.path.with_name("moved"))

        def refused() -> bool:
            try:
                reporter.update()
            except FileNotFoundError:
                return True
            return False

        tiny_runs.wait_until(refused)
