"""Sample data for SIFA Training, made on this computer: six persons on a simulated scanner that no model has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support.progress import Progress, Steps, drain
from slicer.i18n import tr as _

from . import PhantomSamples, Waiting
from .Background import Background

if TYPE_CHECKING:
    from SIFALib.imaging import Volume

NAME = "SIFA low-field phantoms"
SEEDS = range(2001, 2007)
SPACING_MM = 3.0


def register() -> None:
    """Offer the scans in the module Sample Data."""
    PhantomSamples.offer(NAME, "SIFALowField", "SIFALowField", makeSample)


def makeSample(_source: Any) -> list[slicer.vtkMRMLScalarVolumeNode] | None:
    """What Sample Data calls when its button is pressed; returns the nodes, none if the person cancelled it."""
    with slicer.util.tryWithErrorDisplay(_("The phantoms could not be made.")):
        slicer.util.showStatusMessage(_("Making six phantoms on this computer..."))
        return Waiting.waitFor(steps()) or []


def load(seeds: Sequence[int] = SEEDS, spacingMm: float = SPACING_MM) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Make one scan of each person and show the first; returns the volume nodes."""
    return drain(steps(seeds, spacingMm))


def steps(seeds: Sequence[int] = SEEDS, spacingMm: float | None = None) -> Steps[list[slicer.vtkMRMLScalarVolumeNode]]:
    """The same in steps."""

    def made() -> Steps[list[Volume]]:
        from SIFALib import phantom
        from SIFALib.phantom.low_field import low_field

        scans = []
        for number, seed in enumerate(seeds):
            yield Progress(
                _("Making phantom {number} of {count}").format(number=number + 1, count=len(seeds)), number / len(seeds)
            )
            scans.append(low_field(phantom.make(seed, "ct", spacingMm or SPACING_MM).image, seed))
        return scans

    scans = yield from Background().steps(made, Progress(_("Loading PyTorch"), 0.0))
    return PhantomSamples.addScans(scans, "Low field")
