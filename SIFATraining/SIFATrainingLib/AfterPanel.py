"""After a training: the score before and after, some of the site's scans segmented by both models, Use this model."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from SIFASegmentationLib import Words as Common
from slicer.i18n import tr as _

from . import Words
from .Child import Errand
from .Logic import SIFATrainingLogic
from .RunReader import RunReader
from .Words import State

SCANS = 3  # that are compared
ROWS = 6  # of the table, before it scrolls
SCAN = "SIFA.Scan"  # attribute of a volume node: the file that it was read from


class AfterPanel:
    """Shown for a run that has found something; onUsed(package) is called when its model was made and chosen."""

    def __init__(self, ui, logic: SIFATrainingLogic, onUsed: Callable[[object], None]) -> None:
        self.ui, self.logic, self.onUsed = ui, logic, onUsed
        self.reader: RunReader | None = None
        self.segmentations: list = []
        self.errand = Errand("compare", self._onProgress, self._onCompared, self._say)
        table = ui.comparisonTable
        table.setColumnCount(5)
        table.setHorizontalHeaderLabels(
            [_("Scan"), _("Structure"), _("Before (ml)"), _("After (ml)"), _("Agreement")]
        )
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in range(1, 5):
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.compareButton.connect("clicked(bool)", self.onCompare)
        ui.useModelButton.connect("clicked(bool)", self.onUse)
        ui.useAnywayButton.connect("clicked(bool)", self.onUseAnyway)
        ui.afterCollapsibleButton.setVisible(False)

    def stop(self) -> None:
        self.errand.cancel()

    def show(self, reader: RunReader | None, state: str) -> None:
        """The results of a run that is not being worked on; hidden for others."""
        if reader is not self.reader:
            self.stop()
            self.reader, self.segmentations = reader, []
            self.ui.comparisonTable.setRowCount(0)
            self._say("")
        ended = state in ("finished", "stopped", "failed", "interrupted")
        best = reader.best() if reader is not None else None
        self.ui.afterCollapsibleButton.setVisible(ended and best is not None)
        if reader is None or best is None or not ended:
            return
        self.ui.modelNameEdit.placeholderText = self._modelId()
        good, text = self.verdict()
        Words.show(self.ui.verdictLabel, State.FINE if good else State.PROBLEM, text)
        self.ui.useModelButton.enabled = good
        self.ui.useModelButton.toolTip = (
            _("Make a model of it and choose it in SIFA Segmentation.") if good else text
        )
        self.ui.useAnywayButton.setVisible(not good)
        self._fitTable()

    def verdict(self) -> tuple[bool, str]:
        """Whether the run's best is better than what it started from, and the sentence that says so."""
        assert self.reader is not None
        start, best = self.reader.start(), self.reader.best()
        assert best is not None
        if start is not None and best.iteration == 0:
            return False, _(
                "Nothing better was found than the model that it started from, which scored {value:.3f}: that one stays. "
                "More scans, or a longer training, may help."
            ).format(value=start.value)
        if best.vetoes:
            return False, _("Something speaks against the new model, whatever its score: {why}").format(
                why=" ".join(best.vetoes)
            )
        if start is None:
            return True, _("Score without labels: {after:.3f}.").format(after=best.value)
        return True, _("Better on your scans: score without labels {after:.3f}, before {before:.3f}.").format(
            after=best.value, before=start.value
        )

    def _modelId(self) -> str:
        run = self.reader.seen.run if self.reader is not None and self.reader.seen is not None else None
        return Words.slug(run.configuration.name if run else "", "site")

    def _say(self, text: str) -> None:
        self.ui.afterStatusLabel.text = text
        self.ui.afterStatusLabel.setVisible(bool(text))
        self.ui.comparisonBar.setVisible(self.errand.running)
        self.ui.compareButton.text = (
            _("Cancel") if self.errand.running else _("Compare on {count} of my scans").format(count=SCANS)
        )

    # Side by side

    def scans(self) -> list[Path]:
        """Some of the run's own scans, from the first to the last. DataError if they are gone."""
        from SIFALib.datasets import PHANTOMS, DataError, sources

        assert self.reader is not None and self.reader.seen is not None and self.reader.seen.run is not None
        data = self.reader.seen.run.configuration.data
        if data.target in PHANTOMS:
            raise DataError(_("This run adapted to phantoms; there are no scans to compare on."))
        found = sources.find(data.target, False, data.excluded("target")).scans
        last = len(found) - 1
        chosen = sorted({round(n * last / max(1, SCANS - 1)) for n in range(SCANS)})
        return [found[n].image for n in chosen]

    def onCompare(self, _checked: bool = False) -> None:
        """Segment by both models, in a process of its own; a second press stops that."""
        if self.errand.running:
            self.errand.cancel()
            self._say(_("Cancelled."))
            return
        assert self.reader is not None and self.reader.seen is not None and self.reader.seen.run is not None
        run = self.reader.seen.run.configuration
        try:
            self.logic.dependencies.ensure()
            start = self.logic.package(run.start_model)
            request = {
                "run": str(self.reader.path),
                "model": str(start.folder),
                "scans": [str(path) for path in self.scans()],
                "device": run.device,
            }
            self.errand.send(self.logic.dependencies.python, request, self.logic.environment)
        except (ValueError, RuntimeError, OSError) as error:  # ModelError, DataError, DependencyError
            self._say(str(error))
            return
        self.ui.comparisonBar.value = 0
        self._say(_("Loading both models"))

    def _onProgress(self, progress: dict) -> None:
        self.ui.comparisonBar.value = round(1000 * progress["fraction"])
        self._say(progress["stage"])

    def _onCompared(self, answer: dict) -> None:
        rows: list[tuple[str, str, tuple, str, str, str]] = []
        notes = []
        self.segmentations = []
        for scan in answer["scans"]:
            node = self._volume(Path(scan["path"]))
            for which, title in (("before", _("before")), ("after", _("after"))):
                if "file" in scan[which]:
                    self.segmentations.append(self._segmentation(node, Path(scan[which]["file"]), title))
                else:
                    notes.append(f"{title}: {scan[which]['note']}")
            for structure in answer["structures"]:
                volumes = [scan[w].get("volumes_ml", {}).get(structure["id"]) for w in ("before", "after")]
                shown = ["-" if v is None else f"{v:.1f}" for v in volumes]
                dice = scan.get("agreement", {}).get(structure["id"])
                agreement = "-" if dice is None else f"{dice:.2f}"
                rows.append((node.GetName(), structure["name"], tuple(structure["color"]), *shown, agreement))
        self._fill(rows)
        self._say(
            " ".join(
                [_("The segmentations are in the scene, each volume with one before and one after."), *notes]
            )
        )

    def _fill(self, rows) -> None:
        table = self.ui.comparisonTable
        table.setRowCount(len(rows))
        before = ""
        for index, (scan, structure, color, *numbers) in enumerate(rows):
            table.setItem(index, 0, qt.QTableWidgetItem(scan if scan != before else ""))
            before = scan
            named = qt.QTableWidgetItem(structure)
            named.setIcon(Common.swatch(color))
            table.setItem(index, 1, named)
            for column, text in enumerate(numbers, start=2):
                item = qt.QTableWidgetItem(text)
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(index, column, item)
        self._fitTable()

    def _fitTable(self) -> None:
        table = self.ui.comparisonTable
        table.setVisible(table.rowCount > 0)
        Common.fitHeight(table, min(ROWS, table.rowCount))

    def _volume(self, path: Path):
        """The volume node of a scan: the one that was read from that file before, or a new one."""
        from SIFALib import volume
        from SIFASegmentationLib import PhantomSamples

        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetAttribute(SCAN) == str(path):
                return node
        read = volume.read(path)
        node = PhantomSamples.addVolume(
            read, slicer.mrmlScene.GenerateUniqueName(path.name.partition(".")[0])
        )
        node.SetAttribute(SCAN, str(path))
        node.CreateDefaultDisplayNodes()
        return node

    def _segmentation(self, volumeNode, labels: Path, title: str):
        from SIFALib import volume
        from SIFALib.structures import STRUCTURES
        from SIFASegmentationLib import SceneConversion

        name = f"{volumeNode.GetName()} {title}"
        node = slicer.mrmlScene.GetFirstNodeByName(name)
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        SceneConversion.fillSegmentation(node, volumeNode, volume.read(labels).array, STRUCTURES)
        return node

    # The new model

    def onUse(self, _checked: bool = False) -> None:
        self._use(force=False)

    def onUseAnyway(self, _checked: bool = False) -> None:
        question = _("The new model was not found to be better. Make a model of it nevertheless?")
        if slicer.app.testingEnabled() or slicer.util.confirmOkCancelDisplay(question):
            self._use(force=True)

    def _use(self, force: bool) -> None:
        assert self.reader is not None
        name = Words.slug(self.ui.modelNameEdit.text, self._modelId())
        try:
            package = self.logic.exportModel(self.reader.path, name, force)
            self.logic.useInSegmentation(package)
        except (ValueError, OSError) as error:  # RunError, ModelError
            self._say(html.unescape(str(error)))
            return
        self._say(
            _("{model} was made and is chosen in SIFA Segmentation.").format(
                model=Common.modelName(package.card)
            )
        )
        self.onUsed(package)
