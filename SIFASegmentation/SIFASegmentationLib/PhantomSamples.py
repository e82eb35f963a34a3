"""Sample data made on this computer, not downloaded: the digital thorax as CT and MR, and six on a scanner of its own."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

CATEGORY = "SIFA"
# Sample Data wants an address; nothing is fetched from it.
HOMEPAGE = "https://github.com/SIFA-Slicer/SlicerSIFA"
SAMPLES = {"SIFA phantom CT": "ct", "SIFA phantom MR": "mr"}
SEED = 1023
SPACING_MM = 1.5
LOW_FIELD = "SIFA low-field phantoms"  # what SIFA Training can adapt to
LOW_FIELD_SEEDS = range(2001, 2007)
LOW_FIELD_SPACING_MM = 3.0


def register() -> None:
    """Offer the phantoms in the module Sample Data."""
    import SampleData

    icons = Path(__file__).parents[1] / "Resources" / "Icons"
    files = {name: f"SIFAPhantom{modality.upper()}" for name, modality in SAMPLES.items()}
    for name, file in {**files, LOW_FIELD: "SIFALowField"}.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=HOMEPAGE,
            fileNames=f"{file}.nrrd",
            nodeNames=name,
            thumbnailFileName=str(icons / f"{file}.png"),
            customDownloader=makeSample,
        )


def makeSample(source):
    """What Sample Data calls when its button is pressed; returns the nodes."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        slicer.util.showStatusMessage(_("Making the phantom on this computer..."))
        if source.sampleName == LOW_FIELD:
            return loadLowField()
        return [loadPhantom(SAMPLES[source.sampleName], name=source.sampleName)]


def loadPhantom(modality: str = "ct", seed: int = SEED, spacingMm: float = SPACING_MM, name: str = ""):
    """Make a phantom and show it; returns the volume node. modality: "ct" or "mr"."""
    from SIFALib import phantom

    image = phantom.make(seed, modality, spacingMm).image
    node = addVolume(image, slicer.mrmlScene.GenerateUniqueName(name or f"SIFA phantom {modality.upper()}"))
    node.CreateDefaultDisplayNodes()
    if modality == "ct":
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(900, 200)  # shows contrast agent, muscle and lung at once
    _show(node)
    return node


def loadLowField(seeds=LOW_FIELD_SEEDS, spacingMm: float = LOW_FIELD_SPACING_MM) -> list:
    """Make one scan of each person on a simulated scanner and show the first; returns the volume nodes."""
    from SIFALib import phantom
    from SIFALib.phantom.low_field import low_field

    nodes = []
    for number, seed in enumerate(seeds, start=1):
        name = slicer.mrmlScene.GenerateUniqueName(f"Low field {number}")
        nodes.append(addVolume(low_field(phantom.make(seed, "ct", spacingMm).image, seed), name))
        nodes[-1].CreateDefaultDisplayNodes()
    _show(nodes[0])
    return nodes


def _show(node) -> None:
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(node.GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection(1)


def addVolume(volume, name: str, nodeClassName: str = "vtkMRMLScalarVolumeNode"):
    """A library volume as a node of the scene."""
    import numpy as np

    from .SceneConversion import RAS_TO_LPS

    geometry = volume.geometry
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.axes * np.asarray(geometry.spacing)
    matrix[:3, 3] = geometry.origin
    return slicer.util.addVolumeFromArray(
        volume.array, ijkToRAS=RAS_TO_LPS @ matrix, name=name, nodeClassName=nodeClassName
    )
