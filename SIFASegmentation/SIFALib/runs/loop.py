"""The training loop, for one process or for several that train as one, whatever they learn from.

`sifa train RUN` and `python -m SIFALib.runs RUN` start one; `torchrun --nproc-per-node N -m SIFALib.runs RUN` starts
N, also on many computers (Testing/slurm/train.sbatch).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import adaptation
from ..networks import devices
from ..support import malloc
from ..support.errors import RunError, SifaError
from ..support.progress import Progress, drain
from . import checkpoints, events, failures, learning_data
from .configuration import differences, read_run_file
from .learning_data import LearningData
from .run_folder import RunFolder
from .session import Session, opened
from .signals import STOP
from .start_model import StartModel
from .world import joined

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@dataclass(frozen=True)
class End:
    """How a training ended: FINISHED, STOPPED or FAILED, and what it failed of."""

    outcome: str
    error: SifaError | None = None


def train(path: str | os.PathLike[str]) -> str:
    """`run`, of whose end only the outcome is told."""
    return run(path).outcome


def run(path: str | os.PathLike[str]) -> End:
    """Run the training in that folder, from its last checkpoint if it has one.

    Why it failed stands in status.json and log.txt too. Raises RunError if there is no run in that folder or its device
    is not there, InUse if another process works on it.
    """
    folder = RunFolder(Path(path))
    file = folder.read()
    with joined(file.configuration.device) as world, opened(folder, file, world) as session:
        try:
            outcome = _train(session)
            session.end(outcome)
        except KeyboardInterrupt:
            session.end(STOPPED, "Broken off; it goes on from its last checkpoint.")
            raise
        except Exception as error:
            why = failures.explained(error, folder, world.size)
            session.end(FAILED, error=why)
            return End(FAILED, why)
        return End(outcome)


def _train(session: Session) -> str:
    """The whole training, in the order in which it happens; how it ended."""
    c, world = session.configuration, session.world
    precision = devices.choose_precision(c.precision, world.device)
    with _computing(c.threads):
        start_model = StartModel(c)
        data = _prepare(session, start_model)
        if data is None:
            return STOPPED
        c = session.remember(data, start_model)
        state = _resume(session, start_model)
        if c.compile:
            _compile(state)
        session.begin(state)
        if state.iteration == 0 and c.start_model and c.judge_every:
            session.judge(state, data)
        for batch, waited in data.batches(state.iteration, c.iterations, world.rank, world.size):
            losses = adaptation.step(state, batch.map(lambda tensor: tensor.to(world.device)), precision, c.accumulate)
            session.note(state, losses, waited)
            if _due(state, c.judge_every):
                session.judge(state, data)
            if _due(state, c.preview_every):
                session.preview(state, data)
            if _due(state, c.save_every):
                session.save(state)
            if session.asked_to_stop(state):
                return STOPPED
    return FINISHED


def _due(state: adaptation.State, every: int) -> bool:
    """Whether it is time for what happens so often, and after the last iteration; never if `every` is 0."""
    return every > 0 and (state.iteration % every == 0 or state.iteration == state.iterations)


class _AskedToStop(Exception):
    """Raised through what is being prepared."""


def _prepare(session: Session, start_model: StartModel) -> LearningData | None:
    """The data; None if the run was asked to stop before they were ready. The first process makes, the others find."""
    c, world = session.configuration, session.world
    if c.batch % (world.size * c.accumulate):
        raise RunError(
            f"A batch of {c.batch} cannot be divided among {world.size} processes in {c.accumulate} parts each."
        )
    data = _made(session, start_model) if world.first else None
    world.wait()
    if world.agree(session.requests.asked()) == STOP:
        return None
    return data or _made(session, start_model)


def _made(session: Session, start_model: StartModel) -> LearningData | None:
    c = session.configuration

    def tell(progress: Progress) -> None:
        session.report(message=f"{progress.stage} ({progress.fraction:.0%})", seconds_left=progress.seconds_left)
        if session.world.first and session.requests.asked() == STOP:  # the others stop when the first does
            raise _AskedToStop

    if not session.run.fingerprint:
        start_model.check()
    steps = learning_data.prepare(c, Path(c.cache) if c.cache else session.folder.cache, start_model)
    try:
        return drain(steps, tell)
    except _AskedToStop:
        steps.close()
        return None


def _resume(session: Session, start_model: StartModel) -> adaptation.State:
    """The state of the newest checkpoint, or a new one."""
    c, world, folder = session.configuration, session.world, session.folder
    saved = checkpoints.load_newest(folder.checkpoints)
    first_weights = start_model.weights(session.run.began_with_sha256) if saved is None else None
    state = adaptation.start(c.method, c.seed, c.iterations, first_weights, world.device)
    if saved is not None:
        before = read_run_file(saved["configuration"], "The checkpoint").configuration
        other = differences(before, c)
        if other:
            raise RunError(
                f"{folder.run_file} says another {', '.join(other)} than the checkpoints; put back what it said."
            )
        if saved["iteration"] > c.iterations:
            raise RunError(
                f"{folder.path} has done {saved['iteration']} iterations already; the {c.iterations} that "
                f"{folder.run_file} says would be fewer."
            )
        state.load_state_dict(saved["state"])
        world.take_pools(state, saved)
        session.restore(saved)
    if world.agree(state.iteration) != state.iteration:
        raise RunError(f"The processes see different checkpoints; {folder.path} must be the same for all.")
    world.wait()
    if world.first:
        done = -1 if saved is None else state.iteration
        checkpoints.drop_after(folder.checkpoints, done)
        events.cut(folder.events, done)
    return state


def _compile(state: adaptation.State) -> None:
    """Let torch.compile make the networks faster; names and values of the weights stay as they are."""
    state.segmenter.encoder.compile()
    for network in state.translators.values():
        network.compile()


@contextmanager
def _computing(threads: int) -> Iterator[None]:
    """Repeatable numbers, so many threads (0: as many as torch has), and no slow crawl through vanishing numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    torch.set_flush_denormal(True)
    malloc.keep()
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_flush_denormal(False)  # torch's own setting, which it has no way to ask for
        torch.set_num_threads(before)
