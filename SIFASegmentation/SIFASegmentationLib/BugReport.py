"""A report for whoever is to find a fault: versions, computer, model, and what happened; nobody's name and no place."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable

import slicer
import vtk
from SIFALib import __version__, doctor

from . import Scrub
from .ActionLog import LOG

ABSENT = "missing"
DATA = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLSequenceNode", "vtkMRMLMarkupsNode", "vtkMRMLTableNode")
COMMON = ("sifa", "scan", "segmentation", "volume", "phantom", "heart", "file", "line", "info", "error", "the", "and")
IDENTITY = ("DICOM.PatientName", "DICOM.PatientID", "DICOM.StudyDescription")


def packages() -> dict[str, str]:
    """Version of each package that the library needs, by its name; ABSENT for none. Nothing is imported."""
    found = {}
    for name in ("torch", *(name for name, _least in doctor.PACKAGES.values())):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ABSENT
    return found


def text(module: str, facts: dict[str, str], names: Iterable[str] = (), lines: Iterable[str] = ()) -> str:
    """The report. module: whose panel asks. facts: what that panel knows, such as the model. names: of scans that are in
    no node of the scene. lines: of a log of its own, which the module adds."""
    app, log = slicer.app, [*LOG.lines, *lines]
    head = {
        "Module": module,
        "Slicer": f"{app.applicationVersion} ({app.revision})",
        "SIFA": __version__,
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Processor": f"{_processor()}, {os.cpu_count()} cores{_memory()}",
        "Packages": ", ".join(f"{name} {version}" for name, version in packages().items()),
    }
    known = withWords([*sceneNames(), *LOG.names, *names, *Scrub.scans("\n".join(log))])
    told = {key: Scrub.without_names(value, known) for key, value in facts.items()}
    body = Scrub.without_names("\n".join(log), known) if log else "nothing was logged"
    said = {**head, **told, "Last action": LOG.action or "none", "Log": ""}
    return "\n".join(f"{key}: {value}" for key, value in said.items()).rstrip() + f"\n{body}\n"


def sceneNames() -> list[str]:
    """What may be a person's name: how scans and results are called, and whom the subject hierarchy names."""
    nodes = [node for kind in DATA for node in slicer.util.getNodesByClass(kind)]
    found = {node.GetName() for node in nodes}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is not None:
        items = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
        for number in range(items.GetNumberOfIds()):
            item = items.GetId(number)
            if hierarchy.GetItemDataNode(item) is None:
                found.add(hierarchy.GetItemName(item))
            found |= {hierarchy.GetItemAttribute(item, name) for name in IDENTITY}
    return [*filter(None, found)]


def withWords(names: Iterable[str]) -> list[str]:
    """Names, and the words that they consist of, since a log may tell a part of one."""
    found = set(filter(None, names))
    words = {word for name in found for word in re.split(r"[\s^_,;=-]+", name)}
    return [*found, *(word for word in words if len(word) > 2 and word.lower() not in COMMON)]


def copy(report: str) -> None:
    slicer.app.clipboard().setText(report)


def _processor() -> str:
    return platform.processor() or platform.machine()


def _memory() -> str:
    """Of the computer, where psutil is there to say it."""
    try:
        import psutil
    except ImportError:
        return ""
    return f", {psutil.virtual_memory().total / 2**30:.0f} GB"
