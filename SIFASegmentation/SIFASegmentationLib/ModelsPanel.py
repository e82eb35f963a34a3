"""The section Models: what is installed, import, verify, delete, folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from SIFALib.support import messages
from SIFALib.support.errors import ModelError
from slicer.i18n import tr as _

from . import Dialogs, Tables, Words
from .Logic import SIFASegmentationLogic

ROWS = 4  # of the table, before it scrolls


class ModelsPanel:
    """Lists the store of the logic's backend.

    beforeImport() is called before a model is added, which could become the one that is taken where none is chosen;
    onChanged() after an import or a deletion.
    """

    def __init__(
        self, ui: Any, logic: SIFASegmentationLogic, beforeImport: Callable[[], None], onChanged: Callable[[], None]
    ) -> None:
        self.ui, self.logic, self.beforeImport, self.onChanged = ui, logic, beforeImport, onChanged
        self.packages: list[Any] = []  # ModelPackage, then Broken
        table = ui.modelsTable
        Tables.prepare(table, [_("Model"), _("For"), _("State")])
        table.connect("itemSelectionChanged()", self._enableButtons)
        ui.importPathEdit.currentPath = ""  # its history shows what was imported last
        ui.importPathEdit.connect("currentPathChanged(QString)", lambda _path: self._enableButtons())
        ui.importPathEdit.connect("validInputChanged(bool)", lambda _valid: self._enableButtons())
        ui.importModelButton.connect("clicked(bool)", self.onImport)
        ui.verifyModelButton.connect("clicked(bool)", self.onVerify)
        ui.deleteModelButton.connect("clicked(bool)", self.onDelete)
        ui.openModelsFolderButton.connect("clicked(bool)", self.onOpenFolder)
        self.refresh()

    def refresh(self) -> None:
        """List the folders anew: usable models, then those that are not, with the reason as tooltip."""
        store = self.logic.backend.store()
        usable, broken = list(store.packages()), list(store.broken())
        self.packages = usable + broken
        self.ui.modelsTable.setRowCount(len(self.packages))
        for row, package in enumerate(usable):
            state = _("bundled") if store.is_bundled(package) else _("imported")
            card = package.card
            self._line(row, Words.modelName(card), card.modality, state, Words.modelToolTip(card))
        for row, refused in enumerate(broken, start=len(usable)):
            self._line(row, refused.folder.name, "", _("unusable"), refused.reason)
        Tables.fitHeight(self.ui.modelsTable, min(ROWS, len(self.packages)))
        self._enableButtons()

    def _line(self, row: int, name: str, modality: str, state: str, toolTip: str) -> None:
        Tables.fillRow(self.ui.modelsTable, row, (name, modality, state), toolTip)

    def _selected(self) -> Any:
        row = self.ui.modelsTable.currentRow()
        return self.packages[row] if 0 <= row < len(self.packages) else None

    def _enableButtons(self) -> None:
        package = self._selected()
        usable = package is not None and hasattr(package, "card")
        store = self.logic.backend.store()
        self.ui.verifyModelButton.enabled = usable
        self.ui.deleteModelButton.enabled = package is not None and package.folder.parent == store.user
        path = self.ui.importPathEdit.currentPath.strip()
        self.ui.importModelButton.enabled = path.lower().endswith((".zip", ".json"))

    def _try(self, work: Callable[[], str]) -> None:
        """Do it and say how it went; a refusal of the library is a sentence already."""
        try:
            text = work()
        except Exception as error:
            text = messages.sentence(error, {})
            logging.error("SIFA: %s", text)
        self.ui.modelsStatusLabel.text = text

    def onImport(self, _checked: bool = False) -> None:
        path = Path(self.ui.importPathEdit.currentPath.strip())

        def work() -> str:
            source = path.parent if path.name == "model.json" else path
            store = self.logic.backend.store()
            before = _default(store)
            self.beforeImport()
            package = store.import_package(source)
            self.ui.importPathEdit.addCurrentPathToHistory()
            self.ui.importPathEdit.currentPath = ""
            self.refresh()
            self.onChanged()
            text = _("{model} was imported. Choose it above to use it.")
            if _default(store) not in ("", before):
                text = _("{model} was imported. Choose it above to use it here; new scenes begin with it.")
            return text.format(model=Words.modelName(package.card))

        self._try(work)

    def onVerify(self, _checked: bool = False) -> None:
        from SIFALib.models import store as models

        package = self._selected()

        def work() -> str:
            models.verify(package)
            return _("{model} is intact: its files are those that its card describes.").format(
                model=Words.modelName(package.card)
            )

        self._try(work)

    def onDelete(self, _checked: bool = False) -> None:
        package = self._selected()
        question = _("Delete the model in {folder} from this computer?").format(folder=package.folder)
        if not Dialogs.confirmed(question):
            return

        def work() -> str:
            self.logic.backend.store().delete(package)
            self.refresh()
            self.onChanged()
            return _("{folder} was deleted.").format(folder=package.folder.name)

        self._try(work)

    def onOpenFolder(self, _checked: bool = False) -> None:
        folder = self.logic.backend.store().user
        folder.mkdir(parents=True, exist_ok=True)
        self.ui.modelsStatusLabel.text = str(folder)
        Dialogs.openFolder(folder)


def _default(store: Any) -> str:
    """The model that is taken where none is chosen; "" if there is none."""
    try:
        return str(store.default().card.key)
    except ModelError:
        return ""
