"""Does a training survive being killed at any moment? Kills short runs with SIGKILL, resumes them, compares.

    python Testing/Benchmarks/bench_kill.py [--count 100] [--changes 100] [--seed 0] [--out FILE]

Two ways of killing: at random moments of the run's whole life, and just before the n-th time that it asks the system to
change something on disk (fsync, replace, unlink, truncate), with n spread over all of them. After every kill each file in
the run folder must be readable as it stands; after the resume weights, optimisers, histories, losses, scores, best model
and pictures must be those of a run that nobody killed, bit for bit. Linux only: every run is a fork of this
process, and moments are counted in time of the processor, so that a busy computer does not shift them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python" / "fixtures"))
import tiny_runs
from SIFALib import datasets, runs
from SIFALib.adaptation.method import Method
from SIFALib.runs import best, checkpoints, events, loop, status

DISK_CALLS = ("fsync", "replace", "unlink", "truncate")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="kills at random moments")
    parser.add_argument("--changes", type=int, default=100, help="kills before changes of the disk")
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--objective", default="full", help="of the method; source_only is fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the result as JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)  # before the first fork: threads do not survive one
    with tempfile.TemporaryDirectory() as place:
        result = bench(Path(place), options)
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if result["differ"] else 0


def bench(place: Path, options: argparse.Namespace) -> dict:
    """How many of the killed runs ended as the undisturbed one."""
    tiny_runs.make_scans(place)
    method = Method(width=2, image_pool=3, objective=options.objective)
    configuration = tiny_runs.configuration(place, iterations=options.iterations, method=method)
    list(datasets.prepare(configuration.data, configuration.cache))  # the slices, which all runs share
    whole = runs.create(place / "whole", configuration).path
    before = os.times()
    changes = count_changes(whole, place / "changes")
    after = os.times()
    life = sum(after[2:4]) - sum(before[2:4])  # of the child, in seconds of the processor
    truth = tiny_runs.result_of(whole)
    rng = np.random.default_rng(options.seed)
    moments = [("moment", float(t)) for t in rng.uniform(0, life, options.count)]
    numbers = np.unique(np.linspace(1, changes, options.changes + 2)[1:-1].astype(int))
    points = [("change", int(n)) for n in numbers]
    report = {
        "processor_seconds_of_a_run": round(life, 2),
        "changes_of_the_disk": changes,
        "killed": 0,
        "too_late": 0,
        "differ": [],
    }
    for n, (way, when) in enumerate([*moments, *points]):
        run = runs.create(place / f"run{n}", configuration).path
        killed = kill_after(fork(run), when) if way == "moment" else ended(fork(run, before_change(when)))
        report["killed" if killed == -signal.SIGKILL else "too_late"] += 1
        check_whole(run)
        run_to_the_end(fork(run))
        if tiny_runs.result_of(run) != truth:
            report["differ"].append(f"killed at {way} {when}")
        shutil.rmtree(run)
        print(f"{n + 1} runs killed at {way} {when:.6g}: {len(report['differ'])} differ", file=sys.stderr)
    return report


def fork(run: Path, prepare: Callable[[], None] | None = None) -> int:
    """A process of its own that trains in that folder; its number."""
    pid = os.fork()
    if pid == 0:
        try:
            if prepare:
                prepare()
            outcome = loop.train(run)
            os._exit(0 if outcome == "finished" else 1)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(2)
    return pid


def ended(pid: int) -> int:
    """Wait for the process; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_to_the_end(pid: int) -> None:
    code = ended(pid)
    assert code == 0, f"the run ended with {code}"


def kill_after(pid: int, seconds: float) -> int:
    """Kill the process when it has used so much time of the processor, however busy the computer is."""
    ticks = os.sysconf("SC_CLK_TCK")
    while True:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        if fields[0] == "Z":
            return ended(pid)
        if (int(fields[11]) + int(fields[12])) / ticks >= seconds:  # utime, stime
            os.kill(pid, signal.SIGKILL)
            return ended(pid)
        time.sleep(0.002)


def before_change(number: int) -> Callable[[], None]:
    """In the process to come: die just before its change of the disk of that number."""

    def prepare() -> None:
        seen = 0

        def count() -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        watch_changes(count)

    return prepare


def count_changes(run: Path, answer: Path) -> int:
    """Train undisturbed; how often the process changed the disk."""

    def prepare() -> None:
        seen = bytearray()
        watch_changes(lambda: (seen.append(0), answer.write_text(str(len(seen)), encoding="utf-8")))

    run_to_the_end(fork(run, prepare))
    return int(answer.read_text(encoding="utf-8"))


def watch_changes(before: Callable[[], object]) -> None:
    """Call `before` whenever this process is about to change something on disk."""

    def watched(change: Callable) -> Callable:
        def call(*arguments, **options):
            before()
            return change(*arguments, **options)

        return call

    for name in DISK_CALLS:
        setattr(os, name, watched(getattr(os, name)))


def check_whole(run: Path) -> None:
    """Everything in the folder can be read as it stands, without the help of a resume."""
    folder = runs.RunFolder(run)
    folder.read()
    status.read(folder.status)
    for path in folder.checkpoints.glob("[0-9]*.pt"):
        checkpoints.load(path)
    if best.read(folder.best) is not None:
        best.read_weights(folder.best)
    for path in folder.previews.glob("[0-9]*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), path
    list(events.read(folder.events))


if __name__ == "__main__":
    sys.exit(main())
