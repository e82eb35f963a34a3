"""Folders that are typed, and folders that are removed: nothing begins at a part of a path, nothing foreign is deleted."""

from __future__ import annotations

import os
import uuid

from training_panel import opened, said, stage

# the line above sets the stage on which the others can be imported
# isort: split
import pytest
from SIFATrainingLib import Checking
from SIFATrainingLib.Parameters import Source
from SIFATrainingLib.ScanCopies import MARK, SCANS, ScanCopies


@pytest.fixture
def panel(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def looked(monkeypatch):
    """The folders that a process was started for; none is."""
    found = []
    monkeypatch.setattr(Checking.Check, "look", lambda _self, _python, place, *_rest, **_keywords: found.append(place))
    return found


def test_folder_of_runs_is_typed_and_moves_only_at_its_end(panel, tmp_path):
    before, new = panel.logic.runsFolder, tmp_path / "new runs"
    edit = panel.ui.runsFolderEdit
    stage.type_text(edit, str(new))
    panel.runsPanel.refresh()
    assert edit.currentPath == str(new) and panel.logic.runsFolder == before
    stage.type_text(edit, str(new), enter=True)
    assert panel.logic.runsFolder == new
    text = panel.ui.runsStatusLabel.text
    assert text == f"Runs are kept in {new} from now on; it is made with the first of them."


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("/", "/ is the root of the file system"),
        ("runs", "runs is no full path."),
        ("{tmp}/missing/deep", "There is no folder {tmp}/missing."),
        ("{tmp}/file.txt", "{tmp}/file.txt is no folder."),
    ],
)
def test_folder_that_cannot_hold_runs_is_refused_with_a_reason(panel, tmp_path, typed, reason):
    (tmp_path / "file.txt").touch()
    before = panel.logic.runsFolder
    stage.type_text(panel.ui.runsFolderEdit, typed.format(tmp=tmp_path), enter=True)
    assert panel.logic.runsFolder == before
    assert panel.ui.runsStatusLabel.text.startswith(reason.format(tmp=tmp_path))
    assert str(before) in panel.ui.runsStatusLabel.text


def test_typing_a_folder_of_scans_starts_one_process_and_that_at_its_end(panel, tmp_path, looked):
    deep = tmp_path / "one" / "two" / "three"
    deep.mkdir(parents=True)
    stage.type_text(panel.ui.scansPathEdit, str(deep))
    assert looked == [] and not panel.scansStep.busy
    stage.wait_until(lambda: bool(looked))
    assert looked == [str(deep)]


def test_typing_a_folder_of_labelled_images_starts_one_process_at_enter(panel, tmp_path, looked):
    panel._parameterNode.source = Source.FOLDER
    stage.type_text(panel.ui.sourcePathEdit, str(tmp_path))
    assert looked == []
    stage.type_text(panel.ui.sourcePathEdit, str(tmp_path), enter=True)
    assert looked == [str(tmp_path)]


def test_only_marked_folders_of_copies_are_swept(tmp_path):
    runs, copies = tmp_path / "runs", ScanCopies()
    ours, old = copies.folder(runs), ScanCopies().folder(runs)
    foreign = [runs / SCANS / name for name in ("my-own-data", uuid.uuid4().hex)]
    foreign += [runs / ".my-work.deleted"]
    for folder in foreign:
        folder.mkdir(parents=True)
        (folder / "scan.nrrd").touch()
    (runs / SCANS / "linked").symlink_to(foreign[0], target_is_directory=True)
    (foreign[0] / MARK).touch()
    for folder in (old, *foreign):
        os.utime(folder, (0, 0))
    copies.sweep(runs)
    assert not ours.exists() and not old.exists()
    assert all((folder / "scan.nrrd").exists() for folder in foreign)


def test_run_that_names_a_foreign_folder_as_its_copies_takes_nothing_along(tmp_path):
    run = tmp_path / "runs" / "run"
    run.mkdir(parents=True)
    for name in ("..", "my-own-data", ""):
        (run / "own-scans.txt").write_text(name, encoding="utf-8")
        assert ScanCopies.of(run) is None


def test_folder_that_cannot_be_made_for_copies_is_told(panel, tmp_path, monkeypatch):
    import numpy as np
    from slicer_helpers import add_volume, ijk_to_ras

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    add_volume(np.zeros((8, 8, 8), np.int16), ijk_to_ras((8, 8, 8)))
    panel.ui.scansKindSelector.currentIndex = 2
    monkeypatch.setattr(panel.logic.copies, "folder", full)
    panel.ui.checkScansButton.click()
    assert "the disk is full" in said(panel.ui.scansStateLabel)
