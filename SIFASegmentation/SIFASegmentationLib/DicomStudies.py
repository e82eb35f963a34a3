"""Studies of Slicer's DICOM database as scans of a batch, and results under their study in the subject hierarchy."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from SIFALib.support.errors import BatchError
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _

from . import SceneConversion

if TYPE_CHECKING:
    from SIFALib.imaging import Volume
    from SIFALib.inference.batch.run import Case
    from SIFALib.models.structures import Structure

NAME, ID, DATE, STUDY, SERIES, MODALITY, FRAMES = (
    "0010,0010", "0010,0020", "0008,0020", "0008,1030", "0008,103e", "0008,0060", "0028,0008",
)  # fmt: skip
KNOWN = ("CT", "MR")  # modalities that a model may know
FEWEST = 4  # images of a series that is no overview: files, or the frames of a single one
RESULT = "SIFA.SeriesInstanceUID"  # attribute of a segmentation node: which series it was made of


@dataclass(frozen=True)
class Series:
    """uid: of its instances in common. files: all of them."""

    uid: str
    name: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """date: as the file has it, 20261127. series: those that may be a scan of a heart."""

    uid: str
    patient: str
    patientId: str
    date: str
    name: str
    series: tuple[Series, ...]

    @property
    def day(self) -> str:
        d = self.date
        return f"{d[:4]}-{d[4:6]}-{d[6:]}" if len(d) == 8 and d.isdigit() else d


def studySteps() -> Steps[list[Study]]:
    """All studies of the database with a series in CT or MR, by patient and date; none without a database. Takes a step a
    study, as the database may have to look into files."""
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        return []
    found, patients = [], list(database.patients())
    for number, patient in enumerate(patients):
        for uid in database.studiesForPatient(patient):
            yield Progress(_("Looking through the DICOM database"), number / len(patients))
            study = _study(database, uid)
            found += [study] if study is not None else []
    return sorted(found, key=lambda s: (s.patient, s.patientId, s.date, s.uid))


def _study(database: Any, uid: str) -> Study | None:
    series, head = [], ""
    for seriesUid in database.seriesForStudy(uid):
        files = tuple(database.filesForSeries(seriesUid))
        if not files or database.fileValue(files[0], MODALITY) not in KNOWN or _images(database, files) < FEWEST:
            continue
        head = head or files[0]
        series.append(Series(seriesUid, database.fileValue(files[0], SERIES).strip() or _("series"), files))
    if not series:
        return None
    patient, patientId, date, name = (database.fileValue(head, tag).strip() for tag in (NAME, ID, DATE, STUDY))
    return Study(uid, patient.replace("^", " ").strip(), patientId, date, name, tuple(series))


def _images(database: Any, files: Sequence[str]) -> int:
    """How many images a series consists of: a multi-frame scan is one file."""
    frames = database.fileValue(files[0], FRAMES).strip() if len(files) == 1 else ""
    return int(frames) if frames.isdecimal() else len(files)


def cases(chosen: Sequence[Study]) -> list[tuple[Case, Study, Series]]:
    """A case for each series. BatchError if there is none."""
    from SIFALib.inference.batch.run import file_names

    pairs = [(study, series) for study in chosen for series in study.series]
    if not pairs:
        raise BatchError(_("No study is ticked; tick those that are to be segmented."))
    names = file_names([" ".join(filter(None, (s.patientId, s.date, series.name))) for s, series in pairs])
    return [(_case(name, series), study, series) for name, (study, series) in zip(names, pairs, strict=True)]


def _case(name: str, series: Series) -> Case:
    """Known by its series' UID, wherever its files lie."""
    from SIFALib.inference.batch.run import Case

    files = [Path(file) for file in series.files]

    def read() -> Generator[float, None, Volume]:
        from SIFALib.imaging import dicom_series

        yield 0.0
        return dicom_series.read_files(files, series.name)

    def fingerprint() -> str:
        from SIFALib.imaging.files import content_of

        return content_of(files)

    source = f"DICOM {series.uid}"
    return Case(name, source, read, fingerprint, source)


def placed(series: Series) -> slicer.vtkMRMLSegmentationNode | None:
    """A series' result in the scene, if there is one."""
    known = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return next((each for each in known if each.GetAttribute(RESULT) == series.uid), None)


def place(
    study: Study, series: Series, labels: Volume, structures: Sequence[Structure], model: str
) -> slicer.vtkMRMLSegmentationNode:
    """A series' result in the scene, under its study; a former one of the same series is made anew."""
    name = _("{series} segmentation").format(series=series.name)
    node = placed(series)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name))
        node.SetAttribute(RESULT, series.uid)
    toNode = SceneConversion.ijkToRas(labels.geometry)
    SceneConversion.putSegments(node, toNode, labels.array, tuple(structures), model)
    _setGeometry(node, toNode, labels.geometry.size)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is not None:
        item, above = hierarchy.GetItemByDataNode(node), _studyItem(hierarchy, study)
        if item == hierarchy.GetInvalidItemID():
            hierarchy.CreateItem(above, node)
        else:
            hierarchy.SetItemParent(item, above)
    return node


def _setGeometry(node: slicer.vtkMRMLSegmentationNode, toNode: Any, size: tuple[int, int, int]) -> None:
    """The scan's grid is that in which the segments are edited, though the scan is not in the scene."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    image.SetDimensions(*size)
    slicer.util.updateVTKMatrixFromArray(matrix, toNode)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    converter = slicer.vtkSegmentationConverter
    text = converter.SerializeImageGeometry(image)
    node.GetSegmentation().SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), text)


def _studyItem(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, study: Study) -> int:
    """The study's item, which the DICOM module may have made, or one as it would."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    kind, none = constants.GetDICOMUIDName(), hierarchy.GetInvalidItemID()
    item: int = hierarchy.GetItemByUID(kind, study.uid)
    if item != none:
        return item
    key = study.patientId or f"Patient-{study.uid}"  # as the DICOM module names a patient without an id
    patient = hierarchy.GetItemByUID(kind, key)
    if patient == none:
        patient = hierarchy.CreateSubjectItem(
            hierarchy.GetSceneItemID(), study.patient or study.patientId or _("No name")
        )
        hierarchy.SetItemUID(patient, kind, key)
        hierarchy.SetItemAttribute(patient, constants.GetDICOMPatientNameAttributeName(), study.patient)
        hierarchy.SetItemAttribute(patient, constants.GetDICOMPatientIDAttributeName(), study.patientId)
    item = hierarchy.CreateStudyItem(patient, " ".join(filter(None, (study.name, f"({study.day})"))))
    hierarchy.SetItemUID(item, kind, study.uid)
    return item
