"""Volumes of the scene as files that a training reads: where they stand in the world, without anything of DICOM."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import slicer
from SIFALib import imaging
from SIFALib.support.progress import Progress, Steps, mapped
from SIFASegmentationLib import SceneConversion
from slicer.i18n import tr as _


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


def exportSteps(nodes: Sequence[slicer.vtkMRMLVolumeNode], folder: Path) -> Steps[dict[str, str]]:
    """Write each volume into the folder as NRRD; returns node id -> the file's name without suffix. VolumeError, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = fileNames(nodes)
    for number, node in enumerate(nodes):
        start = Progress(_("Copying {name}").format(name=node.GetName()), number / len(nodes))
        yield start
        steps = SceneConversion.volumeSteps(node, SceneConversion.Placement.of(node))
        volume = yield from mapped(steps, partial(_part, start, len(nodes)))
        imaging.write(volume, folder / f"{names[node.GetID()]}.nrrd")
    return names


def _part(start: Progress, count: int, step: Progress) -> Progress:
    """A step of one volume of so many, as a step of all."""
    return replace(start, fraction=start.fraction + step.fraction / count)
