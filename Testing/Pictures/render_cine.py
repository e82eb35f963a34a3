"""Makes the picture of a cine in the panel, of a real study, loaded as Slicer's plug-in for image sequences does.

    python Testing/Pictures/render_cine.py [--data ../shared/data/cine_dicom/one_series] [--every 4] [--out FOLDER]

The study is a folder of one series, or with a folder for each. Only every fourth phase is loaded unless it says otherwise:
that is enough to look at. Says, too, for how long the panel did not answer at most.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "Pictures"), str(ROOT / "SIFASegmentation")]
from HeadlessSlicer import stage  # noqa: E402

WORLD = stage.start()
import slicer  # noqa: E402
from PIL import Image  # noqa: E402
from render_panels import above, beside, grab, save  # noqa: E402
from SIFALib.imaging.geometry import Geometry, Volume  # noqa: E402

WIDTH = 560  # pixels of the report's pictures
PICTURES = ROOT / "docs" / "pictures"
DATA = ROOT.parent / "shared" / "data" / "cine_dicom" / "one_series"  # Sunnybrook Cardiac Data, CC0: may be shown
POSITION, TRIGGER = "0020|0032", "0018|1060"


class Answers:
    """The longest time between two turns of the event loop, in s, and what the panel said then."""

    def __init__(self, text) -> None:
        self.worst, self.said, self._text, self._last = 0.0, "", text, time.monotonic()

    def turn(self) -> None:
        now = time.monotonic()
        if now - self._last > self.worst:
            self.worst, self.said = now - self._last, self._text()
        self._last = now


def load(folder: Path, number: int, item: int, every: int) -> slicer.vtkMRMLScalarVolumeNode:
    """A series as a sequence of slices by their numbers, every so many phases; `item`: its study in the hierarchy."""
    from SIFASegmentationLib import Sequences

    chosen = [(n, image) for n, image in enumerate(map(sitk.ReadImage, files_of(folder)), 1)]
    places = defaultdict(list)
    for n, image in chosen:
        places[image.GetMetaData(POSITION)].append((float(image.GetMetaData(TRIGGER)), n))
    kept = {n for place in places.values() for _, n in sorted(place)[::every]}
    chosen = [(n, image) for n, image in chosen if n in kept]
    slices = [(str(n), Volume(sitk.GetArrayFromImage(image), Geometry.of(image))) for n, image in chosen]
    node = Sequences.add(f"{number}: MR cine", ("instance number", ""), slices)
    sequence = Sequences.browsed(node).sequence
    sequence.SetName(node.GetName())
    for index, (_, image) in enumerate(chosen):
        sequence.GetNthDataNode(index).SetAttribute("DICOM.triggerTime", image.GetMetaData(TRIGGER))
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene).CreateItem(item, node)
    return node


def files_of(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*.dcm"))]


def watched(condition, answers: Answers) -> None:
    stage.wait_until(lambda: answers.turn() or not condition(), 1800)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--every", type=int, default=4, help="of so many phases one is loaded (default: 4)")
    arguments = parser.parse_args()
    stage.load_modules()
    widget = stage.open_module("SIFASegmentation")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Cardiac MR")
    folders = [each for each in sorted(arguments.data.iterdir()) if each.is_dir()] or [arguments.data]
    series = [load(folder, number, study, arguments.every) for number, folder in enumerate(folders, 1)]
    answers = Answers(lambda: widget.ui.cineLabel.text)
    widget.ui.inputSelector.setCurrentNode(series[0])
    watched(lambda: widget.cinePanel.looking, answers)
    print(f"{widget.ui.cineLabel.text} The panel answered within {answers.worst:.2f} s")
    answers = Answers(lambda: widget.ui.cineLabel.text)
    widget.ui.cineButton.click()
    watched(lambda: widget.cinePanel.running, answers)
    print(f"assembled; the panel answered within {answers.worst:.2f} s ({answers.said})")
    answers = Answers(lambda: widget.ui.progressLabel.text)
    began = time.monotonic()
    widget.ui.applyButton.click()
    watched(lambda: widget.runner.running, answers)
    print(f"segmented in {time.monotonic() - began:.0f} s; answered within {answers.worst:.2f} s ({answers.said})")
    answers, report = Answers(lambda: widget.ui.resultsStatusLabel.text), widget.resultsPanel.cineReport
    with tempfile.TemporaryDirectory() as folder:
        report.write(Path(folder))
        watched(lambda: report.runner.running, answers)
        print(f"reported; answered within {answers.worst:.2f} s ({answers.said})")
        widget.ui.resultsStatusLabel.text = ""
        save(arguments.out / "cine.png", beside(grab(widget), above(*of_page(Path(folder)))))


def of_page(folder: Path) -> list[np.ndarray]:
    """The pictures of a report: curves, outlines at end-diastole and at end-systole, one as wide as the other."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'base64,([^"]+)"', page)]
    return [np.asarray(each.resize((WIDTH, round(each.height * WIDTH / each.width))).convert("RGB")) for each in found]


if __name__ == "__main__":
    main()
