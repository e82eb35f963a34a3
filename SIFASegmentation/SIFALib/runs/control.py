"""Runs as somebody beside them sees them: list, look, ask to stop, pause and resume. No torch here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..support.errors import RunError
from . import status
from .configuration import RunFile
from .run_folder import RunFolder
from .status import Status

NEW = "new"  # the state of a run that no process has worked on yet


@dataclass(frozen=True)
class Seen:
    """A run at one moment. status: None before its first start; error: why the rest cannot be read."""

    folder: RunFolder
    run: RunFile | None
    status: Status | None
    error: RunError | None = None

    @property
    def problem(self) -> str:
        """Why the rest cannot be read; "": it can."""
        return str(self.error or "")

    @property
    def state(self) -> str:
        if self.problem:
            return "broken"
        return NEW if self.status is None else self.status.shown_state()


def look(path: str | os.PathLike[str]) -> Seen:
    """The run in that folder; what is wrong with it stands in the result."""
    folder = RunFolder(Path(path))
    try:
        return Seen(folder, folder.read(), status.read(folder.status))
    except RunError as error:
        return Seen(folder, None, None, error)


def runs_in(folder: str | os.PathLike[str]) -> Iterator[Seen]:
    """The runs that lie in a folder, by name; those are the subfolders with a run.json."""
    for path in sorted(Path(folder).iterdir()):
        with suppress(PermissionError):  # somebody else's folder
            if (path / "run.json").is_file() and not path.name.startswith("."):
                yield look(path)


def stop(path: str | os.PathLike[str]) -> None:
    """Ask the run to stop after the iteration at hand. RunError if no process works on it, OSError."""
    _working(path).stop_request.touch()


def pause(path: str | os.PathLike[str]) -> None:
    """Ask the run to wait after the iteration at hand. RunError if no process works on it, OSError."""
    _working(path).pause_request.touch()


def resume(path: str | os.PathLike[str]) -> None:
    """Let a paused run go on. RunError if no process works on it, OSError."""
    _working(path).pause_request.unlink(missing_ok=True)


def _working(path: str | os.PathLike[str]) -> RunFolder:
    seen = look(path)
    if seen.error is not None:
        raise seen.error
    if seen.status is None or not seen.status.is_active():
        raise RunError(f"No process works on {path} (it is {seen.state}).", advice="start", folder=path)
    return seen.folder
