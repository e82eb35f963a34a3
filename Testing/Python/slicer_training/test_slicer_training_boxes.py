"""Where the heart of a scan is, corrected in the views before a training: exactly there it cuts."""

from __future__ import annotations

from training_panel import cells, checked, choose, made_scans, no_new_process, opened, said, stage

# the line above sets the stage on which the others can be imported
# isort: split
import shutil

import numpy as np
import pytest
import slicer
from SIFALib.cli import check_data
from SIFALib.datasets import Locator, Place, placing, prepared
from SIFALib.imaging import geometry, reading, writing
from SIFATrainingLib.Parameters import Scans
from slicer_helpers import add_volume, ijk_to_ras

FOUND = np.array([[4.0, 4.0, 1.0], [20.0, 20.0, 6.0]])  # of scans of 4 x 4 x 8 mm
FOUND_MM = (16.0, 80.0, 16.0, 80.0, 8.0, 48.0)
DRAWN_MM = (60.0, 120.0, 40.0, 100.0, 16.0, 64.0)


@pytest.fixture
def panel(tmp_path, monkeypatch):
    monkeypatch.setattr(check_data, "_locator", lambda options: Locator("a model", lambda volume: Place(FOUND)))
    with opened(tmp_path) as made, no_new_process():
        yield made


def bounds(roi) -> tuple[float, ...]:
    """In LPS."""
    ras = [0.0] * 6
    roi.GetRASBounds(ras)
    return (-ras[1], -ras[0], -ras[3], -ras[2], ras[4], ras[5])


def draw(roi, box: tuple[float, ...]) -> None:
    low, high = np.array(box[::2]), np.array(box[1::2])
    roi.SetCenter(*((low + high) / 2 * (-1, -1, 1)))
    roi.SetSize(*(high - low))


def edit(panel, row: int):
    panel.ui.scansTable.selectRow(row)
    panel.ui.correctBoxButton.click()
    stage.wait_until(lambda: panel.scansStep.editor.roi is not None)
    return panel.scansStep.editor.roi


def use(panel, button) -> None:
    button.click()
    stage.wait_until(lambda: not panel.scansStep.editor.runner.running)
    checked(panel)


def test_the_training_cuts_where_the_box_was_put(panel, tmp_path):
    ui = panel.ui
    assert ui.correctBoxButton.isHidden() and ui.boxFrame.isHidden()
    choose(panel, made_scans(tmp_path))
    before = prepared(panel.howStep.configuration.data, tmp_path / "cache", check_data._locator(None))
    assert not ui.correctBoxButton.enabled and "Choose a scan" in ui.correctBoxButton.toolTip
    nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    roi = edit(panel, 1)
    assert bounds(roi) == pytest.approx(FOUND_MM) and "just holds the heart of target1" in ui.boxLabel.text
    assert not ui.boxFrame.isHidden() and not ui.correctBoxButton.enabled and not ui.foundBoxButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == nodes + 1
    draw(roi, (900.0, 960.0, 0.0, 60.0, 0.0, 60.0))
    ui.useBoxButton.click()
    assert "lies outside of the volume" in ui.boxLabel.text and panel.scansStep.editor.editing
    draw(roi, DRAWN_MM)
    use(panel, ui.useBoxButton)
    assert ui.boxFrame.isHidden() and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == nodes
    assert [row[-1] for row in cells(ui.scansTable)] == ["fine", "corrected"]
    assert "Boxes that you corrected: 1." in said(ui.scansStateLabel) and ui.startButton.enabled
    data = panel.howStep.configuration.data
    assert {name: heart.box for name, heart in data.places.items()} == {"target:target1": pytest.approx(DRAWN_MM)}
    after = prepared(data, tmp_path / "cache", check_data._locator(None))
    assert before.manifest["target:target0"] == after.manifest["target:target0"]
    assert before.manifest["target:target1"] != after.manifest["target:target1"]

    ui.checkScansButton.click()  # looked at again: the box is the person's
    checked(panel)
    assert panel.scansStep.rows[1].finding.heart_mm == pytest.approx(DRAWN_MM)
    assert bounds(edit(panel, 1)) == pytest.approx(DRAWN_MM) and ui.foundBoxButton.enabled
    ui.cancelBoxButton.click()
    assert panel.howStep.configuration.data.places == data.places
    edit(panel, 1)
    use(panel, ui.foundBoxButton)
    assert panel.howStep.configuration.data.places == {} and cells(ui.scansTable)[1][-1] == "fine"
    assert bounds(edit(panel, 1)) == pytest.approx(FOUND_MM)


