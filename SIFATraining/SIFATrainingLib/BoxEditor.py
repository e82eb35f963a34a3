"""Correcting where the heart of a scan is: the scan and a box with handles in the views, and "Use this box"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from SIFALib.support.progress import Progress, Steps
from SIFASegmentationLib import PhantomSamples, Regions, SceneConversion
from SIFASegmentationLib.Background import Background
from SIFASegmentationLib.Runner import Runner
from slicer.i18n import tr as _

from . import Words
from .HeartBoxes import Box
from .ScansTable import Row

if TYPE_CHECKING:
    from SIFALib.imaging import Volume


class BoxEditor:
    """One scan at a time. onBox(row, box) is called with the box that is to be used, () for the one that was found; onEnd
    whenever nothing is edited any more; onFailed(error) after onBox if the picture of the box could not be drawn."""

    def __init__(
        self,
        ui: Any,
        onBox: Callable[[Row, Box], None],
        onEnd: Callable[[], None],
        onFailed: Callable[[Exception], None],
    ) -> None:
        self.ui, self.onBox, self.onEnd, self.onFailed = ui, onBox, onEnd, onFailed
        self.row: Row | None = None
        self.roi: slicer.vtkMRMLMarkupsROINode | None = None
        self._volume: slicer.vtkMRMLVolumeNode | None = None  # that was read for this, and goes with it
        self._image: Volume | None = None
        self._picture: Path | None = None
        self._background = Background()
        self.runner = Runner(lambda step: self._say(step.stage), lambda then: then(), self._onError)
        ui.useBoxButton.connect("clicked(bool)", self.onUse)
        ui.foundBoxButton.connect("clicked(bool)", self.onFound)
        ui.cancelBoxButton.connect("clicked(bool)", lambda _checked: self.cancel())
        self._show(False)

    @property
    def editing(self) -> bool:
        return self.row is not None

    def edit(self, row: Row, node: slicer.vtkMRMLVolumeNode | None, picture: Path | None) -> None:
        """node: the scan in the scene; None: it is read. picture: of the scan, that shows the box."""
        self.cancel()
        self.row, self._picture = row, picture
        self._show(True)
        self.runner.start(self._readSteps(row, node))

    def _readSteps(self, row: Row, node: slicer.vtkMRMLVolumeNode | None) -> Steps[Callable[[], None]]:
        from SIFALib.datasets.scans import image_of

        first, finding = Progress(_("Reading {name}").format(name=row.name), 0.0), row.finding
        assert finding is not None
        yield first
        image = yield from self._background.call(lambda: image_of(finding), first)
        return lambda: self._open(row, node, image)

    def _open(self, row: Row, node: slicer.vtkMRMLVolumeNode | None, image: Volume) -> None:
        if node is None or node.GetScene() is None:
            node = self._volume = PhantomSamples.addVolume(image, slicer.mrmlScene.GenerateUniqueName(row.name))
            node.CreateDefaultDisplayNodes()
        self._image = image
        name = slicer.mrmlScene.GenerateUniqueName(_("Heart of {scan}").format(scan=row.name))
        self.roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
        Regions.fit(self.roi, node)
        if box := row.box or row.foundBox:
            Regions.place(self.roi, box)
        self.roi.GetDisplayNode().SetHandlesInteractive(True)
        PhantomSamples.showVolume(node)
        centre = [0.0, 0.0, 0.0]
        self.roi.GetCenterWorld(centre)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
        self._show(True)
        text = _("Drag the handles of the box in the views until it just holds the heart of {name}.")
        self._say(text.format(name=row.name))

    # What the person does

    def onUse(self, _checked: bool = False) -> None:
        """The training cuts exactly there."""
        from SIFALib.datasets import HeartBox, placing

        if self.row is None or self.roi is None or self._image is None:
            return
        if self.roi.GetScene() is None:
            self.cancel()
            return
        box = SceneConversion.roiBox(self.roi)
        try:
            placing.index_box(self._image.geometry, HeartBox(placing.box_mm(box)).box)
        except ValueError as error:
            self._say(Words.forPanel(error), isError=True)
            return
        self._finish(box, box)

    def onFound(self, _checked: bool = False) -> None:
        """Back to what the start model sees, or to nothing if it sees none."""
        if self.row is not None and self._image is not None:
            self._finish((), self.row.foundBox)

    def _finish(self, box: Box, drawn: Box) -> None:
        """Draw the picture anew, then tell, whatever became of the picture."""
        self.ui.useBoxButton.enabled = self.ui.foundBoxButton.enabled = False
        self.runner.start(self._drawSteps(box, drawn))

    def _drawSteps(self, box: Box, drawn: Box) -> Steps[Callable[[], None]]:
        from SIFALib.datasets import placing

        image, path, row = self._image, self._picture, self.row
        first = Progress(_("Drawing the box"), 0.0)
        yield first
        failed: Exception | None = None
        if path is not None and image is not None:
            try:
                yield from self._background.call(lambda: placing.draw(image, drawn, path), first)
            except Exception as error:  # a picture is but a picture
                failed = error

        def then() -> None:
            self.cancel()
            if row is not None:
                self.onBox(row, box)
            if failed is not None:
                self.onFailed(failed)

        return then

    def cancel(self) -> None:
        """Take away what was put into the scene for it; the box stays as it was."""
        self.runner.cancel()
        nodes = [node for node in (self.roi, self._volume) if node is not None and node.GetScene() is not None]
        self.row = self.roi = self._volume = self._image = None
        if not slicer.mrmlScene.IsClosing():
            for node in nodes:
                slicer.mrmlScene.RemoveNode(node)
        self._show(False)
        self.onEnd()

    def _onError(self, error: Exception) -> None:
        opened = self.roi is not None
        if not opened:
            self.ui.useBoxButton.enabled = self.ui.foundBoxButton.enabled = False
        self._say(Words.forPanel(error), isError=True)

    def _show(self, editing: bool) -> None:
        ready = editing and self.roi is not None
        self.ui.boxFrame.setVisible(editing)
        self.ui.useBoxButton.enabled = ready
        self.ui.foundBoxButton.enabled = ready and self.row is not None and bool(self.row.box)
        if not editing:
            self._say("")

    def _say(self, text: str, isError: bool = False) -> None:
        Words.say(self.ui.boxLabel, text, isError)
