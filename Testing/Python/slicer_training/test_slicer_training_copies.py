"""Volumes of the scene are trained on as they are: copies live as long as their run; one that changed is looked at again."""

from __future__ import annotations

from slicer_helpers import add_linear_transform, add_volume, ijk_to_ras, rotation, stage

# the lines above set the stage on which the others can be imported
# isort: split

import json

import numpy as np
import pytest
import slicer
from SIFATrainingLib import SceneExport
from training_panel import opened


@pytest.fixture
def panel(tmp_path):
    with opened(tmp_path) as made:
        yield made


def copied(panel, tmp_path, studies=()):
    """Two volumes of the scene, looked at; the folder of their copies. studies: of one patient, by which each was loaded."""
    array = np.random.default_rng(0).integers(0, 900, (24, 40, 40)).astype(np.int16)
    nodes = [add_volume(array + n, ijk_to_ras((40, 40, 24)), name=f"Scan {n}") for n in range(2)]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Müller^Jörg") if studies else 0
    items = {name: hierarchy.CreateStudyItem(patient, name) for name in dict.fromkeys(studies)}
    for node, name in zip(nodes, studies, strict=False):
        hierarchy.CreateItem(items[name], node)
    panel.ui.scansKindSelector.currentIndex = 2
    panel.ui.checkScansButton.click()
    stage.wait_until(lambda: not panel.scansStep.busy)
    (folder,) = (tmp_path / "runs" / ".scans").iterdir()
    return nodes, folder


def test_copies_of_scans_live_as_long_as_their_run(panel, tmp_path):
    _, folder = copied(panel, tmp_path)
    run = panel.logic.create(panel.howStep.configuration)
    strangers = folder.with_name("another-slicer-just-made-it")
    strangers.mkdir()
    panel.ui.checkScansButton.click()  # makes copies anew
    stage.wait_until(lambda: not panel.scansStep.busy)
    assert folder.exists() and strangers.exists() and len(list(folder.parent.iterdir())) == 3
    stage.close_module("SIFATraining")
    assert folder.exists() and strangers.exists() and len(list(folder.parent.iterdir())) == 2
    strangers.rmdir()
    panel.logic.delete(run.path)
    assert [p.name for p in (tmp_path / "runs").rglob("*")] == [".scans"]


def test_a_volume_that_was_taken_out_of_the_scene_is_not_trained_on(panel, tmp_path):
    nodes, _ = copied(panel, tmp_path)
    assert panel.howStep.configuration.data.exclude == ()
    slicer.mrmlScene.RemoveNode(nodes[0])
    stage.wait_until(lambda: panel.ui.scansTable.rowCount == 1)
    assert panel.howStep.configuration.data.exclude == ("target:Scan 0 scan",)


@pytest.mark.parametrize("change", ["voxels", "place"])
def test_a_volume_that_was_changed_since_its_copy_was_made_is_not_trained_on_as_it_was(panel, tmp_path, change):
    nodes, _ = copied(panel, tmp_path)
    assert panel.ui.startButton.enabled
    if change == "voxels":
        slicer.util.arrayFromVolume(nodes[0])[:] = 0
        slicer.util.arrayFromVolumeModified(nodes[0])
    else:
        nodes[0].SetAndObserveTransformNodeID(add_linear_transform(rotation(0, 0, 30)).GetID())
    panel.startStep.onStart()
    assert not panel.startStep.busy and "were not looked at; press Check" in panel.ui.startButton.toolTip
    assert panel.logic.runs() == []
    panel.ui.checkScansButton.click()
    stage.wait_until(lambda: not panel.scansStep.busy)
    assert "were not looked at" not in panel.ui.startButton.toolTip


@pytest.mark.parametrize(
    ("studies", "hearts", "said"),
    [
        ((), ["", ""], False),
        (("Rest", "Rest"), ["heart 1", "heart 1"], False),
        (("2026-01-02", "2026-03-04"), ["", ""], True),
    ],
)
def test_volumes_of_one_patient_are_one_heart_and_no_name_is_copied(panel, tmp_path, studies, hearts, said):
    _, folder = copied(panel, tmp_path, studies)
    text = (folder / SceneExport.LIST).read_text()
    assert [each["heart"] for each in json.loads(text)] == hearts and "ller" not in text
    assert [finding.heart for finding in panel.scansStep.findings()] == hearts
    assert ("drag them into one study" in panel.ui.scansStateLabel.text) == said
    target = panel.howStep.configuration.data.target
    assert target == str(folder / SceneExport.LIST)
