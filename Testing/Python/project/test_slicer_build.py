"""What Slicer's build system packs is everything that the modules need, where they look for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("SIFASegmentation", "SIFATraining")
# nothing is compiled, so no compiler is needed
NO_COMPILER = [f"-DCMAKE_{c}_COMPILER{x}" for c in ("C", "CXX") for x in (f"={sys.executable}", "_FORCED=ON")]
STUB = [f"-DSlicer_DIR={ROOT / 'Testing' / 'CMake'}", *NO_COMPILER]
LIBRARY = Path("lib/Slicer-5.12/qt-scripted-modules")


def run(*command: str | Path, **keywords) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, encoding="utf-8", **keywords)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cmake() -> str:
    beside = Path(sys.executable).with_name("cmake")
    found = str(beside) if beside.exists() else shutil.which("cmake")
    assert found, "cmake is needed; it is among the development dependencies"
    return found


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    """The extension configured, built and installed under a folder."""
    folder = tmp_path_factory.mktemp("extension")
    run(cmake(), "-S", ROOT, "-B", folder / "build", *STUB)
    run(cmake(), "--build", folder / "build")
    run(cmake(), "--install", folder / "build", "--prefix", folder / "installed")
    return folder


def module_files() -> list[Path]:
    """What belongs to the modules, relative to the repository: what git knows, or what is there."""
    if (ROOT / ".git").exists():
        listed = [Path(line) for line in run("git", "ls-files", *MODULES, cwd=ROOT).splitlines()]
        files = [path for path in listed if (ROOT / path).exists()]
    else:
        files = [p.relative_to(ROOT) for m in MODULES for p in (ROOT / m).rglob("*") if p.is_file()]
    return [p for p in files if p.name != "CMakeLists.txt" and "__pycache__" not in p.parts]


def test_every_file_of_the_modules_is_installed_where_it_belongs(build):
    files = module_files()
    assert {p.suffix for p in files} >= {".py", ".ui", ".png", ".txt"} and len(files) > 40
    for path in files:
        place = LIBRARY / path.relative_to(path.parts[0])
        for tree in (build / "installed" / place, build / "build" / place):
            assert tree.exists(), f"{path} is not installed"
            assert tree.read_bytes() == (ROOT / path).read_bytes()


def test_modules_do_not_overwrite_each_others_files():
    places = [path.relative_to(path.parts[0]) for path in module_files()]
    assert len(places) == len(set(places))


def test_both_panels_open_from_the_installed_extension(build, tmp_path):
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "Testing")!r})
from HeadlessSlicer import stage
stage.start()
stage.load_modules(Path({str(build / "installed" / LIBRARY)!r}))
print([stage.open_module(name).ui is not None for name in {MODULES!r}])
import SIFALib, SIFASegmentationLib
print(SIFALib.__file__, SIFASegmentationLib.__file__)
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    output = run(sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-c", script, env=environment)
    assert "[True, True]" in output
    assert output.count(str(build / "installed")) == 2


def test_build_refuses_a_file_that_is_listed_but_missing(tmp_path):
    shutil.copytree(ROOT / "SIFATraining", tmp_path / "SIFATraining")
    lists = tmp_path / "SIFATraining" / "CMakeLists.txt"
    lists.write_text(
        lists.read_text(encoding="utf-8").replace("RESOURCES ", "RESOURCES Resources/Nowhere.png "), encoding="utf-8"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16.3)\nproject(X NONE)\nfind_package(Slicer REQUIRED)\n"
        "include(${Slicer_USE_FILE})\nadd_subdirectory(SIFATraining)\n"
    )
    command = [cmake(), "-S", str(tmp_path), "-B", str(tmp_path / "build"), *STUB]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode != 0 and "Resources/Nowhere.png" in done.stderr


def test_extension_describes_itself_and_its_pictures_exist(build):
    lines = (build / "build" / "extension.txt").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    raw = "https://raw.githubusercontent.com/SIFA-Slicer/SlicerSIFA/main/"
    assert fields["HOMEPAGE"].startswith("https://github.com/SIFA-Slicer/SlicerSIFA")
    assert fields["DEPENDS"] == "PyTorch"
    for url in (fields["ICONURL"], *fields["SCREENSHOTURLS"].split()):
        assert url.startswith(raw)
        assert (ROOT / url.removeprefix(raw)).read_bytes().startswith(b"\x89PNG")
