"""A process of the library that works for the panel: started, watched by a timer, ended as a whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

POLL_MS = 100
OUTPUT = "output.txt"


class Child:
    """One process at a time, with a private folder for what it writes.

    onStep(folder): now and then while it works. onDone(folder, returnCode): once it has ended; the folder is removed
    after that, unless it was `keep`ed.
    """

    def __init__(self, onStep: Callable[[Path], None], onDone: Callable[[Path, int], None]) -> None:
        self._onStep, self._onDone = onStep, onDone
        self._process: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None
        self._kept: list[Path] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._look)

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(
        self,
        python: str,
        module: str,
        arguments: Callable[[Path], Sequence[str]],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start `python -m module` with the arguments for its folder; one that runs is ended first. OSError."""
        from SIFALib.runs import launch

        self.cancel()
        self.folder = Path(tempfile.mkdtemp(prefix="sifa-"))  # readable by nobody else
        self._process = launch.start(python, module, arguments(self.folder), self.folder / OUTPUT, environment)
        self._timer.start()

    def cancel(self) -> None:
        """End the process and all that it started, and forget what it wrote."""
        from SIFALib.runs import launch

        self._timer.stop()
        process, self._process = self._process, None
        if process is not None:
            launch.kill(process)
        self._clean()

    def keep(self) -> Path:
        """Let the folder stay until `forget`."""
        assert self.folder is not None
        self._kept.append(self.folder)
        folder, self.folder = self.folder, None
        return folder

    def forget(self) -> None:
        """Remove the folders that were kept."""
        for folder in self._kept:
            shutil.rmtree(folder, ignore_errors=True)
        self._kept = []

    def _look(self) -> None:
        process, folder = self._process, self.folder
        if process is None or folder is None:
            return
        code = process.poll()
        if code is None:
            self._onStep(folder)
            return
        self._timer.stop()
        self._process = None
        try:
            self._onDone(folder, code)
        finally:
            if not self.running and self.folder == folder:
                self._clean()

    def _clean(self) -> None:
        folder, self.folder = self.folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


class Task(Child):
    """A task of SIFALib.runs.tasks. onProgress(dict), onAnswer(dict), onError(sentence)."""

    def __init__(
        self,
        name: str,
        onProgress: Callable[[dict[str, Any]], None],
        onAnswer: Callable[[dict[str, Any]], None],
        onError: Callable[[str], None],
    ) -> None:
        super().__init__(self._step, self._end)
        self.name, self._onProgress, self._onAnswer, self._onError = name, onProgress, onAnswer, onError

    def send(self, python: str, request: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        """Start it with that request. OSError."""

        def arguments(folder: Path) -> Sequence[str]:
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            return [self.name, str(folder)]

        self.start(python, "SIFALib.runs.tasks", arguments, environment)

    def _step(self, folder: Path) -> None:
        progress = read(folder / "progress.json")
        if progress:
            self._onProgress(progress)

    def _end(self, folder: Path, code: int) -> None:
        answer = read(folder / "answer.json")
        if not answer:
            self._onError(lastWords(folder, code))
        elif "error" in answer:
            self._onError(answer["error"])
        else:
            self._onAnswer(answer)


def read(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def lastWords(folder: Path, code: int) -> str:
    """Why a process ended that left no answer."""
    from SIFALib.runs import launch

    said = launch.last_words(folder / OUTPUT)
    return _("It ended unexpectedly ({reason}).").format(reason=said or _("code {code}").format(code=code))
