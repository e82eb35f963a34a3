"""Work that somebody waits for: a window says how far it is and lets it be cancelled, while Slicer stays alive."""

from __future__ import annotations

from typing import TypeVar

import qt
import slicer
from SIFALib.support.progress import Steps, drain
from slicer.i18n import tr as _

Result = TypeVar("Result")

PARTS = 1000  # of the bar
QUICK_MS = 500  # what takes less shows no window


def waitFor(steps: Steps[Result]) -> Result | None:
    """Take all steps and return their result; None if the person cancelled. In testing mode there is no window."""
    if slicer.app.testingEnabled():
        return drain(steps)
    window = qt.QProgressDialog("", _("Cancel"), 0, PARTS, slicer.util.mainWindow())
    window.windowTitle, window.minimumDuration, window.autoReset = "SIFA", QUICK_MS, False
    window.setWindowModality(qt.Qt.WindowModal)
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            window.labelText = step.stage
            window.value = round(PARTS * step.fraction)
            slicer.app.processEvents()
            if window.wasCanceled:
                return None
    finally:
        steps.close()
        window.close()
        window.deleteLater()
