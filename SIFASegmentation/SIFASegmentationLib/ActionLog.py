"""What SIFA has logged since the person last began something: the part of a report that tells what happened."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

MOST = 120  # lines
ROOMS = ("SIFALib", "SIFASegmentation", "SIFATraining")  # loggers whose records are ours
OURS = "SIFA"  # what messages of ours to the root begin with
FORM = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")


class ActionLog(logging.Handler):
    """Keeps the newest records in memory; nothing is written anywhere.

    naming: tells the names of persons and scans that records may hold now. names: all that it has told since the action
    began, as a scan that is named in the log may have left the scene since.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.action = ""
        self.names: set[str] = set()
        self.naming: Callable[[], Iterable[str]] = tuple
        self._lines: deque[str] = deque(maxlen=MOST)

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.split(".")[0] in ROOMS or (record.name == "root" and str(record.msg).startswith(OURS))
        if not ours:
            return
        try:
            self._lines.extend(FORM.format(record).splitlines())
            if threading.current_thread() is threading.main_thread():  # the scene is its own
                self.remember()
        except Exception:
            self.handleError(record)

    def remember(self) -> None:
        """Ask for the names that there are now; of the main thread."""
        self.names.update(self.naming())

    def begin(self, action: str) -> None:
        """What was logged before belongs to something else."""
        self.action = action
        self._lines.clear()
        self.names.clear()
        self.remember()

    @property
    def lines(self) -> list[str]:
        return list(self._lines)


LOG = ActionLog()


def attach(naming: Callable[[], Iterable[str]]) -> None:
    """Listen from now on; more than once is no more than once. naming: see `ActionLog`."""
    LOG.naming = naming
    if LOG not in logging.getLogger().handlers:
        logging.getLogger().addHandler(LOG)
