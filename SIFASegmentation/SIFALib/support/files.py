"""Files that appear complete or not at all, whatever happens to the process, the disk or the power."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp"  # what the name of an unfinished file ends in
_PATIENCE_SECONDS = 2.0  # Windows refuses to replace a file while another program reads it


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that becomes `path` when the block ends well, and vanishes when it does not. OSError."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text; complete or not at all. OSError."""
    with written(path) as file:
        file.write(text.encode("utf-8"))


def tail(path: Path, longest: int = 100_000) -> str:
    """The last bytes of a UTF-8 text, from the start of a line if it is longer; "" if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - longest))
            text = file.read()
    except OSError:
        return ""
    return (text if size <= longest else text[text.find(b"\n") + 1 :]).decode("utf-8", "replace")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power; Windows does so by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished; only for who has the run's lock."""
    for path in [*folder.glob(f".*{TEMPORARY}"), *folder.glob(".*.png")]:
        path.unlink(missing_ok=True)


def replace(temporary: Path, path: Path) -> None:
    """Give a complete file its name, in place of another; with patience where somebody reads that one. OSError."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > until:
                raise
            time.sleep(0.02)
