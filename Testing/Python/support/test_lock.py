"""A folder belongs to one process at a time, and to nobody once that is gone; processes are never mistaken."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_runs
from SIFALib.support import files, lock, processes
from SIFALib.support.errors import InUse, RunError
from SIFALib.support.processes import Process


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    """A process that lives until the test ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def holds(folder: Path, holder: Process) -> None:
    files.write_text(folder / lock.FILE, json.dumps(dataclasses.asdict(holder)))


def take(folder: Path, silence: lock.Silence = lambda holder: None) -> None:
    """Hold it for a moment. InUse."""
    with lock.held(folder, silence):
        assert lock.read(folder) == processes.this_process()


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path: Path):
    with lock.held(tmp_path):
        lock.check(tmp_path)
        with pytest.raises(InUse, match=f"process {os.getpid()} works on it") as caught:
            take(tmp_path)
        assert caught.value.fields == {"pid": os.getpid(), "host": platform.node()}
    assert not (tmp_path / lock.FILE).exists()
    take(tmp_path)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path, child):
    holder = Process(child.pid, processes.started(child.pid), platform.node())
    holds(tmp_path, holder)
    with pytest.raises(InUse, match=f"process {child.pid}"):
        take(tmp_path)
    child.kill()
    tiny_runs.wait_until(lambda: holder.is_alive() is False)  # dead, though nobody asked for its exit code yet
    take(tmp_path)


def test_a_recycled_process_number_is_not_mistaken(tmp_path: Path, child):
    holds(tmp_path, Process(child.pid, "started long ago", platform.node()))
    take(tmp_path)


def test_another_computers_lock_holds_as_long_as_something_is_heard_of_it(tmp_path: Path):
    holder, heard = Process(1, "then", "another-computer"), []

    def silence(process: Process) -> float:
        heard.append(process)
        return lock.SILENCE_SECONDS - 1

    holds(tmp_path, holder)
    with pytest.raises(InUse, match="on another-computer"):
        take(tmp_path)  # the lock itself was just written
    os.utime(tmp_path / lock.FILE, (0, 0))
    with pytest.raises(InUse, match="on another-computer"):
        take(tmp_path, silence)
    assert heard == [holder]
    take(tmp_path, lambda process: lock.SILENCE_SECONDS + 1)


def test_a_process_that_lost_its_lock_notices(tmp_path: Path):
    with lock.held(tmp_path):
        holds(tmp_path, Process(7, "later", "elsewhere"))
        with pytest.raises(RunError, match="taken over by process 7 on elsewhere"):
            lock.check(tmp_path)
        assert lock.is_lost(tmp_path)
    assert (tmp_path / lock.FILE).exists()


def test_a_folder_that_vanishes_while_it_is_held_does_not_come_back(tmp_path: Path):
    with lock.held(tmp_path):
        tmp_path.rename(tmp_path.with_name("moved"))
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    ("system", "own", "texts", "others"),
    [
        ("linux", "f00d:71234", ["f00d:71234", "f00d:71334"], ["f00d:99999", "cafe:71234", ":71234", "", "started"]),
        ("win32", "134000000000000000", ["134000000000000003"], ["134000000900000000", "f00d:7", "", "started"]),
        ("darwin", "Fri Nov  7 09:42:46 2025", [], ["Fri Nov  7 09:43:46 2025", "1762508566", ""]),
    ],
)
def test_what_version_0_3_wrote_of_a_process_still_names_it(monkeypatch, system, own, texts, others):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(processes, "started", lambda pid: own)
    alive = [Process(5, text, platform.node()).is_alive() for text in (own, *texts)]
    assert alive == [True] * len(alive)
    assert not any(Process(5, text, platform.node()).is_alive() for text in others)


def test_the_start_of_this_process_is_written_as_the_platform_tells_it():
    written = processes.started(os.getpid())
    if Path("/proc/self/stat").exists():  # Linux: as the kernel counts
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert written == f"{boot}:{ticks}"
    assert written and written == processes.started(os.getpid())


@pytest.mark.parametrize(
    ("system", "written"), [("win32", "134069821660000000"), ("darwin", "Fri Nov  7 09:42:46 2025")]
)
def test_elsewhere_the_start_is_written_as_version_0_3_did(monkeypatch, system, written):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(processes.time, "localtime", processes.time.gmtime)
    assert processes._text(1762508566.0, 0.0) == written


def test_without_psutil_nobody_knows_whether_a_process_lives(monkeypatch):
    me = processes.this_process()
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert me.is_alive() is None and me.is_here
