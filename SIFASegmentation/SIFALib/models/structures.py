"""The structures that SIFA segments: label value, name, colour and SNOMED CT code.

Label values follow the SIFA papers (1 LV myocardium, 2 LA blood, 3 LV blood, 4 ascending aorta); what MM-WHS labels
besides comes after them (5 RV blood with its trabeculae, 6 RA blood, 7 pulmonary artery).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..support.errors import RequestError


@dataclass(frozen=True)
class Code:
    """A coded concept, as in DICOM: coding scheme designator, code value, code meaning."""

    scheme: str
    value: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


UNKNOWN = 255  # label value of voxels whose truth is not known: they belong to no class and teach nothing
LONGEST_NAME = 64  # characters that DICOM allows for a name (PS3.5, VR LO)
ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")


@dataclass(frozen=True)
class Structure:
    """One segment: `value` in a label map, short `id`, display `name`, `color` as RGB 0..255, and its codes."""

    value: int
    id: str
    name: str
    color: tuple[int, int, int]
    type: Code
    category: Code = ANATOMICAL_STRUCTURE

    def terminology_tag(self) -> str:
        """The value of Slicer's segment tag `TerminologyEntry`: contexts, category, type and no modifiers."""
        return (
            f"Segmentation category and type - DICOM master list~{self.category}~{self.type}~^^"
            "~Anatomic codes - DICOM master list~^^~^^"
        )

    def tags(self, model: str = "") -> dict[str, str]:
        """Slicer's tags of the segment, in its order: the codes, and that `model` (id@version) made it.

        Slicer's DICOM export takes a segment that does not say how it was made for drawn by hand.
        """
        made_by = {
            "DICOM.SegmentAlgorithmName": f"SIFA {model}"[:LONGEST_NAME],
            "DICOM.SegmentAlgorithmType": "AUTOMATIC",
        }
        return (made_by if model else {}) | {"TerminologyEntry": self.terminology_tag()}


# SNOMED CT as in DICOM PS3.16 (and Slicer's master list): all of CID 7192 but 49848007, which is of CID 12305; no type
# modifier belongs to any of them, each is of one side already, and the pulmonary artery is the whole tree's trunk.
PAPERS = (
    Structure(
        1, "MYO", "Left ventricular myocardium", (192, 104, 88), Code("SCT", "49848007", "Left ventricle myocardium")
    ),
    Structure(2, "LA", "Left atrium", (84, 178, 120), Code("SCT", "82471001", "Left atrium")),
    Structure(3, "LV", "Left ventricle", (74, 122, 214), Code("SCT", "87878005", "Left ventricle")),
    Structure(4, "AA", "Ascending aorta", (236, 190, 64), Code("SCT", "54247002", "Ascending aorta")),
)
"""The four that the SIFA papers segment and report."""
PAPERS_GROUP = "papers"  # what a person writes for all of these

STRUCTURES = (
    *PAPERS,
    Structure(5, "RV", "Right ventricle", (166, 96, 186), Code("SCT", "53085002", "Right ventricle")),
    Structure(6, "RA", "Right atrium", (104, 200, 210), Code("SCT", "73829009", "Right atrium")),
    Structure(7, "PA", "Pulmonary artery", (226, 142, 176), Code("SCT", "81040000", "Pulmonary artery")),
)
"""All seven, as MM-WHS labels them."""


def structures_of(classes: int) -> tuple[Structure, ...]:
    """What the classes 1, 2, ... of a network are taken for: the papers' four, all seven, or, of another number, no known
    ones."""
    for known in (PAPERS, STRUCTURES):
        if classes == len(known) + 1:
            return known
    tissue = Code("SCT", "85756007", "Body tissue structure")
    colours = [s.color for s in STRUCTURES]
    return tuple(
        Structure(n, f"C{n}", f"Class {n}", colours[(n - 1) % len(colours)], tissue) for n in range(1, classes)
    )


def structure_name(value: int) -> str:
    """What the label value of a structure is called within a sentence; "structure N" for one that is none of the seven."""
    return next((s.name.lower() for s in STRUCTURES if s.value == value), f"structure {value}")


def beyond(classes: int) -> tuple[Structure, ...]:
    """Structures that a network of so many classes was not taught, though it is known what they are: to it they are
    background. Of fewer classes than all seven those that the papers do not have."""
    return tuple(s for s in STRUCTURES[len(PAPERS) :] if s.value >= classes)


def chosen(ids: Iterable[str], structures: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """Those of the structures that are named, in their order; the name PAPERS_GROUP stands for the papers' four.

    RequestError for one that is not among them.
    """
    names = [name.strip() for name in ids]
    groups = [[s.id for s in PAPERS] if name.lower() == PAPERS_GROUP else [name] for name in names]
    named = {structure_by_id(name, structures) for group in groups for name in group}
    return tuple(s for s in structures if s in named)


def structure_by_id(structure_id: str, structures: tuple[Structure, ...] = STRUCTURES) -> Structure:
    """The structure of that id, in any case; RequestError names the ones that exist."""
    for structure in structures:
        if structure.id.lower() == structure_id.strip().lower():
            return structure
    known = ", ".join(s.id for s in structures)
    raise RequestError(f"There is no structure {structure_id!r}; choose from {known}.")
