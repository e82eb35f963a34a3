"""Sample data made on this computer, not downloaded: the digital thorax as a CT, as an MR, and as a CT of a whole beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import slicer
from SIFALib.support.progress import Progress, Steps, drain
from slicer.i18n import tr as _

from . import SceneConversion, Sequences, Waiting
from .Background import Background

if TYPE_CHECKING:
    from SIFALib.imaging import Volume

Modality = Literal["ct", "mr"]
CATEGORY = "SIFA"
# Sample Data wants an address, which its button does not use, as these scans are made here. A script that asks Sample
# Data for them by name is told this one, of no file, so that nothing is looked for on the network.
ADDRESS = (Path(__file__).parents[1] / "Resources" / "call-SIFASegmentationLogic.loadSample-instead").as_uri()
SAMPLES: dict[str, Modality] = {"SIFA phantom CT": "ct", "SIFA phantom MR": "mr"}
BEATING = "SIFA phantom beating"
SEED = 1023
SPACING_MM = 1.5
BEATING_SPACING_MM = 2.0
BEATING_TIMES_MS = tuple(range(0, 800, 100))  # a beat at 75 a minute
SYSTOLE_MS = 300  # from end-diastole to end-systole


def register() -> None:
    """Offer the phantoms in the module Sample Data."""
    for name, modality in {**SAMPLES, BEATING: "ct"}.items():
        offer(name, name.replace(" ph", "Ph").replace(" ", ""), f"SIFAPhantom{modality.upper()}", makeSample)


def offer(name: str, fileName: str, icon: str, make: Callable[[Any], Any]) -> None:
    """Add a button to the module Sample Data that makes nodes."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        uris=ADDRESS,
        fileNames=f"{fileName}.nrrd",
        nodeNames=name,
        thumbnailFileName=str(Path(__file__).parents[1] / "Resources" / "Icons" / f"{icon}.png"),
        customDownloader=make,
    )


def makeSample(source: Any) -> list[slicer.vtkMRMLScalarVolumeNode] | None:
    """What Sample Data calls when its button is pressed; returns the nodes, none if the person cancelled it."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made.")):
        slicer.util.showStatusMessage(_("Making the phantom on this computer..."))
        if source.sampleName == BEATING:
            node = Waiting.waitFor(beatingSteps())
        else:
            node = Waiting.waitFor(phantomSteps(SAMPLES[source.sampleName], name=source.sampleName))
        return [node] if node is not None else []


def loadPhantom(
    modality: Modality = "ct", seed: int = SEED, spacingMm: float = SPACING_MM, name: str = ""
) -> slicer.vtkMRMLScalarVolumeNode:
    """Make a phantom and show it; returns the volume node. modality: "ct" or "mr"."""
    return drain(phantomSteps(modality, seed, spacingMm, name))


def phantomSteps(
    modality: Modality, seed: int = SEED, spacingMm: float | None = None, name: str = ""
) -> Steps[slicer.vtkMRMLScalarVolumeNode]:
    """The same in steps."""
    (image,) = yield from _made([(seed, modality, spacingMm or SPACING_MM, 0.0)])
    node = addVolume(image, slicer.mrmlScene.GenerateUniqueName(name or f"SIFA phantom {modality.upper()}"))
    _show(node, modality)
    return node


def loadBeatingPhantom() -> slicer.vtkMRMLScalarVolumeNode:
    """Make CTs of a phantom over a heartbeat, as a sequence; returns the volume node that its browser shows."""
    return drain(beatingSteps())


def beatingSteps(
    seed: int = SEED, spacingMm: float | None = None, timesMs: tuple[int, ...] | None = None
) -> Steps[slicer.vtkMRMLScalarVolumeNode]:
    """The same in steps."""
    timesMs = timesMs or BEATING_TIMES_MS
    images = yield from _made([(seed, "ct", spacingMm or BEATING_SPACING_MM, systole(time)) for time in timesMs])
    name = slicer.mrmlScene.GenerateUniqueName(BEATING)
    node = Sequences.add(name, ("time", "ms"), zip(map(str, timesMs), images, strict=True))
    _show(node, "ct")
    return node


def _made(wanted: list[tuple[int, Modality, float, float]]) -> Steps[list[Volume]]:
    """The images of phantoms: seed, modality, spacing in mm, systole; made in the background."""

    def steps() -> Steps[list[Volume]]:
        from SIFALib import phantom

        images = []
        for number, (seed, modality, spacingMm, contracted) in enumerate(wanted):
            yield Progress(_("Making the phantom"), number / len(wanted))
            images.append(phantom.make(seed, modality, spacingMm, systole=contracted).image)
        return images

    images = yield from Background().steps(steps, Progress(_("Loading PyTorch"), 0.0))
    return images


def systole(time: float) -> float:
    """How far the heart has contracted, 0 to 1, so many ms after end-diastole; smooth, and slower on the way back."""
    beat = BEATING_TIMES_MS[-1] + BEATING_TIMES_MS[1]
    time %= beat
    share = time / SYSTOLE_MS if time < SYSTOLE_MS else (beat - time) / (beat - SYSTOLE_MS)
    return (1 - math.cos(math.pi * share)) / 2


def _show(node: slicer.vtkMRMLScalarVolumeNode, modality: str) -> None:
    """In the slice views, in grey values that suit it."""
    node.CreateDefaultDisplayNodes()
    if modality == "ct":
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(900, 200)  # shows contrast agent, muscle and lung at once
    showVolume(node)


def showVolume(node: slicer.vtkMRMLVolumeNode) -> None:
    """Make the slice views show it, and fit them to it."""
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveVolumeID(node.GetID())
    application.PropagateVolumeSelection(1)


def addScans(scans: Iterable[Volume], name: str) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Put scans into the scene, called by that name and a number, and show the first; returns their nodes."""
    nodes = []
    for number, scan in enumerate(scans, start=1):
        nodes.append(addVolume(scan, slicer.mrmlScene.GenerateUniqueName(f"{name} {number}")))
        nodes[-1].CreateDefaultDisplayNodes()
    showVolume(nodes[0])
    return nodes


def addVolume(volume: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """A library volume as a node of the scene."""
    return slicer.util.addVolumeFromArray(volume.array, ijkToRAS=SceneConversion.ijkToRas(volume.geometry), name=name)
