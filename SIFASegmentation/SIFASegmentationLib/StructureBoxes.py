"""The boxes of the structures that the chosen model can draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import qt

from . import Words

if TYPE_CHECKING:
    from SIFALib.models.structures import Structure


def offerStructures(
    frame: qt.QFrame,
    boxes: dict[str, qt.QCheckBox],
    structures: Sequence[Structure],
    excluded: Sequence[str],
    onToggled: Callable[[bool], None],
) -> None:
    """Show one box a structure in a frame, ticked but for the ids that are excluded.

    boxes: those that are there, by structure id; it is brought up to date.
    """
    if [s.id for s in structures] != list(boxes):
        for box in boxes.values():
            frame.layout().removeWidget(box)
            box.setParent(None)
            box.deleteLater()
        boxes.clear()
        for structure in structures:
            box = qt.QCheckBox(structure.name)
            box.setIcon(Words.swatch(structure.color))
            box.connect("toggled(bool)", onToggled)
            frame.layout().addWidget(box)
            boxes[structure.id] = box
    for structureId, box in boxes.items():
        box.checked = structureId not in excluded


def notOfPapers(structures: Sequence[Structure]) -> list[str]:
    """Ids of those that the SIFA papers do not report."""
    from SIFALib.models.structures import PAPERS

    reported = {s.id for s in PAPERS}
    return [s.id for s in structures if s.id not in reported]


def hasMoreThanPapers(structures: Sequence[Structure]) -> bool:
    """Whether the papers' four are among them, and others too."""
    return 0 < len(notOfPapers(structures)) < len(structures)
