"""Makes the pictures of the documentation: the panels, and phantom results in slice and 3D views.

    python Testing/Pictures/render_panels.py [folder]

Without a folder they go where the README shows them. Look at them before they are committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "Pictures"), str(ROOT / "SIFASegmentation")]
from HeadlessSlicer import stage  # noqa: E402

WORLD = stage.start()
from draw_icon import write_png  # noqa: E402
from HeadlessSlicer import views  # noqa: E402
from SIFALib.imaging import writing  # noqa: E402

ICONS = ROOT / "SIFASegmentation" / "Resources" / "Icons"
SCREENSHOTS = ROOT / "SIFASegmentation" / "Resources" / "Screenshots"
PANEL_WIDTH = 400
LARGEST = 200_000  # bytes of one picture


def save(path: Path, rgb: np.ndarray) -> None:
    """Write an RGB or RGBA array as PNG, in fewer colours if it would be too large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.ascontiguousarray(rgb[..., :3])
    for step in (1, 2, 4, 8, 16):
        coarse = rgb if step == 1 else np.minimum((rgb.astype(int) + step // 2) // step * step, 255)
        write_png(path, np.dstack([coarse, np.full(rgb.shape[:2], 255)]).astype(np.uint8))
        if path.stat().st_size < LARGEST:
            return


def grab(widget) -> np.ndarray:
    """What a panel looks like, as tall as it needs to be."""
    import qt

    parent = widget.parent
    parent.setFixedWidth(PANEL_WIDTH)
    parent.show()
    for _ in range(5):
        WORLD.app.processEvents()
    for _ in range(3):  # sections settle their own heights first
        parent.resize(PANEL_WIDTH, max(200, parent.layout().totalHeightForWidth(PANEL_WIDTH)))
        WORLD.app.processEvents()
    image = parent.grab().toImage().convertToFormat(qt.QImage.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    filled = np.flatnonzero((pixels != pixels[-1, -1]).any(axis=(1, 2)))
    return pixels[: min(len(pixels), filled[-1] + 14)].copy()


def beside(*pictures: np.ndarray, gap: int = 8) -> np.ndarray:
    height = max(p.shape[0] for p in pictures)
    padded = [np.pad(p, ((0, height - len(p)), (0, gap), (0, 0)), constant_values=255) for p in pictures]
    return np.concatenate(padded, axis=1)[:, :-gap]


def above(*pictures: np.ndarray, gap: int = 8) -> np.ndarray:
    return beside(*(p.transpose(1, 0, 2) for p in pictures), gap=gap).transpose(1, 0, 2)


def center_of(segmentation) -> np.ndarray:
    """RAS mm between left ventricle and left atrium: every slice through it shows several structures."""
    return np.mean([segmentation.GetSegmentCenterRAS(structure) for structure in ("LV", "LA")], axis=0)


def four_views(volume, segmentation) -> np.ndarray:
    """Axial, 3D; coronal, sagittal: as Slicer's default layout shows them."""
    center = center_of(segmentation)
    pictures = {}
    for orientation in ("Axial", "Coronal", "Sagittal"):
        view = views.SliceView(orientation, (330, 330))
        view.show(volume, center, 190.0)
        pictures[orientation] = view.picture()
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetDisplayNode().SetSegmentOpacity3D("MYO", 0.45)
    view = views.ThreeDView((330, 330))
    view.look(azimuth=-25, elevation=12, zoom=1.25)
    pictures["3D"] = view.picture()
    top = beside(pictures["Axial"], pictures["3D"], gap=4)
    return above(top, beside(pictures["Coronal"], pictures["Sagittal"], gap=4), gap=4)


def thumbnail(volume, path: Path) -> None:
    view = views.SliceView("Axial", (260, 280))
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    view.show(volume, bounds.reshape(3, 2).mean(axis=1), 230.0)
    save(path, view.picture())


def segment(widget, volume) -> None:
    widget.ui.inputSelector.setCurrentNode(volume)
    widget.ui.applyButton.click()
    stage.wait_until(lambda: not widget.runner.running, 1800)
    if widget.ui.statusLabel.text:
        raise RuntimeError(widget.ui.statusLabel.text)


def beating(widget, folder: Path) -> None:
    """A sequence: the panel at end-systole, beside the heart at end-diastole and end-systole."""
    from SIFASegmentationLib import PhantomSamples, Sequences

    stage.clear_scene()
    widget.ui.advancedCollapsibleButton.collapsed = True
    widget.ui.modelsCollapsibleButton.collapsed = True
    volume = PhantomSamples.loadBeatingPhantom()
    segment(widget, volume)
    segmentation = widget.ui.outputSelector.currentNode()
    function = widget.logic.heartFunction(segmentation)
    browser = Sequences.browsed(segmentation).browser
    center, pictures = center_of(segmentation), []
    for time in (function.end_diastole, function.end_systole):
        browser.SetSelectedItemNumber(time)
        view = views.SliceView("Axial", (330, 330))
        view.show(volume, center, 190.0)
        pictures.append(view.picture())
    save(folder / "panel-sequence.png", beside(grab(widget), above(*pictures, gap=4)))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS
    icons = Path(sys.argv[1]) if len(sys.argv) > 1 else ICONS
    stage.load_modules()
    from SIFASegmentationLib import LowFieldSamples, PhantomSamples, RealSamples

    (scan,) = LowFieldSamples.load(LowFieldSamples.SEEDS[:1])
    thumbnail(scan, icons / "SIFALowField.png")
    thumbnail(RealSamples.load()[1], icons / "SIFAShortAxis.png")
    for modality in ("mr", "ct"):
        stage.clear_scene()
        volume = PhantomSamples.loadPhantom(modality)
        thumbnail(volume, icons / f"SIFAPhantom{modality.upper()}.png")
    widget = stage.open_module("SIFASegmentation")
    widget.ui.inputSelector.setCurrentNode(volume)
    save(folder / "panel-start.png", grab(widget))
    widget.ui.applyButton.click()
    stage.wait_until(lambda: widget.ui.progressBar.value > 300 or not widget.runner.running, 1800)
    save(folder / "panel-running.png", grab(widget))
    stage.wait_until(lambda: not widget.runner.running, 1800)
    panel = grab(widget)
    save(folder / "panel-results.png", panel)
    shown = four_views(volume, widget.ui.outputSelector.currentNode())
    save(folder / "phantom-ct-views.png", shown)
    save(folder / "overview.png", beside(panel, shown))
    widget.ui.advancedCollapsibleButton.collapsed = False
    widget.ui.modelsCollapsibleButton.collapsed = False
    widget.ui.advancedCollapsibleButton.collapsed = widget.ui.modelsCollapsibleButton.collapsed = True
    beating(widget, folder)
    with tempfile.TemporaryDirectory() as work:
        render_batch(folder, widget, Path(work))


def render_batch(folder: Path, widget, work: Path) -> None:
    """The section Batch in the middle of five scans, of which one is torn."""
    from SIFALib import phantom

    scans = work / "Scans of May"
    scans.mkdir()
    for number in range(4):
        made = phantom.make(2003 + number, "ct", 3.0).image
        writing.write(made, scans / f"patient {number + 1:02d}.nrrd")
    (scans / "patient 02b.nii.gz").write_bytes(b"torn")
    widget.ui.resultsCollapsibleButton.collapsed = True
    widget.ui.batchCollapsibleButton.collapsed = False
    widget.ui.batchFolderEdit.currentPath, widget.ui.batchOutputEdit.currentPath = (
        str(scans), str(work / "Hearts of May"),
    )  # fmt: skip
    widget.ui.batchButton.click()
    stage.wait_until(lambda: widget.ui.batchBar.value > 700 or not widget.batchPanel.running, 1800)
    for edit, shown in ((widget.ui.batchFolderEdit, scans), (widget.ui.batchOutputEdit, work / "Hearts of May")):
        edit.blockSignals(True)  # shown as if it lay elsewhere than in a temporary folder
        edit.currentPath = f"D:/{shown.name}"
        edit.blockSignals(False)
    save(folder / "panel-batch.png", grab(widget))
    widget.batchPanel.stop()


if __name__ == "__main__":
    main()
