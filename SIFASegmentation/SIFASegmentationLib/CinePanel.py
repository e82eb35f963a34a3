"""The section Cine MR: a study of the scene or in a folder becomes one sequence of whole hearts, the input volume."""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Callable
from typing import Any

import slicer
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _

from . import CineLogic, CineNodes, Failures, PhantomSamples, Words
from .FolderEdit import FolderEdit
from .Logic import SIFASegmentationLogic
from .Parameters import CineSource, SIFASegmentationParameterNode
from .Runner import Runner


class CinePanel:
    """otherReason: what else keeps a study from being read ("": nothing). onRunning: called when reading begins or ends;
    onLooked: when it is known whether the images of the scene make a cine."""

    def __init__(
        self,
        ui: Any,
        logic: SIFASegmentationLogic,
        otherReason: Callable[[], str],
        onRunning: Callable[[bool], None],
        onLooked: Callable[[], None],
    ) -> None:
        self.ui, self.logic = ui, logic
        self._otherReason, self._onRunning, self._onLooked = otherReason, onRunning, onLooked
        self.parameters: SIFASegmentationParameterNode | None = None
        self.found = ""  # what the scene's images make, in a sentence; "" for no cine
        self._looked: tuple[Any, ...] = ()
        self._stacks: list[str] = []
        self._stacksOf: tuple[Any, ...] = ()  # the study that has them
        self.runner = Runner(self._onStep, self._onDone, self._onError)
        self._looker = Runner(lambda step: None, self._onFound, self._onNotFound)
        self._edit = FolderEdit(ui.cineFolderEdit, "cineFolder")
        ui.cineButton.connect("clicked(bool)", self.onButton)
        self._say("")
        self._show()

    @property
    def running(self) -> bool:
        return self.runner.running

    @property
    def looking(self) -> bool:
        return self._looker.running

    def stop(self) -> None:
        """End the reading; the scene stays as it was."""
        self._looker.cancel()
        if self.running:
            self.runner.cancel()
            self._end(_("Stopped; nothing was changed."))

    # What is shown

    def show(self, parameters: SIFASegmentationParameterNode | None) -> None:
        """Bring the section up to date with the scene's choices."""
        changed = parameters is None or self.parameters is None
        self.parameters = parameters
        self._edit.show(parameters)
        self._forgetStacks()
        if parameters is None:
            self._looked, self.found = (), ""
            self._say("")
        elif not self.running:
            self._look(changed)
        self._show()

    def _look(self, again: bool) -> None:
        """See whether the images beside the input volume make a cine; the section opens where they do."""
        assert self.parameters is not None
        near = self.parameters.inputVolume
        seen = (near, slicer.mrmlScene.GetNumberOfNodes())
        if seen == self._looked and not again:
            return
        self._looked = seen
        if CineNodes.said(near) is not None or near is None:
            self._looker.cancel()
            self._onFound("")
        else:
            self._looker.start(lookSteps(self.logic, near))

    def _onFound(self, found: str) -> None:
        before, self.found = self.found, found
        if self.parameters is None:
            return
        if found and found != before:
            self.parameters.cineSource = CineSource.SCENE
            self.ui.cineCollapsibleButton.collapsed = False
        if CineNodes.said(self.parameters.inputVolume) is None:
            self._say(found or CineNodes.saidOfMultiVolumes())
        self._show()
        self._onLooked()

    def _onNotFound(self, error: Exception) -> None:
        """Images that are none of a heart may be of any kind; what is wrong with a cine is told where it is assembled."""
        logging.info("SIFA: no cine was recognised", exc_info=error)
        self._onFound("")

    def isPart(self) -> bool:
        """Whether the input volume is a single place of a cine, of which volumes would tell nothing."""
        image = self.parameters.inputVolume.GetImageData() if self.parameters and self.parameters.inputVolume else None
        return bool(self.found and image is not None and image.GetDimensions()[2] == 1)

    def _show(self) -> None:
        parameters = self.parameters
        folder = parameters is not None and parameters.cineSource is CineSource.FOLDER
        self.ui.cineFolderLabel.setVisible(folder)
        self.ui.cineFolderEdit.setVisible(folder)
        reason = self._whyNot()
        self.ui.cineButton.enabled = self.running or not reason
        self.ui.cineButton.text = _("Cancel") if self.running else _("Assemble")
        stop = _("Stop; nothing is changed in the scene.")
        start = _("Put the places and phases of the cine together, as the input volume. The images stay as they are.")
        self.ui.cineButton.toolTip = stop if self.running else reason or start
        self.ui.cineBar.setVisible(self.running)
        self._showSaid(CineNodes.said(parameters.inputVolume) if parameters is not None else None)

    def _whyNot(self) -> str:
        if self.parameters is None:
            return _("The scene is being closed.")
        if self.parameters.cineSource is CineSource.FOLDER:
            if not self.parameters.cineFolder:
                return _("Choose the folder that holds the study.")
            if not os.path.isdir(self.parameters.cineFolder):
                return _("There is no folder {path}.").format(path=self.parameters.cineFolder)
        elif not self.found:
            none = _(
                "There is no cine beside the input volume; load a study with the module DICOM, or choose a folder."
            )
            return CineNodes.saidOfMultiVolumes() or none
        return self._otherReason()

    def _showSaid(self, said: dict[str, Any] | None) -> None:
        """What was taken for the cine that is the input volume now, what asks to look twice, and what was left out."""
        lines = []
        if said is not None:
            lines = [f"ℹ&nbsp;&nbsp;{html.escape(said['chosen'])}"] if said["chosen"] else []
            lines += [f"⚠&nbsp;&nbsp;{html.escape(note)}" for note in said["notes"]]
            left = [_("{name}: {what}").format(name=other["name"], what=other["what"]) for other in said["others"]]
            lines += [_("Not a part of it:")] if left else []
            lines += [f"–&nbsp;&nbsp;{html.escape(each)}" for each in left]
            self._offerStacks([other["name"] for other in said["others"] if other["places"] > 2 and other["phases"]])
        self.ui.cineNotesLabel.text = "<br>".join(lines)
        self.ui.cineNotesLabel.setVisible(bool(lines))
        several = bool(self._stacks)
        self.ui.cineStackLabel.setVisible(several)
        self.ui.cineStackSelector.setVisible(several)

    def _forgetStacks(self) -> None:
        """Those of another study than the one that is chosen now."""
        parameters = self.parameters
        study: tuple[Any, ...] = ()
        if parameters is not None and parameters.cineSource is CineSource.FOLDER:
            study = (parameters.cineFolder,)
        elif parameters is not None:
            study = (None, CineNodes.study(parameters.inputVolume))
        if study != self._stacksOf:
            self._stacksOf, self._stacks = study, []
            self.ui.cineStackSelector.clear()

    def _offerStacks(self, names: list[str]) -> None:
        """Stacks that can be chosen instead, those of an earlier reading included."""
        new = [name for name in names if name not in self._stacks]
        if not new:
            return
        self._stacks += new
        box = self.ui.cineStackSelector
        if not box.count:
            box.addItem(_("The likeliest short axis"))
        for name in new:
            box.addItem(name)

    def _say(self, text: str, isError: bool = False) -> None:
        Words.say(self.ui.cineLabel, text, isError)

    # What the person does

    def onButton(self, _checked: bool = False) -> None:
        if self.running:
            self.stop()
            return
        if not self.logic.dependencies.ensured(self._say):
            return
        parameters = self.parameters
        assert parameters is not None  # else the button is not enabled
        folder = parameters.cineFolder if parameters.cineSource is CineSource.FOLDER else ""
        number = self.ui.cineStackSelector.currentIndex
        stack = self._stacks[number - 1] if number > 0 else ""
        self.runner.start(CineLogic.readSteps(self.logic, folder, parameters.inputVolume, stack))
        self._onRunning(True)
        self._onStep(Progress(_("Reading the study"), 0.0))
        self._show()

    # What the runner says

    def _onStep(self, step: Progress) -> None:
        Words.work(self.ui.cineLabel, self.ui.cineBar, step)

    def _onDone(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._end(_("Assembled; Apply segments every phase."))
        self.logic.getParameterNode().inputVolume = node
        PhantomSamples.showVolume(node)
        self._show()

    def _onError(self, error: Exception) -> None:
        self._end(Failures.sentence(error), isError=True)

    def _end(self, text: str, isError: bool = False) -> None:
        self._say(text, isError)
        self._onRunning(False)
        self._show()


def lookSteps(logic: SIFASegmentationLogic, near: slicer.vtkMRMLScalarVolumeNode) -> Steps[str]:
    """`sentence`, once the library is imported, which may take a moment the first time."""
    first = Progress(_("Looking at the images"), 0.0)
    yield first
    yield from logic.background.call(_load, first)
    return sentence(near)


def _load() -> None:
    import SIFALib.imaging.cine_images  # noqa: F401


def sentence(near: slicer.vtkMRMLScalarVolumeNode | None) -> str:
    """What cine the images of the scene make that lie beside a volume; "" where none lies as a short axis does."""
    from SIFALib.imaging import cine_images, cine_stacks

    parts = CineNodes.parts(near) if near is not None else []
    if len(parts) < cine_stacks.LEAST_PLACES:
        return ""
    stacks = cine_images.stacks_in(CineNodes.images(parts)).stacks
    best = stacks[0] if stacks else None
    if best is None or not best.short_axis or len(best.places) < cine_stacks.LEAST_PLACES:
        return ""
    text = _("The images of this study make a cine of {places} places and {phases} phases.")
    return text.format(places=len(best.places), phases=best.phases)
