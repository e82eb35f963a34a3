"""The models section of the panel: chosen, imported, verified, deleted, refused with the reason."""

from __future__ import annotations

from segmentation_panel import add_scan, cells, panel, run

# the line above sets the stage on which the others can be imported
# isort: split
import tiny_models
from SIFALib.models import store

__all__ = ["panel"]  # the fixture


def test_model_is_described_and_can_be_chosen(panel, tmp_path):
    state, fields = (tiny_models.state(), tiny_models.card_fields(id="other", name="Other model", modality="MR"))
    store.write_package(tmp_path / "user" / "other", state, **fields)
    panel.ui.inputSelector.setCurrentNode(add_scan())
    panel.enter()
    texts = [panel.ui.modelSelector.itemText(n) for n in range(panel.ui.modelSelector.count)]
    assert texts == ["Tiny model 1.0.0", "Other model 1.0.0"]
    assert (
        "CT and MR · version 1.0.0 · Apache-2.0 · trained on: Nothing: random weights" in panel.ui.modelInfoLabel.text
    )
    panel.ui.modelSelector.currentIndex = 1
    assert panel.ui.modelInfoLabel.text.startswith("<small>MR · version 1.0.0")
    run(panel)
    assert "other 1.0.0" in panel.ui.provenanceLabel.text


def test_models_are_imported_verified_and_deleted(panel, tmp_path):
    source = store.write_package(
        tmp_path / "elsewhere" / "gift", tiny_models.state(), **tiny_models.card_fields(id="gift", name="Gift")
    )
    ui = panel.ui
    assert not ui.importModelButton.enabled and not ui.verifyModelButton.enabled
    ui.importPathEdit.currentPath = str(source.folder / "model.json")
    ui.importModelButton.click()
    assert ui.modelsStatusLabel.text == "Gift 1.0.0 was imported."
    assert cells(ui.modelsTable) == [["Tiny model 1.0.0", "CT/MR", "bundled"], ["Gift 1.0.0", "CT/MR", "imported"]]
    assert ui.modelSelector.count == 2
    ui.modelsTable.selectRow(1)
    assert ui.verifyModelButton.enabled and ui.deleteModelButton.enabled
    ui.verifyModelButton.click()
    assert "is intact" in ui.modelsStatusLabel.text
    weights = tmp_path / "user" / "gift-1.0.0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    ui.verifyModelButton.click()
    assert "model.safetensors" in ui.modelsStatusLabel.text
    ui.deleteModelButton.click()
    assert not weights.exists() and ui.modelSelector.count == 1
    ui.modelsTable.selectRow(0)
    assert not ui.deleteModelButton.enabled


def test_refused_model_is_explained_and_leaves_nothing(panel, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"no zip at all")
    panel.ui.importPathEdit.currentPath = str(tmp_path / "bad.zip")
    panel.ui.importModelButton.click()
    assert "bad.zip" in panel.ui.modelsStatusLabel.text
    assert panel.ui.modelsTable.rowCount == 1
    assert not [p for p in (tmp_path / "user").glob("*") if not p.name.startswith(".")]


def test_broken_folder_is_listed_with_its_reason_and_can_be_deleted(panel, tmp_path):
    for name in ("damaged", "junk"):
        (tmp_path / "user" / name).mkdir(parents=True)
    (tmp_path / "user" / "damaged" / "model.json").write_text("{")
    panel.enter()
    table = panel.ui.modelsTable
    assert [row[::2] for row in cells(table)[1:]] == [["damaged", "unusable"], ["junk", "unusable"]]
    assert "no model.json" in table.item(2, 0).toolTip()
    table.selectRow(2)
    assert not panel.ui.verifyModelButton.enabled
    panel.ui.deleteModelButton.click()
    assert "junk is no model" in panel.ui.modelsStatusLabel.text and (tmp_path / "user" / "junk").exists()
    table.selectRow(1)
    panel.ui.deleteModelButton.click()
    assert not (tmp_path / "user" / "damaged").exists()
