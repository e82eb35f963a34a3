"""Sample data for SIFA Training, made on this computer: six persons on a simulated scanner that no model has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from . import PhantomSamples

NAME = "SIFA low-field phantoms"
SEEDS = range(2001, 2007)
SPACING_MM = 3.0


def register() -> None:
    """Offer the scans in the module Sample Data."""
    PhantomSamples.offer(NAME, "SIFALowField", "SIFALowField", makeSample)


def makeSample(_source: Any) -> list[slicer.vtkMRMLScalarVolumeNode] | None:
    """What Sample Data calls when its button is pressed; returns the nodes."""
    with slicer.util.tryWithErrorDisplay(_("The phantoms could not be made."), waitCursor=True):
        slicer.util.showStatusMessage(_("Making six phantoms on this computer..."))
        return load()


def load(seeds: Sequence[int] = SEEDS, spacingMm: float = SPACING_MM) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Make one scan of each person and show the first; returns the volume nodes."""
    from SIFALib import phantom
    from SIFALib.phantom.low_field import low_field

    nodes = []
    for number, seed in enumerate(seeds, start=1):
        name = slicer.mrmlScene.GenerateUniqueName(f"Low field {number}")
        scan = low_field(phantom.make(seed, "ct", spacingMm).image, seed)
        nodes.append(PhantomSamples.addVolume(scan, name))
        nodes[-1].CreateDefaultDisplayNodes()
    PhantomSamples.showVolume(nodes[0])
    return nodes
