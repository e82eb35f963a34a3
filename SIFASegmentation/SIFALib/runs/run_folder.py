"""The names in a run folder; making one, reading and changing its configuration. No torch here."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..support import lock
from ..support.errors import Damaged, RunError
from ..support.files import made_folder, read_limited, write_text
from . import preflight, status
from .configuration import FREE_TO_CHANGE, MAX_BYTES, Configuration, RunFile, differences, new_run_file, read_run_file

_SUBFOLDERS = ("checkpoints", "previews", "best")


class _Part:
    """The path of a file or folder in the run folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: RunFolder, kind: type[RunFolder]) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie; the face of the room (`runs/__init__.py`) says what each holds."""

    path: Path

    run_file = _Part("run.json")
    manifest = _Part("data.json")
    status = _Part("status.json")
    events = _Part("events.jsonl")
    previews = _Part("previews")
    checkpoints = _Part("checkpoints")
    best = _Part("best")
    log = _Part("log.txt")
    cache = _Part("cache")
    stop_request = _Part("stop.request")
    pause_request = _Part("pause.request")
    reserve = _Part(".reserve")

    @property
    def saved(self) -> list[int]:
        """The iterations of which there are checkpoints, sound or not; the newest comes last."""
        return sorted(int(path.stem) for path in self.checkpoints.glob("*.pt") if path.stem.isdecimal())

    def held(self) -> AbstractContextManager[None]:
        """Keep every other process off the run while the block lasts. InUse if one works on it, OSError."""
        return lock.held(self.path, lambda holder: status.silence(self.status, holder))

    def read(self) -> RunFile:
        """What run.json says. RunError if there is none or it cannot be."""
        try:
            text = read_limited(self.run_file, MAX_BYTES)
        except OSError as error:
            reason = "is no folder" if not self.path.is_dir() else "holds no run.json that can be read"
            raise RunError(f"{self.path} {reason}; it is no run.") from error
        try:
            if len(text) > MAX_BYTES:
                raise Damaged(f"{self.run_file} is larger than a configuration can be; it is damaged.")
            return read_run_file(text, str(self.run_file))
        except Damaged as error:
            raise Damaged(
                f"{error} Without it the run can neither go on nor be exported: put a copy of it back, or start a new run.",
                advice="prepared",
                cache=self.cache,
            ) from None

    def write(self, run: RunFile) -> None:
        """Replace run.json. OSError."""
        write_text(self.run_file, run.to_json())

    def remember_data(
        self, fingerprint: str, manifest: dict[str, str], began_with: str = "", sha256: str = ""
    ) -> RunFile:
        """Write down what the run's data are, once they are known, what model it began with, of what weights. OSError."""
        write_text(self.manifest, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        run = dataclasses.replace(self.read(), fingerprint=fingerprint, began_with=began_with, began_with_sha256=sha256)
        self.write(run)
        return run

    def data(self) -> dict[str, str]:
        """The manifest of the data that `remember_data` wrote down; empty if it cannot be read."""
        try:
            known = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def change(self, configuration: Configuration) -> None:
        """Go on with another configuration. RunError if it differs in more than what is free to change.

        A run whose data were never ready has computed nothing: everything may still be put right.
        """
        run = self.read()
        fixed = differences(run.configuration, configuration) if run.fingerprint else []
        if fixed:
            raise RunError(
                f"{self.path} was started with another {', '.join(fixed)}; that would make it another run. Start a "
                f"new one for it, or change only {', '.join(FREE_TO_CHANGE)}."
            )
        if configuration != run.configuration:
            self.write(dataclasses.replace(run, configuration=configuration))


def create(path: str | os.PathLike[str], configuration: Configuration) -> RunFolder:
    """A new run folder with nothing computed yet; it appears complete or not at all.

    RunError if it exists, ModelError for a start model that does not fit the method, OSError.
    """
    path = Path(path)
    preflight.check_start_if_here(configuration)
    _refuse_existing(path)
    if path.resolve() == Path.cwd():
        raise RunError(f"{path} is the current folder; give the new run one of its own.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            path.rmdir()  # empty
        with made_folder(path) as stage:
            for name in _SUBFOLDERS:
                (stage / name).mkdir()
            RunFolder(stage).write(new_run_file(configuration))
    except OSError as error:
        _refuse_existing(path)  # another process was faster
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the name of the stage
    return RunFolder(path)


def _refuse_existing(path: Path) -> None:
    """Raise RunError for what exists and is no empty folder."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise RunError(f"{path} exists already; give the new run another folder.")
