"""The segments of a segmentation that 3D Slicer saved, by what they are called and coded: the values are anybody's.

A .seg.nrrd names each segment, says its terminology, the value of its voxels and the layer that they lie in (Slicer's
developer guide, "Segmentations"). Segment 1 is what was drawn first, and no more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..models.structures import STRUCTURES, Structure
from ..support.errors import VolumeError
from .geometry import Volume
from .reading import read_layers

_SAME = {"ventricular": "ventricle", "atrial": "atrium", "myo": "myocardium", "trunk": "artery"}
_SAYS_NOTHING = {"heart", "cardiac", "blood", "pool", "bloodpool", "cavity", "chamber", "of", "the"}
_WORDS = {
    frozenset(words.split()): structure
    for words, structure in (
        *((words, "MYO") for words in ("myocardium", "left ventricle myocardium", "lv myocardium", "mlv")),
        *((words, "LA") for words in ("la", "left atrium")),
        *((words, "LV") for words in ("lv", "lvc", "left ventricle")),
        *((words, "AA") for words in ("aa", "ascending aorta")),
        *((words, "RV") for words in ("rv", "rvc", "right ventricle")),
        *((words, "RA") for words in ("ra", "right atrium")),
        *((words, "PA") for words in ("pa", "pulmonary artery", "main pulmonary artery")),
    )
}
"""What structures are called in data sets, as sets of words. Not "aorta": that is all of it, down to the legs."""


@dataclass(frozen=True)
class Segments:
    """labels: the value of each structure (`models.STRUCTURES`), uint8. overlap: voxels of several, which the later has.
    meanings: value in the file -> that of the structure, of those with voxels; none of a file in layers, where one
    value may be several structures."""

    labels: Volume
    overlap: int
    meanings: Mapping[int, int] = field(default_factory=dict)


def read_segments(path: str | os.PathLike[str]) -> Segments | None:
    """The structures in a segmentation; None if the file names no segments at all.

    Raises VolumeError, which names the segment, for one with voxels that is no structure that is known, and what
    `reading.read` raises.
    """
    layers, fields = read_layers(path)
    if "Segment0_ID" not in fields:
        return None
    labels = np.zeros(layers[0].geometry.shape, np.uint8)
    overlap, number, meanings = 0, 0, {0: 0}
    while f"Segment{number}_ID" in fields:
        prefix = f"Segment{number}_"
        value, layer = (_whole(path, fields, prefix + key, least) for key, least in (("LabelValue", 1), ("Layer", 0)))
        if layer >= len(layers):
            raise VolumeError(f"{path}: its segment {number} lies in layer {layer}, of {len(layers)}; it is damaged.")
        inside = layers[layer].array == value
        if inside.any():
            structure = structure_of(fields, prefix, path)
            overlap += int(np.count_nonzero(labels[inside] & (labels[inside] != structure.value)))
            labels[inside] = structure.value
            meanings[value] = structure.value
        number += 1
    _check_all_named(path, [layer.array for layer in layers], fields, number)
    volume = Volume(labels, layers[0].geometry, layers[0].name, layers[0].source)
    return Segments(volume, overlap, meanings if len(layers) == 1 else {})


def structure_of(fields: dict[str, str], prefix: str, path: str | os.PathLike[str]) -> Structure:
    """Which structure a segment is, by its terminology's code or its name or id. VolumeError if none, or two."""
    name, identity = fields.get(f"{prefix}Name", ""), fields.get(f"{prefix}ID", "")
    tag = re.search(r"TerminologyEntry:[^~|]*~[^~|]*~([^~|^]*)\^([^~|^]*)", fields.get(f"{prefix}Tags", ""))
    by_code = next((s for s in STRUCTURES if tag and tag[2] == s.type.value), None)
    by_name = named(name) or named(identity)
    value = fields.get(f"{prefix}LabelValue", "1")
    if by_code and by_name and by_code != by_name:
        raise VolumeError(
            f"{path}: its segment {name!r} is coded as {by_code.name}; rename it or choose another terminology in 3D "
            f"Slicer, or say with --label-values {value}=? which it is."
        )
    found = by_code or by_name
    if found is None:
        known = ", ".join(s.name for s in STRUCTURES)
        raise VolumeError(
            f"{path}: its segment {name or identity!r} is none of {known}; rename it in 3D Slicer if it is, delete it if "
            f"not, or say with --label-values {value}=? which class the value is, 0 for background."
        )
    return found


def named(text: str) -> Structure | None:
    """The structure that is called so, in one of the usual ways; None for anything else."""
    words = re.findall("[a-z]+|[0-9]+", text.lower())
    key = frozenset(_SAME.get(word, word) for word in words) - _SAYS_NOTHING
    structure_id = _WORDS.get(key)
    return next((s for s in STRUCTURES if s.id == structure_id), None)


def _whole(path: str | os.PathLike[str], fields: dict[str, str], key: str, least: int) -> int:
    text = fields.get(key, str(least)).strip()
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        raise VolumeError(f"{path}: {key} is {text[:40]!r}, no number that it could be; the segmentation is damaged.")
    return int(text)


def _check_all_named(
    path: str | os.PathLike[str], layers: list[np.ndarray], fields: dict[str, str], count: int
) -> None:
    """VolumeError for voxels of a value that no segment has: what they are is not known."""
    for number, layer in enumerate(layers):
        known = {0} | {
            _whole(path, fields, f"Segment{n}_LabelValue", 1)
            for n in range(count)
            if _whole(path, fields, f"Segment{n}_Layer", 0) == number
        }
        foreign = sorted({v.item() for v in np.unique(layer)} - known)
        if foreign:
            raise VolumeError(f"{path} has voxels of the value {foreign[0]:g}, which is no segment's; save it again.")
