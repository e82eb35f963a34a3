"""Paths that are typed, cleared, browsed for and remembered: told once they are meant, and not at every letter."""

from __future__ import annotations

from segmentation_panel import panel, stage

# the line above sets the stage on which the others can be imported
# isort: split
import ctk
import pytest
import qt
from SIFASegmentationLib import PathEdit as module
from SIFASegmentationLib.Parameters import BatchSource
from SIFASegmentationLib.PathEdit import PathEdit

__all__ = ["panel"]  # the fixture


@pytest.fixture
def edit():
    qt.QSettings().remove("ctkPathLineEdit")
    made = ctk.ctkPathLineEdit()
    made.settingKey = "Test/Path"
    return made


def test_typed_path_is_told_once_at_its_end_and_others_at_once(edit, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_MS", 30)
    told = []
    path = PathEdit(edit, told.append)
    stage.type_text(edit, "/data/scans")
    assert told == [] and path.typing
    stage.wait_until(lambda: bool(told))
    assert told == ["/data/scans"] and not path.typing
    stage.type_text(edit, "/data/others", enter=True)
    assert told == ["/data/scans", "/data/others"]
    with stage.person("/data/browsed"):
        edit.browse()
    assert told[2:] == ["/data/browsed"]


def test_without_a_pause_only_enter_ends_a_path(edit, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_MS", 1)
    told = []
    path = PathEdit(edit, told.append, pause=False)
    stage.type_text(edit, "/data/scans")
    for _ in range(5):
        stage.start().app.processEvents()
    assert told == []
    path.show("/data/elsewhere")
    assert edit.currentPath == "/data/scans", "it is not overwritten while it is being typed"
    stage.type_text(edit, "/data/scans", enter=True)
    assert told == ["/data/scans"]
    path.show("/data/elsewhere")
    assert edit.currentPath == "/data/elsewhere"


def test_cleared_path_is_told(edit, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_MS", 30)
    told = []
    PathEdit(edit, told.append)
    edit.currentPath = "/data/scans"
    stage.type_text(edit, "")
    stage.wait_until(lambda: len(told) > 1)
    assert told == ["/data/scans", ""]


def test_paths_that_exist_are_remembered_and_putting_them_in_order_tells_nothing(edit, tmp_path):
    told, folders = [], [tmp_path / name for name in "abc"]
    path = PathEdit(edit, told.append)
    for folder in folders:
        folder.mkdir()
    for chosen in (*folders, tmp_path / "missing", folders[0]):
        edit.currentPath = str(chosen)
        path.remember()
    assert told == [str(n) for n in (*folders, tmp_path / "missing", folders[0])]
    combo = edit.comboBox()
    assert [combo.itemText(n)[-1] for n in range(combo.count)] == ["a", "c", "b"]
    again = ctk.ctkPathLineEdit()
    again.settingKey = "Test/Path"
    assert again.currentPath == str(folders[0])


def test_folder_of_a_batch_can_be_cleared(panel, tmp_path, monkeypatch):
    panel._parameterNode.batchSource = BatchSource.FOLDER
    panel.ui.batchFolderEdit.currentPath = str(tmp_path)
    assert panel._parameterNode.batchFolder == str(tmp_path)
    stage.type_text(panel.ui.batchFolderEdit, "")
    panel.enter()
    assert panel.ui.batchFolderEdit.currentPath == "", "not written back while the person clears it"
    stage.wait_until(lambda: panel._parameterNode.batchFolder == "")
    panel.enter()
    assert panel.ui.batchFolderEdit.currentPath == ""
    assert not panel.ui.batchButton.enabled and "Choose the folder that holds" in panel.ui.batchButton.toolTip
