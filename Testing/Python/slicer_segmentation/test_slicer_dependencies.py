"""What is missing is asked for once it is needed; what is broken is found in another process and named."""

from __future__ import annotations

from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import locale
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from HeadlessSlicer.python_modules import PyTorchUtilsLogic
from SIFALib.support import processes
from SIFASegmentationLib import Dependencies as module
from SIFASegmentationLib.Dependencies import Dependencies, DependencyError

REQUIREMENTS = stage.REPOSITORY / "SIFASegmentation" / "Resources" / "requirements.txt"


@pytest.fixture
def packaging(monkeypatch):
    monkeypatch.setattr(WORLD.packaging, "asked", [])
    for name, value in (("missing", set()), ("fails", False), ("loaded", False), ("restarted", False)):
        monkeypatch.setattr(WORLD.packaging, name, value)
    return WORLD.packaging


@pytest.fixture
def torch_extension(monkeypatch):
    """The extension PyTorch is installed, torch itself is not."""
    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    monkeypatch.setattr(PyTorchUtilsLogic, "asked", [])
    monkeypatch.setattr(PyTorchUtilsLogic, "installs", True)
    monkeypatch.setattr(Dependencies, "torchIsThere", lambda self: False)
    return PyTorchUtilsLogic


def take_all(steps) -> int:
    return sum(1 for _ in steps)


def broken_python(folder: Path, text: str, launcher: bool = False) -> str:
    """A Python in which torch is what `text` says. launcher: a program that starts it and waits for it."""
    (folder / "torch.py").write_text(text, encoding="utf-8")
    python, start = folder / "python", "" if launcher else "exec "
    text = f'#!/bin/sh\nPYTHONPATH="{folder}" {start}"{sys.executable}" "$@"\nexit $?\n'
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    return str(python)


def test_requirements_are_asked_for_by_name(packaging):
    Dependencies().ensure()
    (asked,) = packaging.asked
    wanted = [str(each) for each in WORLD.packaging.load_requirements(REQUIREMENTS)]
    assert asked == (wanted, "SIFA") and "safetensors>=0.4" in asked[0]


def test_requirements_are_the_librarys_without_what_slicer_brings():
    asked = [str(each) for each in WORLD.packaging.load_requirements(REQUIREMENTS)]
    project = (stage.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'"([^"]+)"', project.split("dependencies = [")[1].split("]")[0])
    brought = {"torch", "numpy", "SimpleITK", "scipy", "pydicom"}
    assert sorted(asked) == sorted(p for p in listed if p.split(">")[0] not in brought)
    assert all(">=" in package for package in asked)


def test_declining_packages_says_what_is_missing_and_what_to_do(packaging):
    packaging.missing = {"safetensors", "psutil"}
    said = r"scikit-image, safetensors, psutil and filelock were not installed, since that was declined\. Press Apply"
    with stage.person(False) as dialogs, pytest.raises(DependencyError, match=said):
        Dependencies().ensure()
    assert dialogs.asked == ["2 Python packages need to be installed."]


def test_packages_that_the_person_agrees_to_are_installed_and_a_restart_is_offered(packaging):
    packaging.missing, packaging.loaded = {"psutil"}, True
    with stage.person(True, False):
        Dependencies().ensure()
    assert not packaging.missing and not packaging.restarted


def test_nobody_is_asked_and_nothing_is_installed_in_testing_mode(packaging):
    packaging.missing = {"psutil"}
    Dependencies().ensure()
    assert packaging.missing == {"psutil"}


def test_failed_installation_is_said_without_the_command_of_pip(packaging, caplog):
    packaging.missing, packaging.fails = {"psutil"}, True
    with stage.person(True), pytest.raises(DependencyError) as failed:
        Dependencies().ensure()
    said = str(failed.value)
    assert "were not installed: pip ended with code 1" in said and "error log" in said and "Press Apply" in said
    assert ".." not in said and "Command" not in said and "PythonSlicer" not in said
    assert "PythonSlicer" in caplog.text


