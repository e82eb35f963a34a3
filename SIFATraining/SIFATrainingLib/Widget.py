"""The panel of SIFATraining: says what the module will do and what can be done today."""

from __future__ import annotations

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


class SIFATrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Two texts and a way to SIFA Segmentation."""

    def setup(self) -> None:
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/SIFATraining.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.ui.segmentationButton.connect("clicked(bool)", self.onSegmentation)

    def enter(self) -> None:
        """Nothing to bring up to date: the panel depends on no scene."""

    def exit(self) -> None:
        """Nothing to let go of."""

    def cleanup(self) -> None:
        self.removeObservers()

    def onSegmentation(self, _checked: bool = False) -> None:
        slicer.util.selectModule("SIFASegmentation")
