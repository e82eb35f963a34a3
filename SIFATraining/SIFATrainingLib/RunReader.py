"""A run folder as it grows: its state, and what was added to its events since the last look."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from SIFALib.runs import Best
    from SIFALib.runs.control import Seen

GROUPS = {  # curve -> the losses that it sums
    "Segmentation": ("segmentation",),
    "Self-training": ("self_training",),
    "Cycle": ("cycle_source", "cycle_target"),
    "Adversarial": ("generator", "decoder", "prediction", "prediction_ll", "auxiliary"),
}
SCORE = "Score without labels"
LEAST_DIFFERENCE = 0.01  # of scores between 0 and 1: the second decimal is the last that anybody should trust
MOST_POINTS = 1000  # of a curve; more are averaged in groups


@dataclass
class RunReader:
    """Reads only what is new of events.jsonl; one that was cut, because the run resumed, is read again."""

    path: Path
    seen: Seen | None = None
    losses: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    scores: list[Best] = field(default_factory=list)
    _offset: int = 0
    _last: bytes = b""  # the end of what was read, to notice that the file was cut and grew again

    def refresh(self) -> Seen:
        """Look at status and new events. Never raises for what stands in the folder."""
        from SIFALib.runs import control

        self.seen = control.look(self.path)
        self._read(self.seen.folder.events)
        return self.seen

    def _read(self, path: Path) -> None:
        try:
            with open(path, "rb") as file:
                if not self._isContinued(file):
                    self._forget()
                file.seek(self._offset)
                text = file.read()
        except OSError:
            self._forget()
            return
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(line)
        if whole:
            self._offset += len(whole)
            self._last = (self._last + whole)[-256:]

    def _isContinued(self, file: IO[bytes]) -> bool:
        if os.fstat(file.fileno()).st_size < self._offset:
            return False
        file.seek(self._offset - len(self._last))
        return file.read(len(self._last)) == self._last

    def _forget(self) -> None:
        self._offset, self._last = 0, b""
        self.losses, self.scores = [], []

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, iteration = event["kind"], int(event["iteration"])
            if kind == "losses":
                self.losses.append((iteration, _grouped(event["losses"])))
            elif kind == "score":
                self.scores.append(_best(event))
        except (ValueError, KeyError, TypeError):
            pass  # a line that is no event

    # What it shows

    @property
    def state(self) -> str:
        return self.seen.state if self.seen is not None else "broken"

    def curves(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Name -> iterations and values: means over as many iterations as make it smooth."""
        found = {}
        if self.losses:
            iterations = np.array([n for n, _ in self.losses], float)
            values = np.array([v for _, v in self.losses], float)
            size = max(1, -(-len(iterations) // MOST_POINTS))
            edges = np.arange(0, len(iterations), size)
            counts = np.diff(np.append(edges, len(iterations)))
            x = np.add.reduceat(iterations, edges) / counts
            for column, name in enumerate(GROUPS):
                found[name] = (x, np.add.reduceat(values[:, column], edges) / counts)
        if self.scores:
            found[SCORE] = (
                np.array([s.iteration for s in self.scores], float),
                np.array([s.value for s in self.scores], float),
            )
        return found

    def preview(self) -> Path | None:
        """The newest picture."""
        try:
            pictures = [p for p in (self.path / "previews").glob("*.png") if p.stem.isdecimal()]
        except OSError:
            return None
        return max(pictures, key=lambda p: int(p.stem), default=None)

    def start(self) -> Best | None:
        """How the start model was scored; None if the run began without one."""
        return next((s for s in self.scores if s.iteration == 0), None)

    def best(self) -> Best | None:
        """The best so far, as the run chose it."""
        found: Best | None = None
        for score in self.scores:
            if score.beats(found):
                found = score
        return found

    def doubt(self) -> float:
        """A gain below which nothing is certain: what the best of so many scores exceeds their mean by, by chance alone.

        Their scatter is told by the median step from one to the next, which a trend at the beginning hardly moves
        (0.6745 standard deviations, of a difference of two); the largest of n normal numbers lies about sqrt(2 ln n)
        standard deviations above their mean. At least LEAST_DIFFERENCE.
        """
        steps = np.abs(np.diff([score.value for score in self.scores]))
        if len(steps) < 2:
            return LEAST_DIFFERENCE
        scatter = float(np.median(steps)) / (0.6745 * math.sqrt(2.0))
        return max(LEAST_DIFFERENCE, scatter * math.sqrt(2.0 * math.log(len(self.scores))))

    def log(self, lines: int = 200) -> str:
        """The end of log.txt, and what its process printed besides: why it crashed, for instance."""
        from SIFALib.runs import launch
        from SIFALib.support import files

        logged = files.tail(self.path / "log.txt").splitlines()
        same = {re.sub(r"^(\S+ \S+) [A-Z]+ ", r"\1 ", line) for line in logged}
        printed = [n for n in files.tail(self.path / launch.OUTPUT).splitlines() if n not in same]
        return "\n".join([*logged, *printed][-lines:])

    def details(self) -> str:
        """Everything that helps who is asked for help: configuration, status, log."""
        parts = [str(self.path)]
        for name in ("run.json", "status.json"):
            try:
                parts.append((self.path / name).read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue
        return "\n\n".join([*parts, self.log()])


def _grouped(losses: dict[str, Any]) -> tuple[float, ...]:
    return tuple(sum(float(losses.get(name, 0.0)) for name in names) for names in GROUPS.values())


def _best(event: dict[str, Any]) -> Best:
    from SIFALib.adaptation.verdict import Verdict
    from SIFALib.runs import Best
    from SIFALib.support import schema

    verdict = event.get("verdict")
    return Best(
        int(event["iteration"]),
        float(event["value"]),
        dict(event["parts"]),
        tuple(event["vetoes"]),
        schema.decode(Verdict, verdict) if verdict else None,
    )
