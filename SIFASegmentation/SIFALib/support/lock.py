"""One process per folder: `lock.json` names it, and whoever finds its process gone may take over.

The process may be on another computer, of which only its files tell; whether it still works is then a matter of how
long nothing was heard of it.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from . import schema
from .errors import InUse, RecordError, RunError
from .files import clock, write_text
from .processes import Process, this_process

FILE = "lock.json"
GUARD = ".guard"  # locked while FILE is read and written
SILENCE_SECONDS = 600.0  # after so long without a sign of life, a process on another computer counts as gone
BEAT_SECONDS = 15.0  # between signs of life, where nothing else gives one
_PATIENCE_SECONDS = 10.0  # with whoever holds the guard, for an instant; then it is done without

Silence = Callable[[Process], float | None]
"""Seconds since the last sign of life of a process that held the lock; None if it left none."""


@contextmanager
def held(folder: Path, silence: Silence = lambda holder: None) -> Iterator[None]:
    """Keep every other process off the folder while the block lasts. InUse if one works on it, OSError."""
    me, file = this_process(), folder / FILE
    with guard(folder):
        holder = read(folder)
        if holder is not None and _is_working(holder, file, silence):
            where = "" if holder.host == me.host else f" on {holder.host}"
            what = f"{folder} is in use: process {holder.pid}{where} works on it. Stop it first, or wait."
            raise InUse(what, pid=holder.pid, host=holder.host)
        write_text(file, json.dumps(dataclasses.asdict(me)) + "\n")
    try:
        yield
    finally:
        with suppress(OSError), guard(folder):
            if read(folder) == me:
                file.unlink()


def check(folder: Path) -> None:
    """RunError if another process took over, as it may after a long silence of this one."""
    holder = read(folder)
    if holder is not None and holder != this_process():
        raise RunError(f"{folder} was taken over by process {holder.pid} on {holder.host}.")


def is_lost(folder: Path) -> bool:
    """Whether another process took over."""
    return read(folder) not in (None, this_process())


def is_held(folder: Path, patience_seconds: float = SILENCE_SECONDS) -> bool:
    """Whether a process that works holds the folder; one on another computer, if its last sign of life is no older."""
    holder = read(folder)
    return holder is not None and _is_working(holder, folder / FILE, lambda process: None, patience_seconds)


@contextmanager
def beating(folder: Path, every_seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Give signs of life on the lock of a folder that this process holds, from a thread, while the block lasts."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every_seconds):
            with suppress(OSError):  # the folder may be gone; who works in it notices
                os.utime(folder / FILE)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read(folder: Path) -> Process | None:
    """The process that holds the lock; None if there is no lock, or none that means anything."""
    path = folder / FILE
    try:
        holder: Process = schema.decode(Process, schema.parse(path.read_bytes(), str(path)))
    except (OSError, RecordError):
        return None
    return holder


def _is_working(holder: Process, file: Path, silence: Silence, patience_seconds: float = SILENCE_SECONDS) -> bool:
    """By the process itself on this computer; else by signs of life, of which one far in the future is none."""
    alive = holder.is_alive()
    if alive is not None:
        return alive
    with suppress(OSError):
        if abs(clock(file.parent) - file.stat().st_mtime) < patience_seconds:
            return True
    seconds = silence(holder)
    return seconds is not None and abs(seconds) < patience_seconds


@contextmanager
def guard(folder: Path) -> Iterator[None]:
    """Only one process at a time reads and writes the lock; where files cannot be locked, nothing guards it."""
    from filelock import FileLock  # here: a Slicer that only looks at runs may not have it yet

    if not folder.is_dir():  # FileLock would make it
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError):  # a file system without locks; one that is never free
            stack.enter_context(FileLock(folder / GUARD, timeout=_PATIENCE_SECONDS))
        yield
