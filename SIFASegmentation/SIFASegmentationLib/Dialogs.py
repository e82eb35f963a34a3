"""What waits for a person, or opens a window of another program: not in testing mode, where nobody is there."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _


def confirmed(question: str) -> bool:
    """Whether the person says yes."""
    return bool(slicer.app.testingEnabled() or slicer.util.confirmOkCancelDisplay(question))


def chosenFolder() -> str:
    """The folder that the person chooses; "" for none."""
    return "" if slicer.app.testingEnabled() else str(qt.QFileDialog.getExistingDirectory())


def chosenFile(title: str, kind: str) -> str:
    """The file to be written that the person chooses, with the kind's ending; "" for none. kind: "Table (*.csv)"."""
    if slicer.app.testingEnabled():
        return ""
    place = str(qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, "", kind))
    suffix = kind.rpartition("*")[2].rstrip(")")
    if not place or place.lower().endswith(suffix):
        return place
    place += suffix  # of which the window knew nothing, so it could not ask
    question = _("There is a file {place} already. Replace it?").format(place=place)
    return place if not Path(place).exists() or confirmed(question) else ""


def showPicture(path: Path, title: str) -> None:
    """A window with a picture, no larger than Slicer's own, until the person closes it. What does not fit is scrolled."""
    window = qt.QDialog(slicer.util.mainWindow())
    window.setAttribute(qt.Qt.WA_DeleteOnClose)
    window.windowTitle = title
    picture, label = qt.QPixmap(str(path)), qt.QLabel()
    label.setPixmap(picture)
    area = qt.QScrollArea()
    area.setFrameShape(qt.QFrame.NoFrame)
    area.setWidget(label)
    layout = qt.QVBoxLayout(window)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(area)
    slicers = slicer.util.mainWindow()
    window.resize(picture.size() if slicers is None else picture.size().boundedTo(slicers.size))
    if not slicer.app.testingEnabled():
        window.show()


def openFolder(folder: Path) -> None:
    """Show a folder in the program that this computer has for that."""
    if not slicer.app.testingEnabled():
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder.resolve())))
