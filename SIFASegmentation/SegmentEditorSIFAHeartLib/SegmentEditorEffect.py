"""What the Segment Editor loads: the effect "SIFA heart". All it does is in SIFASegmentationLib.HeartEffect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from SIFASegmentationLib import HeartEffect
from slicer.i18n import tr as _


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """One click adds the structures of the heart to the segmentation that is edited, in its geometry."""

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = HeartEffect.NAME  # never translated: modules find effects by it
        scriptedEffect.title = _("SIFA heart")
        scriptedEffect.perSegment = False
        scriptedEffect.requireSegments = False  # it makes them
        self.tool: HeartEffect.HeartTool | None = None
        super().__init__(scriptedEffect)

    def clone(self) -> Any:
        """Another one, as each Segment Editor has its own."""
        return HeartEffect.made()

    def icon(self) -> qt.QIcon:
        return qt.QIcon(str(Path(HeartEffect.__file__).parents[1] / "Resources" / "Icons" / "SIFASegmentation.png"))

    def helpText(self) -> str:
        return _(
            "Adds left ventricle, its myocardium, left atrium, ascending aorta and what else the model knows, in CT "
            "and MR, without any drawing. Segments of other names stay as they are."
        )

    def setupOptionsFrame(self) -> None:
        self.tool = HeartEffect.HeartTool(self.scriptedEffect)

    def updateGUIFromMRML(self) -> None:
        if self.tool is not None:
            self.tool.show()

    def activate(self) -> None:
        self.updateGUIFromMRML()

    def sourceVolumeNodeChanged(self) -> None:
        self.updateGUIFromMRML()

    def cleanup(self) -> None:
        if self.tool is not None:
            self.tool.stop()
