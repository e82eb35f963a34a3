"""Many scans, one after the other: the volumes of the scene as cases of a batch, and the batch in steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from SIFALib.support.errors import BatchError, VolumeError
from SIFALib.support.progress import Progress, Steps, mapped
from slicer.i18n import tr as _

from . import SceneConversion, Stages, Volumes
from .Backend import Choices
from .Logic import SIFASegmentationLogic
from .Parameters import BatchSource

if TYPE_CHECKING:
    from SIFALib.imaging import Volume
    from SIFALib.inference.batch.run import Case, Event, Row
    from SIFALib.inference.segmentation import Result


def sceneCases() -> list[Case]:
    """A case for each volume, where it stands in the world. Raises BatchError if there is none."""
    from SIFALib.inference.batch.run import Case, file_names

    nodes = Volumes.inScene()
    if not nodes:
        raise BatchError(_("The scene holds no volume; load some, or choose a folder."))
    names = file_names([node.GetName() for node in nodes])
    return [
        Case(name, node.GetName(), partial(_readSteps, node), partial(_fingerprint, node))
        for name, node in zip(names, nodes, strict=True)
    ]


def _readSteps(node: slicer.vtkMRMLVolumeNode) -> Generator[float, None, Volume]:
    steps = SceneConversion.volumeSteps(node, SceneConversion.Placement.of(node))
    return mapped(steps, lambda step: step.fraction)


def _fingerprint(node: slicer.vtkMRMLVolumeNode) -> str:
    """A hash of voxels and place; raises VolumeError if the volume left the scene."""
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
    choices: Choices,
    onRow: Callable[[int, Row], None],
) -> Steps[list[Row]]:
    """Segment the scans of a folder, or the volumes of the scene, into the folder `output`; the scene stays as it is.

    onRow(number, row) is told whenever a scan's row may have changed; the return value is all rows.
    Raises BatchError, DependencyError, ModelError.
    """
    yield from logic.dependencies.trySteps()
    yield from logic.loadSteps()
    from SIFALib.inference.batch import run

    package = logic.package(choices.model)
    options = logic.backend.options(**choices.options())
    scene = source is BatchSource.SCENE
    looking = Progress(_("Looking for scans"), 0.0)
    found = logic.background.call(lambda: run.find_cases(folder), looking)
    cases = sceneCases() if scene else (yield from found)
    place = run.prepare_folder(Path(output))

    def segment(volume: Volume) -> Steps[Result]:
        steps = logic.backend.steps(volume, package, options)
        return logic.background.steps(lambda: steps, Progress(_("Segmenting"), 0.0)) if scene else steps

    def told(event: Event | Progress) -> Progress:
        if isinstance(event, Progress):  # nothing has begun yet
            return event
        onRow(event.number, event.row)
        stage = _("{name}: {stage}").format(name=event.row.name, stage=Stages.translated(event.stage))
        return Progress(stage, event.fraction, event.seconds_left)

    events: Generator[Event | Progress, None, list[Row]] = run.run(cases, place, segment, package.card, options)
    if not scene:  # the scene's volumes belong to the main thread
        work = events
        events = logic.background.steps(lambda: work, looking)
    rows = yield from mapped(events, told)
    return rows
