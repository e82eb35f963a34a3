"""Promises of the command `sifa` that only a process of its own can show: Ctrl-C, memory, missing packages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
import tiny_models
from cli_helpers import TURN, case, scan
from SIFALib import __version__
from SIFALib.models.card import Architecture

__all__ = ["case"]  # the fixture
LIBRARY = Path(__file__).resolve().parents[3] / "SIFASegmentation"


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "SIFALib", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=LIBRARY,
        env=os.environ | environment,
        # a test run in the background of a shell ignores Ctrl-C, and would hand that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_the_version_is_told():
    printed, _ = start("--version").communicate()
    assert printed == f"sifa {__version__}\n"


def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(case, tmp_path):
    big = sitk.Resample(
        scan(), (120, 120, 120), sitk.Transform(), sitk.sitkLinear, scan().GetOrigin(), (1.3, 1.6, 1.0), TURN
    )
    sitk.WriteImage(big, str(tmp_path / "big.nrrd"))
    model = tiny_models.write(tmp_path / "slow", architecture=Architecture(width=8)).folder
    process = start("segment", tmp_path / "big.nrrd", tmp_path / "out.seg.nrrd", "--model", model, OMP_NUM_THREADS="1")
    assert process.stderr is not None
    line = ""
    while not line.startswith("Finding the heart"):
        line = process.stderr.readline()
        assert line, "it ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    printed, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint.splitlines()[-1] == "sifa: interrupted; nothing half-written is left behind."
    assert printed == "" and "Traceback" not in complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.nrrd", "slow"]


def test_without_torch_models_work_and_segment_says_what_to_install(case, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    without = {"PYTHONPATH": str(tmp_path), "SIFA_MODELS": str(case / "models")}
    listing = start("models", "verify", "tiny", **without)
    assert listing.communicate()[0] == "tiny@1.0.0 is sound.\n"
    process = start("segment", case / "scan.nrrd", tmp_path / "out.nrrd", "--model", "tiny", **without)
    _, complaint = process.communicate()
    assert process.returncode == 1
    assert "PyTorch cannot be used (No module named 'torch'). Install it" in complaint


def without_packages(folder: Path, *names: str) -> dict[str, str]:
    """The environment of a Python in which these packages are not installed."""
    for name in names:
        message = f"No module named {name!r}"
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({message!r}, name={name!r})")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    "missing", [("SimpleITK", "skimage", "scipy", "safetensors", "psutil", "filelock", "pydicom", "torch"), ("numpy",)]
)
def test_doctor_help_and_version_need_no_package_and_doctor_names_each_that_is_missing(tmp_path, missing):
    without = without_packages(tmp_path, *missing)
    for option in ("--version", "--help"):
        process = start(option, **without)
        assert process.communicate()[1] == "" and process.returncode == 0
    process = start("doctor", **without)
    printed, complaint = process.communicate()
    assert (process.returncode, complaint) == (1, "")
    pip_names = {"skimage": "scikit-image", "torch": "PyTorch"}
    for name in missing:
        line = printed.partition(f"REPAIR  {pip_names.get(name, name)}: ")[2]
        assert (
            line.splitlines()[1]
            .strip()
            .startswith(
                "Install PyTorch" if name == "torch" else f"Run `pip install --upgrade {pip_names.get(name, name)}`."
            )
        )
    if missing == ("numpy",):
        assert "REPAIR  Models: cannot be checked (No module named 'numpy')\n" in printed


@pytest.mark.parametrize("missing", ["SimpleITK", "numpy", "skimage"])
def test_a_missing_package_is_said_in_a_sentence_before_the_work(case, tmp_path, missing):
    without = without_packages(tmp_path, missing) | {"SIFA_MODELS": str(case / "models")}
    commands = [("segment", case / "scan.nrrd", tmp_path / "out.nrrd", "--model", "tiny")]
    if missing != "skimage":  # a phantom does without
        commands.append(("phantom", tmp_path / "out.nrrd"))
    for command in commands:
        process = start(*command, **without)
        _, complaint = process.communicate()
        assert process.returncode == 1
        assert complaint == (
            f"sifa: The Python package {missing} cannot be used: No module named '{missing}'. "
            "`sifa doctor` tells how to repair it.\n"
        )
