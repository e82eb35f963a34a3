"""SIFATraining: adapting the model to a site's own unlabelled scans. The work is in SIFATrainingLib."""

from __future__ import annotations

from typing import Any

from SIFATrainingLib.Logic import SIFATrainingLogic
from SIFATrainingLib.Parameters import SIFATrainingParameterNode
from SIFATrainingLib.Widget import SIFATrainingWidget
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

__all__ = ["SIFATraining", "SIFATrainingLogic", "SIFATrainingParameterNode", "SIFATrainingTest", "SIFATrainingWidget"]


class SIFATraining(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("SIFA Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["SIFASegmentation"]
        parent.contributors = ["SIFA for 3D Slicer contributors"]
        parent.helpText = _(
            "Adapts the heart model of SIFA Segmentation to scans that look unlike those it has seen, from "
            "unlabelled scans alone, in the background and on this computer. See the "
            '<a href="https://github.com/SIFA-Slicer/SlicerSIFA#readme">documentation and tutorial</a>.'
        )
        parent.acknowledgementText = _(
            "The method is SIFA: C. Chen, Q. Dou, H. Chen, J. Qin, P.-A. Heng, "
            "<i>Synergistic Image and Feature Adaptation</i>, "
            '<a href="https://arxiv.org/abs/1901.08211">AAAI 2019</a> and '
            '<a href="https://arxiv.org/abs/2002.02255">IEEE TMI 2020</a>. Please cite both.'
        )


class SIFATrainingTest(ScriptedLoadableModuleTest):
    """Run by Slicer's Reload and Test, and by CTest."""

    def runTest(self) -> None:
        from SIFATrainingLib import SelfTest

        SelfTest.runAll(self)
