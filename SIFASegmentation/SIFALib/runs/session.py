"""One process's work on a run folder: what it writes there, in which order, and what it is asked in between.

Only the first of several processes writes. Events are on disk before the checkpoint that follows them, so that a
resumed run cuts off exactly what it does again.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import adaptation, datasets
from ..adaptation.verdict import FEWEST
from ..networks.arrays import to_numpy
from ..support import files, lock
from ..support.errors import RunError, SifaError
from ..support.messages import sentence
from ..support.processes import this_process
from . import best as best_file
from . import checkpoints, previews
from . import events as event_log
from . import status as status_file
from .best import Best
from .configuration import Configuration, RunFile, of_whole_epochs, versions
from .learning_data import LearningData
from .run_folder import RunFolder
from .signals import NOTHING, PAUSE, STOP, Requests, signals
from .start_model import StartModel
from .tensorboard import Board
from .world import POOLS, World

WINDOW = 50  # iterations over which speed is measured
POLL_SECONDS = 0.2  # how often a paused run looks whether it may go on
RESERVE_BYTES = 64 * 1024  # freed when the disk is full, so that there is room to say so

log = logging.getLogger(__name__)


@dataclass
class Session:
    """What the loop talks to. `status`, `events`, `board`: of the first process alone."""

    folder: RunFolder
    run: RunFile
    world: World
    requests: Requests
    status: status_file.Reporter | None = None
    events: event_log.EventLog | None = None
    board: Board | None = None
    times: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    last: float = 0.0  # when the last iteration ended, on the monotonic clock
    saved: int = -1  # the iteration that this process saved last
    judged: Best | None = None  # of the last score
    best: Best | None = None  # of the iterations so far
    start: Best | None = None  # how the start model was judged

    @property
    def configuration(self) -> Configuration:
        return self.run.configuration

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take from a checkpoint what is not the method's state: the guards of the run."""
        if best_file.read(self.folder.best) is not None:
            self.best = Best.of(saved["best"])
        if "start" in saved:
            self.start = Best.of(saved["start"])
        else:  # of version 0.3, where only the events tell
            self.start = best_file.judged_at(self.folder.events, 0)

    def remember(self, data: LearningData, start_model: StartModel) -> Configuration:
        """Write down what the data are, and with them how long the training is. RunError if they are not those that the
        run was started with."""
        if self.first and not self.run.fingerprint:
            self.run = self.folder.remember_data(data.fingerprint, data.manifest, start_model.key, start_model.sha256)
        elif self.first and self.run.fingerprint != data.fingerprint:
            changes = ", ".join(datasets.differences(self.folder.data(), data.manifest)[:10])
            model = f" and {self.run.began_with}, which finds the hearts, as it was" if self.run.began_with else ""
            raise RunError(
                f"The data are not those that {self.folder.path} was started with ({changes or 'cut differently'}). "
                f"Bring them back{model}, or start a new run."
            )
        if not self.configuration.iterations:
            iterations = of_whole_epochs(self.configuration, data.epoch)
            configuration = dataclasses.replace(self.configuration, iterations=iterations)
            self.run = dataclasses.replace(self.run, configuration=configuration)
            if self.first:
                self.folder.write(self.run)
                self.report(iterations=iterations)
        return self.configuration

    def begin(self, state: adaptation.State) -> None:
        """From here on, iterations follow each other."""
        if self.first:
            device, size = str(self.world.device), self.world.size
            self.event("started", state.iteration, versions=versions(), device=device, processes=size)
            self.report(state="running", iteration=state.iteration, message="", seconds_left=None)
            log.info("Iterations from %d to %d on %s", state.iteration, self.configuration.iterations, device)
        self.last = time.monotonic()

    def note(self, state: adaptation.State, losses: Mapping[str, float], waited: float) -> None:
        """Log an iteration that ended now; `waited`: seconds of it spent waiting for its batch."""
        before, self.last = self.last, time.monotonic()
        self.times.append((self.last - before, waited))
        if not self.first:
            return
        took, waits = (sum(column) for column in zip(*self.times, strict=True))
        each = took / len(self.times)
        self.event("losses", state.iteration, losses=dict(losses), seconds=round(self.last - before, 4),
                   waited=round(waited, 4))  # fmt: skip
        self.report(
            iteration=state.iteration,
            seconds_per_iteration=round(each, 4),
            seconds_left=round(each * (self.configuration.iterations - state.iteration), 1),
            loader_share=round(min(1.0, waits / took), 4) if took else 0.0,
        )
        if self.board:
            self.board.add("loss", losses, state.iteration)

    def judge(self, state: adaptation.State, data: LearningData) -> None:
        """Score the averaged segmenter, without target labels, and keep it if it is the best so far."""
        if self.first:
            signs = data.signs(state) if self.configuration.start_model else ()
            judged = best_file.judged(state.iteration, data.score(state), signs, self.start)
            self.judged = judged
            if state.iteration == 0:
                self.start = judged
                if judged.verdict is not None and len(signs) < FEWEST:
                    log.warning("Whether it becomes better cannot be told of so few hearts as %d; take at least %d.",
                                len(signs), FEWEST)  # fmt: skip
            better = judged.beats(self.best)
            if better:
                self.best = judged
                weights = {name: to_numpy(value) for name, value in state.average.items()}
                best_file.write(self.folder.best, judged, weights, self.start)
                self.report(best_iteration=state.iteration, best_score=judged.value)
            self.event("score", state.iteration, value=judged.value, parts=judged.parts,
                       vetoes=judged.vetoes, verdict=judged.verdict and dataclasses.asdict(judged.verdict),
                       best=better)  # fmt: skip
            if self.board:
                self.board.add("score", {"value": judged.value, **judged.parts}, state.iteration)
            log.info("Score %.4f after iteration %d%s", judged.value, state.iteration, ", the best" * better)
        self.world.wait()

    def preview(self, state: adaptation.State, data: LearningData) -> None:
        """Draw what the networks do now."""
        if self.first:
            path = self.folder.previews / f"{state.iteration:08d}.png"
            previews.draw(state, data.shown(), path)
            self.event("preview", state.iteration, file=f"previews/{path.name}")
        self.world.wait()

    def save(self, state: adaptation.State) -> None:
        """Write a checkpoint, unless this process wrote it already."""
        if self.saved == state.iteration:
            return
        pools = self.world.gathered_pools(state)
        if self.first and self.events:
            lock.check(self.folder.path)
            self.events.sync()
            judged = self.judged if self.judged and self.judged.iteration == state.iteration else None
            guards = {"best": self.best, "start": self.start, "judged": judged}
            content = {
                "configuration": self.run.to_json(),
                "state": state.state_dict(),
                POOLS: pools,
                **{name: best and dataclasses.asdict(best) for name, best in guards.items()},
            }
            keep = self.configuration.keep_checkpoints
            path = checkpoints.save(self.folder.checkpoints, state.iteration, content, keep)
            log.info("Saved %s", path.name)
        self.saved = state.iteration
        self.world.wait()

    def asked_to_stop(self, state: adaptation.State) -> bool:
        """Do what is asked of the run after an iteration; a paused run returns when it may go on or has to stop."""
        asked = self.world.agree(self.requests.asked())
        if asked == NOTHING:
            return False
        self.save(state)
        while asked == PAUSE:
            self.report(state="paused", message="Waiting for pause.request to be removed.")
            while self.first and self.requests.asked() == PAUSE:
                self.report()
                time.sleep(POLL_SECONDS)
            self.world.wait()
            asked = self.world.agree(self.requests.asked())
        if asked != STOP:
            self.report(state="running", message="")
        self.last = time.monotonic()
        return asked == STOP

    @property
    def first(self) -> bool:
        return self.world.first

    def report(self, **fields: Any) -> None:
        """Change fields of the status. OSError of what its thread could not write."""
        if self.status:
            self.status.update(**fields)

    def event(self, kind: str, iteration: int, **fields: Any) -> None:
        if self.events:
            self.events.append(kind, iteration, **fields)

    def end(self, state: str, message: str = "", error: SifaError | None = None) -> None:
        """Say in status, events and log how it ended; for a failure (`error`), as far as that can be written."""
        if not self.status:
            return
        said = status_file.readable(str(error) if error else message)
        level = logging.ERROR if error else logging.INFO
        log.log(level, "%s. %s", state.capitalize(), sentence(error) if error else said)
        if lock.is_lost(self.folder.path):  # status and events are the other process's by now
            return
        if error is not None:
            with suppress(OSError):
                self.folder.reserve.unlink(missing_ok=True)
            self.status.fail(error)
            with suppress(OSError):
                self.event("ended", self.status.status.iteration, state=state, message=said, reason=error.code)
            return
        self.event("ended", self.status.status.iteration, state=state, message=said)
        self.requests.answered()
        left = 0.0 if state == "finished" else self.status.status.seconds_left
        self.status.update(state=state, message=said, seconds_left=left)


