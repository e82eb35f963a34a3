"""Promises of doctor.py: a half-installed torch is found elsewhere, and every trouble has its repair."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models
from SIFALib import doctor
from SIFALib.cli.main import main
from SIFALib.models.store import ModelStore


def pretend_torch(folder: Path, monkeypatch, source: str) -> None:
    """Put a torch with this source before the real one, for new processes."""
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_sound_torch_computes_a_convolution_and_tells_device_and_precision():
    finding = doctor.check_torch()
    assert finding.ok and finding.repair == ""
    assert "computes in " in finding.detail and " on " in finding.detail
    facts = doctor.probe_torch()
    assert doctor._at_least(facts["version"], doctor.MIN_TORCH) and facts["precision"] in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("source", "detail", "repair"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
            "is not installed",
            doctor.INSTALL_TORCH,
        ),
        ("raise ImportError('libtorch_cpu.so: cannot open')", "libtorch_cpu.so", doctor.REINSTALL_TORCH),
        ("from torch._C import *", "torch._C", doctor.REINSTALL_TORCH),
        ("import os; os.abort()", "crashes when it is used", doctor.REINSTALL_TORCH),
        ("raise RuntimeError('CUDA error: no kernel image is available')", "no kernel image", doctor.OTHER_BUILD),
        ("__version__ = '1.13.1+cu117'", "1.13.1+cu117 is too old", "Upgrade PyTorch to 2.2 or newer."),
    ],
)
def test_a_torch_that_does_not_work_is_told_with_its_repair(tmp_path, monkeypatch, source, detail, repair):
    pretend_torch(tmp_path, monkeypatch, source)
    finding = doctor.check_torch()
    assert not finding.ok
    assert detail in finding.detail and finding.repair == repair


def test_a_torch_that_hangs_is_given_up_and_a_python_that_is_not_there_is_told(tmp_path, monkeypatch):
    pretend_torch(tmp_path, monkeypatch, "import time; time.sleep(600)")
    finding = doctor.check_torch(timeout_s=2)
    assert not finding.ok and "did not answer within 2 s" in finding.detail
    finding = doctor.check_torch("/no/such/python")
    assert not finding.ok and "/no/such/python cannot be started" in finding.detail


def test_looking_for_torch_imports_none_here():
    library = Path(doctor.__file__).parents[1]
    code = "import sys; from SIFALib import doctor\nassert doctor.check_torch().ok; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=library, check=True)


def test_missing_and_old_packages_are_told_with_the_command_that_mends_them(tmp_path, monkeypatch):
    for name, source in (("sifa_test_old", "__version__ = '0.9.1'"), ("sifa_test_broken", "raise OSError('no DLL')")):
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {
        "sifa_test_old": ("old", (1, 0)),
        "sifa_test_broken": ("broken", (1, 0)),
        "sifa_test_missing": ("missing", (1, 0)),
        "numpy": ("numpy", (1, 26)),
    }
    monkeypatch.setattr(doctor, "PACKAGES", modules)
    old, broken, missing, numpy = doctor.check_packages()
    assert (old.ok, old.detail) == (False, "0.9.1, older than 1.0")
    assert "no DLL" in broken.detail and "No module named" in missing.detail
    assert missing.repair == "Run `pip install --upgrade missing`."
    assert numpy.ok and numpy.repair == ""


@pytest.mark.parametrize(
    ("version", "enough"), [("2.2.0", True), ("2.10.1+cpu", True), ("2.1.9", False), ("3", True), ("2.2rc1", True)]
)
def test_versions_are_compared_as_numbers(version, enough):
    assert doctor._at_least(version, (2, 2)) is enough


def test_the_store_is_verified_model_by_model(tmp_path):
    tiny_models.write(tmp_path / "user" / "sound")
    damaged = tiny_models.write(tmp_path / "user" / "damaged", id="damaged")
    damaged.weights.write_bytes(b"x" * 100)
    (tmp_path / "user" / "rubbish").mkdir()
    findings = list(doctor.check_models(ModelStore(tmp_path / "none", tmp_path / "user")))
    assert [(f.name, f.ok) for f in findings] == [
        ("Model damaged@1.0.0", False),
        ("Model tiny@1.0.0", True),
        ("Model folder rubbish", False),
    ]
    assert all(f.repair for f in findings if not f.ok)


def test_a_store_without_models_and_a_folder_that_cannot_take_any_are_told(tmp_path):
    (finding,) = doctor.check_models(ModelStore(tmp_path, tmp_path))
    assert not finding.ok and finding.repair == "Import a model."
    (tmp_path / "file").write_text("in the way")
    assert doctor.check_user_folder(tmp_path / "not yet" / "there").ok
    finding = doctor.check_user_folder(tmp_path / "file" / "models")
    assert not finding.ok and "SIFA_MODELS" in finding.repair


def test_one_slice_is_timed_through_the_real_network(tmp_path):
    package = tiny_models.write(tmp_path / "tiny")
    finding = doctor.time_slice(package)
    assert finding.ok and " ms for 64 x 64 pixels on " in finding.detail
    facts = doctor.probe_slice(str(package.folder))
    assert facts["seconds"] > 0 and facts["device"].split(":")[0] in ("cpu", "cuda", "mps")


def test_the_command_prints_each_finding_and_ends_with_1_if_something_needs_repair(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path))
    tiny_models.write(tmp_path / "tiny-1.0.0")
    code = main(["doctor"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    for text in ("Python: ", "numpy: ", "PyTorch: ", "Model tiny@1.0.0: ", "One slice through "):
        assert f"ok      {text}" in printed
    sound = doctor.Finding("PyTorch", True, "looked at above")
    monkeypatch.setattr(doctor, "check_torch", lambda *_: sound)
    monkeypatch.setattr(doctor, "time_slice", lambda *_: sound)
    (tmp_path / "rubbish").mkdir()
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "REPAIR  Model folder rubbish: " in printed and "Delete the folder" in printed
