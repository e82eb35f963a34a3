"""Stop and pause: by files in the run folder, which everybody can make, and by signals, which end up the same.

`stop.request` ends the run after the iteration at hand, with a checkpoint; `pause.request` lets it wait until the file
is gone. SIGTERM and SIGINT (Ctrl-C) stop, a second Ctrl-C breaks off; SIGUSR1 pauses, SIGUSR2 resumes.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from .run_folder import RunFolder

STOP, PAUSE, NOTHING = 2, 1, 0
_STARTED = time.time()  # of this process, roughly: what was asked for before is not meant for it

_NAMES = {"SIGTERM": "stop", "SIGINT": "stop", "SIGBREAK": "stop", "SIGUSR1": "pause", "SIGUSR2": "resume"}
_MEANINGS: dict[int, str] = {
    getattr(signal, name): meaning for name, meaning in _NAMES.items() if hasattr(signal, name)
}
"""Not every platform has every signal."""


@dataclass
class Requests:
    """What is asked of a run. `caught`: the signals that came and were not looked at yet."""

    folder: RunFolder
    caught: set[str] = field(default_factory=set)
    stopping: bool = False

    def asked(self) -> int:
        """STOP, PAUSE or NOTHING. FileNotFoundError if the run folder is gone."""
        self._turn_signals_into_files()
        self.stopping = self.stopping or self.folder.stop_request.exists()
        if not self.folder.run_file.exists():
            raise FileNotFoundError(f"{self.folder.path} is gone; nothing more of this run can be saved.")
        if self.stopping:
            return STOP
        return PAUSE if self.folder.pause_request.exists() else NOTHING

    def answered(self) -> None:
        """Remove the request to stop, once the run has stopped. OSError."""
        self.folder.stop_request.unlink(missing_ok=True)

    def forget_old(self) -> None:
        """Remove what was asked for before this process started: starting a run means wanting it to run. OSError."""
        for path in (self.folder.stop_request, self.folder.pause_request):
            if path.exists() and path.stat().st_mtime < _STARTED - 1:
                path.unlink(missing_ok=True)

    def _turn_signals_into_files(self) -> None:
        caught, self.caught = self.caught, set()  # a signal may come between any two of these lines
        if "stop" in caught:
            self.stopping = True
        if "resume" in caught:
            self.folder.pause_request.unlink(missing_ok=True)
        elif "pause" in caught:
            self.folder.pause_request.touch()


@contextmanager
def signals(requests: Requests) -> Iterator[None]:
    """Let signals ask while the block lasts; only a process's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def catch(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and (requests.stopping or "stop" in requests.caught):
            raise KeyboardInterrupt
        requests.caught.add(_MEANINGS[number])

    before = {number: signal.signal(number, catch) for number in _MEANINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
