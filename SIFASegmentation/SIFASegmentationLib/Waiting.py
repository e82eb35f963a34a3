"""Work that somebody waits for: a window says how far it is and lets it be cancelled, while Slicer stays alive."""

from __future__ import annotations

from typing import TypeVar

import qt
import slicer
from SIFALib.support.progress import Progress, Steps, drain
from slicer.i18n import tr as _

Result = TypeVar("Result")

PARTS = 1000  # of the bar
QUICK_MS = 500  # what takes less shows no window


class _Cancelled(Exception):
    """Raised between two steps, by the person."""


def waitFor(steps: Steps[Result]) -> Result | None:
    """Take all steps and return their result; None if the person cancelled. In testing mode there is no window."""
    if slicer.app.testingEnabled():
        return drain(steps)
    window = qt.QProgressDialog("", _("Cancel"), 0, PARTS, slicer.util.mainWindow())
    window.windowTitle, window.minimumDuration, window.autoReset = "SIFA", QUICK_MS, False
    window.setWindowModality(qt.Qt.WindowModal)

    def show(step: Progress) -> None:
        window.labelText = step.stage
        window.value = round(PARTS * step.fraction)
        slicer.app.processEvents()
        if window.wasCanceled:
            raise _Cancelled

    try:
        return drain(steps, show)
    except _Cancelled:
        return None
    finally:
        steps.close()
        window.close()
        window.deleteLater()
