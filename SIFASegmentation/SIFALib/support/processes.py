"""Which process is which: by number, host and the moment it started, so that a recycled number fools nobody."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux: another one after every start of the computer
_HIDDEN = "?"  # a process that exists and shows nothing of itself
_TOLERANCE_SECONDS = 2.0  # a clock may be set while the process is looked at


@dataclass(frozen=True)
class Process:
    """`started` is a text that the platform gives; it serves comparison only."""

    pid: int
    started: str
    host: str

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this computer."""
        return self.host == platform.node()

    def is_alive(self) -> bool | None:
        """Whether it still runs; None if only its own computer could tell, or psutil, which is not installed."""
        if not self.is_here:
            return None
        try:
            now = started(self.pid)
        except ImportError:
            return None
        return now == _HIDDEN or _is_same(now, self.started)


def this_process() -> Process:
    return _process(os.getpid())


@cache  # what it wrote somewhere, it must find there literally
def _process(pid: int) -> Process:
    return Process(pid, started(pid), platform.node())


def started(pid: int) -> str:
    """When the process of that number started; "" if there is none (or it is dead and only waits to be buried)."""
    import psutil  # here: a Slicer that only looks at finished runs may not have it yet

    if pid <= 0:
        return ""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ""
        booted = psutil.boot_time()
        return _text(process.create_time(), booted)
    except psutil.ZombieProcess:
        return ""
    except psutil.NoSuchProcess:
        return _HIDDEN if psutil.pid_exists(pid) else ""  # another user's, which /proc may hide
    except psutil.AccessDenied:
        return _HIDDEN


def _text(moment: float, booted: float) -> str:
    """A moment (both in seconds since 1970) in the form of each platform in which version 0.3 wrote it.

    So either version knows whether the other's process lives. Linux: ticks since the computer started, which stay when
    its clock is set. Windows: 100 ns since 1601. Elsewhere: the local time.
    """
    if sys.platform == "win32":
        return str(round((moment + 11_644_473_600) * 10**7))
    if sys.platform != "linux":
        return time.asctime(time.localtime(moment))
    boot = _BOOT.read_text(encoding="ascii").strip() if _BOOT.exists() else ""
    return f"{boot}:{round((moment - booted) * _per_second())}"


def _is_same(one: str, other: str) -> bool:
    """Whether two such texts name the same moment, but for rounding."""
    (boot, _, count), (other_boot, _, other_count) = one.rpartition(":"), other.rpartition(":")
    if boot == other_boot and count.isdecimal() and other_count.isdecimal():
        return bool(one) and abs(int(count) - int(other_count)) <= _TOLERANCE_SECONDS * _per_second()
    return bool(one) and one == other


def _per_second() -> int:
    return 10**7 if sys.platform == "win32" else os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """All processes that a process started, and those that they started."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
