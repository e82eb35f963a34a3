"""The list of all runs: open, resume, continue longer, export the model, delete, show the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from SIFASegmentationLib import Dialogs, Tables
from SIFASegmentationLib import Words as Common
from SIFASegmentationLib.PathEdit import PathEdit
from slicer.i18n import tr as _

from . import Words
from .Logic import SIFATrainingLogic
from .RunSentence import ACTIVE

if TYPE_CHECKING:
    from SIFALib.runs.control import Seen

ROWS = 5  # of the table, before it scrolls


class RunsPanel:
    """onOpen(folder) is called for a run that is to be looked at, onDeleted(folder) for one that is gone."""

    def __init__(
        self, ui: Any, logic: SIFATrainingLogic, onOpen: Callable[[Path], None], onDeleted: Callable[[Path], None]
    ) -> None:
        self.ui, self.logic, self.onOpen, self.onDeleted = ui, logic, onOpen, onDeleted
        self.runs: list[Seen] = []
        table = ui.runsTable
        Tables.prepare(table, [_("Run"), _("State"), _("Iteration"), _("Score")])
        table.connect("itemSelectionChanged()", self._enableButtons)
        table.connect("cellDoubleClicked(int,int)", lambda _row, _column: self.onOpenRun())
        for button, action in (
            (ui.openRunButton, self.onOpenRun),
            (ui.resumeRunButton, self.onResume),
            (ui.longerRunButton, self.onLonger),
            (ui.exportRunButton, self.onExport),
            (ui.deleteRunButton, self.onDelete),
            (ui.showRunButton, self.onShowFolder),
            (ui.refreshRunsButton, self.onRefresh),
        ):
            button.connect("clicked(bool)", action)
        Words.say(ui.runsStatusLabel, "")
        self._folderEdit = PathEdit(ui.runsFolderEdit, self._onFolder, pause=False)

    def refresh(self) -> None:
        """List the folder anew; the selection stays."""
        selected = self._selected()
        self._folderEdit.show(str(self.logic.runsFolder))
        self.runs = self.logic.runs()
        table = self.ui.runsTable
        table.setRowCount(len(self.runs))
        for row, seen in enumerate(self.runs):
            status = seen.status
            name = seen.run.configuration.name if seen.run else seen.folder.path.name
            done = f"{status.iteration} / {status.iterations or '?'}" if status else ""
            score = f"{status.best_score:.3f}" if status and status.best_score is not None else ""
            toolTip = "\n".join(filter(None, (str(seen.folder.path), seen.problem, status.message if status else "")))
            for item in Tables.fillRow(table, row, (name, Words.stateName(seen.state), done, score), toolTip):
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
        Tables.fitHeight(table, min(ROWS, max(1, len(self.runs))))
        if selected is not None:
            paths = [seen.folder.path for seen in self.runs]
            if selected.folder.path in paths:
                table.selectRow(paths.index(selected.folder.path))
        self._enableButtons()

    def active(self) -> Seen | None:
        """The newest run that a process works on, as of the last look."""
        return next((seen for seen in self.runs if seen.state in ACTIVE), None)

    def _selected(self) -> Seen | None:
        row = self.ui.runsTable.currentRow()
        return self.runs[row] if 0 <= row < len(self.runs) else None

    def _path(self) -> Path:
        """Of the selected run, which is there: else the buttons are not enabled."""
        seen = self._selected()
        assert seen is not None
        return seen.folder.path

    def _enableButtons(self) -> None:
        seen = self._selected()
        own = seen is not None and self.logic.isOurs(seen)
        idle = seen is not None and seen.state not in ACTIVE
        state = seen.state if seen is not None else ""
        ui = self.ui
        ui.openRunButton.enabled = seen is not None and state != "broken"
        ui.resumeRunButton.enabled = own and idle and state not in ("finished", "broken")
        ui.longerRunButton.enabled = own and idle and state != "broken"
        ui.exportRunButton.enabled = seen is not None and seen.status is not None and seen.status.best_score is not None
        ui.deleteRunButton.enabled = seen is not None and idle
        ui.showRunButton.enabled = seen is not None
        status = seen.status if seen is not None else None
        if status is not None:
            ui.longerBox.value = 2 * max(status.iterations, 1)

    def _try(self, work: Callable[[], str]) -> None:
        try:
            text = work()
        except (ValueError, RuntimeError, OSError) as error:  # RunError, ModelError, DependencyError
            text = Words.forPanel(error)
        self.refresh()
        Words.say(self.ui.runsStatusLabel, text)

    def _onFolder(self, path: str) -> None:
        """Another folder of runs, which may be a new one; or one run, which is only looked at."""
        folder = Path(path)
        if not path or folder == self.logic.runsFolder:
            return
        if (folder / "run.json").is_file():
            self.onOpen(folder)
            return
        reason = _whyNoFolder(folder)
        if reason:
            kept = _("{reason} The runs stay in {folder}.").format(reason=reason, folder=self.logic.runsFolder)
            Words.say(self.ui.runsStatusLabel, kept, isError=True)
            return
        self.logic.runsFolder = folder
        self._folderEdit.remember()
        self.refresh()
        said = _("Runs are kept in {folder} from now on.")
        if not folder.is_dir():
            said = _("Runs are kept in {folder} from now on; it is made with the first of them.")
        Words.say(self.ui.runsStatusLabel, said.format(folder=folder))

    def onRefresh(self, _checked: bool = False) -> None:
        self.refresh()

    def onOpenRun(self, _checked: bool = False) -> None:
        seen = self._selected()
        if seen is not None and seen.error is None:
            self.onOpen(seen.folder.path)

    def onResume(self, _checked: bool = False) -> None:
        path = self._path()

        def work() -> str:
            self.logic.dependencies.ensure()
            self.logic.goOn(path)
            self.onOpen(path)
            return ""

        self._try(work)

    def onLonger(self, _checked: bool = False) -> None:
        """Go on until there are as many iterations as the box says."""
        seen, wanted = self._selected(), self.ui.longerBox.value

        def work() -> str:
            assert seen is not None
            done = seen.status.iteration if seen.status else 0
            if wanted <= done:
                return _("It has done {done} iterations already; give more.").format(done=done)
            self.logic.dependencies.ensure()
            self.logic.goOnLonger(seen.folder.path, wanted)
            self.onOpen(seen.folder.path)
            return ""

        self._try(work)

    def onExport(self, _checked: bool = False) -> None:
        """Make a model of the run's best, and a zip file of that where the person says, for another computer."""
        seen = self._selected()
        place = Dialogs.chosenFile(_("Export the model"), _("SIFA model (*.zip)"))
        if not place and not slicer.app.testingEnabled():
            return

        def work() -> str:
            assert seen is not None and seen.run is not None
            package = self.logic.exportModel(seen.folder.path, Words.slug(seen.run.configuration.name, "site"))
            if place:
                self.logic.store().export(package, place)
                return _("{model} is in {path}.").format(model=Common.modelName(package.card), path=place)
            return _("{model} is among the models now.").format(model=Common.modelName(package.card))

        self._try(work)

    def onDelete(self, _checked: bool = False) -> None:
        path = self._path()
        question = _("Delete the run in {folder}, with its checkpoints and prepared slices, from this computer?")
        if not Dialogs.confirmed(question.format(folder=path)):
            return

        def work() -> str:
            self.logic.delete(path)
            self.onDeleted(path)
            return _("{folder} was deleted.").format(folder=path.name)

        self._try(work)

    def onShowFolder(self, _checked: bool = False) -> None:
        path = self._path()
        Words.say(self.ui.runsStatusLabel, str(path))
        Dialogs.openFolder(path)


def _whyNoFolder(folder: Path) -> str:
    """What keeps a folder from being one of runs; "" if nothing does."""
    if not folder.is_absolute():
        return _("{folder} is no full path.").format(folder=folder)
    if folder.exists() and not folder.is_dir():
        return _("{folder} is no folder.").format(folder=folder)
    if folder == folder.parent:
        return _("{folder} is the root of the file system; choose a folder in it.").format(folder=folder)
    if not folder.is_dir() and not folder.parent.is_dir():
        return _("There is no folder {folder}.").format(folder=folder.parent)
    return ""
