"""A cine in the scene: as Slicer's DICOM module leaves it there, in parts; and as one sequence of whole hearts.

The module's plug-ins make a sequence of slices for each series, whichever places those are of (Image sequence), a
sequence of volumes (Volume sequence), or a volume for each phase (Scalar volume). Which of them make a cine is for the
library to say; here they are told as what it takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from SIFALib.support.errors import RequestError, VolumeError
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _

from . import SceneConversion, Sequences, Volumes

if TYPE_CHECKING:
    from SIFALib.imaging.cine import Cine
    from SIFALib.imaging.cine_images import CineImage
    from SIFALib.imaging.geometry import Geometry

CINE = "SIFA.Cine"  # attribute of a sequence of images or of outlines: JSON, what its nodes do not hold
UIDS, TRIGGER = "DICOM.instanceUIDs", "DICOM.triggerTime"  # attributes that Slicer's plug-ins write
MOST_SLICES = 60  # of a volume that can be a phase of a cine; looking at larger ones would only take time
INSTANCES = "instance number"  # name of the index of a sequence whose order is none of time
NO_TIME = re.compile(r"echo|flip|inversion|repetition|b.?value", re.IGNORECASE)  # in the name of an index: no beat
FRAMES = "MultiVolume.FrameLabels"  # attribute of nodes that MultiVolumeImporter makes
MILLISECONDS = {"ms": 1.0, "s": 1000.0}
STEM = re.compile(r"[\W\d_]+")  # what names of the phases of one series differ in


@dataclass(frozen=True)
class Part:
    """An image of the scene; standing: the volume node that it is shown by, which alone stands under transforms.

    series, number, phase, triggerMs: as of the library's CineImage.
    """

    image: slicer.vtkMRMLVolumeNode
    standing: slicer.vtkMRMLVolumeNode
    series: str
    number: int
    phase: int | None = None
    triggerMs: float | None = None


# Parts


def parts(near: slicer.vtkMRMLVolumeNode | None) -> list[Part]:
    """The images that may make a cine with `near`: those of its study, or, if it is of none, all that are of none."""
    own = study(near)
    return [part for part in (*_inSequences(), *_alone()) if study(part.standing) == own]


def images(found: Iterable[Part]) -> list[CineImage]:
    """As the library takes them, where they stand in the world; those under a warp or a shear are none."""
    from SIFALib.imaging.cine_images import CineImage
    from SIFALib.imaging.geometry import Volume

    made = []
    for part in found:
        geometry = SceneConversion.Placement.of(part.image, part.standing).geometry()
        if geometry is not None:
            volume = Volume(slicer.util.arrayFromVolume(part.image), geometry, part.image.GetName() or part.series)
            made.append(CineImage(volume, part.series, part.number, part.phase, part.triggerMs))
    return made


def files(found: Sequence[Part]) -> list[Path]:
    """The DICOM files behind all of them, as Slicer's database knows them; none if it does not know each, or if a node
    was moved since."""
    if any(part.standing.GetParentTransformNode() is not None for part in found):
        return []
    database = getattr(slicer, "dicomDatabase", None)
    uids = [(part.image.GetAttribute(UIDS) or "").split() for part in found]
    if database is None or not found or not all(uids):
        return []
    known = [database.fileForInstance(uid) for each in uids for uid in each]
    return [Path(file) for file in dict.fromkeys(known)] if all(known) and all(map(_exists, known)) else []


def _exists(file: str) -> bool:
    return Path(file).is_file()


def _inSequences() -> list[Part]:
    logic, found = slicer.modules.sequences.logic(), []
    for sequence in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
        items = [sequence.GetNthDataNode(number) for number in range(sequence.GetNumberOfDataNodes())]
        if sequence.GetAttribute(CINE) is not None or not items or not all(map(_canBePhase, items)):
            continue
        if NO_TIME.search(sequence.GetIndexName() or ""):
            continue
        browser = logic.GetFirstBrowserNodeForSequenceNode(sequence)
        shown = browser.GetProxyNode(sequence) if browser is not None else None
        for number, item in enumerate(items, 1):
            found.append(_ofSequence(sequence, item, shown or item, number))
    return found


def _ofSequence(
    sequence: slicer.vtkMRMLSequenceNode, item: slicer.vtkMRMLVolumeNode, shown: slicer.vtkMRMLVolumeNode, number: int
) -> Part:
    index, factor = sequence.GetNthIndexValue(number - 1), MILLISECONDS.get(sequence.GetIndexUnit() or "")
    trigger = _number(item.GetAttribute(TRIGGER))
    if trigger is None and factor is not None and (time := _number(index)) is not None:
        trigger = factor * time
    series = str(sequence.GetName())
    if sequence.GetIndexName() == INSTANCES:
        return Part(item, shown, series, int(_number(index) or number), None, trigger)
    return Part(item, shown, series, number, number, trigger)


def _alone() -> list[Part]:
    """Volumes that show no sequence; those of one grid and like names are phases in the order of their names."""
    from SIFALib.imaging.cine_places import LEAST_PHASES

    logic = slicer.modules.sequences.logic()
    groups: dict[Any, list[slicer.vtkMRMLVolumeNode]] = {}
    for node in Volumes.inScene():
        if _canBePhase(node) and logic.GetFirstBrowserNodeForProxyNode(node) is None:
            grid = SceneConversion.Placement.of(node)
            key = (STEM.sub("", node.GetName()).lower(), grid.size, tuple(np.round(grid.toNode, 3).ravel()))
            groups.setdefault(key, []).append(node)
    found = []
    for nodes in groups.values():
        nodes.sort(key=lambda node: _natural(node.GetName()))
        phases = len(nodes) >= LEAST_PHASES
        for number, node in enumerate(nodes, 1):
            series = nodes[0].GetName() if phases else node.GetName()
            trigger = _number(node.GetAttribute(TRIGGER))
            found.append(Part(node, node, str(series), number, number if phases else None, trigger))
    return found


def saidOfMultiVolumes() -> str:
    """What to do where the scene holds what the module MultiVolumeImporter makes, of which no cine is assembled; else ""."""
    found = [node for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode") if node.GetAttribute(FRAMES)]
    if not found:
        return ""
    text = _(
        "{name} is a MultiVolume, whose phases are not taken from the scene. Choose the folder of its study here; or "
        "load the study again as a volume sequence (Application Settings, DICOM, Preferred multi-volume import format)."
    )
    return str(text.format(name=found[0].GetName()))


def _canBePhase(node: slicer.vtkMRMLNode) -> bool:
    if node.GetClassName() != "vtkMRMLScalarVolumeNode" or node.GetImageData() is None:
        return False
    return int(node.GetImageData().GetDimensions()[2]) <= MOST_SLICES


def _natural(name: str) -> list[tuple[int, str]]:
    """To sort by: "sax 10" comes after "sax 9"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def study(node: slicer.vtkMRMLVolumeNode | None) -> int:
    """The item of the subject hierarchy that is the study of a node; the invalid one if it is of none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None or node is None:
        return 0
    item = hierarchy.GetItemByDataNode(node)
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelStudy()
    return int(hierarchy.GetItemAncestorAtLevel(item, level)) if item else 0


def studyName(near: slicer.vtkMRMLVolumeNode | None) -> str:
    """What a person calls the images beside a node: by its study, else by its own name."""
    hierarchy, item = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene), study(near)
    named = hierarchy.GetItemName(item) if item else ""
    return str(named or (near.GetName() if near is not None else _("Scene")))


# One sequence


def add(cine: Cine, near: slicer.vtkMRMLVolumeNode | None = None) -> slicer.vtkMRMLScalarVolumeNode:
    """Put a cine into the scene as a sequence of volumes; returns the volume node that its browser shows."""
    name = slicer.mrmlScene.GenerateUniqueName(_("{study} cine").format(study=cine.name))
    moments = [f"{t:g}" for t in cine.times_ms] or [str(phase + 1) for phase in range(cine.phases)]
    index = ("time", "ms") if cine.times_ms else ("phase", "")
    node = Sequences.add(name, index, zip(moments, map(cine.volume, range(cine.phases)), strict=True))
    said = {
        "name": cine.name,
        "source": cine.source,
        "modality": cine.modality,
        "times_ms": list(cine.times_ms),
        "heart_rate": cine.heart_rate,
        "notes": list(cine.notes),
        "chosen": cine.chosen,
        "others": [asdict(other) for other in cine.others],
        "body": asdict(cine.body),
    }
    whole = Sequences.browsed(node)
    assert whole is not None  # a cine has several phases
    whole.sequence.SetAttribute(CINE, json.dumps(said))
    if near is not None:
        SceneConversion.placeBeside(node, near)
    return node


def said(node: slicer.vtkMRMLNode | None) -> dict[str, Any] | None:
    """What is known of the cine that a volume node shows besides its images; None if it shows none that we put there."""
    whole = Sequences.browsed(node)
    text = whole.sequence.GetAttribute(CINE) if whole is not None else None
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def cineSteps(scan: Sequences.Browsed) -> Steps[Cine]:
    """The cine of a sequence that we put there, where it stands in the world. VolumeError, RequestError."""
    from SIFALib.imaging.cine import Body, Cine, Stack

    known = said(scan.node)
    assert known is not None
    arrays: list[np.ndarray] = []
    geometry: Geometry | None = None
    for number, item in enumerate(scan.items):
        yield Progress(_("Reading the volume"), number / scan.count)
        if item.GetImageData() is None:
            raise VolumeError(_("A time point of {name} holds no image; assemble it again.").format(name=scan.name))
        own = SceneConversion.Placement.of(item, scan.node).geometry(sheared=True)
        if own is None:
            text = _("{name} stands under a transform that bends it; take that off, and segment it then.")
            raise RequestError(text.format(name=scan.name))
        geometry = geometry or own
        if own.size != geometry.size:
            raise VolumeError(_("The time points of {name} differ in size; assemble it again.").format(name=scan.name))
        arrays.append(slicer.util.arrayFromVolume(item))
    assert geometry is not None
    times = known["times_ms"] if len(known["times_ms"]) == len(arrays) else ()
    return Cine(
        np.stack(arrays), geometry, tuple(times), known["heart_rate"], known["name"], known["source"],
        known["modality"], tuple(known["notes"]), known["chosen"], tuple(Stack(**each) for each in known["others"]),
        Body(**known["body"]),
    )  # fmt: skip
