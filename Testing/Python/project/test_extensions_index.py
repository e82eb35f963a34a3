"""What Slicer's Extensions Index checks and its reviewers ask for, as far as it can be seen without a network.

Sources: https://github.com/Slicer/ExtensionsIndex, scripts/check_description_files.py and its template for pull requests;
Slicer's Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json. That the build packs every file, and that loading
the modules imports nothing heavy, stands in test_slicer_build and test_slicer_module.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENTRY = ROOT / "Testing" / "ExtensionsIndex" / "SIFA.json"
MODULES = ("SIFASegmentation", "SIFATraining")
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json"
)
REQUIRED = {"$schema": str, "category": str, "scm_url": str}
OPTIONAL = {
    "scm_revision": str, "scm_type": str, "build_dependencies": list, "dicom_support_rule": str,
    "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip
CATEGORIES = ("Segmentation", "Cardiac")  # of the accepted ones, those that a heart segmentation belongs to
LICENCES = ("LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt")
MB = 10**6
MOST_HISTORY, MOST_FILE, MOST_PICTURE = (78 * MB, 16 * MB, MB // 5)  # the Index itself refuses 100 MB of history
SLICERS_OWN = {"slicer", "qt", "ctk", "vtk", "numpy"}  # what Slicer brings and loads anyway
OURS = {"SIFALib", *MODULES, *(f"{name}Lib" for name in MODULES)}


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads(ENTRY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def described(field: str) -> str:
    """What CMakeLists.txt says, found as the Index finds it."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    (found,) = re.findall(rf'set\(EXTENSION_{field}\s*"([^"]+)"\)', text)
    return found


def files() -> list[Path]:
    """All files of the repository: those that git knows, or those of an unpacked archive."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]
    return [p for p in ROOT.rglob("*") if p.is_file() and not any(x.startswith(".") for x in p.parts)]


# The description file


def test_entry_is_what_the_schema_asks_for(entry):
    assert entry["$schema"].partition("#")[0] == SCHEMA
    assert entry.keys() >= REQUIRED.keys() and entry.keys() <= REQUIRED.keys() | OPTIONAL.keys()
    for key, kind in (REQUIRED | OPTIONAL).items():
        assert key not in entry or type(entry[key]) is kind, key
    assert 1 <= entry["tier"] <= 5 and all(isinstance(name, str) for name in entry["build_dependencies"])


def test_names_are_as_the_index_wants_them(entry):
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    (project,) = re.findall(r"^project\(\s*([^\s)]+)", text, re.MULTILINE)
    assert ENTRY.stem == project and not project.lower().startswith("slicer")
    address = urlsplit(entry["scm_url"])
    assert address.scheme in ("https", "git")
    assert Path(address.path).stem == f"Slicer{project}"


def test_entry_and_build_say_the_same(entry):
    assert entry["category"] == described("CATEGORY") and entry["category"] in CATEGORIES
    assert entry["build_dependencies"] == described("DEPENDS").split()
    assert entry["build_subdirectory"] == described("BUILD_SUBDIRECTORY")
    assert described("HOMEPAGE").startswith(entry["scm_url"].removesuffix(".git"))


def test_there_is_a_licence_and_the_readme_names_it(readme):
    (name,) = [name for name in LICENCES if name in {path.name for path in ROOT.iterdir()}]
    assert "Apache License" in (ROOT / name).read_text(encoding="utf-8")
    assert f"Apache-2.0, see [{name}]({name})" in readme


# How it is described


def size_of(png: Path) -> tuple[int, int]:
    """Width and height in pixels, of the PNG header."""
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR", png
    return struct.unpack(">II", head[16:24])


def local(address: str, entry: dict) -> Path:
    """The file of this repository that a raw address shows."""
    owner, repository = urlsplit(entry["scm_url"]).path.removesuffix(".git").strip("/").split("/")
    raw = f"https://raw.githubusercontent.com/{owner}/{repository}/{entry['scm_revision']}/"
    assert address.startswith(raw), address
    return ROOT / address.removeprefix(raw)


def test_icon_and_screenshots_are_pictures_of_this_repository(entry):
    icon = local(described("ICONURL"), entry)
    assert icon in files() and size_of(icon) == (128, 128)
    shown = [local(address, entry) for address in described("SCREENSHOTURLS").split()]
    assert {path.relative_to(ROOT).parts[0] for path in shown} == set(MODULES)  # at least one of each module
    for path in shown:
        width, height = size_of(path)
        assert path in files() and 300 <= width <= 2000 and 300 <= height <= 2000, path


def test_description_is_two_sentences_that_anybody_understands():
    text = described("DESCRIPTION")
    assert 80 <= len(text) <= 400 and 1 <= len(re.findall(r"\.(?: |$)", text)) <= 2
    assert "heart" in text and not re.search(r"adversarial|neural|torch|convolution", text, re.IGNORECASE)


def test_readme_tells_what_reviewers_look_for(readme):
    title, summary = readme.split("\n## ")[0], readme.split("\n## ")[1:]
    assert title.startswith("# SIFA") and "segments the heart" in title and "](SIFASegmentation" in title
    for name in MODULES:
        assert re.search(rf"^\| \*\*{name}\*\* \| \S.{{40,}}\. ?.*\|$", title, re.MULTILINE), name
    sections = {text.partition("\n")[0]: text for text in summary}
    tutorial = (ROOT / "docs" / "tutorials" / "first-steps.md").read_text(encoding="utf-8")
    assert "docs/tutorials/first-steps.md" in sections["First segmentation"]
    assert "Sample Data" in tutorial and len(re.findall(r"^\d+\. ", tutorial, re.MULTILINE)) >= 5
    assert tutorial.count("/Resources/Screenshots/") >= 4
    assert all(f"{name}/Resources/Screenshots/" in tutorial for name in MODULES)
    assert "https://" in sections["Citation"] and "2494" in sections["Citation"]


# What it may not do


def outer_imports(path: Path) -> set[str]:
    """The packages that a file imports when it is loaded: not in functions, and not for type checkers alone."""
    found, waiting = set(), list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.ClassDef)):
            for_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            waiting += [] if for_checkers else [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
    return found


def slicer_side() -> list[Path]:
    return [
        path for name in MODULES for path in (ROOT / name / f"{name}.py", *(ROOT / name / f"{name}Lib").glob("*.py"))
    ]


def test_modules_import_nothing_of_others_when_they_are_loaded():
    assert len(slicer_side()) > 30
    for path in slicer_side():
        others = outer_imports(path) - set(sys.stdlib_module_names) - SLICERS_OWN - OURS
        assert not others, f"{path.relative_to(ROOT)} imports {', '.join(others)}"


def test_pytorch_is_installed_by_its_extension_alone(entry):
    assert "PyTorch" in entry["build_dependencies"]
    wanted = (ROOT / "SIFASegmentation" / "Resources" / "requirements.txt").read_text(encoding="utf-8")
    names = [re.split(r"[<>=~! ]", line)[0] for line in wanted.splitlines() if line and line[0] != "#"]
    assert names and not {"torch", "torchvision", "SimpleITK", "numpy"} & set(names)
    for path in slicer_side():
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        called = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
        repaired = {"pip_install"} if path.name == "Dependencies.py" else set()  # what the requirements name, anew
        assert not {"pip_install", "pip_main"} & called - repaired, path


# How large it is


def test_repository_with_its_history_is_small():
    if (ROOT / ".git").exists():  # what a clone fetches: a folder's own packs may hold an object twice, or none of it
        bundle = ["git", "bundle", "create", "-q", "-", "HEAD"]
        size = len(subprocess.run(bundle, cwd=ROOT, capture_output=True, check=True).stdout)
    else:
        size = sum(path.stat().st_size for path in files())
    assert MB < size < MOST_HISTORY, f"{size / MB:.0f} MB"


def test_no_file_is_large():
    for path in files():
        limit = MOST_PICTURE if path.suffix == ".png" else MOST_FILE
        assert path.stat().st_size <= limit, f"{path.relative_to(ROOT)}: {path.stat().st_size / MB:.1f} MB"
