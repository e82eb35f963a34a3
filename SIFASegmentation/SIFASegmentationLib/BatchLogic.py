"""Many scans, one after the other: the volumes of the scene as cases of a batch, and the batch in steps."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import Volumes
from .Logic import SIFASegmentationLogic
from .Parameters import BatchSource
from .Steps import Step

if TYPE_CHECKING:
    from SIFALib.imaging.geometry import Volume
    from SIFALib.inference.batch.run import Case, Event, Row


def sceneCases() -> list[Case]:
    """A case for each volume, where it stands in the world. Raises BatchError if there is none."""
    from SIFALib.inference.batch.run import Case, file_names
    from SIFALib.support.errors import BatchError

    nodes = Volumes.inScene()
    if not nodes:
        raise BatchError(_("The scene holds no volume; load some, or choose a folder."))
    names = file_names([node.GetName() for node in nodes])
    return [
        Case(name, node.GetName(), lambda node=node: _readSteps(node), lambda node=node: _fingerprint(node))
        for name, node in zip(names, nodes, strict=True)
    ]


def _readSteps(node) -> Generator[float, None, Volume]:
    from . import SceneConversion

    volume = yield from SceneConversion.volumeSteps(node, SceneConversion.Placement.of(node))
    return volume


def _fingerprint(node) -> str:
    """A hash of voxels and place; raises VolumeError if the volume left the scene."""
    from SIFALib.support.errors import VolumeError

    from . import SceneConversion

    if node.GetScene() is None:
        raise VolumeError(_("{name} was removed from the scene.").format(name=node.GetName()))
    placement = SceneConversion.Placement.of(node)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(placement.size) - 1)
    digest = hashlib.sha256(np.round(placement.worldPoints(corners), 4).tobytes())
    for plane in slicer.util.arrayFromVolume(node):
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def batchSteps(
    logic: SIFASegmentationLogic,
    source: BatchSource,
    folder: str,
    output: str,
    model: str = "",
    structures: Sequence[str] | None = None,
    **choices,
) -> Generator[Step | Event, None, list[Row]]:
    """Segment the scans of a folder, or the volumes of the scene, into the folder `output`; the scene stays as it is.

    Yields steps, and an event whenever a scan's row changes; returns the rows. model, structures and the other choices:
    as of `SIFASegmentationLogic.segmentSteps`. Raises BatchError, DependencyError, ModelError.
    """
    yield from logic.dependencies.trySteps()
    yield Step(_("Loading PyTorch and the model"))
    from SIFALib.inference.batch import run

    package = logic.package(model)
    wanted = tuple(structures) if structures is not None else None
    options = logic.backend.options(structures=wanted, **choices)
    cases = sceneCases() if source is BatchSource.SCENE else run.find_cases(folder)
    place = run.prepare_folder(Path(output))

    def segment(volume):
        return logic.backend.steps(volume, package, options)

    rows = yield from run.run(cases, place, segment, package.card, options)
    return rows
