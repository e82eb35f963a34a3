"""Results that earlier versions left in a scene are shown as they were."""

from __future__ import annotations

from segmentation_panel import add_scan, panel, run

# the line above sets the stage on which the others can be imported
# isort: split
from pathlib import Path

__all__ = ["panel"]  # the fixture
OLD_FILES = Path(__file__).resolve().parents[1] / "fixtures" / "old_files"


def test_the_report_of_version_0_3_still_says_that_the_scan_is_like_the_training_data(panel):
    panel.ui.inputSelector.setCurrentNode(add_scan())
    run(panel)
    node, sentence = panel.ui.outputSelector.currentNode(), "like what the model was trained on"
    assert sentence not in panel.ui.flagsLabel.text
    node.SetAttribute("SIFA.Report", (OLD_FILES / "scene-report-0.3.json").read_text(encoding="utf-8"))
    panel.resultsPanel.show(node)
    assert sentence in panel.ui.flagsLabel.text
