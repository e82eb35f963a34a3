"""Outlines that are being corrected: what was computed of them is brought up to date as soon as the hand rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from . import HeartFunctionNodes, Sequences

REST_MS = 150  # without a further stroke; a stroke changes an outline many times
EVENTS = ("SourceRepresentationModified", "SegmentAdded", "SegmentRemoved", "SegmentModified")


class EditFollower(VTKObservationMixin):
    """Keeps tables and chart of one result as its outlines are, whichever module is open.

    onEdited(curve) is called with the new volumes.
    """

    def __init__(self, onEdited: Callable[[HeartFunctionNodes.Curve], None]) -> None:
        super().__init__()
        self._onEdited = onEdited
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.connect("timeout()", self._update)

    def follow(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        """The outlines of that node, and no others; None: of none."""
        self._timer.stop()
        self.removeObservers()
        self._node = node
        if Sequences.result(node) is not None:
            for event in EVENTS:
                self.addObserver(node, getattr(slicer.vtkSegmentation, event), self._onModified)

    def _onModified(self, caller: Any = None, event: Any = None) -> None:
        self._timer.start()

    def _update(self) -> None:
        if Sequences.result(self._node) is not None:
            self._onEdited(HeartFunctionNodes.write(self._node))