@contextmanager
def opened(folder: RunFolder, run: RunFile, world: World) -> Iterator[Session]:
    """Work on the run while the block lasts. RunError if another process does, OSError."""
    requests = Requests(folder)
    with ExitStack() as stack:
        stack.enter_context(signals(requests))
        session = Session(folder, run, world, requests)
        if not world.first:
            yield session
            return
        stack.enter_context(folder.held())
        _tidy(folder)
        requests.forget_old()
        stack.enter_context(_logging_to(folder.log))
        done = checkpoints.newest(folder.checkpoints)
        event_log.cut(folder.events, -1 if done is None else done)
        session.events = stack.enter_context(event_log.EventLog(folder.events))
        me, best = this_process(), best_file.read(folder.best)
        first = status_file.Status(
            "preparing", me.pid, me.started, me.host, run.configuration.iterations, done or 0,
            best_iteration=best.iteration if best else None, best_score=best.value if best else None,
        )  # fmt: skip
        session.status = stack.enter_context(status_file.Reporter(folder.status, first))
        session.board = Board(folder.path, run.configuration.tensorboard, done or 0)
        stack.callback(session.board.close)
        yield session


def _tidy(folder: RunFolder) -> None:
    """Remove what a killed process left unfinished; set bytes aside for the day when the disk is full."""
    for place in (folder.path, folder.checkpoints, folder.best, folder.previews):
        place.mkdir(exist_ok=True)
        files.sweep(place)
    if not folder.reserve.exists():
        with files.written(folder.reserve) as file:
            file.write(os.urandom(RESERVE_BYTES))


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.INFO)
    package = logging.getLogger(__package__.partition(".")[0])
    level = package.level
    package.addHandler(handler)
    package.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        handler.close()
