"""The training loop, for one process or for several that train as one.

`sifa train RUN` and `python -m SIFALib.runs RUN` start one; `torchrun --nproc-per-node N -m SIFALib.runs RUN` starts
N, also on many computers (Testing/slurm/train.sbatch).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import adaptation, datasets
from ..datasets import Domains, Slices
from ..networks import devices
from ..support import malloc
from ..support.errors import RunError, SifaError
from . import checkpoints, events, failures
from . import distributed as processes
from .configuration import differences, of_whole_epochs, read_run_file
from .run_folder import RunFolder
from .session import Session, opened
from .signals import STOP
from .start_model import StartModel

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """How a training ended: FINISHED, STOPPED or FAILED, and what it failed of."""

    outcome: str
    error: SifaError | None = None


def train(path: str | os.PathLike) -> str:
    """`run`, of whose end only the outcome is told."""
    return run(path).outcome


def run(path: str | os.PathLike) -> End:
    """Run the training in that folder, from its last checkpoint if it has one.

    Why it failed stands in status.json and log.txt too. Raises RunError if there is no run in that folder or its device
    is not there, lock.InUse if another process works on it.
    """
    folder = RunFolder(Path(path))
    file = folder.read()
    with processes.joined(file.configuration.device) as together, opened(folder, file, together) as session:
        try:
            outcome = _iterate(session)
            session.end(outcome)
        except KeyboardInterrupt:
            session.end(STOPPED, "Broken off; it goes on from its last checkpoint.")
            raise
        except Exception as error:
            why = failures.explained(error, folder, together.world)
            session.end(FAILED, error=why)
            return End(FAILED, why)
        return End(outcome)


def _iterate(session: Session) -> str:
    """The whole training; how it ended."""
    c, together = session.configuration, session.together
    precision = devices.choose_precision(c.precision, together.device)
    with _computing(c.threads):
        start_model = StartModel(c)
        domains = _prepare(session, start_model)
        if domains is None:
            return STOPPED
        if not c.iterations:
            session.set_iterations(of_whole_epochs(c, max(map(_fine_slices, (domains.source, domains.target)))))
        c = session.configuration
        state = _resume(session, start_model)
        if c.compile:
            _compile(state)
        session.begin(state)
        if state.iteration == 0 and c.start_model and c.judge_every:
            session.judge(state, domains)
        for batch, waited in _batches(session, state, domains):
            losses = adaptation.step(state, batch, precision, c.accumulate)
            session.note(state, losses, waited)
            if _due(state, c.judge_every):
                session.judge(state, domains)
            if _due(state, c.preview_every):
                session.preview(state, domains)
            if _due(state, c.save_every):
                session.save(state)
            if session.asked_to_stop(state):
                return STOPPED
    return FINISHED


def _fine_slices(slices: Slices) -> int:
    """How many slices an epoch shows; those of the coarse pass come besides."""
    return int((~slices.coarse).sum()) or len(slices)


def _due(state: adaptation.State, every: int) -> bool:
    """Whether it is time for what happens so often, and after the last iteration; never if `every` is 0."""
    return every > 0 and (state.iteration % every == 0 or state.iteration == state.iterations)


def _batches(session: Session, state: adaptation.State, domains: Domains) -> Iterator[tuple[datasets.Batch, float]]:
    """What is left to do: batches on the device, and the seconds that each was waited for."""
    c, together = session.configuration, session.together
    left, share = (state.iteration, c.iterations), (together.rank, together.world)
    batches = datasets.batches(domains, c.data, c.seed, *left, c.batch, *share, c.workers)
    for batch, waited in batches:
        yield _moved(batch, together.device), waited


def _moved(batch: datasets.Batch, device: torch.device) -> datasets.Batch:
    labels = None if batch.target_labels is None else batch.target_labels.to(device)
    images = (batch.source.to(device), batch.source_labels.to(device), batch.target.to(device))
    return datasets.Batch(*images, labels)


def _prepare(session: Session, start_model: StartModel) -> Domains | None:
    """The data; None if the run was asked to stop before they were ready. The first process makes, the others find."""
    c, together = session.configuration, session.together
    if c.batch % (together.world * c.accumulate):
        raise RunError(
            f"A batch of {c.batch} cannot be divided among {together.world} processes in {c.accumulate} parts each."
        )
    domains = _prepared(session, start_model) if together.first else None
    together.wait()
    if together.agree(session.requests.asked()) == STOP:
        return None
    return domains or _prepared(session, start_model)


def _prepared(session: Session, start_model: StartModel) -> Domains | None:
    c, folder = session.configuration, session.folder
    steps = datasets.prepare(c.data, c.cache or folder.cache, start_model.locator())
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            if session.first:
                _remember(session, end.value)
            return end.value
        session.report(message=f"{progress.stage} ({progress.fraction:.0%})", seconds_left=progress.seconds_left)
        if session.first and session.requests.asked() == STOP:  # the others stop when the first does
            return None


def _remember(session: Session, domains: Domains) -> None:
    """Write down what the data are; RunError if they are not what the run was started with."""
    if not session.run.fingerprint:
        session.run = session.folder.remember_data(domains.fingerprint, domains.manifest)
    elif session.run.fingerprint != domains.fingerprint:
        changes = ", ".join(datasets.differences(session.folder.data(), domains.manifest)[:10])
        raise RunError(
            f"The data are not those that {session.folder.path} was started with ({changes or 'cut differently'}). "
            "Bring them back, or start a new run."
        )


def _resume(session: Session, start_model: StartModel) -> adaptation.State:
    """The state of the newest checkpoint, or a new one."""
    c, together, folder = session.configuration, session.together, session.folder
    state = adaptation.start(c.method, c.seed, c.iterations, start_model.weights(), together.device)
    saved = checkpoints.load_newest(folder.checkpoints)
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
        together.take_histories(state, saved)
        session.restore(saved)
    if together.agree(state.iteration) != state.iteration:
        raise RunError(f"The processes see different checkpoints; {folder.path} must be the same for all.")
    together.wait()
    if together.first:
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
