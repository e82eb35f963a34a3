"""Runs of version 0.3 are listed, shown, exported and gone on with; the examples are files that its code wrote."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from pathlib import Path

import pytest
from SIFALib.cli.main import main
from SIFALib.models import store
from SIFALib.runs import RunFolder, best, checkpoints, control, export, status
from SIFALib.runs.loop import train
from SIFALib.support.errors import RunError

EXAMPLE = Path(__file__).resolve().parents[1] / "fixtures" / "old_files" / "run_0_3"


@pytest.fixture
def old(tmp_path: Path, monkeypatch) -> RunFolder:
    """The example, in a folder of its own, which is the current one: it names its scans from there."""
    shutil.copytree(EXAMPLE, tmp_path / "run")
    (tmp_path / "run" / "scans").rename(tmp_path / "scans")
    for packed in (tmp_path / "run").rglob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path("run"))


def test_it_is_listed_and_shown(old: RunFolder, capsys):
    assert main(["runs", "list", "."]) == 0
    assert "run  finished  2 of 2" in capsys.readouterr().out
    assert main(["runs", "status", "run"]) == 0
    assert "A run of version 0.3" in capsys.readouterr().out
    seen = control.look(old.path).status
    assert seen is not None and (seen.reason, seen.advice, seen.fields) == ("", "", {})


def test_what_a_failed_one_said_is_said_as_it_stands(old: RunFolder, capsys):
    said = (
        "Memory ran out; set accumulate higher or size lower, or close other programs. Resume it with: sifa train run"
    )
    old.status.write_text(json.dumps({**json.loads(old.status.read_text()), "state": "failed", "message": said}))
    assert main(["runs", "status", "run"]) == 0
    assert said in capsys.readouterr().out


def test_its_best_segmenter_is_exported_and_its_guards_still_hold(old: RunFolder, tmp_path: Path):
    known = best.read(old.best)
    assert known is not None and known.iteration == 2 and known.vetoes and best.read_start(old.best) is None
    for checkpoint in (None, 2):  # how it was judged stands in its events alone
        with pytest.raises(RunError, match="something speaks against it: Left ventricle has vanished") as refused:
            export.export(old, tmp_path / "model", "site", checkpoint=checkpoint)
        assert refused.value.advice == "force"
    package = export.export(old, tmp_path / "model", "site", force=True)
    store.verify(package)
    assert "2 of 2 iterations" in package.card.trained_on
    better = dataclasses.replace(known, iteration=0, value=0.5, vetoes=())  # as if a start model had been judged
    event = {"kind": "score", "time": status.now(), "best": True, **dataclasses.asdict(better)}
    old.events.write_text(json.dumps(event) + "\n" + old.events.read_text())
    with pytest.raises(RunError, match=r"worse than what it started from: .* starting point scored 0\.500"):
        export.export(old, tmp_path / "other", "site")


def test_it_goes_on(old: RunFolder):
    old.change(dataclasses.replace(old.read().configuration, iterations=3))
    assert train(old.path) == "finished", control.look(old.path).status
    saved = checkpoints.load_newest(old.checkpoints)
    assert (
        saved is not None and saved["iteration"] == 3 and saved["start"] is None and saved["judged"]["iteration"] == 3
    )
    assert control.look(old.path).state == "finished"
