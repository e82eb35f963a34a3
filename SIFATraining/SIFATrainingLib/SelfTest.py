"""What Slicer's own test button runs: the panel says what is missing, and takes a volume of the scene."""

from __future__ import annotations

from typing import Any

import slicer
from SIFASegmentationLib import PhantomSamples


def runAll(test: Any) -> None:
    """An empty scene cannot be adapted to; a phantom can be looked at. Nothing is trained."""
    slicer.mrmlScene.Clear()
    widget = slicer.util.getModuleWidget("SIFATraining")
    widget.enter()
    test.assertFalse(widget.ui.startButton.enabled)
    test.assertTrue(widget.ui.startButton.toolTip)
    widget.adaptTo(PhantomSamples.loadPhantom("ct", spacingMm=8.0))
    test.assertEqual(widget.ui.scansTable.rowCount, 1)
    test.assertIn("Check", widget.ui.startButton.toolTip)
