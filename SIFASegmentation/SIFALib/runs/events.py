"""What happened in a run, one JSON object a line: `events.jsonl`. No torch here.

Every event has `kind`, `iteration` (finished by then) and `time` (ISO 8601, UTC). Kinds: "started" (versions, processes,
device), "losses" (losses by name, seconds, waited), "score" (value, parts, vetoes, best), "preview" (file),
"checkpoint" (file), "ended" (state, message). The iterations never fall from one line to the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from .status import now


class EventLog:
    """Appends to the file; a line is there as a whole or, if there is no room for it, not at all."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed in __exit__)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.file.close()

    def append(self, kind: str, iteration: int, **fields: Any) -> None:
        """Add a line. OSError, or ValueError for a number that JSON does not have (NaN)."""
        event = {"kind": kind, "iteration": iteration, "time": now(), **fields}
        line = json.dumps(event, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        end = self.file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self.file.write(line) :]
        except OSError:
            self.file.truncate(end)
            raise

    def sync(self) -> None:
        """Make what was added survive a loss of power. OSError."""
        os.fsync(self.file.fileno())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The events so far; lines that are no events are passed over, and there are none without a file."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            event = _parsed(line)
            if event is not None:
                yield event


def cut(path: Path, iteration: int) -> None:
    """Remove what was logged after that iteration, and a torn last line, so that all of it can be done again. OSError."""
    if not path.exists():
        return
    end = 0
    with open(path, "rb+") as file:
        for line in file:
            event = _parsed(line)
            if event is not None and event["iteration"] > iteration:
                break
            if event is not None:
                end = file.tell()
        file.truncate(end)
        os.fsync(file.fileno())


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    known = isinstance(event, dict) and isinstance(event.get("kind"), str)
    return event if known and type(event.get("iteration")) is int else None
