"""SIFASegmentation: the heart in a CT or MR volume, segmented by one click. See SIFASegmentationLib."""

from __future__ import annotations

from typing import Any

import slicer
from SIFASegmentationLib import HeartEffect, LowFieldSamples, PhantomSamples, RealSamples
from SIFASegmentationLib.Logic import SIFASegmentationLogic
from SIFASegmentationLib.Parameters import SIFASegmentationParameterNode
from SIFASegmentationLib.Widget import SIFASegmentationWidget
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

__all__ = [
    "SIFASegmentation",
    "SIFASegmentationLogic",
    "SIFASegmentationParameterNode",
    "SIFASegmentationTest",
    "SIFASegmentationWidget",
]


class SIFASegmentation(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("SIFA Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]  # whose editor gets an effect
        parent.contributors = ["SIFA for 3D Slicer contributors"]
        parent.helpText = _(
            "Segments left ventricle, left ventricular myocardium, left atrium and ascending aorta in CT and "
            "MR volumes, with volumes in ml and checks of the result. Nothing leaves this computer. See the "
            '<a href="https://github.com/SIFA-Slicer/SlicerSIFA#readme">documentation and tutorial</a>.'
        )
        parent.acknowledgementText = _(
            "The method is SIFA: C. Chen, Q. Dou, H. Chen, J. Qin, P.-A. Heng, "
            "<i>Synergistic Image and Feature Adaptation</i>, "
            '<a href="https://arxiv.org/abs/1901.08211">AAAI 2019</a> and '
            '<a href="https://arxiv.org/abs/2002.02255">IEEE TMI 2020</a>. Please cite both.'
        )
        for samples in (PhantomSamples, LowFieldSamples, RealSamples):
            slicer.app.connect("startupCompleted()", samples.register)
        slicer.app.connect("startupCompleted()", HeartEffect.register)


class SIFASegmentationTest(ScriptedLoadableModuleTest):
    """Run by Slicer's Reload and Test, and by CTest."""

    def runTest(self) -> None:
        from SIFASegmentationLib import SelfTest

        SelfTest.runAll(self)