def test_failed_installation_of_torch_is_said_without_the_command_of_pip(packaging, torch_extension, monkeypatch):
    def fail(*_arguments, **_keywords):
        raise subprocess.CalledProcessError(1, ["/x/bin/PythonSlicer", "-m", "pip", "install", "torch"])

    monkeypatch.setattr(torch_extension, "installTorch", fail)
    with pytest.raises(DependencyError) as failed:
        Dependencies().ensure()
    said = str(failed.value)
    assert said.startswith("PyTorch could not be installed: pip ended with code 1") and "online" in said
    assert ".." not in said and "PythonSlicer" not in said


def test_torch_is_installed_by_the_extension_pytorch_after_asking(packaging, torch_extension):
    Dependencies().ensure()
    assert torch_extension.asked == [">=2.2"]


@pytest.mark.parametrize(
    ("extension", "said"),
    [
        (True, "PyTorch is missing and was not installed"),
        (False, "Install the extension PyTorch in the Extensions Manager"),
    ],
)
def test_torch_that_is_declined_or_cannot_be_had_is_told(packaging, torch_extension, monkeypatch, extension, said):
    torch_extension.installs = False
    if not extension:
        monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(DependencyError, match=said):
        Dependencies().ensure()
    assert packaging.asked == []


def test_torch_that_is_there_is_not_installed_again(packaging, torch_extension, monkeypatch):
    monkeypatch.setattr(Dependencies, "torchIsThere", lambda self: True)
    Dependencies().ensure()
    assert torch_extension.asked == []


def test_working_torch_passes_and_is_tried_once():
    dependencies = Dependencies()
    assert take_all(dependencies.trySteps()) > 0
    assert take_all(dependencies.trySteps()) == 0


def test_torch_that_is_missing_is_not_called_broken(torch_extension):
    """Whoever presses Try PyTorch before anything was installed."""
    with pytest.raises(DependencyError, match=r"PyTorch is missing and was not installed\. Press Apply"):
        take_all(Dependencies().trySteps())


REAL_TORCH = """
import sys
sys.path.remove({folder!r})
del sys.modules["torch"]
import torch
torch.nn.functional.conv2d = lambda image, kernel: torch.zeros(1, 1, 6, 6)
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('raise ImportError("libtorch_cpu.so: cannot open shared object file")', "libtorch_cpu.so"),
        ("", "has no attribute '__version__'"),
        ("import os\nos.abort()", "code -6|Aborted"),
        (REAL_TORCH, "gave a wrong result"),
        (
            'print("much to say" * 20_000)\nraise ImportError("libtorch_cpu.so is gone")',
            r"ImportError: libtorch_cpu\.so is",
        ),
        ('__version__ = "1.13.1"', r"PyTorch 1\.13\.1 is too old, SIFA needs >=2\.2"),
    ],
    ids=("library missing", "empty", "crashes", "computes wrongly", "says much", "too old"),
)
def test_torch_that_does_not_work_is_found_every_time_and_the_repair_is_named(tmp_path, text, reason):
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, text.replace("{folder!r}", repr(str(tmp_path))))
    for _ in range(2):
        with pytest.raises(DependencyError, match=reason) as caught:
            take_all(dependencies.trySteps())
        assert "PyTorch Utils" in str(caught.value) and "Uninstall" in str(caught.value)


def test_a_locale_without_accents_does_not_hide_the_reason(tmp_path):
    folder = tmp_path / "é"
    folder.mkdir()
    dependencies = Dependencies()
    dependencies.python = broken_python(folder, 'raise ImportError("größer als é")')
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    try:
        with pytest.raises(DependencyError, match="größer als é"):
            take_all(dependencies.trySteps())
    finally:
        locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("dropped", [False, True])
def test_torch_that_never_answers_is_given_up_or_dropped_and_its_process_ended(tmp_path, monkeypatch, dropped):
    """With the process that a launcher, such as PythonSlicer, has started."""
    number = tmp_path / "number"
    text = f"import os, time\nopen({str(number)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, text, launcher=True)
    steps = dependencies.trySteps()
    while not (number.exists() and number.read_text()):
        next(steps)
    assert processes.started(int(number.read_text()))
    if dropped:
        steps.close()
    else:
        monkeypatch.setattr(module.time, "monotonic", lambda: float("inf"))
        with pytest.raises(DependencyError, match="did not answer"):
            take_all(steps)
        monkeypatch.undo()
    stage.wait_until(lambda: not processes.started(int(number.read_text())))
