"""Trainings as real processes: killed without mercy, several as one, started and asked from the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import tiny_runs
from SIFALib import runs
from SIFALib.cli.main import main
from SIFALib.runs import checkpoints, configuration, control, events
from SIFALib.runs.loop import train

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    tiny_runs.make_scans(folder)
    return folder


def output_of(process: subprocess.Popen) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=tiny_runs.PATIENCE)
    return process.returncode, out, error


def sifa(*arguments: str | Path) -> tuple[int, str, str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return output_of(tiny_runs.start("-m", "SIFALib", *map(str, arguments), **pipes))


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The same in this process, which has torch: where nothing is trained."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_killed_at_any_moment_a_run_resumes_to_the_same_end():
    """The benchmark, in small: `python Testing/Benchmarks/bench_kill.py` kills 200 times."""
    options = ("--count", "1", "--changes", "2", "--iterations", "4", "--objective", "source_only")
    bench = tiny_runs.start(str(ROOT / "Testing/Benchmarks/bench_kill.py"), *options, stdout=subprocess.PIPE)
    code, out, _ = output_of(bench)
    assert code == 0, out
    assert json.loads(out)["killed"] == 3


def test_two_processes_train_as_one_and_end_cleanly_when_one_is_killed(scans: Path, tmp_path: Path):
    # nothing depends on the process: no dropout, and no image leaves the pools before iteration 3
    method = tiny_runs.whole(image_pool=4, decoder_keep_rate=1.0)
    changes = {"method": method, "judge_every": 0, "preview_every": 0, "iterations": 10_000, "save_every": 2}
    several = runs.create(tmp_path / "several", tiny_runs.configuration(scans, **changes)).path
    launcher = tiny_runs.start(
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "SIFALib.runs", str(several),
        stderr=subprocess.PIPE,
    )  # fmt: skip
    tiny_runs.wait_until(lambda: checkpoints.newest(several / "checkpoints"), launcher)
    first = tiny_runs.status_of(several)["pid"]
    workers = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    (second,) = [int(pid) for pid in workers if int(pid) != first and is_worker(int(pid))]
    os.kill(second, signal.SIGKILL)
    code, _, log = output_of(launcher)
    assert code != 0
    status = tiny_runs.status_of(several)
    assert status["state"] == "failed" and "Another process of this training ended" in status["message"], log
    saved = checkpoints.load_newest(several / "checkpoints")
    assert len(saved["image_pools"]) == 2

    alone = runs.create(tmp_path / "alone", tiny_runs.configuration(scans, **{**changes, "iterations": 2})).path
    assert train(alone) == "finished"
    expected, found = tiny_runs.losses_of(alone), tiny_runs.losses_of(several)
    assert found[1] == pytest.approx(expected[1], rel=1e-4)
    assert found[2] == pytest.approx(expected[2], rel=2e-2)  # Adam's first step makes much of tiny differences
    assert [e["processes"] for e in events.read(several / "events.jsonl") if e["kind"] == "started"] == [2]

    folder = runs.RunFolder(several)  # what two processes began, one brings to its end
    folder.change(configuration.changed(folder.read().configuration, {"iterations": saved["iteration"] + 1}))
    assert train(several) == "finished"
    assert max(tiny_runs.losses_of(several)) == saved["iteration"] + 1


def is_worker(pid: int) -> bool:
    return b"SIFALib.runs" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_training_is_started_watched_and_stopped_from_the_command_line(scans: Path, tmp_path: Path, capsys):
    run = tmp_path / "runs" / "mine"
    template = tmp_path / "settings.json"
    tiny = tiny_runs.configuration(scans, method=tiny_runs.supervised(), judge_every=0, preview_every=0)
    template.write_text(runs.configuration.new_run_file(tiny).to_json())
    made = told(capsys, "train", run, "--configuration", template, "--iterations", "10000", "--create-only")
    assert made[0] == 0 and made[1].strip() == str(run)
    assert runs.RunFolder(run).read().configuration.name == "mine"
    training = tiny_runs.start("-m", "SIFALib", "train", str(run), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tiny_runs.wait_until(lambda: tiny_runs.losses_of(run), training)
    code, out, error = told(capsys, "train", run)
    assert code == 1 and "in use" in error
    assert "mine  running" in told(capsys, "runs", "list", run.parent)[1]
    assert sifa("runs", "stop", run)[0] == 0
    code, out, error = output_of(training)
    assert code == 0 and "Stopped after iteration" in out and f"sifa train {run}" in out, error
    assert "SIFALib" not in error and "Iterations from 0" in (run / "log.txt").read_text()
    code, out, _ = told(capsys, "runs", "status", run, "--json")
    assert json.loads(out)["state"] == "stopped"
    at = json.loads(out)["iteration"]
    (run / "checkpoints" / f"{at + 1:08d}.pt").write_bytes(b"damaged")
    code, out, error = sifa("train", "--resume", run, "--iterations", str(at + 1), "--quiet")
    assert code == 0 and not out and control.look(run).status.iteration == at + 1, error
    assert "sifa: The checkpoint" in error and len(error.splitlines()) == 1  # warned of, and nothing else
    assert control.look(run).state == "finished"


def test_a_failed_training_says_why_and_ends_with_an_error(tmp_path: Path):
    tiny_runs.make_scans(tmp_path)
    run = runs.create(tmp_path / "run", tiny_runs.configuration(tmp_path)).path
    shutil.rmtree(tmp_path / "target")
    code, _, error = sifa("train", run, "--quiet")
    assert code == 3 and error.startswith("sifa: ") and error.count(str(tmp_path / "target")) == 1
    assert len(error.splitlines()) == 1
    assert tiny_runs.status_of(run)["state"] == "failed"
