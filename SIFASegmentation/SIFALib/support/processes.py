"""Which process is which: by number, host and the moment it started, so that a recycled number fools nobody."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux: another one after every start of the computer
_HIDDEN = "?"  # a process that exists and shows nothing of itself


@dataclass(frozen=True)
class Process:
    """`started` is a text that the platform gives; it serves comparison only."""

    pid: int
    started: str
    host: str

    def is_alive(self) -> bool | None:
        """Whether it still runs; None if only its own computer could tell."""
        if self.host != platform.node():
            return None
        return started(self.pid) in (self.started, _HIDDEN)


def this_process() -> Process:
    return Process(os.getpid(), started(os.getpid()), platform.node())


def started(pid: int) -> str:
    """When the process of that number started; "" if there is none (or it is dead and only waits to be buried)."""
    if pid <= 0:
        return ""
    if sys.platform == "win32":
        return _started_on_windows(pid)
    return _started_on_linux(pid) if Path("/proc/self/stat").exists() else _started_elsewhere(pid)


def _started_on_linux(pid: int) -> str:
    """Field 22 of /proc/PID/stat (clock ticks since boot, proc(5)) after the name, which may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _HIDDEN if _exists(pid) else ""
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return ""
    boot = _BOOT.read_text(encoding="ascii").strip() if _BOOT.exists() else ""
    return f"{boot}:{fields[19]}"


def _started_elsewhere(pid: int) -> str:
    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    state, _, begin = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else begin.strip()


def _exists(pid: int) -> bool:
    """Whether another user's process of that number, which /proc may hide, is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return False  # ours, and gone a moment ago


def descendants(pid: int) -> list[int]:
    """All processes that a process started, and those that they started; not on Windows, where taskkill finds them."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, open_ = [], [pid]
    while open_:
        born = children.pop(open_.pop(), [])
        found += born
        open_ += born
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Number of each process and of the one that started it."""
    if not Path("/proc/self/stat").exists():
        answer = subprocess.run(["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False)
        pairs = (line.split() for line in answer.stdout.splitlines())
        yield from ((int(pid), int(parent)) for pid, parent in pairs)
        return
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                text = (place / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            yield int(place.name), int(text.rpartition(")")[2].split()[1])


def _started_on_windows(pid: int) -> str:
    import ctypes
    from ctypes import wintypes

    kernel: Any = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009 (Windows alone has it)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        denied = getattr(ctypes, "get_last_error")() == 5  # noqa: B009 (ERROR_ACCESS_DENIED)
        return _HIDDEN if denied else ""
    times = [wintypes.FILETIME() for _ in range(4)]
    code = wintypes.DWORD()
    try:
        known = kernel.GetProcessTimes(wintypes.HANDLE(handle), *(ctypes.byref(t) for t in times))
        kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
    if not known or code.value != 259:  # STILL_ACTIVE
        return ""
    return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)
