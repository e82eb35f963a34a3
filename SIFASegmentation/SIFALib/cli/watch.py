"""A training as its command shows it: a line of progress, and what the library warns of."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ..support.progress import Progress
from .console import ProgressLine

if TYPE_CHECKING:
    from ..runs import RunFolder


class Watch:
    """Shows the status of the run while the block lasts, and what the library warns of."""

    def __init__(self, folder: RunFolder, quiet: bool) -> None:
        self.folder, self.line, self.ended = folder, ProgressLine(quiet), threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)
        self.warnings = logging.StreamHandler()
        self.warnings.setFormatter(logging.Formatter("sifa: %(message)s"))
        self.warnings.addFilter(self._is_warning)

    def __enter__(self) -> None:
        logging.getLogger("SIFALib").addHandler(self.warnings)
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        self.line.end()
        logging.getLogger("SIFALib").removeHandler(self.warnings)

    def _is_warning(self, record: logging.LogRecord) -> bool:
        """Errors are said when the run has ended."""
        if record.levelno != logging.WARNING:
            return False
        self.line.end()
        return True

    def _show(self) -> None:
        from ..runs import control
        from ..runs.status import ACTIVE

        while not self.ended.wait(1.0):
            status = control.look(self.folder.path).status
            if status is not None and status.state in ACTIVE:
                stage = status.message or "Iteration"
                count = "" if status.message else f"{status.iteration} of {status.iterations}"
                left = None if status.state == "preparing" else status.seconds_left  # that of the step at hand alone
                self.line(Progress(stage, status.iteration / max(1, status.iterations), left, count))
