"""Batch over Slicer's DICOM database: studies are ticked, and their results stand under them in the subject hierarchy."""

from __future__ import annotations

from segmentation_panel import cells, panel
from slicer_helpers import balls, grid_points, stage

# the lines above set the stage on which the others can be imported
# isort: split
import dicom_series
import numpy as np
import pytest
import qt
import slicer
from pydicom.uid import generate_uid
from SIFALib.imaging import seg_nrrd
from SIFALib.imaging.geometry import Geometry
from SIFALib.support.progress import drain
from SIFASegmentationLib import DicomStudies
from SIFASegmentationLib.Parameters import BatchSource

assert panel is not None  # a fixture
GRID = Geometry((32, 28, 12), (-31.0, -27.0, -22.0), (2.0, 2.0, 4.0))


def send(
    place, patient: str, study: str, series: str, modality: str = "CT", count: int = 12, seed: int = 0, **changed
) -> None:
    """A series into a folder in which others lie."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(-900, 900, GRID.shape).astype(np.int16)[:count]
    uids = {
        "StudyInstanceUID": generate_uid(entropy_srcs=[study]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=[study, series]),
    }
    told = {
        "PatientName": patient,
        "PatientID": f"ID {patient}",
        "StudyDescription": study,
        "SeriesDescription": series,
    }
    for k, header in enumerate(dicom_series.slices(grey, GRID, Modality=modality, **uids, **told, **changed)):
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[study, series, str(k)]
        )
        header.save_as(place / f"{study} {series} {k:03}.dcm", enforce_file_format=True)


@pytest.fixture
def database(tmp_path):
    place = tmp_path / "store"
    place.mkdir()
    send(place, "Anna^A", "Heart", "Thin", seed=1)
    send(place, "Anna^A", "Later", "Thin", seed=2)
    send(place, "Anna^A", "Later", "Scout", count=2)
    send(place, "Bert^B", "Chest", "Plain", seed=3)
    send(place, "Bert^B", "Chest", "Dose", modality="SR")
    slicer.dicomDatabase.insert(place)
    yield slicer.dicomDatabase
    slicer.dicomDatabase.forget()


def chosen(panel, tmp_path):
    panel.ui.batchCollapsibleButton.collapsed = False
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    panel._parameterNode.batchSource = BatchSource.DICOM
    look(panel)
    return panel.ui


def look(panel) -> None:
    """Press *Look again*, and wait until the database has been looked through."""
    panel.ui.studiesButton.click()
    assert "is being looked through" in panel.ui.batchButton.toolTip
    stage.wait_until(lambda: not panel.batchPanel.studies.runner.running)


def tick(panel, row: int) -> None:
    panel.ui.studiesTable.item(row, 0).setCheckState(qt.Qt.Checked)


def run(panel) -> None:
    panel.ui.batchButton.click()
    stage.wait_until(lambda: not panel.batchPanel.running, 60)


def above(hierarchy, item: int) -> list[str]:
    names = []
    while (item := hierarchy.GetItemParent(item)) not in (hierarchy.GetInvalidItemID(), hierarchy.GetSceneItemID()):
        names.append(hierarchy.GetItemName(item))
    return names


def test_without_a_study_the_reason_is_said(panel, tmp_path):
    slicer.dicomDatabase.forget()
    ui = chosen(panel, tmp_path)
    assert not ui.batchButton.enabled and "import some in the module DICOM" in ui.batchButton.toolTip
    assert not ui.studiesFrame.isHidden() and ui.batchFolderEdit.isHidden() and not ui.allStudiesButton.enabled
    panel._parameterNode.batchSource = BatchSource.FOLDER
    assert ui.studiesFrame.isHidden() and not ui.batchFolderEdit.isHidden()


def test_ticked_studies_are_segmented_and_stand_under_their_patients(panel, database, tmp_path):
    ui = chosen(panel, tmp_path)
    assert cells(ui.studiesTable) == [
        ["Anna A", "2026-01-02 · Heart", "1"], ["Anna A", "2026-01-02 · Later", "1"], ["Bert B", "2026-01-02 · Chest", "1"],
    ]  # fmt: skip
    assert "Tick the studies" in ui.batchButton.toolTip
    tick(panel, 1)
    tick(panel, 2)
    assert ui.batchButton.enabled
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    uid = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()
    known = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Bert, loaded before")
    hierarchy.SetItemUID(known, uid, "ID Bert^B")
    run(panel)
    assert [row[1] for row in cells(ui.batchTable)] == ["✓ done", "✓ done"], panel.batchPanel.rows
    assert "stand under their studies" in ui.batchLabel.text
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    places = sorted(above(hierarchy, hierarchy.GetItemByDataNode(node)) for node in nodes)
    assert places == [["Chest (2026-01-02)", "Bert, loaded before"], ["Later (2026-01-02)", "Anna A"]]
    labels, _ = seg_nrrd.read_seg_nrrd(next((tmp_path / "out").glob("*Thin.seg.nrrd")))
    assert np.array_equal(labels.array, balls(grid_points(GRID)))
    grid = slicer.vtkOrientedImageData()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = nodes[0].GetSegmentation().GetConversionParameter(name)
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, grid, False)
    assert grid.GetDimensions() == GRID.size and grid.GetSpacing() == pytest.approx(GRID.spacing)
    volume = nodes[0].GetSegmentation().GetNumberOfSegments()
    assert volume > 0 and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    corrected, deleted = nodes
    segments = corrected.GetSegmentation().GetNumberOfSegments()
    corrected.GetSegmentation().RemoveSegment("LV")
    slicer.mrmlScene.RemoveNode(deleted)
    run(panel)  # once more: nothing is computed, what was deleted comes back, and what was corrected stays
    assert [row[1] for row in cells(ui.batchTable)] == ["✓ finished before"] * 2
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2
    assert corrected.GetSegmentation().GetNumberOfSegments() == segments - 1
    for path in (tmp_path / "out").glob("*Thin*"):
        path.unlink()
    for path in (tmp_path / "out").glob("*Plain*"):
        path.unlink()
    run(panel)
    assert [row[1] for row in cells(ui.batchTable)] == ["✓ done"] * 2
    assert corrected.GetSegmentation().GetNumberOfSegments() == segments, "computed anew"


def test_all_or_none_and_what_was_imported_meanwhile(panel, database, tmp_path):
    ui = chosen(panel, tmp_path)
    ui.allStudiesButton.click()
    assert len(panel.batchPanel.studies.chosen) == 3
    send(tmp_path / "store", "Cleo^C", "New", "Thin")
    database.insert(tmp_path / "store")
    look(panel)
    assert ui.studiesTable.rowCount == 4 and len(panel.batchPanel.studies.chosen) == 3
    ui.allStudiesButton.click()
    assert len(panel.batchPanel.studies.chosen) == 4
    ui.allStudiesButton.click()
    assert panel.batchPanel.studies.chosen == [] and not ui.batchButton.enabled


def test_a_file_that_is_gone_is_told_in_its_row_alone(panel, database, tmp_path):
    ui = chosen(panel, tmp_path)
    ui.allStudiesButton.click()
    next((tmp_path / "store").glob("Chest Plain 004.dcm")).unlink()
    run(panel)
    states = {row[0]: row[1] for row in cells(ui.batchTable)}
    assert sum("done" in state for state in states.values()) == 2 and sum("failed" in s for s in states.values()) == 1
    assert len(drain(DicomStudies.studySteps())) == 3


def test_a_single_file_is_a_scan_only_if_it_has_frames(database, tmp_path):
    place = tmp_path / "store"
    send(place, "Dora^D", "Old", "Scout", count=1)
    send(place, "Dora^D", "New", "Enhanced", count=1, NumberOfFrames=40)
    send(place, "Dora^D", "New", "Enhanced scout", count=1, NumberOfFrames=2)
    database.insert(place)
    found = [study for study in drain(DicomStudies.studySteps()) if study.patient == "Dora D"]
    assert [series.name for study in found for series in study.series] == ["Enhanced"]
