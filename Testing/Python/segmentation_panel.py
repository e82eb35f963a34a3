"""The panel of SIFASegmentation on the stage, as its tests use it."""

from __future__ import annotations

from slicer_helpers import FakeBackend, ReadyDependencies, add_volume, by_place, ijk_to_ras, stage

# the line above sets the stage on which the others can be imported
# isort: split
import numpy as np
import pytest

SHAPE = (48, 56, 64)


@pytest.fixture
def panel(tmp_path):
    """The panel in an empty scene, on a segmenter that can be predicted."""
    stage.clear_scene()
    widget = stage.open_module("SIFASegmentation")
    widget.runner.cancel()
    widget.logic.backend = FakeBackend(tmp_path, by_place)
    widget.logic.dependencies = ReadyDependencies()
    widget.enter()
    yield widget
    widget.runner.cancel()
    stage.clear_scene()


def add_scan(name: str = "Patient 7"):
    return add_volume(np.zeros(SHAPE, np.int16), ijk_to_ras(), name=name)


def run(panel) -> None:
    panel.ui.applyButton.click()
    stage.wait_until(lambda: not panel.runner.running)


def cells(table) -> list[list[str]]:
    rows, columns = range(table.rowCount), range(table.columnCount)
    return [[table.item(row, column).text() for column in columns] for row in rows]
