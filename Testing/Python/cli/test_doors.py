"""Names that no file system takes, places nobody may look at, pipes, full disks: a sentence at every door, and no harm."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from SIFALib import doctor
from SIFALib.cli import batch, doors, segment
from SIFALib.cli.console import INTERRUPTED
from SIFALib.cli.main import main
from SIFALib.imaging import pictures, seg_nrrd, writing
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.store import ModelStore, default_store
from SIFALib.runs import launch
from SIFALib.support import files
from SIFALib.support.errors import ModelError

DOORS = {
    "segment X o.nrrd": 3, "segment i.nrrd X": 6, "segment i.nrrd o.nrrd --report X": 6,
    "segment i.nrrd o.nrrd --picture X": 6, "segment i.nrrd o.nrrd --uncertainty X": 6,
    "segment i.nrrd o.nrrd --probabilities X": 6, "segment i.nrrd o.nrrd --model X": 4,
    "segment i.nrrd o.nrrd --models-folder X": 4, "batch X o": 3, "batch i X": 6, "check-data --source X": 3,
    "check-data --target X": 3, "check-data --source i --json X": 6, "check-data --source i --thumbnails X": 6,
    "evaluate --images X": 3, "evaluate --images i --labels X": 3, "evaluate --images i --csv X": 6,
    "phantom X": 6, "phantom o.nrrd --labels X": 6, "models show X": 4, "models verify X": 4, "models import X": 6,
    "models export m X": 6, "train X": 3, "train --configuration X": 3, "train r --source X": 3,
    "train r --start-model X": 4, "runs list X": 3, "runs status X": 3, "export X --id a --output b": 3,
    "import-tf X": 3,
}  # fmt: skip
"""Command lines with a place X, and the exit code that says which one is wrong."""


def lines(x: str) -> list[list[str]]:
    return [[x if word == "X" else word for word in line.split()] for line in DOORS]


def said(capsys, words: list[str]) -> tuple[int, str]:
    try:
        code = main(words)
    except SystemExit as end:  # argparse
        code = int(end.code or 0)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and "unexpected" not in shown.err and not shown.out, (words, shown)
    return code, shown.err


@pytest.mark.parametrize(
    ("name", "reason"),
    [("n" * 300 + ".nrrd", "longer than a file's may be"), (os.fsdecode(b"k\xe4se.nrrd"), "no text; rename it")],
    ids=["too long", "no text"],
)
def test_a_name_that_cannot_be_is_a_sentence_at_every_door_before_the_work(tmp_path, monkeypatch, capsys, name, reason):
    monkeypatch.chdir(tmp_path)
    found = {}
    for line, words in zip(DOORS, lines(name), strict=True):
        code, err = said(capsys, words)
        assert code == 2 or reason in err, (line, err)
        found[line] = code
    assert {line: code for line, code in found.items() if code not in (2, DOORS[line])} == {}
    assert sum(code == 2 for code in found.values()) <= 3 and not list(tmp_path.iterdir())


def test_a_place_that_nobody_may_look_at_is_a_sentence_at_every_door(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def locked(path: Path) -> None:  # root, who runs tests in containers, may look anywhere
        if "locked" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(doors, "check_place", locked)
    for line, words in zip(DOORS, lines("locked/x.nrrd"), strict=True):
        code, err = said(capsys, words)
        assert code in (2, DOORS[line]) and (code == 2 or "locked/x.nrrd: Permission denied." in err), (line, err)


def test_a_home_is_meant_by_its_sign_only_where_nothing_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/root/of/all")
    assert files.expanded("~/x") == Path("/root/of/all/x") and files.expanded("a~") == Path("a~")
    assert files.expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    Path("~").mkdir()
    assert files.expanded("~") == Path("~")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("SIFA_MODELS", raising=False)
    assert not default_store().user.exists()


# Full disks

GRID = Geometry((12, 11, 10), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LABELS = Volume(np.random.default_rng(0).integers(0, 5, GRID.shape).astype(np.uint8), GRID)
RGB = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["x.seg.nrrd", "x.nrrd", "x.mha", "x.nii", "x.nii.gz", "x.png"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_what_reached_the_disk_in_part_replaces_nothing(tmp_path, monkeypatch, name, share):
    """ITK does not look at what closing a file returns, which is where a full disk, or a full share of it, shows."""
    real, path = sitk.WriteImage, tmp_path / name
    path.write_bytes(b"of before")

    def write(image, file, *more):
        real(image, file, *more)
        os.truncate(file, int(os.path.getsize(file) * share))

    monkeypatch.setattr(sitk, "WriteImage", write)
    with pytest.raises(OSError):
        pictures.write_png(RGB, path) if name.endswith("png") else seg_nrrd.write_labels(LABELS, path)
    assert path.read_bytes() == b"of before" and [p.name for p in tmp_path.iterdir()] == [name]
    monkeypatch.undo()
    pictures.write_png(RGB, path) if name.endswith("png") else seg_nrrd.write_labels(LABELS, path)
    assert path.read_bytes() != b"of before"


def test_what_a_killed_program_left_is_swept_and_what_is_anothers_stays(tmp_path):
    ours, fresh, theirs = (tmp_path / f".{hexes}.tmp.nrrd" for hexes in ("a" * 32, "b" * 32, "backup"))
    (tmp_path / "notes").write_text("mine")
    link = tmp_path / f".{'c' * 32}.tmp"
    link.symlink_to(tmp_path / "notes")
    for path in (ours, fresh, theirs):
        path.write_text("")
    hours_ago = time.time() - 7200
    for path in (ours, theirs, tmp_path / "notes"):
        os.utime(path, (hours_ago, hours_ago))
    writing.write(LABELS, tmp_path / "x.nrrd")
    assert {p.name for p in tmp_path.iterdir()} == {"notes", "x.nrrd", fresh.name, theirs.name, link.name}


def test_what_cannot_be_said_is_told_by_the_exit_code(capsys, monkeypatch):
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["models", "folder"]) == 6
    assert "cannot be written to standard output (the disk is full)" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["models", "folder"]) == 0  # closed


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_clears_up_as_an_interruption(name):
    asked = signal.signal(getattr(signal, name), signal.SIG_DFL)  # whoever runs the tests may ignore it
    with pytest.raises(KeyboardInterrupt), sys.modules[main.__module__]._ended_by_signals():
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(5)
    assert signal.signal(getattr(signal, name), asked) == signal.SIG_DFL


def test_no_name_of_a_file_moves_the_cursor(tmp_path, capsys):
    assert main(["segment", f"{tmp_path}/\x1b[2J\u202egnp.nrrd", f"{tmp_path}/o.nrrd"]) == 3
    assert "?[2J?gnp.nrrd does not exist" in capsys.readouterr().err


def test_a_folder_of_runs_that_is_closed_is_bad_input(tmp_path, monkeypatch, capsys):
    def closed(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "iterdir", closed)
    assert said(capsys, ["runs", "list", str(tmp_path)])[0] == 3


def test_a_batch_that_is_interrupted_says_that_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "check", interrupted)
    assert main(["batch", str(tmp_path), str(tmp_path / "out")]) == INTERRUPTED
    assert "The same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(segment, "check", interrupted)
    assert main(["segment", str(tmp_path), str(tmp_path / "o.nrrd")]) == INTERRUPTED
    assert "goes on" not in capsys.readouterr().err


# Strangers' files


def test_pipes_and_devices_are_refused_at_once(tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "no ordinary file" in said(capsys, ["train", str(tmp_path / "r"), "--configuration", str(pipe)])[1]
    for path in (pipe, Path("/dev/zero")):
        assert (
            "a pipe or a device" in said(capsys, ["models", "import", str(path), "--models-folder", str(tmp_path)])[1]
        )
    (tmp_path / "store" / "odd-1.0.0").mkdir(parents=True)
    os.mkfifo(tmp_path / "store" / "odd-1.0.0" / "model.json")
    store = ModelStore(tmp_path / "none", tmp_path / "store")
    tiny_models.write(tmp_path / "store" / "tiny-1.0.0")
    assert [p.card.key for p in store.packages()] == ["tiny@1.0.0"] and "no ordinary file" in store.broken()[0].reason
    with pytest.raises(ModelError, match="no ordinary file"):
        store.get("odd")


def test_no_file_of_the_current_folder_is_run(tmp_path, monkeypatch):
    for name in ("json", "runpy", "subprocess", "torch"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w')")
    monkeypatch.chdir(tmp_path)
    assert doctor._in_fresh_process("_last_line", ["said"], None, 60.0) == "said"
    assert launch.start(sys.executable, "json.tool", ["--help"], tmp_path / "out.txt").wait(60) == 0
    assert not (tmp_path / "RAN").exists() and "usage" in (tmp_path / "out.txt").read_text()
    assert subprocess.run([sys.executable, "-c", "import json"], cwd=tmp_path).returncode == 0
    assert (tmp_path / "RAN").exists()  # what is prevented happens otherwise


@pytest.mark.parametrize(
    "arguments",
    [
        ["cine", "", "out"], ["cine", "study", ""], ["segment", "", "x.nii.gz"], ["segment", "x.nii.gz", ""],
        ["segment", "x.nii.gz", "y.nii.gz", "--report", ""], ["segment", "x.nii.gz", "y.nii.gz", "--model", ""],
        ["batch", "", "out"], ["batch", "scans", "", "--cine"], ["evaluate", "--images", ""], ["phantom", ""],
        ["check-data", "--source", "", "--target", "phantom"], ["adapt", "scans", "ours", "--source", ""],
        ["models", "show", ""], ["models", "list", "--models-folder", ""], ["train", ""], ["runs", "list", ""],
    ],
)  # fmt: skip
def test_an_empty_place_is_not_the_current_folder_nor_what_is_chosen_without_one(
    tmp_path, monkeypatch, capsys, arguments
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2 and "is empty; is a variable not set?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["adapt", "scans", "ours"], ["check-data", "--target", "scans"]])
def test_what_is_not_given_is_not_empty(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3
    found = capsys.readouterr()
    assert "scans does not exist" in found.out + found.err


def test_an_adaptation_of_no_iterations_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["adapt", "scans", "ours", "--iterations", "0"]) == 2
    assert "--iterations 0 trains nothing; give 1 or more" in capsys.readouterr().err
