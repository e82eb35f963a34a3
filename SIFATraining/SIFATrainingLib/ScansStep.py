"""Step 1, the site's own scans: volumes of the scene, a folder of images or of DICOM series; looked at in the background."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support.errors import ModelError
from SIFALib.support.progress import Progress
from SIFASegmentationLib import Dialogs, Volumes
from SIFASegmentationLib.FolderEdit import FolderEdit
from SIFASegmentationLib.Runner import Runner
from slicer.i18n import tr as _

from . import HeartBoxes, SceneExport, Words
from .BoxEditor import BoxEditor
from .Checking import Check, Checked
from .Logic import SIFATrainingLogic
from .Parameters import Scans, SIFATrainingParameterNode
from .ScansTable import Row, ScansTable
from .Words import State

if TYPE_CHECKING:
    from SIFALib.datasets import HeartBox
    from SIFALib.datasets.places import Places
    from SIFALib.datasets.scans import Scan

LEAST_MANY = 5  # fewer scans are named as few


class ScansStep:
    """Table of scans with checkboxes; `reason` says what keeps them from being trained on ("": nothing)."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic, onChanged: Callable[[], None]) -> None:
        self.ui, self.logic, self.onChanged = ui, logic, onChanged
        self.parameters: SIFATrainingParameterNode | None = None
        self.rows: list[Row] = []
        self.checked: Checked | None = None
        self.place = ""  # that was looked at: a folder, or the list of the copies
        self._notes: tuple[str, ...] = ()  # on the copies
        self._of: tuple[Any, ...] = ()  # which choice that belongs to
        self._copies: dict[str, str] = {}  # node id -> name of its copy
        self._copied: dict[str, tuple[int, bytes]] = {}  # node id -> how it was then
        self.check = Check("target", self._onStep, self._onChecked)
        self.runner = Runner(self._onExportStep, self._onExported, self._onError)
        self.table = ScansTable(ui.scansTable, self._onTicked, self._onOpened, self._offerBox)
        self.editor = BoxEditor(ui, self._onBox, self._offerBox, self._onPictureFailed)
        ui.correctBoxButton.connect("clicked(bool)", self.onCorrectBox)
        ui.checkScansButton.connect("clicked(bool)", self.onCheck)
        self._edit = FolderEdit(ui.scansPathEdit, "scansFolder")

    @property
    def busy(self) -> bool:
        return self.check.running or self.runner.running

    def stop(self) -> None:
        self.runner.cancel()
        self.check.cancel()
        self.check.forget()
        self.editor.cancel()

    # What is shown

    def show(self, parameters: SIFATrainingParameterNode | None) -> None:
        """Bring the step up to date with the scene's choices; a folder that is new is looked at once."""
        self.parameters = parameters
        self._edit.show(parameters)
        if parameters is None:
            return
        scene = parameters.scans is Scans.SCENE
        self.ui.scansPathLabel.setVisible(not scene)
        self.ui.scansPathEdit.setVisible(not scene)
        if self._choice() != self._of:
            before, self._of = self._of, self._choice()
            self.stop()
            if before and before[0] is parameters.scans and before[1] != self._of[1]:
                parameters.excludedScans = "[]"  # of another folder, where the same names are other scans
            self.checked, self.place, self.rows = None, "", []
            if not scene and parameters.scansFolder and Path(parameters.scansFolder).is_dir():
                self.onCheck()
        if scene:
            self._offerVolumes()
        self.table.show(self.rows, self.checked)
        self._say()

    def _choice(self) -> tuple[Any, ...]:
        assert self.parameters is not None
        scene = self.parameters.scans is Scans.SCENE
        return (self.parameters.scans, "" if scene else self.parameters.scansFolder, self._looker())

    def _offerVolumes(self) -> None:
        known = {row.key: row for row in self.rows}
        excluded = self._excluded()
        self.rows = [known.get(n.GetID()) or Row(n.GetID(), n.GetName()) for n in Volumes.inScene()]
        for row in self.rows:
            row.ticked = row.key not in excluded
            if (
                row.key in self._copied
                and SceneExport.state(slicer.mrmlScene.GetNodeByID(row.key)) != self._copied[row.key]
            ):
                row.finding = None  # of the copy, which is not this volume any more
        self._putBoxes()

    def _putBoxes(self) -> None:
        """Give the rows what the person corrected."""
        boxes = HeartBoxes.kept(self.parameters) if self.parameters is not None else {}
        for row in self.rows:
            row.corrected = boxes.get(row.key)

    def _excluded(self) -> list[str]:
        found: list[str] = json.loads(self.parameters.excludedScans) if self.parameters is not None else []
        return found

    def _say(self) -> None:
        self._offerBox()
        self.ui.scansBar.setVisible(self.busy)
        self.ui.checkScansButton.text = _("Cancel") if self.busy else _("Check")
        self.ui.checkScansButton.enabled = self.busy or self._canCheck()
        if self.busy:
            if not self.runner.running:
                Words.show(self.ui.scansStateLabel, State.CHECKING, _("Looking at the scans"))
            return
        reason = self.reason
        if not reason:
            Words.show(self.ui.scansStateLabel, State.FINE, self._summary())
        elif self.checked is None:
            Words.show(self.ui.scansStateLabel, State.EMPTY, reason)
        else:
            Words.show(self.ui.scansStateLabel, State.PROBLEM, reason)

    def _canCheck(self) -> bool:
        assert self.parameters is not None
        if self.parameters.scans is Scans.SCENE:
            return any(row.ticked for row in self.rows)
        return bool(self.parameters.scansFolder)

    def _summary(self) -> str:
        used = [row for row in self.rows if row.ticked]
        kinds = " + ".join(sorted({row.finding.looks_like for row in used if row.finding}))
        text = (
            _("{count} scans ({kinds}) can be adapted to.")
            if len(used) > 1
            else _("One scan ({kinds}) can be adapted to.")
        )
        text = text.format(count=len(used), kinds=kinds)
        corrected = sum(row.corrected is not None for row in used)
        if corrected:
            text += " " + _("Boxes that you corrected: {count}.").format(count=corrected)
        if len(used) < LEAST_MANY:
            text += " " + _("More would be better: 20 or so show how your scanner's images vary.")
        if self.checked is not None and self.checked.unseen:
            text += " " + _("The start model did not look for the heart in them. {why}").format(why=self.checked.unseen)
        scene = self.parameters is not None and self.parameters.scans is Scans.SCENE
        notes = (*(self._notes if scene else ()), *(self.checked.warnings if self.checked is not None else ()))
        return " ".join([text, *notes])

    # Whether it can be trained on

    @property
    def reason(self) -> str:
        """What keeps the scans from being adapted to, with the file's name; "" if nothing does."""
        if self.parameters is None:
            return _("The scene is being closed.")
        scene = self.parameters.scans is Scans.SCENE
        if self.busy:
            return _("Your scans are being looked at.")
        if scene and not self.rows:
            return _("The scene holds no volume.")
        if not scene and not self.parameters.scansFolder:
            return _("Choose the folder that holds your scans.")
        if not scene and not os.path.isdir(self.parameters.scansFolder):
            return _("There is no folder {path}.").format(path=self.parameters.scansFolder)
        if self.checked is None:
            return _("Tick volumes and press Check.") if scene else _("Press Check.")
        if self.checked.problems and not self.checked.findings:
            return self.checked.problems[0]
        used = [row for row in self.rows if row.ticked]
        if not used:
            return _("Tick at least one scan.")
        bad = [row.finding for row in used if row.finding is not None and row.finding.problems]
        if bad:
            text = bad[0].problems[0]
            more = _(" Others with problems: {count}.").format(count=len(bad) - 1) if len(bad) > 1 else ""
            return _("{problem}{more} Mend the file, or untick it.").format(problem=text, more=more)
        if any(row.finding is None for row in used):
            return _("Some ticked volumes were not looked at; press Check.")
        problems = self._ofAll(used)
        return problems[0] if problems else ""

    def _ofAll(self, used: list[Row]) -> list[str]:
        from SIFALib.datasets import DataSettings, checks

        findings = [row.finding for row in used if row.finding is not None]
        return checks.of_domains(findings, DataSettings("phantom", self.place or "?"))[0]

    def findings(self) -> list[Scan]:
        """Of the scans that are used."""
        return [row.finding for row in self.rows if row.ticked and row.finding is not None]

    def excludedNames(self) -> list[str]:
        """The scans of the place that are not used, as the library calls them."""
        used = {finding.name for finding in self.findings()}
        return [f.name for f in self.checked.findings if f.name not in used] if self.checked else []

    def hearts(self, findings: Sequence[Scan] | None = None) -> dict[str, HeartBox]:
        """Where the person says that hearts are, as the library calls the scans: these, or all (None)."""
        if self.parameters is None:
            return {}
        names = self._copies if self.parameters.scans is Scans.SCENE else None
        return HeartBoxes.hearts(self.parameters, names, findings)

    # What the person does

    def choose(self, node: slicer.vtkMRMLVolumeNode) -> None:
        """Take the volumes of the scene, that one ticked and no other."""
        assert self.parameters is not None
        others = [n.GetID() for n in Volumes.inScene() if n is not node]
        self.parameters.excludedScans = json.dumps(others)
        self.parameters.scans = Scans.SCENE

    def _onTicked(self) -> None:
        if self.parameters is None:
            return
        self.parameters.excludedScans = json.dumps([r.key for r in self.rows if not r.ticked])
        self._say()
        self.onChanged()

    def _offerBox(self) -> None:
        """A scan that could be read can be looked at in the views."""
        row, button = self.table.current, self.ui.correctBoxButton
        readable = row is not None and row.finding is not None and bool(row.finding.content)
        button.setVisible(bool(self.rows))
        button.enabled = readable and not self.busy and not self.editor.editing
        button.toolTip = (
            _("Show the scan in the views, with the box around its heart: the training cuts where you put it.")
            if readable
            else _("Choose a scan of the table that was looked at.")
        )

    def onCorrectBox(self, _checked: bool = False) -> None:
        row = self.table.current
        if row is None or row.finding is None or self.parameters is None:
            return
        node = slicer.mrmlScene.GetNodeByID(row.key) if self.parameters.scans is Scans.SCENE else None
        picture = self.checked.picturePath(row.finding) if self.checked is not None else None
        self.editor.edit(row, node, picture)
        self._offerBox()

    def _onBox(self, row: Row, box: HeartBoxes.Box) -> None:
        """Keep it; a scan with a problem is looked at again, since that may have been the old box; so is one whose box is
        taken back where nothing is known to have been found."""
        if self.parameters is None or row.finding is None:
            return
        boxes = {r.key: r.corrected for r in self.rows if r.corrected is not None}
        boxes.pop(row.key, None)
        if box:
            boxes[row.key] = HeartBoxes.Corrected(box, row.finding.content, row.foundBox, row.finding.grid)
        elif row.corrected is not None:
            row.finding = replace(row.finding, heart_mm=row.corrected.found)
        if self.checked is not None:
            self.checked.redrawn(row.finding)
        HeartBoxes.keep(self.parameters, boxes)  # which brings the panel up to date
        self._putBoxes()
        self.table.show(self.rows, self.checked)
        if row.finding.problems or (not box and not row.finding.heart_mm):
            self.onCheck()
        self._say()
        self.onChanged()

    def _onPictureFailed(self, error: Exception) -> None:
        if not self.busy:
            text = _("{scans} The box is kept, but its picture cannot be drawn: {why}")
            said = text.format(scans=Words.plain(self.ui.scansStateLabel), why=Words.forPanel(error))
            Words.show(self.ui.scansStateLabel, State.FINE if not self.reason else State.PROBLEM, said)

    def onCheck(self, _checked: bool = False) -> None:
        assert self.parameters is not None
        if self.busy:
            self.stop()
        elif self.parameters.scans is Scans.SCENE:
            try:
                folder = self.logic.copies.folder(self.logic.runsFolder)
            except OSError as error:
                self._onError(error)
                return
            ticked = {row.key for row in self.rows if row.ticked}
            nodes = [n for n in Volumes.inScene() if n.GetID() in ticked]
            self.place = str(folder / SceneExport.LIST)
            self._copied = {n.GetID(): SceneExport.state(n) for n in nodes}
            self.runner.start(SceneExport.exportSteps(nodes, folder))
        else:
            self.place = self.parameters.scansFolder
            self._startCheck()
        self._say()
        self.onChanged()

    def _startCheck(self) -> None:
        try:
            self.check.look(
                self.logic.dependencies.python,
                self.place,
                model=self._looker(),
                environment=self.logic.environment,
                places=self._places(),
            )
        except OSError as error:
            self._onError(error)

    def _places(self) -> Places | None:
        """Of all hearts, for the check; None if nobody corrected any."""
        from SIFALib.datasets.places import Places

        hearts = self.hearts()
        return Places(hearts) if hearts else None

    def _looker(self) -> str:
        """The model that looks for the heart as the training will: the start model; "" where none is to look."""
        if self.parameters is None or not self.parameters.lookForHeart:
            return ""
        try:
            return str(self.logic.package(self.parameters.startModel).card.key)
        except ModelError:  # the third step says that it is gone
            return ""

    def _onOpened(self, row: Row) -> None:
        """Show a scan's picture in full size."""
        path = self.checked.picturePath(row.finding) if self.checked is not None and row.finding is not None else None
        if path is not None:
            Dialogs.showPicture(path, row.name)

    # What the background says

    def _onExportStep(self, step: Progress) -> None:
        Words.show(self.ui.scansStateLabel, State.CHECKING, step.stage)

    def _onExported(self, exported: SceneExport.Exported) -> None:
        self._copies, self._notes = exported.names, exported.notes
        self.logic.copies.sweep(self.logic.runsFolder, Path(self.place).parent)
        self._startCheck()
        self._say()

    def _onStep(self, count: int) -> None:
        text = _("Looking at the scans; {count} done").format(count=count)
        Words.show(self.ui.scansStateLabel, State.CHECKING, text)

    def _onError(self, error: Exception) -> None:
        self.checked = Checked((), (Words.forPanel(error),))
        self._say()
        self.onChanged()

    def _onChecked(self, checked: Checked) -> None:
        self.checked = checked
        excluded = self._excluded()
        if self.parameters is not None and self.parameters.scans is Scans.SCENE:
            found = {f.name: f for f in checked.findings}
            for row in self.rows:
                row.finding = found.get(self._copies.get(row.key, ""))
        else:
            self.rows = [Row(f.name, f.name, f, f.name not in excluded) for f in checked.findings]
        self._putBoxes()
        self.table.show(self.rows, self.checked)
        self._say()
        self.onChanged()
