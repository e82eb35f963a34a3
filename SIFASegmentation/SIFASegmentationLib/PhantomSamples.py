"""Sample data made on this computer, not downloaded: the digital thorax as a CT and as an MR volume."""

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


def register() -> None:
    """Offer the phantoms in the module Sample Data."""
    import SampleData

    icons = Path(__file__).parents[1] / "Resources" / "Icons"
    for name, modality in SAMPLES.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=HOMEPAGE,
            fileNames=f"SIFAPhantom{modality.upper()}.nrrd",
            nodeNames=name,
            thumbnailFileName=str(icons / f"SIFAPhantom{modality.upper()}.png"),
            customDownloader=makeSample,
        )


def makeSample(source):
    """What Sample Data calls when its button is pressed; returns the nodes."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        slicer.util.showStatusMessage(_("Making the phantom on this computer..."))
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
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(node.GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection(1)
    return node


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
