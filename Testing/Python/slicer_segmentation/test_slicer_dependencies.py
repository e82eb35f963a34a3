"""What is missing is asked for once it is needed; what is broken is found in another process and named."""

from __future__ import annotations

from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import locale
import re
import sys
import types
from pathlib import Path

import pytest
from HeadlessSlicer.python_modules import PyTorchUtilsLogic
from SIFASegmentationLib import Dependencies as module
from SIFASegmentationLib.Dependencies import Dependencies, DependencyError

REQUIREMENTS = stage.REPOSITORY / "SIFASegmentation" / "Resources" / "requirements.txt"


@pytest.fixture
def packaging(monkeypatch):
    monkeypatch.setattr(WORLD.packaging, "asked", [])
    monkeypatch.setattr(WORLD.packaging, "declined", False)
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


def broken_python(folder: Path, text: str) -> str:
    """A Python in which torch is what `text` says."""
    (folder / "torch.py").write_text(text, encoding="utf-8")
    launcher = folder / "python"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    return str(launcher)


def test_requirements_are_asked_for_by_name(packaging):
    Dependencies().ensure()
    assert packaging.asked == [(["scikit-image>=0.22", "safetensors>=0.4"], "SIFA")]


def test_requirements_are_the_librarys_without_what_slicer_brings():
    asked = WORLD.packaging.load_requirements(REQUIREMENTS)
    project = (stage.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'"([^"]+)"', project.split("dependencies = [")[1].split("]")[0])
    brought = {"torch", "numpy", "SimpleITK"}
    assert sorted(asked) == sorted(p for p in listed if p.split(">")[0] not in brought)
    assert all(">=" in package for package in asked)


def test_declining_packages_says_what_is_missing_and_what_to_do(packaging):
    packaging.declined = True
    with pytest.raises(
        DependencyError, match=r"scikit-image>=0\.22, safetensors>=0\.4 were not installed.*Press Apply"
    ):
        Dependencies().ensure()


def test_torch_is_installed_by_the_extension_pytorch_after_asking(packaging, torch_extension):
    Dependencies().ensure()
    assert torch_extension.asked == [">=2.2"]


def test_declining_torch_says_so(packaging, torch_extension):
    torch_extension.installs = False
    with pytest.raises(DependencyError, match="PyTorch is missing and was not installed"):
        Dependencies().ensure()
    assert packaging.asked == []


def test_missing_extension_is_named(packaging, monkeypatch):
    monkeypatch.setattr(Dependencies, "torchIsThere", lambda self: False)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(DependencyError, match="Install the extension PyTorch in the Extensions Manager"):
        Dependencies().ensure()


def test_torch_that_is_there_is_not_installed_again(packaging, torch_extension, monkeypatch):
    monkeypatch.setattr(Dependencies, "torchIsThere", lambda self: True)
    Dependencies().ensure()
    assert torch_extension.asked == []


def test_working_torch_passes_and_is_tried_once():
    dependencies = Dependencies()
    assert take_all(dependencies.trySteps()) > 0
    assert take_all(dependencies.trySteps()) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('raise ImportError("libtorch_cpu.so: cannot open shared object file")', "libtorch_cpu.so"),
        ("", "has no attribute '__version__'"),
        ("import os\nos.abort()", "code -6|Aborted"),
    ],
)
def test_half_installed_torch_is_found_and_the_repair_is_named(tmp_path, text, reason):
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, text)
    with pytest.raises(DependencyError, match=reason) as caught:
        take_all(dependencies.trySteps())
    assert "PyTorch Utils" in str(caught.value) and "Uninstall" in str(caught.value)
    with pytest.raises(DependencyError):
        take_all(dependencies.trySteps())


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


REAL_TORCH = """
import sys
sys.path.remove({folder!r})
del sys.modules["torch"]
import torch
"""


def test_torch_that_computes_wrongly_is_found(tmp_path):
    wrong = REAL_TORCH + "torch.nn.functional.conv2d = lambda image, kernel: torch.zeros(1, 1, 6, 6)"
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, wrong.format(folder=str(tmp_path)))
    with pytest.raises(DependencyError, match="gave a wrong result"):
        take_all(dependencies.trySteps())


def test_torch_that_is_too_old_is_found(tmp_path):
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, '__version__ = "1.13.1"')
    with pytest.raises(DependencyError, match=r"PyTorch 1\.13\.1 is too old, SIFA needs >=2\.2"):
        take_all(dependencies.trySteps())


def test_torch_that_never_answers_is_given_up_and_its_process_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.3)
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, "import time\ntime.sleep(600)")
    launched = []
    real = module.slicer.util.launchConsoleProcess

    def launch(*arguments, **keywords):
        launched.append(real(*arguments, **keywords))
        return launched[-1]

    monkeypatch.setattr(module.slicer.util, "launchConsoleProcess", launch)
    with pytest.raises(DependencyError, match="did not answer"):
        take_all(dependencies.trySteps())
    assert launched[0].poll() is not None


def test_dropping_the_check_ends_its_process(tmp_path, monkeypatch):
    dependencies = Dependencies()
    dependencies.python = broken_python(tmp_path, "import time\ntime.sleep(600)")
    launched = []
    real = module.slicer.util.launchConsoleProcess
    monkeypatch.setattr(
        module.slicer.util, "launchConsoleProcess", lambda *a, **k: launched.append(real(*a, **k)) or launched[-1]
    )
    steps = dependencies.trySteps()
    next(steps)
    steps.close()
    assert launched[0].poll() is not None
