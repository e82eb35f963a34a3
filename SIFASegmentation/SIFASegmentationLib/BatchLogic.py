"""Many scans, one after the other: the volumes of the scene as cases of a batch, and the batch in steps."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from SIFALib.support.errors import BatchError, SifaError, VolumeError
from SIFALib.support.progress import Progress, Steps, mapped
from slicer.i18n import tr as _

from . import DicomStudies, SceneConversion, Stages, Volumes
from .Backend import Choices
from .DicomStudies import Series, Study
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
    studies: Sequence[Study] = (),
) -> Steps[list[Row]]:
    """Segment the scans of a folder, the volumes of the scene, or studies of the DICOM database into the folder `output`.

    The scene stays as it is, but for the results of `studies`, which are put under their study, one after the other: those
    that were finished before only where the scene holds none of their series.
    onRow(number, row) is told whenever a scan's row may have changed; the return value is all rows.
    Raises BatchError, DependencyError, ModelError.
    """
    yield from logic.dependencies.trySteps()
    yield from logic.loadSteps()
    from SIFALib.inference.batch import run

    models = logic.models(choices.model)
    options = logic.backend.options(**choices.options())
    scene = source is BatchSource.SCENE
    looking = Progress(_("Looking for scans"), 0.0)
    found = logic.background.call(lambda: run.find_cases(folder), looking)
    chosen = DicomStudies.cases(studies) if source is BatchSource.DICOM else []
    cases = [case for case, *_rest in chosen] or (sceneCases() if scene else (yield from found))
    place = run.prepare_folder(Path(output))

    def segment(volume: Volume) -> Steps[Result]:
        steps = logic.backend.steps(volume, models, options)
        return logic.background.steps(lambda: steps, Progress(_("Segmenting"), 0.0)) if scene else steps

    done: deque[Event] = deque()  # of cases whose results are in the folder and not in the scene yet

    def told(event: Event | Progress) -> Progress:
        if isinstance(event, Progress):  # nothing has begun yet
            return event
        onRow(event.number, event.row)
        if chosen and event.row.state in (run.DONE, run.KEPT):
            done.append(event)
        stage = _("{name}: {stage}").format(name=event.row.name, stage=Stages.translated(event.stage))
        return Progress(stage, event.fraction, event.seconds_left)

    events: Generator[Event | Progress, None, list[Row]] = run.run(cases, place, segment, models, options)
    if not scene:  # the scene's volumes belong to the main thread
        work = events
        events = logic.background.steps(lambda: work, looking)

    def placeSteps(step: Progress) -> Steps[None]:
        while done:
            event = done.popleft()
            new, case = event.row.state == run.DONE, chosen[event.number]
            if new or DicomStudies.placed(case[2]) is None:  # else a person may have corrected what is in the scene
                yield from _placeSteps(logic, case, place, step)

    rows = yield from _between(mapped(events, told), placeSteps)
    return rows


def _between(work: Steps[list[Row]], more: Callable[[Progress], Steps[None]]) -> Steps[list[Row]]:
    """The work, and after each of its steps what is to be done more."""
    step = Progress(_("Starting"), 0.0)
    try:
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                rows: list[Row] = end.value
                break
            yield step
            yield from more(step)
    finally:
        work.close()
    yield from more(step)
    return rows


def _placeSteps(
    logic: SIFASegmentationLogic, chosen: tuple[Case, Study, Series], folder: Path, step: Progress
) -> Steps[None]:
    """Put a result that is in the folder into the scene, as it stands there: a person may have corrected it."""
    from SIFALib.imaging import seg_nrrd
    from SIFALib.inference.batch import results

    case, study, series = chosen
    path = folder / f"{case.name}{seg_nrrd.SUFFIX}"
    try:
        labels, structures = yield from logic.background.call(lambda: seg_nrrd.read_seg_nrrd(path), step)
    except (SifaError, OSError) as error:  # the folder has the rest, and the other scans are still to be done
        logging.warning("SIFA: the result of a series cannot be shown: %s", error)
        return
    model = results.model_of(results.report_of(folder, case.name))
    DicomStudies.place(study, series, labels, structures, model)
