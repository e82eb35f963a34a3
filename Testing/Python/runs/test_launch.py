"""Processes that a panel starts: found, ended with all that they started, never mistaken for others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_runs
from SIFALib.runs import launch
from SIFALib.support import processes

FAMILY = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def family(folder: Path) -> tuple[subprocess.Popen, int]:
    """A process of ours that started another one, and the number of that."""
    (folder / "family.py").write_text(FAMILY)
    environment = {"PYTHONPATH": str(folder)}
    number = folder / "number"
    parent = launch.start(sys.executable, "family", [str(number)], folder / "said.txt", environment)
    tiny_runs.wait_until(lambda: number.exists() and number.read_text(), parent)
    return parent, int(number.read_text())


def identity(pid: int) -> processes.Process:
    return processes.Process(pid, processes.started(pid), processes.this_process().host)


def gone(pid: int) -> bool:
    return processes.started(pid) == ""


LAUNCHER = """
import pathlib, subprocess, sys
parent = subprocess.Popen([sys.executable, *sys.argv[2:]])
pathlib.Path(sys.argv[1]).write_text(str(parent.pid))
parent.wait()
"""


def test_a_process_is_ended_with_its_own_when_a_launcher_leads_their_group(tmp_path: Path):
    (tmp_path / "family.py").write_text(FAMILY)
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    number, program = tmp_path / "number", tmp_path / "program"
    arguments = [str(program), str(tmp_path / "family.py"), str(number)]
    environment = {"PYTHONPATH": str(tmp_path)}
    launcher = launch.start(sys.executable, "launcher", arguments, tmp_path / "said.txt", environment)
    tiny_runs.wait_until(lambda: number.exists() and number.read_text(), launcher)
    pids = [int(path.read_text()) for path in (program, number)]
    assert set(processes.descendants(launcher.pid)) == set(pids) and not any(map(gone, pids))
    assert launch.end(identity(pids[0]))
    launcher.wait()
    tiny_runs.wait_until(lambda: all(map(gone, pids)))


@pytest.mark.parametrize("way", ["kill", "end"])
def test_a_process_is_ended_with_all_that_it_started(tmp_path: Path, way: str):
    parent, child = family(tmp_path)
    assert not gone(child)
    if way == "kill":
        launch.kill(parent)
    else:
        assert launch.end(identity(parent.pid))
        parent.wait()
    tiny_runs.wait_until(lambda: gone(child) and gone(parent.pid))


def test_on_windows_a_process_is_ended_without_psutil_by_the_systems_own_program(tmp_path: Path, monkeypatch):
    """A check of scans can be cancelled before anything was installed."""
    asked, (parent, child) = [], family(tmp_path)

    def run(command, **_keywords):
        asked.append(command)
        os.killpg(parent.pid, 9)

    with monkeypatch.context() as windows:
        windows.setattr(launch.sys, "platform", "win32")
        windows.setitem(sys.modules, "psutil", None)
        windows.setattr(launch.subprocess, "run", run)
        launch.kill(parent)
    assert asked == [["taskkill", "/T", "/F", "/PID", str(parent.pid)]]
    tiny_runs.wait_until(lambda: gone(child))


def test_a_process_has_a_session_of_its_own_so_that_it_outlives_who_started_it(tmp_path: Path):
    parent, _ = family(tmp_path)
    assert os.getsid(parent.pid) == parent.pid != os.getsid(0)
    launch.kill(parent)


def test_a_recycled_number_is_left_alone(tmp_path: Path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    mistaken = processes.Process(stranger.pid, "some other start", processes.this_process().host)
    assert not launch.end(mistaken)
    time.sleep(0.1)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_process_that_shares_a_group_is_ended_without_its_neighbours():
    members = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
    assert launch.end(identity(members[0].pid))
    members[0].wait()
    assert members[1].poll() is None
    members[1].kill()
    members[1].wait()


def test_what_an_early_end_said_is_known(tmp_path: Path):
    (tmp_path / "family.py").write_text("raise RuntimeError('no such thing')")
    child = launch.start(sys.executable, "family", [], tmp_path / "said", {"PYTHONPATH": str(tmp_path)})
    assert child.wait() == 1
    assert launch.last_words(tmp_path / "said") == "RuntimeError: no such thing"
    assert launch.last_words(tmp_path / "nothing") == ""
