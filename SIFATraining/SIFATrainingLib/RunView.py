"""The run that is looked at: state, bar, time left, curves, preview, log; pause, resume, stop. It reads the folder only."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from SIFASegmentationLib import Words as Common
from slicer.i18n import tr as _

from . import RunSentence, Words
from .Curves import Curves
from .Logic import SIFATrainingLogic
from .RunReader import RunReader
from .RunSentence import ACTIVE

POLL_MS = 1000


class RunView:
    """Shows one run folder; `onChanged(state)` is called when the state changes."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic, onChanged: Callable[[str], None]) -> None:
        self.ui, self.logic, self.onChanged = ui, logic, onChanged
        self.reader: RunReader | None = None
        self.curves = Curves()
        self.state = ""
        self._stopping = False
        self._shown: tuple[Path, int] | None = None  # picture and width that the preview shows
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.refresh)
        ui.pauseButton.connect("clicked(bool)", self.onPause)
        ui.stopButton.connect("clicked(bool)", self.onStop)
        ui.curvesButton.connect("clicked(bool)", self.onCurves)
        ui.copyDetailsButton.connect("clicked(bool)", self.onCopy)
        ui.logCollapsibleButton.connect("contentsCollapsed(bool)", lambda _collapsed: self._showLog())
        ui.runCollapsibleButton.setVisible(False)

    @property
    def path(self) -> Path | None:
        return self.reader.path if self.reader is not None else None

    def open(self, path: Path | None) -> None:
        """Look at that run; None: at none."""
        self.curves.close()
        self.reader = RunReader(path) if path is not None else None
        self.state, self._stopping, self._shown = "", False, None
        self.ui.runCollapsibleButton.setVisible(path is not None)
        if path is None:
            self._timer.stop()
            return
        self.ui.runCollapsibleButton.collapsed = False
        self.refresh()
        self._timer.start()

    def close(self) -> None:
        """Stop looking, for good."""
        self._timer.stop()
        self.curves.close()

    def watch(self, watching: bool) -> None:
        """Look at it now and then, or not, because nobody sees it: the curves may be seen from other modules."""
        if self.reader is not None and (watching or self.curves.shown):
            self._timer.start()
        else:
            self._timer.stop()

    def refresh(self) -> None:
        """Read what is new and show it."""
        if self.reader is None:
            return
        self.reader.refresh()
        state = self._actual()
        if state not in ACTIVE:
            self._stopping = False
        if state != self.state:
            Words.say(self.ui.runStatusLabel, "")  # it was about another state
        self._showState(state)
        self._showButtons(state)
        self._showScore()
        self._showPreview()
        self._showLog()
        self.curves.draw(self.reader.curves())
        before, self.state = self.state, state
        if state != before:
            self.onChanged(state)

    def _actual(self) -> str:
        """The state, or "starting" while a process of ours has not written any, or "lost" if it ended before it could."""
        assert self.reader is not None
        state = self.reader.state
        launched = self.logic.launched(self.reader.path)
        if launched is None or self.reader.seen is None:
            return state
        status = self.reader.seen.status
        if status is not None and status.process != launched.before:  # the new process has written it
            return state
        code = launched.child.poll()
        if code is None:
            return "starting"
        return "lost" if code and state not in ACTIVE else state

    # What is shown

    def _showState(self, state: str) -> None:
        reader, ui = self.reader, self.ui
        assert reader is not None and reader.seen is not None
        status, run = reader.seen.status, reader.seen.run
        name = run.configuration.name if run else reader.path.name
        ui.runNameLabel.text = f"<b>{html.escape(name)}</b>"
        ui.runNameLabel.toolTip = str(reader.path)
        done, total = (status.iteration, status.iterations) if status else (0, 0)
        ui.runBar.maximum = max(1, total)
        ui.runBar.value = done
        ui.runBar.setVisible(state not in ("broken", "new", "lost"))
        kind, text = RunSentence.of(reader.seen, state, self._stopping, self.logic)
        Words.show(ui.runStateLabel, kind, text)
        ui.copyDetailsButton.setVisible(state in ("failed", "interrupted", "lost", "broken"))
        line = ""
        if status is not None and state == "running" and status.seconds_per_iteration:
            line = _("Iteration {done} of {total} · {each:.1f} s each").format(
                done=done, total=total, each=status.seconds_per_iteration
            )
            if status.seconds_left:
                line += f" · {Common.timeLeft(status.seconds_left)}"
        elif total and state not in ("preparing", "starting", "new"):
            line = _("Iteration {done} of {total}").format(done=done, total=total)
        ui.runTimeLabel.text = line
        ui.runTimeLabel.setVisible(bool(line))

    def _showButtons(self, state: str) -> None:
        assert self.reader is not None and self.reader.seen is not None
        ui, own = self.ui, self.logic.isOurs(self.reader.seen)
        active = state in ACTIVE
        ui.pauseButton.text = _("Pause") if state in ("running", "preparing", "starting") else _("Resume")
        ui.pauseButton.enabled = (
            own and state not in ("starting", "preparing", "finished", "broken") and not self._stopping
        )
        ui.stopButton.text = _("Stop at once") if self._stopping else _("Stop")
        ui.stopButton.enabled = own and (active or state == "starting")
        why = (
            ""
            if own or state == "broken"
            else _("This run belongs to another computer, or its folder cannot be written to: it can be looked at.")
        )
        ui.pauseButton.toolTip = why or _("Let the training wait, or go on.")
        ui.stopButton.toolTip = why or _("Save and end; it can be resumed later.")
        ui.readOnlyLabel.text = f"<small>{html.escape(why)}</small>"
        ui.readOnlyLabel.setVisible(bool(why))

    def _showScore(self) -> None:
        assert self.reader is not None
        start, best = self.reader.start(), self.reader.best()
        text = ""
        if best is not None and best.verdict is not None:
            if best.iteration:
                text = _("Best so far, at iteration {n}: better than the start with probability {chance:.0%}").format(
                    n=best.iteration, chance=best.verdict.probability
                )
        elif best is not None and best.iteration:
            text = _("Score without labels: {value:.3f} at iteration {iteration}").format(
                value=best.value, iteration=best.iteration
            )
            if start is not None:
                text += _(", {value:.3f} at the start").format(value=start.value)
        elif start is not None:
            text = _("Score without labels: {value:.3f} at the start").format(value=start.value)
        self.ui.runScoreLabel.text = text
        self.ui.runScoreLabel.setVisible(bool(text))

    def _showPreview(self) -> None:
        assert self.reader is not None
        picture = self.reader.preview()
        self.ui.previewFrame.setVisible(picture is not None)
        if picture is None:
            return
        width = max(240, self.ui.runStateLabel.width)
        if self._shown == (picture, width):
            return
        pixmap = qt.QPixmap(str(picture))
        if pixmap.isNull():
            return
        self._shown = (picture, width)
        self.ui.previewLabel.setPixmap(pixmap.scaledToWidth(width, qt.Qt.SmoothTransformation))
        self.ui.previewLabel.toolTip = _("After iteration {number}").format(number=int(picture.stem))

    def _showLog(self) -> None:
        if self.reader is None or self.ui.logCollapsibleButton.collapsed:
            return
        text = self.reader.log()
        if text != self.ui.logText.plainText:
            self.ui.logText.setPlainText(text)
            bar = self.ui.logText.verticalScrollBar()
            bar.setValue(bar.maximum)

    # What the person does

    def onPause(self, _checked: bool = False) -> None:
        """Pause; or go on, whatever it waits for."""
        from SIFALib.runs import control

        path = self.path
        assert path is not None
        act = {"running": control.pause, "paused": control.resume}.get(self.state, self.resume)
        self._try(lambda: act(path))

    def resume(self, path: Path) -> None:
        """Start the run's process again. RunError, DependencyError, OSError."""
        self.logic.dependencies.ensure()
        self.logic.goOn(path)

    def onStop(self, _checked: bool = False) -> None:
        """Ask it to stop; the second time, end it with everything that it started."""
        from SIFALib.runs import control

        path = self.path
        assert path is not None

        def ask() -> None:
            control.stop(path)
            self._stopping = True

        if self._stopping or self.state == "starting":
            self._try(lambda: self.logic.kill(path))
        else:
            self._try(ask)

    def _try(self, work: Callable[[], None]) -> None:
        text = ""
        try:
            work()
        except (ValueError, RuntimeError, OSError) as error:  # RunError, DependencyError
            text = Words.forPanel(error)
        self.refresh()
        Words.say(self.ui.runStatusLabel, text)

    def onCurves(self, _checked: bool = False) -> None:
        """Show the curves in Slicer's plot view."""
        assert self.reader is not None
        self.curves.open(self.reader.path.name)
        self.curves.draw(self.reader.curves())

    def onCopy(self, _checked: bool = False) -> None:
        assert self.reader is not None
        slicer.app.clipboard().setText(self.reader.details())
        text = _("Copied: configuration, status and log. They name the folders of your scans.")
        Words.say(self.ui.runStatusLabel, text)
