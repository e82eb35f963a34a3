"""Work in steps (see SIFALib.support.progress), taken one after the other from Qt's event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
from SIFALib.support.progress import Progress, Steps

SLICE_SECONDS = 0.05  # how long the runner holds the event loop at once, if the steps are shorter
PAINT_MS = 20  # time for the panel to paint the name of a new stage


class Runner:
    """Steps a generator by a timer, so that Slicer stays alive, and drops it on `cancel`."""

    def __init__(
        self, onStep: Callable[[Progress], None], onDone: Callable[[Any], None], onError: Callable[[Exception], None]
    ) -> None:
        self._onStep, self._onDone, self._onError = onStep, onDone, onError
        self._steps: Steps[Any] | None = None
        self._stepping = False
        self._stage = ""
        self._timer = qt.QTimer()
        # Started anew after each slice, so that a dialog opened within a step cannot re-enter it.
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._takeSteps)

    @property
    def running(self) -> bool:
        return self._steps is not None

    def start(self, steps: Steps[Any]) -> None:
        self.cancel()
        self._steps, self._stage = steps, ""
        self._timer.start(0)

    def cancel(self) -> None:
        """Drop the work: at once, or at the end of the step that is being taken."""
        steps, self._steps = self._steps, None
        self._timer.stop()
        if steps is not None and not self._stepping:
            steps.close()

    def _takeSteps(self) -> None:
        steps = self._steps
        if steps is None:
            return
        end = time.monotonic() + SLICE_SECONDS
        self._stepping = True
        finish: Callable[[], None] | None = None
        try:
            step = next(steps)
            while time.monotonic() < end and step.stage == self._stage:
                step = next(steps)
        except StopIteration as stop:
            result = stop.value
            finish = lambda: self._onDone(result)  # noqa: E731
        except Exception as error:  # whatever it is, the person at the screen is told
            failure = error
            finish = lambda: self._onError(failure)  # noqa: E731
        finally:
            self._stepping = False
        if self._steps is not steps:  # cancelled from within a step
            steps.close()
        elif finish is not None:
            self._steps = None
            finish()
        else:
            pause = PAINT_MS if step.stage != self._stage else 0  # before its first step, which may be long
            self._stage = step.stage
            self._onStep(step)
            self._timer.start(pause)
