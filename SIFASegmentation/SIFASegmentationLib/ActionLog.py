"""What SIFA has logged since the person last began something: the part of a report that tells what happened."""

from __future__ import annotations

import logging
from collections import deque

MOST = 120  # lines
ROOMS = ("SIFALib", "SIFASegmentation", "SIFATraining")  # loggers whose records are ours
OURS = "SIFA"  # what messages of ours to the root begin with
FORM = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")


class ActionLog(logging.Handler):
    """Keeps the newest records in memory; nothing is written anywhere."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.action = ""
        self._lines: deque[str] = deque(maxlen=MOST)

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.split(".")[0] in ROOMS or (record.name == "root" and str(record.msg).startswith(OURS))
        if ours:
            self._lines.extend(FORM.format(record).splitlines())

    def begin(self, action: str) -> None:
        """What was logged before belongs to something else."""
        self.action = action
        self._lines.clear()

    @property
    def lines(self) -> list[str]:
        return list(self._lines)


LOG = ActionLog()


def attach() -> None:
    """Listen from now on; more than once is no more than once."""
    if LOG not in logging.getLogger().handlers:
        logging.getLogger().addHandler(LOG)
