"""The models section of the panel: chosen, imported, verified, deleted, refused with the reason."""

from __future__ import annotations

from segmentation_panel import add_scan, cells, panel, run, stage

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


def test_that_the_scan_decides_is_the_first_choice_and_stays_it(panel, tmp_path):
    for id_ in ("heart", "heart-phantom"):
        tiny_models.write(tmp_path / "bundled" / id_, id=id_, name=id_)
    panel.refreshModels()
    ui = panel.ui
    texts = [ui.modelSelector.itemText(n) for n in range(ui.modelSelector.count)]
    assert texts == ["Automatic", "heart 1.0.0", "heart-phantom 1.0.0", "Tiny model 1.0.0"]
    assert ui.modelSelector.currentIndex == 0
    assert "heart 1.0.0 for MR in slices that lie far apart" in ui.modelInfoLabel.text
    assert "heart-phantom 1.0.0 for all else" in ui.modelInfoLabel.text
    assert ui.modelInfoLabel.toolTip.count("Nothing: random weights for tests.") == 2
    tiny_models.write(tmp_path / "gift", id="heart", version="9.0.0")
    ui.importPathEdit.currentPath = str(tmp_path / "gift" / "model.json")
    ui.importModelButton.click()
    assert ui.modelSelector.currentText == "Automatic" and panel.logic.getParameterNode().model == "auto"
    assert panel.logic.models("auto").key == "heart@1.0.0 or heart-phantom@1.0.0"
    ui.modelSelector.currentText = "heart-phantom 1.0.0"
    assert panel.logic.getParameterNode().model == "heart-phantom@1.0.0"


def test_models_are_imported_verified_and_deleted(panel, tmp_path):
    source = store.write_package(
        tmp_path / "elsewhere" / "gift", tiny_models.state(), **tiny_models.card_fields(id="gift", name="Gift")
    )
    ui = panel.ui
    assert not ui.importModelButton.enabled and not ui.verifyModelButton.enabled
    ui.importPathEdit.currentPath = str(source.folder / "model.json")
    ui.importModelButton.click()
    assert ui.modelsStatusLabel.text == "Gift 1.0.0 was imported. Choose it above to use it."
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
    with stage.person(False) as dialogs:
        ui.deleteModelButton.click()
    assert weights.exists() and dialogs.asked[0].startswith("Delete the model in")
    with stage.person(True):
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
    with stage.person(True):
        panel.ui.deleteModelButton.click()
    assert "junk is no model" in panel.ui.modelsStatusLabel.text and (tmp_path / "user" / "junk").exists()
    table.selectRow(1)
    with stage.person(True):
        panel.ui.deleteModelButton.click()
    assert not (tmp_path / "user" / "damaged").exists()


def test_folder_of_models_is_opened_for_a_person(panel, tmp_path):
    with stage.person() as dialogs:
        panel.ui.openModelsFolderButton.click()
    assert dialogs.opened == [str((tmp_path / "user").resolve())]


def test_model_is_imported_by_its_card_as_it_is_typed(panel, tmp_path):
    place = tmp_path / "elsewhere" / "gift"
    store.write_package(place, tiny_models.state(), **tiny_models.card_fields(id="gift", name="Gift"))
    ui = panel.ui
    stage.type_text(ui.importPathEdit, str(place))
    assert not ui.importModelButton.enabled, "a folder is no card"
    stage.type_text(ui.importPathEdit, str(place / "model.json"))
    assert ui.importModelButton.enabled
    ui.importModelButton.click()
    assert ui.modelsStatusLabel.text.startswith("Gift 1.0.0 was imported.") and not ui.importModelButton.enabled
    with stage.person(str(tmp_path / "gift.zip")) as dialogs:
        ui.importPathEdit.browse()
    assert dialogs.asked == ["Open a file"] and ui.importModelButton.enabled
    assert ui.importPathEdit.comboBox().itemText(0) == str(place / "model.json"), "remembered"


def test_newer_version_that_is_imported_is_not_chosen_silently(panel, tmp_path):
    panel.ui.inputSelector.setCurrentNode(add_scan())
    place = tmp_path / "elsewhere" / "tiny"
    store.write_package(place, tiny_models.state(seed=2), **tiny_models.card_fields(version="9.0.0"))
    panel.ui.importPathEdit.currentPath = str(place / "model.json")
    panel.ui.importModelButton.click()
    assert panel.logic.models().card.version == "1.0.0"  # the one that comes with SIFA, whatever an import calls itself
    assert panel.ui.modelsStatusLabel.text.endswith("was imported. Choose it above to use it.")
    run(panel)
    assert "tiny 1.0.0" in panel.ui.provenanceLabel.text
