"""The section Batch: a folder or the scene in, a folder out, a row for each scan."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from SIFALib.support.progress import Progress
from slicer.i18n import tr as _

from . import BatchLogic, Dialogs, Failures, Tables, Volumes, Words
from .ActionLog import LOG
from .Backend import Choices
from .FolderEdit import FolderEdit
from .Logic import SIFASegmentationLogic
from .Parameters import BatchSource, SIFASegmentationParameterNode
from .Runner import Runner
from .StudiesTable import StudiesTable

if TYPE_CHECKING:
    from SIFALib.inference.batch.run import Row

ROWS = 8  # of the table, before it scrolls
SIGNS = {"done": "✓", "finished before": "✓", "failed": "✗", "working": "…", "waiting": ""}


class BatchPanel:
    """choices: what the rest of the panel says of model, device, planes and structures, as `batchSteps` takes it.

    otherReason: what else keeps a batch from starting ("": nothing). onRunning: called when a batch begins or ends.
    """

    def __init__(
        self,
        ui: Any,
        logic: SIFASegmentationLogic,
        choices: Callable[[], Choices],
        otherReason: Callable[[], str],
        onRunning: Callable[[bool], None],
    ) -> None:
        self.ui, self.logic = ui, logic
        self._choices, self._otherReason, self._onRunning = choices, otherReason, onRunning
        self.parameters: SIFASegmentationParameterNode | None = None
        self.rows: dict[int, Row] = {}
        self.runner = Runner(self._onStep, self._onDone, self._onError)
        edits = {"batchFolder": ui.batchFolderEdit, "batchOutput": ui.batchOutputEdit}
        self._edits = [FolderEdit(edit, name) for name, edit in edits.items()]
        self.studies = StudiesTable(ui, self._show)
        Tables.prepare(ui.batchTable, [_("Scan"), _("State")])
        ui.batchButton.connect("clicked(bool)", self.onButton)
        ui.batchOpenFolderButton.connect("clicked(bool)", self.onOpenFolder)
        self._fill()
        self._say("")
        self._show()

    @property
    def running(self) -> bool:
        return self.runner.running

    def stop(self) -> None:
        """End a batch; what is finished stays, and the next one goes on from there."""
        self.studies.stop()
        if self.running:
            self.runner.cancel()
            self._end(_("Stopped; what is finished stays. The same batch goes on from there."))

    # What is shown

    def show(self, parameters: SIFASegmentationParameterNode | None) -> None:
        """Bring the section up to date with the scene's choices."""
        self.parameters = parameters
        for edit in self._edits:
            edit.show(parameters)
        if parameters is None:
            return
        folder = parameters.batchSource is BatchSource.FOLDER
        self.ui.batchFolderLabel.setVisible(folder)
        self.ui.batchFolderEdit.setVisible(folder)
        self.studies.show(parameters.batchSource is BatchSource.DICOM)
        self._show()

    def _show(self) -> None:
        reason = self._whyNot()
        self.ui.batchButton.enabled = self.running or not reason
        self.ui.batchButton.text = _("Cancel") if self.running else _("Segment all")
        stop = _("Stop; what is finished stays, and the same batch goes on from there.")
        start = _("Segment the heart in each scan. What is done already is left as it is.")
        self.ui.batchButton.toolTip = stop if self.running else reason or start
        self.ui.batchBar.setVisible(self.running)
        self.ui.batchOpenFolderButton.enabled = bool(self.parameters and os.path.isdir(self.parameters.batchOutput))

    def _whyNot(self) -> str:
        if self.parameters is None:
            return _("The scene is being closed.")
        parameters = self.parameters
        if parameters.batchSource is BatchSource.FOLDER:
            if not parameters.batchFolder:
                return _("Choose the folder that holds your scans.")
            if not os.path.isdir(parameters.batchFolder):
                return _("There is no folder {path}.").format(path=parameters.batchFolder)
        elif parameters.batchSource is BatchSource.DICOM:
            if self.studies.runner.running:
                return _("Slicer's DICOM database is being looked through.")
            if not self.studies.studies:
                return _("Slicer's DICOM database holds no study in CT or MR; import some in the module DICOM.")
            if not self.studies.chosen:
                return _("Tick the studies that are to be segmented.")
        elif not Volumes.inScene():
            return _("The scene holds no volume.")
        if not parameters.batchOutput:
            return _("Choose the folder for the results.")
        return self._otherReason()

    def _fill(self) -> None:
        table = self.ui.batchTable
        table.setVisible(bool(self.rows))
        table.setRowCount(len(self.rows))
        for line, number in enumerate(sorted(self.rows)):
            self._line(line, self.rows[number])
        Tables.fitHeight(table, min(ROWS, len(self.rows)))
        table.scrollToBottom()

    def _line(self, line: int, row: Row) -> None:
        state = Words.batchState(row.state)
        cells = (row.name, f"{SIGNS[row.state]} {state}".strip())
        tip = [row.source, *(Words.ml(i, v) for i, v in row.volumes_ml.items()), *row.flags, row.message]
        for item in Tables.fillRow(self.ui.batchTable, line, cells, "\n".join(filter(None, tip))):
            if row.state == "failed":
                item.setForeground(qt.QBrush(qt.QColor(Words.ink(Words.Ink.BAD, self.ui.batchTable))))

    def _say(self, text: str, isError: bool = False) -> None:
        Words.say(self.ui.batchLabel, text, isError)

    # What the person does

    def onButton(self, _checked: bool = False) -> None:
        if self.running:
            self.stop()
            return
        if not self.logic.dependencies.ensured(self._say):
            return
        LOG.begin("Batch")
        parameters = self.parameters
        assert parameters is not None  # else the button is not enabled
        self.rows = {}
        self._fill()
        self.runner.start(
            BatchLogic.batchSteps(
                self.logic,
                parameters.batchSource,
                parameters.batchFolder,
                parameters.batchOutput,
                self._choices(),
                self._onRow,
                self.studies.chosen,
            )
        )
        self._say(_("Starting"))
        self._onRunning(True)
        self._show()

    def onOpenFolder(self, _checked: bool = False) -> None:
        assert self.parameters is not None
        Dialogs.openFolder(Path(self.parameters.batchOutput))

    # What the runner says

    def _onRow(self, number: int, row: Row) -> None:
        """Rows are shown as they change, however briefly."""
        known, self.rows[number] = self.rows.get(number), row
        if known != row:
            self._fill()

    def _onStep(self, step: Progress) -> None:
        Words.work(self.ui.batchLabel, self.ui.batchBar, step)

    def _onDone(self, rows: list[Row]) -> None:
        failed = sum(row.state == "failed" for row in rows)
        text = _("{count} of {all} scans are done; volumes.csv in the folder lists them.")
        text = text.format(count=len(rows) - failed, all=len(rows))
        if self.parameters is not None and self.parameters.batchSource is BatchSource.DICOM:
            text += " " + _("The results stand under their studies in the scene.")
        if failed:
            text += " " + _("The tooltip of a row says why it failed.")
        self._end(text)

    def _onError(self, error: Exception) -> None:
        self._end(Failures.sentence(error), isError=True)

    def _end(self, text: str, isError: bool = False) -> None:
        self._say(text, isError)
        self._onRunning(False)
        self._show()
