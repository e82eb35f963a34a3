"""What can be told about a segmentation without the truth: volumes, and flags where it cannot be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..imaging.components import bounding_box
from ..imaging.geometry import Geometry, Volume
from ..models.structures import PAPERS, Structure
from .joint_components import joint_components

# Strays are not kept, so that a few of them are no reason to look twice.
SIZEABLE_ML, SIZEABLE_SHARE = 5.0, 0.05  # a second component of at least this volume, and share of all, is no speck
VENTRICLES = ("MYO", "LV", "RV")  # what a short-axis stack is made to show
STACK_MM = 5.0  # slices so thick, or so far apart, are a stack
STACK_SHARE = 0.8  # the same as the next in a stack: 15 of 80 good results on real ones had less than 0.9
LARGEST_SHARE = 0.9  # of a structure's volume that what is kept of it must hold
CUT_MM2 = 100.0  # of a structure's surface on the edge of the scan: so much is no graze, the scan cuts it off
WHOLE_MM = 60.0  # a scan that is thinner than this in any direction cannot show a whole heart
HEART = ("MYO", "LA", "LV")  # where one of these is cut off, its neighbours may lie beyond the edge

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
    # RV: end-systole of women 56 (18) ml, end-diastole of men 190 (33) ml: Hudsmith et al., as above; one that leaks or
    # works against pressure reaches two to three times that.
    "RV": (18.0, 600.0),
    # RA at its largest: women 69 (17) ml, men 93 (27) ml, and half of it is emptied: Petersen et al., J Cardiovasc Magn
    # Reson 19:18 (2017); of atrial fibrillation and tricuspid regurgitation four times that.
    "RA": (12.0, 450.0),
    # A trunk of 25 (3) mm (Truong et al., Circ Cardiovasc Imaging 5:147 (2012)) and 40 to 60 mm holds 20 to 30 ml, with
    # both its branches twice that; under pressure it is as wide as an aneurysm of the aorta.
    "PA": (6.0, 300.0),
}

REMARKS = ("cut",)


@dataclass(frozen=True)
class Flag:
    """What a person should know of a result; message: a sentence for the user, structure_id: "" for the whole result.

    kind: "empty", "fragments", "volume", "modality" (in doubt whether CT or MR), and those of out_of_distribution.py
    ("unfamiliar", "places", "mirrored", "contrast", "little", "scale"), are reasons to look twice; "cut" is none: the
    scan's edge cuts it off, what is shown may be right.
    """

    structure_id: str
    kind: str
    message: str

    @property
    def warns(self) -> bool:
        """Whether it speaks against the result."""
        return self.kind not in REMARKS

    def record(self) -> dict[str, Any]:
        """The flag for JSON."""
        return {"structure": self.structure_id, "kind": self.kind, "warns": self.warns, "message": self.message}


def volumes_ml(labels: Volume, structures: Sequence[Structure] = PAPERS) -> dict[str, float]:
    """Millilitres of each structure in a label map, by structure id."""
    counts = np.zeros(256, np.int64)
    for plane in labels.array:  # plane by plane: bincount takes eight bytes a voxel
        counts += np.bincount(plane.ravel(), minlength=256)
    return {s.id: float(counts[s.value] * labels.geometry.voxel_ml) for s in structures}


def without_strays(
    labels: Volume, structures: Sequence[Structure] = PAPERS, inside: np.ndarray | None = None
) -> tuple[Volume, tuple[Flag, ...]]:
    """The label map without stray components, and what speaks against it.

    Which components stay, `joint_components` says. Fragments are told as they were drawn, volumes as they are kept: those of
    this grid, of which the result's own differ a little. `inside`: which voxels the scan (or the region of interest) shows,
    where the label map reaches beyond it; None: all.
    """
    kept = np.zeros_like(labels.array)
    extents = []
    thin = _is_thin(labels.geometry, inside)
    for structure, parts in zip(structures, joint_components(labels, structures, thin), strict=True):
        counts = np.zeros(0)
        if parts.kept.any():
            kept[parts.box][parts.mask(parts.kept)] = structure.value
            strays = np.sort(parts.counts[~parts.kept])[::-1]
            counts = np.concatenate([[parts.counts[parts.kept].sum()], strays])
        mask, voxel_ml = kept == structure.value, labels.geometry.voxel_ml
        cut = _contact_mm2(mask, labels.geometry, inside) >= CUT_MM2
        extents.append(_Extent(counts * voxel_ml, float(np.count_nonzero(mask) * voxel_ml), cut))
    return Volume(kept, labels.geometry, labels.name), _flags(
        structures, extents, thin, max(labels.geometry.spacing) >= STACK_MM
    )


@dataclass(frozen=True)
class _Extent:
    """One structure: ml of what is kept as one, then of its stray components, largest first; ml of what is kept; and
    whether the edge of the scan cuts that off."""

    sizes: np.ndarray
    volume_ml: float
    cut: bool


def _flags(structures: Sequence[Structure], extents: Sequence[_Extent], thin: bool, stack: bool) -> tuple[Flag, ...]:
    pairs = list(zip(structures, extents, strict=True))
    heart_cut = any(e.cut and e.volume_ml <= PLAUSIBLE_ML[s.id][1] for s, e in pairs if s.id in HEART)
    partial = thin or heart_cut
    told: list[Flag | None] = []
    for structure, extent in pairs:
        if not len(extent.sizes):
            told.append(_missing(structure, partial))
            continue
        if stack:
            told.append(_in_fragments_of_a_stack(structure, extent.sizes))
        elif not partial or extent.volume_ml >= PLAUSIBLE_ML.get(structure.id, (0.0, 0.0))[0]:
            told.append(_in_fragments(structure, extent.sizes))
        told.append(_of_volume(structure, extent, partial))
    return tuple(flag for flag in told if flag is not None)


def _missing(structure: Structure, partial: bool) -> Flag:
    if partial:
        end = "the scan shows only a part of the heart and may not reach it."
        return Flag(structure.id, "cut", f"{structure.name}: nothing was found; {end}")
    return Flag(structure.id, "empty", f"{structure.name}: nothing was found; check that the scan covers it.")


def _in_fragments_of_a_stack(structure: Structure, sizes: np.ndarray) -> Flag | None:
    """A stack of thick slices grazes all but the ventricles, which then come in pieces; strays of these elsewhere in its
    slices are left out, and speak against the rest only where they are many."""
    many = float(sizes[0]) < STACK_SHARE * float(sizes.sum())
    return _told_of(structure, sizes) if many and structure.id in VENTRICLES else None


def _in_fragments(structure: Structure, sizes: np.ndarray) -> Flag | None:
    total = float(sizes.sum())
    second = float(sizes[1]) if len(sizes) > 1 else 0.0
    if second < max(SIZEABLE_ML, SIZEABLE_SHARE * total) and sizes[0] >= LARGEST_SHARE * total:
        return None
    return _told_of(structure, sizes)


def _told_of(structure: Structure, sizes: np.ndarray) -> Flag:
    total = float(sizes.sum())
    share = float(sizes[0]) / total
    sizeable = int((sizes >= min(SIZEABLE_ML, (1 - LARGEST_SHARE) * total)).sum())
    what = f"{max(sizeable, 2)} pieces" if sizeable > 1 else "many small pieces"
    part = f"the largest holds {100 * share:.0f} % of it"
    return Flag(structure.id, "fragments", f"{structure.name}: drawn in {what}, {part}; check the outline.")


def _of_volume(structure: Structure, extent: _Extent, partial: bool) -> Flag | None:
    """Too small or too large; of what is cut off, or where only a part of the heart is shown, only too large can be told."""
    low, high = PLAUSIBLE_ML.get(structure.id, (0.0, np.inf))
    ml = extent.volume_ml
    if ml <= high and (extent.cut or (partial and ml < low)):
        end = "the edge of the scan cuts it off; its volume is that of what is shown."
        return Flag(structure.id, "cut", f"{structure.name}: {end}")
    if low <= ml <= high:
        return None
    what, limit = ("more", high) if ml > high else ("less", low)
    expected = f"{what} than the {limit:.0f} ml that can be expected of an adult"
    return Flag(structure.id, "volume", f"{structure.name}: {ml:.0f} ml is {expected}; check the outline.")


def _contact_mm2(mask: np.ndarray, geometry: Geometry, inside: np.ndarray | None) -> float:
    """Area of a mask's surface beyond which there is nothing: the end of the array, or what is not `inside`."""
    box = bounding_box(mask)
    if not mask[box].size:
        return 0.0
    wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    pads = [(int(s.start == 0), int(s.stop >= n)) for s, n in zip(box, mask.shape, strict=True)]
    body = np.pad(mask[wide], pads)
    beyond = ~np.pad(np.ones(mask[wide].shape, bool) if inside is None else inside[wide], pads)
    area = 0.0
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        one, other = tuple(low), tuple(high)
        faces = np.count_nonzero(body[one] & beyond[other]) + np.count_nonzero(body[other] & beyond[one])
        area += faces * geometry.voxel_ml * 1000.0 / geometry.spacing[2 - axis]
    return area


def _is_thin(geometry: Geometry, inside: np.ndarray | None) -> bool:
    """Whether what is shown is too thin, in some direction, for a whole heart."""
    extent = list(geometry.extent_mm)
    if inside is not None:
        box = bounding_box(inside)
        extent = [(box[2 - axis].stop - box[2 - axis].start) * geometry.spacing[axis] for axis in range(3)]
    return min(extent) < WHOLE_MM
