"""`sifa runs`: list, watch, stop, pause and resume trainings. No torch here."""

from __future__ import annotations

import argparse
import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import DataError, RunError
from ..support.messages import advised
from .console import OK, facts, say, table
from .shared import add_command, said_as, writes_into

if TYPE_CHECKING:
    from ..runs import RunFolder
    from ..runs.status import Status

ASKING = {
    "stop": ("let a run save and end after the iteration at hand", "is asked to stop; it saves first."),
    "pause": ("let a run save and wait after the iteration at hand", "is asked to pause; it saves first."),
    "resume": ("let a paused run go on", "goes on."),
}
"""What a run can be asked: what that means, and what is said when it is done."""


def add(commands: Any) -> None:
    parser = add_command(commands, "runs", list_runs, "list, watch, stop, pause and resume trainings", debug=False)
    parser.set_defaults(folder=Path("runs"))
    actions = parser.add_subparsers(title="commands", metavar="COMMAND")
    listing = add_command(actions, "list", list_runs, "list the runs in a folder")
    listing.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=Path("runs"))
    showing = add_command(actions, "status", show_run, "what a run is doing")
    showing.add_argument("run_folder", metavar="RUN", type=Path)
    showing.add_argument("--json", action="store_true", help="print status.json with the state that holds")
    for name, (text, _) in ASKING.items():
        asking = add_command(actions, name, ask, text)
        asking.set_defaults(what=name)
        asking.add_argument("run_folder", metavar="RUN", type=Path)


def list_runs(options: argparse.Namespace) -> int:
    from ..runs import control

    if not options.folder.is_dir():
        raise DataError(f"There is no folder {options.folder}; give the one that holds the runs.")
    with said_as(DataError, OSError):  # a folder that is closed to this user
        seen = list(control.runs_in(options.folder))
    rows = [(s.folder.path.name, s.state, *_columns(s.status)) for s in seen]
    heads = ("Run", "State", "Iteration", "s each", "Left", "Best score")
    say(table(heads, rows) if rows else f"There are no runs in {options.folder}.")
    return OK


def show_run(options: argparse.Namespace) -> int:
    from ..runs import control

    seen = control.look(options.run_folder)
    if seen.error is not None or seen.run is None:
        raise seen.error or RunError("It cannot be read.")
    status = seen.status
    if options.json:
        fields = {} if status is None else dataclasses.asdict(status)
        say(json.dumps({**fields, "state": seen.state}, indent=2))
        return OK
    rows = [("Run", f"{seen.run.configuration.name}, {seen.folder.path}"), ("State", seen.state)]
    if status is not None:
        iteration, each, left, best = _columns(status)
        share = "" if status.loader_share is None else f"{status.loader_share:.1%} of the time"
        message = advised(status.message, status.advice, status.fields)
        judged = "Verdict" if seen.state == "finished" else "Verdict so far"
        rows += [("Message", message), ("Iteration", iteration), ("Seconds each", each), ("Left", left),
                 ("Waits for data", share), ("Best score", best), (judged, _verdict(seen.folder)),
                 ("Process", f"{status.pid} on {status.host}"), ("Heartbeat", status.heartbeat)]  # fmt: skip
    say(facts([(name, text) for name, text in rows if text], width=16))
    return OK


def _verdict(folder: RunFolder) -> str:
    """In words; "" as long as nothing was judged, or where there is no model to compare with."""
    from ..runs import export

    with suppress(RunError):  # damaged: the other lines say how the run is
        return export.verdict_if_any(folder)
    return ""


def _columns(status: Status | None) -> tuple[str, str, str, str]:
    """Iteration, seconds for each, time left, best score; "" for what is not known."""
    if status is None:
        return ("", "", "", "")
    each = "" if status.seconds_per_iteration is None else f"{status.seconds_per_iteration:.2f}"
    best = "" if status.best_score is None else f"{status.best_score:.3f} at {status.best_iteration}"
    return (f"{status.iteration} of {status.iterations or '?'}", each, _left(status), best)


def _left(status: Status) -> str:
    """Until the training ends; "" where that is not known."""
    from ..runs.status import ACTIVE

    if status.seconds_left is None or status.state not in ACTIVE or status.state == "preparing":
        return ""  # while a run prepares, what is left is told of the step at hand alone
    minutes = round(status.seconds_left / 60)
    return "under 1 min" if minutes == 0 else f"{minutes // 60} h {minutes % 60:02} min"


def ask(options: argparse.Namespace) -> int:
    from ..runs import control

    with writes_into(options.run_folder):
        {"stop": control.stop, "pause": control.pause, "resume": control.resume}[options.what](options.run_folder)
    say(f"{options.run_folder} {ASKING[options.what][1]}")
    return OK
