"""Makes a picture of each panel in Slicer's light and dark style, with letters of 100 and of 120 %.

    python Testing/Pictures/render_styles.py [folder]

Nothing is segmented or trained for them: what is shown is made up. Look at them before they are committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import render_panels
from HeadlessSlicer import stage
from render_panels import ROOT, beside, grab, save

sys.path.insert(0, str(ROOT / "Testing" / "Python" / "fixtures"))

PLACE = ROOT / "docs" / "pictures"
DARK = {  # qSlicerStyle::darkPalette
    "Window": "#323232", "WindowText": "#ffffff", "Base": "#3c3c3c", "AlternateBase": "#323232", "Text": "#ffffff",
    "Button": "#323232", "ButtonText": "#ffffff", "ToolTipBase": "#323232", "ToolTipText": "#ffffff",
    "BrightText": "#ff0000", "Link": "#6cb2eb", "Highlight": "#2a82da", "HighlightedText": "#000000",
    "PlaceholderText": "#b0b0b0",
}  # fmt: skip
LARGER = 1.2


def dress(dark: bool, larger: bool) -> None:
    """Let the whole application look like that."""
    import qt

    app = render_panels.WORLD.app
    palette = qt.QApplication.style().standardPalette()
    for name, color in DARK.items() if dark else ():
        palette.setColor(getattr(qt.QPalette, name), qt.QColor(color))
    if dark:
        for name in ("WindowText", "Text", "ButtonText"):
            palette.setColor(qt.QPalette.Disabled, getattr(qt.QPalette, name), qt.QColor("#8c8c8c"))
    app.setPalette(palette)
    font = app.font()
    font.setPointSizeF(9.0 * (LARGER if larger else 1.0))
    app.setFont(font)


def segmentation(work: Path) -> np.ndarray:
    """The panel with a result and its advanced section, beside its section of models with an error in a batch."""
    import segmentation_panel as tests
    import slicer
    from SIFASegmentationLib.Background import Foreground
    from slicer_helpers import FakeBackend, ReadyDependencies, by_place

    stage.clear_scene()
    panel = stage.open_module("SIFASegmentation")
    panel.logic.backend, panel.logic.background = FakeBackend(work, by_place), Foreground()
    panel.logic.dependencies = ReadyDependencies()
    panel.enter()
    tests.loaded(panel, "Patient 7")
    tests.run(panel)
    panel.ui.copyResultsButton.click()
    first = grab(panel)
    panel.ui.resultsCollapsibleButton.collapsed = True
    panel.ui.advancedCollapsibleButton.collapsed = panel.ui.batchCollapsibleButton.collapsed = False
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Heart")
    panel.ui.roiSelector.setCurrentNode(roi)
    panel._showStatus("No heart was found in Patient 7; draw a region of interest around it.", isError=True)
    second = grab(panel)
    panel.ui.advancedCollapsibleButton.collapsed = panel.ui.batchCollapsibleButton.collapsed = True
    stage.close_module("SIFASegmentation")
    return beside(first, second)


def training(work: Path) -> np.ndarray:
    """Its first tab, a run that goes on, and what came of it."""
    import training_panel as tests

    stage.clear_scene()
    scans = tests.made_scans(work)
    panel = tests.new_panel(work)
    tests.choose(panel, scans)
    pictures = [grab(panel)]
    judged = tests.judged_run(work / "runs" / "a", scans, {0: 0.41, 3: 0.52}, name="Our low-field scanner")
    panel.openRun(judged.path)
    pictures.append(grab(panel))
    panel.ui.nextButton.click()
    pictures.append(grab(panel))
    stage.close_module("SIFATraining")
    return beside(*pictures)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE
    stage.load_modules()
    for dark in (False, True):
        for larger in (False, True):
            dress(dark, larger)
            kind = f"{'dark' if dark else 'light'}-{120 if larger else 100}"
            for name, picture in (("segmentation", segmentation), ("training", training)):
                with tempfile.TemporaryDirectory() as work:
                    save(folder / f"{name}-{kind}.png", picture(Path(work)))


if __name__ == "__main__":
    main()
