"""Sample data that is real: short-axis MR of six hearts (CC0, Resources/SampleScans), for SIFA Training to adapt to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from . import PhantomSamples

NAME = "SIFA short-axis MR, six real hearts"
FOLDER = Path(__file__).parents[1] / "Resources" / "SampleScans"


def register() -> None:
    """Offer the scans in the module Sample Data."""
    PhantomSamples.offer(NAME, "SIFAShortAxis", "SIFAShortAxis", makeSample)


def makeSample(_source: Any) -> list[slicer.vtkMRMLScalarVolumeNode] | None:
    """What Sample Data calls when its button is pressed; returns the nodes."""
    with slicer.util.tryWithErrorDisplay(_("The scans could not be loaded.")):
        return load()


def load() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Load all six and show the first."""
    from SIFALib.imaging.reading import read

    return PhantomSamples.addScans(map(read, sorted(FOLDER.glob("*.nii.gz"))), "Short axis")
