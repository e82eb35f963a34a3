"""TensorBoard gets the curves of a run where it is installed, and no run needs it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import tiny_runs
from SIFALib import runs
from SIFALib.runs.loop import train


def new(folder: Path, **changes) -> Path:
    tiny_runs.make_scans(folder / "scans")
    changes |= {"method": tiny_runs.supervised(), "judge_every": 0, "preview_every": 0}
    return runs.create(folder / "run", tiny_runs.configuration(folder / "scans", **changes)).path


def test_tensorboard_is_not_needed(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run = new(tmp_path, iterations=1, tensorboard=True)
    assert train(run) == "finished"
    assert "TensorBoard is not installed" in (run / "log.txt").read_text(encoding="utf-8")


def test_tensorboard_gets_what_the_events_hold(tmp_path: Path, monkeypatch):
    written: list[tuple] = []

    class SummaryWriter:  # stands in for the optional package
        def __init__(self, folder: str, purge_step: int) -> None:
            written.append((folder, purge_step))

        def add_scalar(self, *arguments) -> None:
            written.append(arguments)

        def close(self) -> None:
            written.append(("closed",))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run = new(tmp_path, iterations=2, tensorboard=True)
    assert train(run) == "finished"
    losses = tiny_runs.losses_of(run)
    curve = [("loss/segmentation", losses[n]["segmentation"], n) for n in (1, 2)]
    assert written == [(str(run / "tensorboard"), 1), *curve, ("closed",)]
