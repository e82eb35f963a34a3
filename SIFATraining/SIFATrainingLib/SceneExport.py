"""Volumes of the scene as files that a training reads: where they stand in the world, without anything of DICOM."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

from SIFALib import imaging
from SIFASegmentationLib.Steps import Step
from slicer.i18n import tr as _


def fileNames(nodes: Sequence) -> dict[str, str]:
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


def exportSteps(nodes: Sequence, folder: Path) -> Generator[Step, None, dict[str, str]]:
    """Write each volume into the folder as NRRD; returns node id -> the file's name without suffix. VolumeError, OSError."""
    from SIFASegmentationLib import SceneConversion

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = fileNames(nodes)
    for number, node in enumerate(nodes):
        stage = _("Copying {name}").format(name=node.GetName())
        yield Step(stage, number / len(nodes))
        placement = SceneConversion.Placement.of(node)
        steps = SceneConversion.volumeSteps(node, placement)
        while True:
            try:
                fraction = next(steps)
            except StopIteration as end:
                imaging.write(end.value, folder / f"{names[node.GetID()]}.nrrd")
                break
            yield Step(stage, (number + fraction) / len(nodes))
    return names
