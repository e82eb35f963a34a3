"""A cine from a study to the report: read from a folder or from nodes, segmented as one heart, written as `sifa cine` does.

What is read, drawn, computed and written is the library's. The scene holds a cine as a sequence (`CineNodes`), its
outlines as a sequence of segmentations, and beside them what those do not hold, so that a scene that was saved, or
outlines that were corrected, give a report as well.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from SIFALib.support.errors import NoHeartFound, RequestError
from SIFALib.support.progress import Progress, Steps, mapped, within
from slicer.i18n import tr as _

from . import CineNodes, CineOutlines, SceneConversion, SequenceLogic, Sequences
from .Results import Found, NodeGone

if TYPE_CHECKING:
    from SIFALib.inference.cine import CineResult, Origin
    from SIFALib.models.structures import Structure

    from .Backend import Choices
    from .Logic import SIFASegmentationLogic

READ, NETWORK, FILLED = 0.02, 0.9, 1.0  # parts of the work of a segmentation, up to there
DRAWN = 0.5  # part of an export, up to which outlines are read


@dataclass(frozen=True)
class _Model:
    """As much of a model as a report says, also where it is no longer installed."""

    id: str
    version: str
    sha256: str


def readSteps(
    logic: SIFASegmentationLogic, folder: str, near: slicer.vtkMRMLVolumeNode | None, stack: str = ""
) -> Steps[slicer.vtkMRMLScalarVolumeNode]:
    """Read a study and put its cine into the scene; returns the volume node that shows it.

    folder: of a study, or a file of several volumes; "" for what the scene holds beside the volume node `near`. stack:
    name of one of several. Raises VolumeError, OSError.
    """
    from SIFALib.imaging import cine_images, study

    first = Progress(_("Reading the study"), 0.0)
    yield first
    if folder:
        work = logic.background.steps(lambda: study.read_cine_steps(folder, stack), first)
    else:
        parts = CineNodes.parts(near)
        name, files, images = CineNodes.studyName(near), CineNodes.files(parts), CineNodes.images(parts)
        if files:
            work = logic.background.steps(lambda: study.read_files_steps(files, Path(name), stack), first)
        else:
            work = logic.background.call(lambda: cine_images.cine_of_images(images, name, stack), first)
    cine = yield from mapped(work, lambda step: Progress(_(step.stage), step.fraction))
    yield Progress(_("Putting the cine into the scene"), 1.0)
    return CineNodes.add(cine, near if not folder else None)


# Outlines


def segmentSteps(
    logic: SIFASegmentationLogic,
    scan: Sequences.Browsed,
    outputSegmentation: slicer.vtkMRMLSegmentationNode | None,
    choices: Choices,
) -> Steps[slicer.vtkMRMLSegmentationNode]:
    """Segment a cine of the scene as one heart; returns the segmentation node, as `SequenceLogic.segmentSteps` does.

    Raises NoHeartFound if no phase shows one, VolumeError, NodeGone.
    """
    models = logic.models(choices.model)
    options = logic.backend.options(**choices.options())
    cine = yield from within(CineNodes.cineSteps(scan), 0.0, READ)

    def told(step: Progress) -> Progress:
        if not scan.isThere():
            raise NodeGone(_("The scan was removed from the scene, so the segmentation was stopped."))
        return Progress(_(step.stage), READ + (NETWORK - READ) * step.fraction, step.seconds_left)

    loading = Progress(_("Loading PyTorch and the model"), 0.0)
    work = logic.background.steps(lambda: logic.backend.cineSteps(cine, models, options), loading)
    result = yield from mapped(work, told)
    if len(result.missing) == cine.phases:
        raise NoHeartFound(_("No heart was found in {name}.").format(name=scan.name))
    card = models.stacks.card
    model = _Model(card.id, card.version, card.sha256)
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.CopySequenceIndex(scan.sequence)
    for phase in range(cine.phases):
        yield Progress(_("Putting the result into the scene"), NETWORK + (FILLED - NETWORK) * phase / cine.phases)
        SequenceLogic.addFound(sequence, scan, phase, _found(result, model, phase))
    sequence.SetAttribute(CineNodes.CINE, json.dumps(_said(result, model)))
    node = yield from SequenceLogic.showSteps(scan, outputSegmentation, sequence)
    return node


def _found(result: CineResult, model: _Model, phase: int) -> Found:
    """What a phase says for itself, as a single scan does."""
    flags = [flag.record() for number, flag in result.flags if number == phase]
    if phase in result.missing:
        reason = _("No heart was found at this phase.")
        flags.append({"structure": "", "kind": SequenceLogic.FAILED, "message": reason, "warns": True})
    report = {
        "model": {"id": model.id, "version": model.version},
        "volumes_ml": {s: 0.0 if np.isnan(ml[phase]) else ml[phase] for s, ml in result.volumes_ml.items()},
        "voxel_ml": result.geometry.voxel_ml,
        "flags": flags,
        "notes": [],
        "seconds": {stage: seconds / len(result.labels) for stage, seconds in result.seconds.items()},
        "device": result.device,
        "precision": result.precision,
        "checked": phase in _ends(result),
    }
    return Found(result.labels[phase], None, result.structures, report)


def _ends(result: CineResult) -> set[int]:
    """The phases whose outlines the library checks: both ends of the beat of the first ventricle."""
    function = next(iter(result.functions.values()), None)
    return set() if function is None else {function.end_diastole, function.end_systole}


def _said(result: CineResult, model: _Model) -> dict[str, Any]:
    """What the outlines themselves do not hold, for a later report."""
    from SIFALib.inference.cine import functions_of

    _functions, anew = functions_of(result.volumes_ml)  # why a ventricle has none: outlines may have changed by then
    own = [why for why in result.notes if why not in anew]
    return {
        "model": asdict(model),
        "structures": [{"value": s.value, "id": s.id, "name": s.name, "color": s.color} for s in result.structures],
        "missing": list(result.missing),
        "flags": [{"phase": phase, **asdict(flag)} for phase, flag in result.flags],
        "notes": own,
        "seconds": dict(result.seconds),
        "device": result.device,
        "precision": result.precision,
        "outlines": [zlib.crc32(np.ascontiguousarray(labels).data) for labels in result.labels],
    }


# The report


def canReport(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
    """Whether a node shows the outlines of a cine that is still there."""
    result = Sequences.result(segmentationNode)
    if result is None or not result.sequence.GetAttribute(CineNodes.CINE):
        return False
    return CineNodes.said(SceneConversion.referenceVolume(result.node)) is not None


def reportSteps(
    logic: SIFASegmentationLogic, segmentationNode: slicer.vtkMRMLSegmentationNode, folder: Path
) -> Steps[Path]:
    """Write the report of outlines as they are now into a folder, made if it is missing; returns its page.

    Raises RequestError for what are no outlines of a cine, OSError.
    """
    result = Sequences.result(segmentationNode)
    scan = Sequences.browsed(SceneConversion.referenceVolume(result.node)) if result is not None else None
    if result is None or scan is None or not canReport(segmentationNode):
        raise RequestError(_("There are no outlines of a cine here; assemble one under Cine MR, and press Apply."))
    known = json.loads(result.sequence.GetAttribute(CineNodes.CINE))
    if len(known["outlines"]) != scan.count or _moments(result) != _moments(scan):
        raise RequestError(
            _("Time points of this cine were added, removed or moved since it was outlined; press Apply again.")
        )
    cine = yield from within(CineNodes.cineSteps(scan), 0.0, READ)
    structures, origin = _remembered(known)
    labels = yield from within(CineOutlines.labelSteps(result, scan, structures), READ, DRAWN)
    drawn = [zlib.crc32(each.data) for each in labels]
    edited = tuple(n for n, (now, then) in enumerate(zip(drawn, known["outlines"], strict=True)) if now != then)

    def write() -> Path:
        from SIFALib.inference import cine as inference
        from SIFALib.inference import cine_outputs, cine_report

        measured = inference.measured(labels, cine, structures, origin)
        folder.mkdir(parents=True, exist_ok=True)
        made = cine_report.report(measured, cine, _Model(**known["model"]), edited)
        cine_outputs.write(measured, cine, made, folder)
        return folder / cine_outputs.PAGE

    written = yield from logic.background.call(write, Progress(_("Writing the report"), DRAWN))
    return written


def _moments(shown: Sequences.Browsed) -> list[str]:
    return [str(shown.sequence.GetNthIndexValue(number)) for number in range(shown.count)]


def _remembered(known: dict[str, Any]) -> tuple[tuple[Structure, ...], Origin]:
    """The structures that were drawn, and how that came about."""
    from SIFALib.inference.cine import Origin
    from SIFALib.inference.flags import Flag
    from SIFALib.models.structures import Code, Structure

    structures = tuple(
        Structure(s["value"], s["id"], s["name"], tuple(s["color"]), Code("", "", "")) for s in known["structures"]
    )
    flags = [(flag.pop("phase"), Flag(**flag)) for flag in known["flags"]]
    origin = Origin(
        tuple(known["missing"]), tuple(flags), tuple(known["notes"]), known["seconds"], known["device"],
        known["precision"],
    )  # fmt: skip
    return structures, origin
