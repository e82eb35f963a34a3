"""Some of the site's own scans, segmented by the model before and by the one after: a table, and the segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib import imaging
from SIFALib.support.progress import Progress, Steps
from SIFASegmentationLib import PhantomSamples, SceneConversion, Tables
from SIFASegmentationLib import Words as Common
from SIFASegmentationLib.Runner import Runner
from slicer.i18n import tr as _

from . import SideBySide, Words
from .Child import Task
from .Logic import SIFATrainingLogic
from .RunReader import RunReader

if TYPE_CHECKING:
    from SIFALib.models.structures import Structure

SCANS = 3  # that are compared
ROWS = 10  # of the table, before it scrolls
SCAN = "SIFA.Scan"  # attribute of a volume node: the file that it was read from
COMPARED = "SIFA.Compared"  # attribute of a segmentation node that a comparison made: before or after


@dataclass(frozen=True)
class Compared:
    """One scan of the scene; before, after: its segmentation nodes, or None where no heart was found."""

    volume: slicer.vtkMRMLScalarVolumeNode
    before: slicer.vtkMRMLSegmentationNode | None
    after: slicer.vtkMRMLSegmentationNode | None


class Comparison:
    """Asks a process of its own for the segmentations; a row of the table that is clicked shows its scan."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic) -> None:
        self.ui, self.logic = ui, logic
        self.reader: RunReader | None = None
        self.scans: list[Compared] = []
        self._shown: list[int] = []  # for each row of the table: the number of its scan
        self._answer: dict[str, Any] = {}
        self.task = Task("compare", self._onProgress, self._onCompared, self.say)
        self.runner = Runner(lambda step: self.say(step.stage), self._onTaken, self._onError)
        Tables.prepare(ui.comparisonTable, [_("Volume in ml"), _("Before"), _("After"), _("Dice")])
        ui.comparisonTable.horizontalHeaderItem(3).setToolTip(_("How far the two agree: 0 not at all, 1 fully."))
        ui.comparisonTable.connect("cellClicked(int,int)", lambda row, _column: self.showScan(self._shown[row]))
        ui.compareButton.connect("clicked(bool)", self.onCompare)

    @property
    def busy(self) -> bool:
        return self.task.running or self.runner.running

    def stop(self) -> None:
        """Drop what is being done in the background."""
        self.task.cancel()
        self.runner.cancel()
        self.task.forget()

    def show(self, reader: RunReader | None) -> None:
        """Begin anew, for another run."""
        self.stop()
        self.reader, self.scans = reader, []
        self._fill([], [])
        self.say("")

    def allow(self, reason: str) -> None:
        """reason: why there is nothing to compare; "" if there is."""
        self.ui.compareButton.enabled = not reason or self.busy
        self.ui.compareButton.toolTip = reason or _(
            "Segment some of your scans by the model before and by the one after."
        )

    def say(self, text: str) -> None:
        Words.say(self.ui.comparisonLabel, text)
        self.ui.comparisonBar.setVisible(self.busy)
        self.ui.compareButton.text = (
            _("Cancel") if self.busy else _("Compare on {count} of my scans").format(count=SCANS)
        )

    def onCompare(self, _checked: bool = False) -> None:
        """Segment by both models; a second press stops that."""
        if self.busy:
            self.stop()
            self.say(_("Cancelled."))
            return
        assert self.reader is not None and self.reader.seen is not None and self.reader.seen.run is not None
        run = self.reader.seen.run.configuration
        try:
            self.logic.dependencies.ensure()
            request = {
                "run": str(self.reader.path),
                "model": str(self.logic.package(run.start_model).folder),
                "count": SCANS,
                "device": run.device,
            }
            self.task.send(self.logic.dependencies.python, request, self.logic.environment)
        except (ValueError, RuntimeError, OSError) as error:  # ModelError, DependencyError
            self.say(Words.forPanel(error))
            return
        self.ui.comparisonBar.value = 0
        self.say(_("Loading both models"))

    # What the background says

    def _onProgress(self, progress: dict[str, Any]) -> None:
        self.ui.comparisonBar.value = round(1000 * progress["fraction"])
        self.say(progress["stage"])

    def _onCompared(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        self.task.keep()
        self.runner.start(_steps(answer))
        self.say(_("Loading the scans"))

    def _onTaken(self, scans: list[Compared]) -> None:
        self.task.forget()
        self.scans, found = scans, self._answer["scans"]
        self._fill([(c.volume.GetName(), s) for c, s in zip(scans, found, strict=True)], self._answer["structures"])
        self.showScan(0)
        notes = [
            f"{title}: {scan[which]['note']}" for scan in found for which, title in _titles() if "note" in scan[which]
        ]
        said = _("In the scene now: click a row to see its scan, before on the left, after on the right.")
        self.say(" ".join([said, *notes]))

    def _onError(self, error: Exception) -> None:
        self.task.forget()
        self.say(Words.forPanel(error))

    def showScan(self, number: int) -> None:
        """Show that scan in the slice views, and none of the others' segmentations."""
        for compared in self.scans:
            SideBySide.hide(compared.before)
            SideBySide.hide(compared.after)
        chosen = self.scans[number]
        nodes = (chosen.volume, chosen.before, chosen.after)
        if all(n is None or slicer.mrmlScene.IsNodePresent(n) for n in nodes):  # not taken out of the scene since
            SideBySide.show(*nodes)

    def _fill(self, scans: Sequence[tuple[str, dict[str, Any]]], structures: Sequence[dict[str, Any]]) -> None:
        """Each scan's name over all columns, and below it a row a structure."""
        table = self.ui.comparisonTable
        table.clearSpans()
        table.setRowCount(len(scans) * (1 + len(structures)))
        self._shown = []
        for number, (name, scan) in enumerate(scans):
            (heading,) = Tables.fillRow(table, len(self._shown), (name,))
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            table.setSpan(len(self._shown), 0, 1, table.columnCount)
            self._shown.append(number)
            for structure in structures:
                texts = (structure["name"], *_numbers(scan, structure["id"]))
                named = Tables.fillRow(table, len(self._shown), texts, numbersFrom=1)[0]
                named.setToolTip(structure["name"])  # a narrow panel cuts it
                named.setIcon(Common.swatch(tuple(structure["color"])))
                self._shown.append(number)
        table.setVisible(table.rowCount > 0)
        Tables.fitHeight(table, min(ROWS, table.rowCount))


def _titles() -> tuple[tuple[str, str], ...]:
    return (("before", _("before")), ("after", _("after")))


def _steps(answer: dict[str, Any]) -> Steps[list[Compared]]:
    """Put the scans and their segmentations into the scene; those of an earlier comparison are filled anew."""
    from SIFALib.models.structures import structures_of

    structures = structures_of(len(answer["structures"]) + 1)
    found: list[Compared] = []
    for scan in answer["scans"]:
        path, done = Path(scan["path"]), len(found) / len(answer["scans"])
        yield Progress(_("Loading {name}").format(name=path.name), done)
        volumeNode, nodes = _volume(path), []
        for which, title in _titles():
            yield Progress(_("Loading {name}, {title}").format(name=path.name, title=title), done)
            labels, model = scan[which].get("file"), answer["models"][which]
            nodes.append(_segmentation(volumeNode, which, title, labels, structures, model))
        found.append(Compared(volumeNode, *nodes))
    return found


def _numbers(scan: dict[str, Any], structureId: str) -> tuple[str, str, str]:
    """Volume before and after in ml, agreement."""
    volumes = [scan[which].get("volumes_ml", {}).get(structureId) for which in ("before", "after")]
    dice = scan.get("agreement", {}).get(structureId)
    before, after = ("-" if v is None else f"{v:.1f}" for v in volumes)
    return before, after, "-" if dice is None else f"{dice:.2f}"


def _volume(path: Path) -> slicer.vtkMRMLScalarVolumeNode:
    """The volume node of a scan: the one that was read from that file before, or a new one."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(SCAN) == str(path):
            return node
    name = slicer.mrmlScene.GenerateUniqueName(path.name.partition(".")[0])
    node = PhantomSamples.addVolume(imaging.read(path), name)
    node.SetAttribute(SCAN, str(path))
    node.CreateDefaultDisplayNodes()
    return node


def _segmentation(
    volumeNode: slicer.vtkMRMLVolumeNode,
    which: str,
    title: str,
    labels: str | None,
    structures: tuple[Structure, ...],
    model: str,
) -> slicer.vtkMRMLSegmentationNode | None:
    """The segmentation node for a volume, filled from a file; None, and none is left, without one.

    That of an earlier comparison is filled anew; a node of the user's own, whatever its name, is not.
    """
    node = next((n for n in _comparedNodes(volumeNode) if n.GetAttribute(COMPARED) == which), None)
    if labels is None:
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)
        return None
    if node is None:
        name = slicer.mrmlScene.GenerateUniqueName(f"{volumeNode.GetName()} {title}")
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.SetAttribute(COMPARED, which)
    SceneConversion.fillSegmentation(node, volumeNode, imaging.read(labels).array, structures, model)
    return node


def _comparedNodes(volumeNode: slicer.vtkMRMLVolumeNode) -> list[slicer.vtkMRMLSegmentationNode]:
    """What earlier comparisons made of a volume."""
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if node.GetAttribute(COMPARED)
        and node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volumeNode
    ]
