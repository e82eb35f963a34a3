"""Processes of the library that somebody else starts: a panel, a script. No torch here.

A process of ours has a session (on Windows: a process group) of its own. It outlives whoever started it, and it can be
ended together with everything that it started itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..support import files, processes
from ..support.processes import Process

LIBRARY = Path(__file__).resolve().parents[2]  # the folder that SIFALib lies in
OUTPUT = "process.txt"  # in a run folder: what its process printed, besides log.txt
ISOLATED = "import sys; sys.path[:] = [p for p in sys.path if p not in ('', '.')]; "
"""First words of what `python -c` runs: it would look for every module in the current folder first, a stranger's perhaps."""
_BOOTSTRAP = (
    ISOLATED + "sys.path.insert(0, sys.argv.pop(1)); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_WINDOWS_FLAGS = 0x00000200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
_SILENT = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
_BREAKAWAY = 0x01000000  # CREATE_BREAKAWAY_FROM_JOB: a job would end us with the program that started us


def start(
    python: str, module: str, arguments: Sequence[str], output: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` with this library, what it prints going into the file `output`. OSError.

    environment: additions to this process's.
    """
    command = [python, "-c", _BOOTSTRAP, str(LIBRARY), module, *arguments]
    variables = {**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})}
    with open(output, "wb") as file:
        common = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT, "env": variables}
        if sys.platform != "win32":
            return subprocess.Popen(command, start_new_session=True, **common)  # type: ignore[call-overload,no-any-return]
        try:
            return subprocess.Popen(command, creationflags=_WINDOWS_FLAGS | _BREAKAWAY, **common)
        except PermissionError:  # a job that lets nobody go
            return subprocess.Popen(command, creationflags=_WINDOWS_FLAGS, **common)


def train(folder: Path, python: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start the training in a run folder, or go on with it. OSError."""
    return start(python, "SIFALib.runs", [str(folder)], folder / OUTPUT, environment)


def end(process: Process) -> bool:
    """End a process at once, with all that it started; False if it is not this one any more.

    A recycled number is left alone, and so is whatever started the process.
    """
    if not process.is_alive():
        return False
    # Not by its group alone: Slicer's launcher leads that, or a script of which it is a part.
    for pid in (process.pid, *processes.descendants(process.pid)):
        with suppress(OSError):  # it has ended by itself
            os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)  # either ends it at once
    return True


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child of ours at once, with all that it started, and forget it."""
    if child.poll() is None:
        if sys.platform == "win32":
            _end_on_windows(child.pid)
        else:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)  # it leads a group since its start
    child.wait()


def _end_on_windows(pid: int) -> None:
    try:
        end(Process(pid, processes.started(pid), processes.this_process().host))
    except ImportError:  # no psutil: a Slicer that has installed nothing yet
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False, **_SILENT)  # type: ignore[call-overload]


def last_words(output: Path, characters: int = 400) -> str:
    """The last line that a process printed: for one that ended before it could say more. "" if there is none."""
    lines = [line.strip() for line in files.tail(output).splitlines() if line.strip()]
    return lines[-1][:characters] if lines else ""
