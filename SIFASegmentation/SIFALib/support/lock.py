"""One process per run folder: `lock.json` names it, and whoever finds its process gone may take over."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..runs import status
from ..runs.run_folder import RunFolder
from . import schema
from .errors import InUse, RecordError, RunError
from .files import write_text
from .processes import Process, this_process

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(folder: RunFolder | Path) -> Iterator[None]:
    """Keep every other process off the run while the block lasts. InUse if one works on it, OSError."""
    folder = RunFolder(folder) if isinstance(folder, Path) else folder
    me = this_process()
    with _guard(folder):
        holder = read(folder.lock)
        if holder is not None and _is_working(holder, folder):
            where = "" if holder.host == me.host else f" on {holder.host}"
            raise InUse(f"{folder.path} is in use: process {holder.pid}{where} works on it. Stop it first, or wait.")
        write_text(folder.lock, json.dumps(dataclasses.asdict(me)) + "\n")
    try:
        yield
    finally:
        with suppress(OSError), _guard(folder):
            if read(folder.lock) == me:
                folder.lock.unlink()


def check(folder: RunFolder) -> None:
    """RunError if another process took over, as it may after a long silence of this one."""
    holder = read(folder.lock)
    if holder is not None and holder != this_process():
        raise RunError(f"{folder.path} was taken over by process {holder.pid} on {holder.host}.")


def is_lost(folder: RunFolder) -> bool:
    """Whether another process took over."""
    return read(folder.lock) not in (None, this_process())


def read(path: Path) -> Process | None:
    """The process that the lock names; None if there is no lock, or none that means anything."""
    try:
        return schema.decode(Process, schema.parse(path.read_bytes(), str(path)))
    except (OSError, RecordError):
        return None


def _is_working(holder: Process, folder: RunFolder) -> bool:
    alive = holder.is_alive()
    if alive is not None:
        return alive
    with suppress(OSError):
        if time.time() - folder.lock.stat().st_mtime < status.SILENCE_SECONDS:
            return True
    with suppress(RunError):
        last = status.read(folder.status)
        return last is not None and last.process == holder and last.silence() < status.SILENCE_SECONDS
    return False


@contextmanager
def _guard(folder: RunFolder) -> Iterator[None]:
    """Only one process at a time reads and writes the lock; where files cannot be locked, nothing guards it."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder.path / ".guard", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.lockf(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
