"""What the documentation tells to type works: every command is one, every block of Python runs, and so do the examples."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from SIFALib import imaging, models, runs
from SIFALib.adaptation import losses
from SIFALib.cli.main import build_parser, main
from SIFALib.imaging import Geometry, Volume
from SIFALib.models import store
from SIFALib.runs import preflight
from SIFALib.runs.start_model import StartModel

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SMALL = {"phantom": ["--spacing", "4"], "segment": ["--views", "one"], "batch": ["--views", "one"]}  # for a test's time


def blocks(page: Path, kind: str) -> list[str]:
    """The fenced blocks of that kind ("" for none) in a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The command lines of `sifa` in the page's blocks, as words."""
    lines = (line for block in blocks(page, "") for line in block.splitlines())
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("sifa ")]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def small_model(tmp_path_factory, monkeypatch) -> None:
    """The model that comes with SIFA is one that takes a tenth of the time, and finds the left ventricle anywhere."""
    folder = tmp_path_factory.mktemp("store")
    coarse = store.Preprocessing(
        spacing_mm=4.0, slice_spacing_mm=8.0, crop=32, locate_spacing_mm=8.0, locate_slice_spacing_mm=16.0
    )
    tiny_models.write_constant(folder / "bundled" / "tiny", 3, preprocessing=coarse)
    for place in (models, store):
        monkeypatch.setattr(place, "default_store", lambda *_: store.ModelStore(folder / "bundled", folder / "user"))


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=named)
def test_every_command_of_a_page_is_one(page):
    for words in commands(page):
        options = build_parser().parse_args(words)
        assert hasattr(options, "run"), words


def test_the_commands_of_the_readme_that_need_no_scans_of_ones_own_do_what_it_says(tmp_path, monkeypatch):
    do_commands(ROOT / "README.md", tmp_path, monkeypatch)


@pytest.mark.usefixtures("small_model")
def test_those_of_the_page_about_the_command_line_do_what_it_says(tmp_path, monkeypatch):
    do_commands(ROOT / "docs/how-to/command-line.md", tmp_path, monkeypatch)


def do_commands(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = 0
    for words in commands(page):
        if words[0] in ("phantom", "segment") and "--model" not in words:
            assert main([*words, *SMALL[words[0]], "--quiet"]) == 0, words
            done += 1
    assert done >= 2 and (tmp_path / "heart.seg.nrrd").is_file() and (tmp_path / "heart.png").is_file()


@pytest.mark.usefixtures("small_model")
def test_the_python_of_the_pages_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["phantom", "scan.nrrd", "--spacing", "4", "--quiet"]) == 0
    ran = [block for page in PAGES for block in blocks(page, "python") if "imaging.read" in block]
    for block in ran:
        exec(compile(block, "documentation", "exec"), {})
    assert ran and (tmp_path / "labels.nii.gz").is_file()


@pytest.mark.parametrize(
    ("place", "predictions"), [("self_training.objective", "logits"), ("objectives.alignment", "main")]
)
def test_the_loss_term_that_contributing_adds_can_be_pasted(place, predictions):
    (block,) = [block for block in blocks(ROOT / "CONTRIBUTING.md", "text") if block.startswith("# losses.py")]
    formula, field, lines = re.split(r"^# \w+\.py.*\n", block, flags=re.MULTILINE)[1:]
    pasted = dict(vars(losses))
    exec(formula, pasted)
    assert pasted["entropy"](torch.zeros(1, 4, 2, 2)).item() == pytest.approx(1.0)
    assert field.split(":")[0].strip() == re.search(r"state\.method\.(\w+)", lines)[1]
    file, function = place.split(".")
    source = inspect.getsource(getattr(importlib.import_module(f"SIFALib.adaptation.{file}"), function))
    for name in ("loss", "terms", predictions):
        assert re.search(rf"^    .*\b{name}\b.* = ", source, re.MULTILINE), name
    assert source.rstrip().endswith("return Objective(loss, terms)") and "losses.entropy(logits)" in lines


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("small_model")
def test_the_examples_do_what_they_say(tmp_path, capsys):
    scans, results = tmp_path / "scans", tmp_path / "results"
    scans.mkdir()
    assert main(["phantom", str(scans / "one.nrrd"), "--spacing", "4", "--quiet"]) == 0
    imaging.write(
        Volume(np.zeros((40, 40, 40), np.int16), Geometry((40, 40, 40), (0, 0, 0), (4, 4, 4))), scans / "air.nrrd"
    )
    (scans / "broken.nrrd").write_bytes((scans / "one.nrrd").read_bytes()[:2000])
    example("segment_a_folder").main(scans, results)
    said = capsys.readouterr().out
    assert (results / "one.nii.gz").is_file() and "one.nrrd: " in said
    assert "air.nrrd: " in said and "broken.nrrd: " in said, "one that cannot be segmented does not end the folder"
    report = tmp_path / "report.json"
    words = ["--report", str(report), "--views", "one", "--quiet"]
    assert main(["segment", str(scans / "one.nrrd"), str(tmp_path / "heart.nrrd"), *words]) == 0
    example("read_a_report").main(report)
    assert "LV: " in capsys.readouterr().out
    example("adapt_on_a_cluster").main(scans, tmp_path / "run", 100)
    assert f"SIFALib.runs {tmp_path / 'run'}" in capsys.readouterr().out
    made = runs.RunFolder(tmp_path / "run").read().configuration
    assert made.iterations == 100 and made.batch % 4 == 0  # as many processes as the printed command starts
    preflight.check(made)
    StartModel(made).check()


def test_the_example_for_a_cluster_makes_a_run_that_trains_with_the_model_that_comes_with_sifa(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "one.nrrd").touch()
    example("adapt_on_a_cluster").main(tmp_path / "scans", tmp_path / "run")
    made = runs.RunFolder(tmp_path / "run").read().configuration
    StartModel(made).check()
    assert made.method.objective == "self_training" and preflight.start_package(made) is not None


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{named(page)}: {target}"


def test_the_page_of_commands_is_made_from_the_program():
    made = subprocess.run([sys.executable, ROOT / "Testing" / "Docs" / "commands.py", "--check"], check=False)
    assert made.returncode == 0, "run: python Testing/Docs/commands.py"
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| .* \|  \|$", page, re.MULTILINE) == [], "every option says what it is for"