def test_a_box_belongs_to_its_scan_alone(panel, tmp_path):
    scans = made_scans(tmp_path)
    choose(panel, scans)
    draw(edit(panel, 0), DRAWN_MM)
    use(panel, panel.ui.useBoxButton)
    shutil.copytree(scans / "target", tmp_path / "others")
    panel.ui.scansPathEdit.currentPath = str(tmp_path / "others")  # scans of the same names
    checked(panel)
    assert [row[-1] for row in cells(panel.ui.scansTable)] == ["fine", "fine"]
    assert panel.howStep.configuration.data.places == {}
    panel.ui.scansPathEdit.currentPath = str(scans / "target")
    checked(panel)
    assert [row[-1] for row in cells(panel.ui.scansTable)] == ["corrected", "fine"]
    path = scans / "target" / "target0.nii.gz"
    image = reading.read(path)
    writing.write(geometry.Volume(image.array[::-1].copy(), image.geometry), path)
    panel.ui.checkScansButton.click()
    checked(panel)
    assert "is not the image any more that its heart's box was drawn on" in said(panel.ui.scansStateLabel)
    assert not panel.ui.startButton.enabled
    draw(edit(panel, 0), DRAWN_MM)
    use(panel, panel.ui.useBoxButton)
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip


def test_a_volume_of_the_scene_is_shown_itself_and_closing_the_scene_ends_it(panel):
    rng = np.random.default_rng(0)
    node = add_volume(rng.integers(0, 900, (24, 40, 40)).astype(np.int16), ijk_to_ras((40, 40, 24)), "Mine")
    panel._parameterNode.scans = Scans.SCENE
    panel.ui.checkScansButton.click()
    checked(panel)
    roi = edit(panel, 0)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    box = bounds(roi)
    draw(roi, (*box[:4], box[4], box[5] + 6.0))
    use(panel, panel.ui.useBoxButton)
    assert node.GetScene() is not None and len(panel.howStep.configuration.data.places) == 1
    edit(panel, 0)
    slicer.mrmlScene.Clear(False)
    assert not panel.scansStep.editor.editing and panel.ui.boxFrame.isHidden()


def test_a_box_is_kept_though_its_picture_cannot_be_drawn(panel, tmp_path, monkeypatch):
    def full(*_given):
        raise OSError(28, "No space left on device")

    choose(panel, made_scans(tmp_path))
    draw(edit(panel, 1), DRAWN_MM)
    monkeypatch.setattr(placing, "draw", full)
    use(panel, panel.ui.useBoxButton)
    assert panel.ui.boxFrame.isHidden() and not panel.scansStep.editor.editing
    assert [row[-1] for row in cells(panel.ui.scansTable)] == ["fine", "corrected"]
    assert "target:target1" in panel.howStep.configuration.data.places
    assert "its picture cannot be drawn" in said(panel.ui.scansStateLabel) and panel.ui.startButton.enabled


def test_a_box_that_is_taken_back_where_no_heart_was_found_leaves_a_scan_without(panel, tmp_path, monkeypatch):
    monkeypatch.setattr(check_data, "_locator", lambda options: Locator("a model", lambda volume: None))
    choose(panel, made_scans(tmp_path))
    draw(edit(panel, 1), DRAWN_MM)
    use(panel, panel.ui.useBoxButton)
    panel.ui.checkScansButton.click()
    checked(panel)
    assert [row[-1] for row in cells(panel.ui.scansTable)] == ["look at it", "corrected"]
    edit(panel, 1)
    use(panel, panel.ui.foundBoxButton)
    assert [row[-1] for row in cells(panel.ui.scansTable)] == ["look at it", "look at it"]
