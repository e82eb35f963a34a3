"""Some of the site's own scans, segmented by the model before and by the one after: a table, and the segmentations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from SIFASegmentationLib import Tables
from SIFASegmentationLib import Words as Common
from slicer.i18n import tr as _

from . import SideBySide, Words
from .Child import Errand
from .Logic import SIFATrainingLogic
from .RunReader import RunReader

SCANS = 3  # that are compared
ROWS = 6  # of the table, before it scrolls
SCAN = "SIFA.Scan"  # attribute of a volume node: the file that it was read from


@dataclass(frozen=True)
class Compared:
    """One scan of the scene; before, after: its segmentation nodes, or None where no heart was found."""

    volume: object
    before: object
    after: object


class Comparison:
    """Asks a process of its own for the segmentations; a row of the table that is clicked shows its scan."""

    def __init__(self, ui, logic: SIFATrainingLogic) -> None:
        self.ui, self.logic = ui, logic
        self.reader: RunReader | None = None
        self.scans: list[Compared] = []
        self._shown: list[int] = []  # for each row of the table: the number of its scan
        self.errand = Errand("compare", self._onProgress, self._onCompared, self.say)
        titles = [_("Scan"), _("Structure"), _("Before (ml)"), _("After (ml)"), _("Agreement")]
        Tables.prepare(ui.comparisonTable, titles)
        ui.comparisonTable.connect(
            "cellClicked(int,int)", lambda row, _column: self.showScan(self._shown[row])
        )
        ui.compareButton.connect("clicked(bool)", self.onCompare)

    def stop(self) -> None:
        self.errand.cancel()

    def show(self, reader: RunReader | None) -> None:
        """Begin anew, for another run."""
        self.stop()
        self.reader, self.scans = reader, []
        self._fill([])
        self.say("")

    def say(self, text: str) -> None:
        Words.say(self.ui.comparisonLabel, text)
        self.ui.comparisonBar.setVisible(self.errand.running)
        self.ui.compareButton.text = (
            _("Cancel") if self.errand.running else _("Compare on {count} of my scans").format(count=SCANS)
        )

    def chosen(self) -> list[Path]:
        """Some of the run's own scans, from the first to the last. DataError if they are gone."""
        from SIFALib.datasets import PHANTOMS, DataError, sources

        assert self.reader is not None and self.reader.seen is not None and self.reader.seen.run is not None
        data = self.reader.seen.run.configuration.data
        if data.target in PHANTOMS:
            raise DataError(_("This run adapted to phantoms; there are no scans to compare on."))
        found = sources.find(data.target, False, data.excluded("target")).scans
        last = len(found) - 1
        numbers = sorted({round(n * last / max(1, SCANS - 1)) for n in range(SCANS)})
        return [found[n].image for n in numbers]

    def onCompare(self, _checked: bool = False) -> None:
        """Segment by both models; a second press stops that."""
        if self.errand.running:
            self.errand.cancel()
            self.say(_("Cancelled."))
            return
        assert self.reader is not None and self.reader.seen is not None and self.reader.seen.run is not None
        run = self.reader.seen.run.configuration
        try:
            self.logic.dependencies.ensure()
            request = {
                "run": str(self.reader.path),
                "model": str(self.logic.package(run.start_model).folder),
                "scans": [str(path) for path in self.chosen()],
                "device": run.device,
            }
            self.errand.send(self.logic.dependencies.python, request, self.logic.environment)
        except (ValueError, RuntimeError, OSError) as error:  # ModelError, DataError, DependencyError
            self.say(str(error))
            return
        self.ui.comparisonBar.value = 0
        self.say(_("Loading both models"))

    # What the background says

    def _onProgress(self, progress: dict) -> None:
        self.ui.comparisonBar.value = round(1000 * progress["fraction"])
        self.say(progress["stage"])

    def _onCompared(self, answer: dict) -> None:
        notes = [
            f"{title}: {scan[which]['note']}"
            for scan in answer["scans"]
            for which, title in (("before", _("before")), ("after", _("after")))
            if "note" in scan[which]
        ]
        self.scans = [self._taken(scan) for scan in answer["scans"]]
        self._fill(
            [(c.volume.GetName(), s) for c, s in zip(self.scans, answer["scans"], strict=True)], answer
        )
        self.showScan(0)
        said = _("In the scene now: click a row to see its scan, before on the left, after on the right.")
        self.say(" ".join([said, *notes]))

    def _taken(self, scan: dict) -> Compared:
        """What was found about one scan, as nodes of the scene; those of an earlier comparison are filled anew."""
        volumeNode = _volume(Path(scan["path"]))
        nodes = [
            _segmentation(volumeNode, scan[which].get("file"), title)
            for which, title in (("before", _("before")), ("after", _("after")))
        ]
        return Compared(volumeNode, *nodes)

    def showScan(self, number: int) -> None:
        """Show that scan in the slice views, and none of the others' segmentations."""
        for compared in self.scans:
            SideBySide.hide(compared.before)
            SideBySide.hide(compared.after)
        chosen = self.scans[number]
        nodes = (chosen.volume, chosen.before, chosen.after)
        if all(
            n is None or slicer.mrmlScene.IsNodePresent(n) for n in nodes
        ):  # not taken out of the scene since
            SideBySide.show(*nodes)

    def _fill(self, scans: list[tuple[str, dict]], answer: dict | None = None) -> None:
        structures = answer["structures"] if answer else []
        table = self.ui.comparisonTable
        table.setRowCount(len(scans) * len(structures))
        self._shown = []
        for number, (name, scan) in enumerate(scans):
            for structure in structures:
                row = len(self._shown)
                self._shown.append(number)
                table.setItem(row, 0, qt.QTableWidgetItem("" if number in self._shown[:-1] else name))
                named = qt.QTableWidgetItem(structure["name"])
                named.setIcon(Common.swatch(tuple(structure["color"])))
                table.setItem(row, 1, named)
                for column, text in enumerate(_numbers(scan, structure["id"]), start=2):
                    item = qt.QTableWidgetItem(text)
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                    table.setItem(row, column, item)
        table.setVisible(table.rowCount > 0)
        Tables.fitHeight(table, min(ROWS, table.rowCount))


