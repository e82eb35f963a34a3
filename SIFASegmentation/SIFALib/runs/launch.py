"""Processes of the library that somebody else starts: a panel, a script. No torch here.

A process of ours has a session (on Windows: a process group) of its own. It outlives whoever started it, and it can be
ended together with everything that it started itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import processes
from .processes import Process

LIBRARY = Path(__file__).resolve().parents[2]  # the folder that SIFALib lies in
OUTPUT = "process.txt"  # in a run folder: what its process printed, besides log.txt
_BOOTSTRAP = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_WINDOWS_FLAGS = 0x00000200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
_BREAKAWAY = 0x01000000  # CREATE_BREAKAWAY_FROM_JOB: a job would end us with the program that started us
_GRACE_SECONDS = 5.0  # between asking a process to end and ending it


def start(
    python: str,
    module: str,
    arguments: Sequence[str],
    output: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen:
    """Start `python -m module arguments` with this library, what it prints going into the file `output`. OSError.

    environment: additions to this process's.
    """
    command = [python, "-c", _BOOTSTRAP, str(LIBRARY), module, *arguments]
    variables = {**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})}
    with open(output, "wb") as file:
        common = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT, "env": variables}
        if sys.platform != "win32":
            return subprocess.Popen(command, start_new_session=True, **common)  # type: ignore[call-overload]
        try:
            return subprocess.Popen(command, creationflags=_WINDOWS_FLAGS | _BREAKAWAY, **common)
        except PermissionError:  # a job that lets nobody go
            return subprocess.Popen(command, creationflags=_WINDOWS_FLAGS, **common)


def train(folder: Path, python: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start the training in a run folder, or go on with it. OSError."""
    return start(python, "SIFALib.runs", [str(folder)], folder / OUTPUT, environment)


def end(process: Process) -> bool:
    """End a process that `start` started, and all that it started; False if it is not this one any more.

    A recycled number is left alone.
    """
    if not process.is_alive():
        return False
    if sys.platform == "win32":
        command = ["taskkill", "/PID", str(process.pid), "/T", "/F"]
        subprocess.run(command, capture_output=True, check=False, creationflags=_WINDOWS_FLAGS)
        return True
    group = _group(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _send(process.pid, group, number)
        until = time.monotonic() + _GRACE_SECONDS
        while number == signal.SIGTERM and process.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
    return True


def kill(child: subprocess.Popen) -> None:
    """End a child of ours at once, with all that it started, and forget it."""
    if child.poll() is None:
        if sys.platform == "win32":
            end(Process(child.pid, processes.started(child.pid), processes.this_process().host))
        else:
            _send(child.pid, _group(child.pid), signal.SIGKILL)
    child.wait()


def _group(pid: int) -> int:
    """The group that a process leads, or 0: then it shares one with others, who must live."""
    try:
        return pid if os.getpgid(pid) == pid else 0
    except OSError:
        return 0


def _send(pid: int, group: int, number: int) -> None:
    try:
        if group:
            os.killpg(group, number)
        else:
            os.kill(pid, number)
    except OSError:
        pass  # it has ended by itself


def last_words(output: Path, characters: int = 400) -> str:
    """The last line that a process printed: for one that ended before it could say more. "" if there is none."""
    try:
        text = output.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:characters] if lines else ""
