"""Volumes of the scene as files that a training reads: where they stand in the world, without anything of DICOM.

Which of them show one heart is told by a list beside them, by numbers alone.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import slicer
from SIFALib import imaging
from SIFALib.support import files
from SIFALib.support.progress import Progress, Steps, mapped
from SIFASegmentationLib import SceneConversion
from slicer.i18n import tr as _

LIST = "scans.json"  # in the folder of copies: what the training and its check take for their scans


@dataclass(frozen=True)
class Exported:
    """names: node id -> the file's name without suffix. notes: to be said."""

    names: dict[str, str]
    notes: tuple[str, ...] = ()


def fileNames(nodes: Sequence[slicer.vtkMRMLVolumeNode]) -> dict[str, str]:
    """Node id -> name of its file, no two alike in any case."""
    names: dict[str, str] = {}
    for node in nodes:
        # a name that ends like a label map's, as "x_label", would be taken for one
        stem = re.sub(r"[^\w\- ]+", "_", node.GetName()).strip(" _")[:60] or "scan"
        name, number = f"{stem} scan", 2
        while name.lower() in {n.lower() for n in names.values()}:
            name, number = f"{stem} {number} scan", number + 1
        names[node.GetID()] = name
    return names


def state(node: slicer.vtkMRMLVolumeNode) -> tuple[int, bytes]:
    """Of its voxels, when they were changed last, and where they lie in the world: another one, another copy."""
    placement = SceneConversion.Placement.of(node)
    ends = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=3))) * placement.size
    return node.GetImageData().GetMTime(), placement.worldPoints(ends).tobytes()


def hearts(nodes: Sequence[slicer.vtkMRMLVolumeNode]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Node id -> what it has in common with the others that show its heart, by patient and study in the subject hierarchy,
    of those that share it; and what should be said of that."""
    from SIFALib.datasets.patients import by_heart

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    levels = slicer.vtkMRMLSubjectHierarchyConstants
    wanted = (levels.GetDICOMLevelPatient(), levels.GetDICOMLevelStudy())
    contexts: dict[str, tuple[str, str]] = {}
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        above = [hierarchy.GetItemAncestorAtLevel(item, level) if item else 0 for level in wanted]
        patient, study = (str(one) if one else "" for one in above)
        contexts[node.GetID()] = (patient, study)
    groups, alike = by_heart(contexts)
    found = {key: f"heart {number}" for number, group in enumerate(groups, 1) for key in group}
    text = _(
        "All of these volumes say that they are of one patient, as anonymised ones may. Each study counts as a heart of its "
        "own; if they are of one, drag them into one study in the module Data, so that none judges what another one taught."
    )
    return found, (text,) if alike else ()


def exportSteps(nodes: Sequence[slicer.vtkMRMLVolumeNode], folder: Path) -> Steps[Exported]:
    """Write each volume into the folder as NRRD, and LIST beside them. VolumeError, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = fileNames(nodes)
    of, notes = hearts(nodes)
    listed = []
    for number, node in enumerate(nodes):
        start = Progress(_("Copying {name}").format(name=node.GetName()), number / len(nodes))
        yield start
        steps = SceneConversion.volumeSteps(node, SceneConversion.Placement.of(node))
        volume = yield from mapped(steps, partial(_part, start, len(nodes)))
        file = f"{names[node.GetID()]}.nrrd"
        imaging.write(volume, folder / file)
        listed.append({"image": file, "heart": of.get(node.GetID(), "")})
    files.write_text(folder / LIST, json.dumps(listed))
    return Exported(names, notes)


def _part(start: Progress, count: int, step: Progress) -> Progress:
    """A step of one volume of so many, as a step of all."""
    return replace(start, fraction=start.fraction + step.fraction / count)