def _numbers(scan: dict, structureId: str) -> tuple[str, str, str]:
    """Volume before and after in ml, agreement."""
    volumes = [scan[which].get("volumes_ml", {}).get(structureId) for which in ("before", "after")]
    dice = scan.get("agreement", {}).get(structureId)
    before, after = ("-" if v is None else f"{v:.1f}" for v in volumes)
    return before, after, "-" if dice is None else f"{dice:.2f}"


def _volume(path: Path):
    """The volume node of a scan: the one that was read from that file before, or a new one."""
    from SIFALib import volume
    from SIFASegmentationLib import PhantomSamples

    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(SCAN) == str(path):
            return node
    name = slicer.mrmlScene.GenerateUniqueName(path.name.partition(".")[0])
    node = PhantomSamples.addVolume(volume.read(path), name)
    node.SetAttribute(SCAN, str(path))
    node.CreateDefaultDisplayNodes()
    return node


def _segmentation(volumeNode, labels: str | None, title: str):
    """The segmentation node of that title for a volume, filled from a file; None, and none is left, without one."""
    from SIFALib import volume
    from SIFALib.structures import STRUCTURES
    from SIFASegmentationLib import SceneConversion

    name = f"{volumeNode.GetName()} {title}"
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    known = node is not None and node.IsA("vtkMRMLSegmentationNode")
    if labels is None:
        if known:
            slicer.mrmlScene.RemoveNode(node)
        return None
    if not known:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    SceneConversion.fillSegmentation(node, volumeNode, volume.read(labels).array, STRUCTURES)
    return node
