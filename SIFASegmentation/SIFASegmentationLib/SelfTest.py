"""What Slicer's own test button runs: from a phantom to a segmentation, with the packages that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from SIFALib.support.progress import drain

from . import PhantomSamples, SceneConversion
from .Logic import SIFASegmentationLogic


def volumeGoesThroughUnchanged() -> None:
    """A phantom put into the scene and read back is the same, voxel for voxel."""
    node = PhantomSamples.loadPhantom("ct", spacingMm=8.0)
    placement = SceneConversion.Placement.of(node)
    volume = drain(SceneConversion.volumeSteps(node, placement))
    assert np.array_equal(volume.array, slicer.util.arrayFromVolume(node))
    assert np.allclose(placement.worldPoints(np.array([[3.0, 5.0, 7.0]])), volume.geometry.point([3, 5, 7]))


def phantomIsSegmented() -> None:
    """The default model, in one plane, finds all structures of its card in the phantom, with names and volumes."""
    node = PhantomSamples.loadPhantom("ct", spacingMm=3.0)
    logic = SIFASegmentationLogic()
    rows = logic.results(logic.segment(node, views="one"))
    names = [structure.name for structure in logic.backend.store().default().card.labels]
    assert [row.name for row in rows] == names and all(row.volumeMl > 5.0 for row in rows), rows


def runAll(test: Any) -> None:
    """Run both, each in an empty scene; the second one only where PyTorch is installed."""
    for check in (volumeGoesThroughUnchanged, phantomIsSegmented):
        slicer.mrmlScene.Clear()
        if check is phantomIsSegmented and not SIFASegmentationLogic().dependencies.torchIsThere():
            test.delayDisplay("PyTorch is not installed, so no network was run.")
            continue
        check()
        test.delayDisplay(f"{check.__name__}: right")
