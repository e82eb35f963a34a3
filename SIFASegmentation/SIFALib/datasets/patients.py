"""Which scans show one heart, by what their DICOM headers say: none of them judges what another one taught.

Some anonymisers write the same name into every file. Where all say that they are of one patient, each study counts as a
heart of its own, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .dicom_parts import first_frame

MADE_ALIKE = (
    "All %d studies in %s say that they are of one patient, as anonymised ones may. Each counts as a heart of its own; if "
    'they are of one, write a list that gives them the same "heart", so that none judges what another one taught.'
)


def of_one_heart(folders: Sequence[Path], place: Path) -> tuple[Mapping[Path, str], list[str]]:
    """Of folders of DICOM series that have their heart in common with another one, the first of these, below the place they
    lie in; and what should be said. Nothing that a header holds is in either."""
    contexts = {folder: frame.context for folder in folders if (frame := first_frame(folder)) is not None}
    patients = {c.patient for c in contexts.values() if c.patient}
    studies = {c.study for c in contexts.values() if c.patient and c.study}
    alike = len(patients) == 1 and len(studies) > 1
    by_heart: dict[tuple[str, str], list[Path]] = {}
    for folder, context in contexts.items():
        known_by_name = context.patient and not alike
        heart = (context.patient, "" if known_by_name else context.study)
        if any(heart):
            by_heart.setdefault(heart, []).append(folder)
    groups = [sorted(each) for each in by_heart.values() if len(each) > 1]
    hearts = {folder: group[0].relative_to(place).as_posix() for group in groups for folder in group}
    return hearts, [MADE_ALIKE % (len(studies), place)] if alike else []
