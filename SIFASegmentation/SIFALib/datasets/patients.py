"""Which scans show one heart, by what their DICOM headers say: none of them judges what another one taught.

Some anonymisers write the same name into every file. Where all say that they are of one patient, each study counts as a
heart of its own, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .dicom_parts import first_frame

MADE_ALIKE = (
    "All %d studies in %s say that they are of one patient, as anonymised ones may. Each counts as a heart of its own; if "
    'they are of one, write a list that gives them the same "heart", so that none judges what another one taught.'
)


Scan = TypeVar("Scan")


def by_heart(contexts: Mapping[Scan, tuple[str, str]]) -> tuple[list[list[Scan]], bool]:
    """Those of scans, each of a (patient, study), that have their heart in common with another one; "" is not known.

    And whether all studies, of which there are several, say that they are of one patient: each is a heart then.
    """
    patients = {patient for patient, _ in contexts.values() if patient}
    alike = len(patients) == 1 and len({study for patient, study in contexts.values() if patient and study}) > 1
    groups: dict[tuple[str, str], list[Scan]] = {}
    for scan, (patient, study) in contexts.items():
        heart = (patient, "" if patient and not alike else study)
        if any(heart):
            groups.setdefault(heart, []).append(scan)
    return [group for group in groups.values() if len(group) > 1], alike


def of_one_heart(folders: Sequence[Path], place: Path) -> tuple[Mapping[Path, str], list[str]]:
    """Of folders of DICOM series that have their heart in common with another one, the first of these, below the place they
    lie in; and what should be said. Nothing that a header holds is in either."""
    contexts = {folder: frame.context for folder in folders if (frame := first_frame(folder)) is not None}
    groups, alike = by_heart({folder: (c.patient, c.study) for folder, c in contexts.items()})
    hearts = {folder: min(group).relative_to(place).as_posix() for group in groups for folder in group}
    studies = {c.study for c in contexts.values() if c.patient and c.study}
    return hearts, [MADE_ALIKE % (len(studies), place)] if alike else []
