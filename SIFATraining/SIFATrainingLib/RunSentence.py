"""How a run is, in a sentence for the person at the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SIFASegmentationLib import Words as Common
from slicer.i18n import tr as _

from . import Words
from .Words import State

if TYPE_CHECKING:
    from SIFALib.runs.control import Seen

    from .Logic import SIFATrainingLogic

ACTIVE = ("preparing", "running", "paused")
SILENT_SECONDS = 120.0  # without a heartbeat, of a process that is there: it hangs, or its disk does


def of(seen: Seen, state: str, stopping: bool, logic: SIFATrainingLogic) -> tuple[State, str]:
    """stopping: the person asked for it. Besides the states of runs there are "starting" and "lost", see RunView."""
    status = seen.status
    if seen.error is not None and state == "broken":
        return State.PROBLEM, Words.forPanel(seen.error)
    if state == "lost":
        from SIFALib.runs import launch

        said = launch.last_words(seen.folder.path / launch.OUTPUT)
        return State.PROBLEM, said or _("The process ended before the training began.")
    if state == "failed":
        return State.PROBLEM, _failure(seen, logic)
    if state == "interrupted":
        return State.PROBLEM, _(
            "The process ended without a word: the computer was shut down, perhaps. Press Resume; it goes on from "
            "its last checkpoint."
        )
    if stopping and state in ACTIVE:
        return State.CHECKING, _("Stopping; it saves first")
    if status is not None and state in ACTIVE and status.silence() > SILENT_SECONDS:
        return State.PROBLEM, _("The process has not been heard of for {time}.").format(
            time=Common.duration(status.silence())
        )
    message = status.message if status else ""
    kind, text = {
        "starting": (State.CHECKING, _("Starting")),
        "preparing": (State.CHECKING, message or _("Preparing")),
        "running": (State.CHECKING, _("Adapting the model")),
        "paused": (State.EMPTY, _("Paused")),
        "stopped": (State.EMPTY, _("Stopped; it can go on at any time")),
        "finished": (State.FINE, _("Finished")),
        "new": (State.EMPTY, _("Not started yet")),
    }[state]
    where = _(" · on {host}").format(host=status.host) if status and not logic.isOurs(seen) else ""
    return kind, text + where


def _failure(seen: Seen, logic: SIFATrainingLogic) -> str:
    less = logic.withLessMemory(seen)
    if less is None or seen.run is None:
        return Words.ofFailure(seen.status) if seen.status else ""
    more = less.accumulate > seen.run.configuration.accumulate
    how = _("in {count} parts").format(count=less.accumulate) if more else _("on the CPU")
    return _(
        "Memory ran out. Press Resume: it goes on with each batch {how}, which takes less memory and more time."
    ).format(how=how)
