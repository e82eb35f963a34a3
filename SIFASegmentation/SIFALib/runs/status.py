"""What a run is doing now: `status.json`, with a heartbeat every few seconds. No torch here."""

from __future__ import annotations

import dataclasses
import json
import threading
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from ..support import schema
from ..support.errors import RecordError, RunError, SifaError
from ..support.files import write_text
from ..support.lock import SILENCE_SECONDS
from ..support.processes import Process
from ..support.schema import require

ACTIVE = ("preparing", "running", "paused")
STATES = (*ACTIVE, "stopped", "finished", "failed")
INTERRUPTED = "interrupted"  # shown, never written: an active state whose process is gone
HEARTBEAT_SECONDS = 3.0
LONGEST_MESSAGE = 2000  # characters; what is longer, or no plain text, could not be read again


@dataclass(frozen=True)
class Status:
    """One moment of a run.

    pid, process_started, host: the process that works on it, or did last. heartbeat: ISO 8601, UTC.
    loader_share: of the time, spent waiting for batches, 0..1. message: what it is busy with, or why it ended.
    reason: what a failed run failed of, the `code` of its error; advice, fields: what to do, as `messages.advised` says
    it (version 0.3 wrote none of the three, and the advice into the message).
    seconds_per_iteration, seconds_left, best_iteration, best_score: None as long as they are not known.
    """

    state: str
    pid: int
    process_started: str
    host: str
    iterations: int
    iteration: int = 0
    heartbeat: str = ""
    message: str = ""
    seconds_per_iteration: float | None = None
    seconds_left: float | None = None
    loader_share: float | None = None
    best_iteration: int | None = None
    best_score: float | None = None
    reason: str = ""
    advice: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.state in STATES, "state", self.state, f"must be {', '.join(STATES)}")

    @property
    def process(self) -> Process:
        return Process(self.pid, self.process_started, self.host)

    def is_active(self) -> bool:
        """Whether a process works on the run now; where only its own computer could tell, whether its heart beat lately."""
        if self.state not in ACTIVE:
            return False
        alive = self.process.is_alive()
        return self.silence() < SILENCE_SECONDS if alive is None else alive

    def shown_state(self) -> str:
        """The state, or "interrupted" for a run whose process ended without a word."""
        return self.state if self.state not in ACTIVE or self.is_active() else INTERRUPTED

    def silence(self) -> float:
        """Seconds since the last heartbeat."""
        try:
            return (datetime.now(timezone.utc) - datetime.fromisoformat(self.heartbeat)).total_seconds()
        except (ValueError, TypeError):
            return float("inf")


def read(path: Path) -> Status | None:
    """The status in that file; None if there is none yet. RunError if it cannot be."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror or error}).") from error
    try:
        status: Status = schema.load(Status, text, str(path))
    except RecordError as error:
        raise RunError(f"What should be a status is none: {error}", advice="anew", folder=path.parent) from None
    return status


def silence(path: Path, process: Process) -> float | None:
    """Seconds since the last heartbeat of that process in the status there; None if that is another's, or none."""
    try:
        last = read(path)
    except RunError:
        return None
    return None if last is None or last.process != process else last.silence()


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def readable(message: str) -> str:
    """A message that a status can hold: names of files may contain anything, and may be many."""
    plain = "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in message)
    return plain if len(plain) <= LONGEST_MESSAGE else plain[: LONGEST_MESSAGE - 4] + " ..."


class Reporter:
    """Writes status.json at once when the state changes and every few seconds in between, from a thread of its own.

    What the thread cannot write (no disk left, no folder) is raised by the next `update` of the owner.
    """

    def __init__(self, path: Path, status: Status) -> None:
        self.path, self.status = path, status
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._problem: OSError | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Reporter:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, **fields: Any) -> None:
        """Change fields of the status; a new state is on disk when this returns. OSError."""
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if "message" in fields:
            fields["message"] = readable(fields["message"])
        with self._lock:
            before, self.status = self.status, dataclasses.replace(self.status, **fields)
        if self.status.state != before.state:
            self._write()

    def fail(self, error: SifaError) -> None:
        """Say what the run failed of; nothing is raised if even that cannot be written."""
        said: dict[str, Any] = {"message": readable(str(error)), "reason": error.code, "advice": error.advice}
        said["fields"] = {key: readable(str(value)) for key, value in error.fields.items()}
        with self._lock:
            self.status = dataclasses.replace(self.status, state="failed", **said)
        with suppress(OSError):
            self._write()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._write()
            except OSError as error:
                self._problem = error

    def _write(self) -> None:
        with self._lock:
            self.status = dataclasses.replace(self.status, heartbeat=now())
            write_text(self.path, json.dumps(dataclasses.asdict(self.status), indent=2) + "\n")
