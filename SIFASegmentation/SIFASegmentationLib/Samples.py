"""Sample data by name, for scripts; the module Sample Data has a button for each."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import LowFieldSamples, PhantomSamples


def names() -> list[str]:
    return [*PhantomSamples.SAMPLES, PhantomSamples.BEATING, LowFieldSamples.NAME]


def load(name: str) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Make it on this computer and show it; ValueError for an unknown name."""
    if name in PhantomSamples.SAMPLES:
        return [PhantomSamples.loadPhantom(PhantomSamples.SAMPLES[name], name=name)]
    if name == PhantomSamples.BEATING:
        return [PhantomSamples.loadBeatingPhantom()]
    if name == LowFieldSamples.NAME:
        return LowFieldSamples.load()
    text = _("There is no sample {name}. There are: {names}.")
    raise ValueError(text.format(name=name, names=", ".join(names())))
