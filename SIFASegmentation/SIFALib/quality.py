"""What can be told about a segmentation without the truth: volumes, and flags where it cannot be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .structures import STRUCTURES, Structure
from .volume import Volume

SIZEABLE_ML = 2.0  # a second piece of at least this volume is no speck
LARGEST_SHARE = 0.95  # of a structure's volume that its largest piece must hold

PLAUSIBLE_ML = {
    # Limits beyond which the outline is wrong more likely than the heart is odd: adults, any phase of the
    # beat, from below the least normal value (mean - 2 SD) to the largest hearts seen in practice.
    # Normal values, mean (SD). LV: end-systole of women 42 (12) ml, end-diastole of men 160 (29) ml;
    # LA: least of women 89 - 48 = 41 ml, most of men 103 (30) ml: Hudsmith et al., J Cardiovasc Magn Reson
    # 7:775 (2005).
    "LV": (15.0, 500.0),
    "LA": (12.0, 400.0),
    # LV mass: women 98 (21) g, men 134 (21) g, divided by 1.05 g/ml: Kawel-Boehm et al., J Cardiovasc Magn
    # Reson 17:29 (2015); hypertrophied hearts reach three times that.
    "MYO": (30.0, 450.0),
    # A tube of 33 (4) mm (Wolak et al., JACC Cardiovasc Imaging 1:200 (2008)) and 50 to 110 mm holds 43 to
    # 94 ml; scans often cut its upper end off, aneurysms of 60 mm hold 300 ml.
    "AA": (8.0, 300.0),
}


@dataclass(frozen=True)
class Flag:
    """A reason to look twice. kind: "empty", "fragments" or "volume"; message: a sentence for the user."""

    structure_id: str
    kind: str
    message: str


def volumes_ml(labels: Volume, structures: Sequence[Structure] = STRUCTURES) -> dict[str, float]:
    """Millilitres of each structure in a label map, by structure id."""
    counts = np.zeros(256, np.int64)
    for plane in labels.array:  # plane by plane: bincount takes eight bytes a voxel
        counts += np.bincount(plane.ravel(), minlength=256)
    return {s.id: float(counts[s.value] * labels.geometry.voxel_ml) for s in structures}


def flags(labels: Volume, structures: Sequence[Structure] = STRUCTURES) -> tuple[Flag, ...]:
    """What speaks against a label map: missing structures, pieces, volumes that no adult heart has."""
    found = []
    for structure in structures:
        sizes = component_sizes(labels.array == structure.value) * labels.geometry.voxel_ml
        found += _flags_of(structure, sizes, float(sizes.sum()))
    return tuple(found)


def keep_largest(
    labels: Volume, structures: Sequence[Structure] = STRUCTURES
) -> tuple[Volume, tuple[Flag, ...]]:
    """The label map with the largest piece of each structure only, and what speaks against it.

    Pieces are judged as they were drawn, volumes as they are kept: flags and volumes of the result agree.
    """
    kept = np.zeros_like(labels.array)
    found = []
    for structure in structures:
        pieces, box = _components(labels.array == structure.value)
        counts = np.bincount(pieces.ravel(), minlength=1)[1:]
        if len(counts):
            kept[box][pieces == 1 + np.argmax(counts)] = structure.value
        sizes = np.sort(counts)[::-1] * labels.geometry.voxel_ml
        found += _flags_of(structure, sizes, float(sizes[0]) if len(sizes) else 0.0)
    return Volume(kept, labels.geometry, labels.name), tuple(found)


def _flags_of(structure: Structure, sizes: np.ndarray, volume_ml: float) -> list[Flag]:
    """`sizes`: ml of the structure's pieces, largest first; `volume_ml`: what counts as its volume."""
    total = float(sizes.sum())
    if total == 0:
        return [
            Flag(
                structure.id, "empty", f"{structure.name}: nothing was found; check that the scan covers it."
            )
        ]
    found = []
    share = float(sizes[0]) / total
    pieces = int((sizes >= min(SIZEABLE_ML, (1 - LARGEST_SHARE) * total)).sum())
    if (len(sizes) > 1 and sizes[1] >= SIZEABLE_ML) or share < LARGEST_SHARE:
        what = f"{max(pieces, 2)} pieces" if pieces > 1 else "many small pieces"
        part = f"the largest holds {100 * share:.0f} % of it"
        message = f"{structure.name}: drawn in {what}, {part}; check the outline."
        found.append(Flag(structure.id, "fragments", message))
    low, high = PLAUSIBLE_ML.get(structure.id, (0.0, np.inf))
    if not low <= volume_ml <= high:
        small = volume_ml < low
        than = f"less than the {low:.0f} ml" if small else f"more than the {high:.0f} ml"
        end = "check the outline, and whether the scan cuts it off." if small else "check the outline."
        message = f"{structure.name}: {volume_ml:.0f} ml is {than} that can be expected of an adult; {end}"
        found.append(Flag(structure.id, "volume", message))
    return found


def component_sizes(mask: np.ndarray) -> np.ndarray:
    """Voxels of the connected pieces of a mask, largest first; voxels that share a corner are connected."""
    pieces, _ = _components(mask)
    return np.sort(np.bincount(pieces.ravel())[1:])[::-1] if pieces.size else np.zeros(0, np.int64)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask, as a mask; of several as large, the first in memory order."""
    result = np.zeros_like(mask, dtype=bool)
    pieces, box = _components(mask)
    if pieces.size:
        result[box] = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return result


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest block of array indices that holds the whole mask; empty slices for an empty mask."""
    ends = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        ends.append(slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0))
    return tuple(ends)


def _components(mask: np.ndarray) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Numbered pieces (0: none) in the bounding box of the mask, and that box; size 0 for an empty mask."""
    from skimage.measure import label

    box = bounding_box(mask)
    part = mask[box]
    return label(part, connectivity=mask.ndim) if part.size else np.zeros(part.shape, np.int64), box
