"""The section Results: volumes, how sure the model is, quality flags, Show 3D, Edit, Show uncertainty.

What is told of a whole sequence is in SequencePanel.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from . import Results, SceneConversion, Sequences, Tables, Words
from .CineReport import CineReport
from .Logic import SIFASegmentationLogic
from .ResultsActions import ResultsActions
from .SequencePanel import SequencePanel

MAP_OPACITY = 0.6


def sureToolTip(calibrated: bool) -> str:
    if not calibrated:
        return _(
            "How sure the model is of the structure as a whole, as a hint where to look twice. What overlap with the truth "
            "that comes with is not known for this scan and model."
        )
    return _(
        "The overlap (Dice) with the true structure that the model expects in scans like those it was trained on: "
        "a hint where to look twice. A model can be sure and wrong, above all in scans that it was not trained on."
    )


class ResultsPanel:
    """Shows what is known of one segmentation node; hidden for one that SIFA did not make."""

    def __init__(self, ui: Any, logic: SIFASegmentationLogic) -> None:
        self.ui = ui
        self.node: slicer.vtkMRMLSegmentationNode | None = None
        self.actions = ResultsActions(ui)
        self.sequencePanel = SequencePanel(ui, self._showNode)
        self.cineReport = CineReport(ui, logic)
        Tables.prepare(ui.resultsTable, [_("Structure"), _("Volume (ml)"), _("Sure")])
        ui.editButton.connect("clicked(bool)", self.onEdit)
        ui.adaptButton.connect("clicked(bool)", self.onAdapt)
        ui.showUncertaintyButton.connect("toggled(bool)", self.onShowUncertainty)
        self.show(None)

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Fill the section from a node; None, or a node that SIFA did not make, empties and hides it."""
        self._showNode(segmentationNode)
        self.sequencePanel.show(self.node)
        self.cineReport.show(self.node)

    def leave(self) -> None:
        """Nobody looks any more."""
        self.sequencePanel.leave()

    def close(self) -> None:
        """The scene is being closed, or the panel."""
        self.sequencePanel.close()
        self.cineReport.runner.cancel()
        self.show(None)

    def _showNode(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        report = Results.report(segmentationNode)
        # between the time points of a scan its node is empty, without a report
        known = report or Sequences.result(segmentationNode)
        self.node = segmentationNode if known else None
        self.ui.resultsCollapsibleButton.setVisible(self.node is not None)
        self.ui.show3DButton.setSegmentationNode(self.node)
        self._offerUncertainty()
        rows = Results.rows(self.node)
        wasBlocked = self.ui.resultsTable.blockSignals(True)  # nobody ticks these boxes
        self._fill(rows, bool(report and report.get("dice_calibrated")))
        self.actions.show(self.node)
        self.ui.resultsTable.blockSignals(wasBlocked)
        self.ui.flagsLabel.text = self._flags(report, rows) if report else ""
        provenance = Words.provenance(report) if report else ""
        self.ui.provenanceLabel.text = f"<small>{html.escape(provenance)}</small>" if provenance else ""

    def _fill(self, rows: Sequence[Results.Row], calibrated: bool) -> None:
        table = self.ui.resultsTable
        table.horizontalHeaderItem(2).setToolTip(sureToolTip(calibrated))
        table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            sure = "" if row.sure is None else f"{100 * row.sure:.0f} %"
            items = Tables.fillRow(table, index, (row.name, f"{row.volumeMl:.1f}", sure), numbersFrom=1)
            items[0].setIcon(Words.swatch(row.color))
            items[2].setToolTip(sureToolTip(calibrated))
        Tables.fitHeight(table, len(rows))

    def _flags(self, report: dict[str, Any], rows: Sequence[Results.Row]) -> str:
        flags = report.get("flags", [])
        lines = [("⚠", flag["message"]) for flag in flags if flag.get("warns", True)]
        if not lines and report.get("checked", True):
            lines = [("✓", _("No structure is missing, in fragments, or of an implausible volume."))]
            unlike = report.get("out_of_distribution") or report.get("familiarity") or {}  # in scenes of version 0.3
            if unlike.get("unlike") is not None:
                lines.append(("✓", _("The scan is like what the model was trained on.")))
        lines += [("ℹ", flag["message"]) for flag in flags if not flag.get("warns", True)]
        lines += [("ℹ", note) for note in report.get("notes", [])]
        if self._edited(report, rows):
            lines.append(("ℹ", _("Edited since: the volumes are of the edited segments, the checks are not.")))
        return "<br>".join(f"{sign}&nbsp;&nbsp;{html.escape(text)}" for sign, text in lines)

    @staticmethod
    def _edited(report: dict[str, Any], rows: Sequence[Results.Row]) -> bool:
        return any(abs(row.volumeMl - report["volumes_ml"][row.structureId]) > 1e-3 for row in rows)

    def _offerUncertainty(self) -> None:
        """The button is there if there is a map, and pressed if the views show it."""
        found = Results.uncertainty(self.node)
        button = self.ui.showUncertaintyButton
        button.setVisible(found is not None)
        wasBlocked = button.blockSignals(True)
        button.checked = found is not None and any(
            view.GetForegroundVolumeID() == found.GetID() and view.GetForegroundOpacity() > 0
            for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        )
        button.blockSignals(wasBlocked)

    def onShowUncertainty(self, shown: bool) -> None:
        """Lay the map over the scan in the slice views, or take it away."""
        found = Results.uncertainty(self.node)
        if found is None:
            return
        slicer.util.setSliceViewerLayers(
            foreground=found if shown else None, foregroundOpacity=MAP_OPACITY if shown else 0.0
        )

    def onEdit(self, _checked: bool = False) -> None:
        """Open the Segment Editor with the segmentation and its volume chosen."""
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(self.node)
        editor.setSourceVolumeNode(self._volume())

    def onAdapt(self, _checked: bool = False) -> None:
        """Open SIFA Training with the volume of this result filled in."""
        slicer.util.selectModule("SIFATraining")
        slicer.util.getModuleWidget("SIFATraining").adaptTo(self._volume())

    def _volume(self) -> slicer.vtkMRMLVolumeNode | None:
        assert self.node is not None  # else the section is hidden
        return SceneConversion.referenceVolume(self.node)
