"""References: what the authors' code computed, at which places, and how far ours may be off.

The full set of golden vectors is read by the loaders of `full_set.py`; the subset beside this file holds the same at fewer
places, so that the tests need nothing else.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import recipe

FOLDERS = {"tmi2020": "v2", "aaai2019": "v1"}  # variant -> folder of the full set

Parts = dict[str, np.ndarray]


@dataclass(frozen=True)
class Reference:
    """What the authors' code computes: values at flat positions (None: all); the array's largest |value|.

    direction: only the direction of the array counts; the deviation is then 1 - the cosine. For single gradients, whose
    values rounding noise spreads.
    """

    values: np.ndarray
    positions: np.ndarray | None
    scale: float
    direction: bool = False

    def deviation(self, ours: np.ndarray) -> float:
        flat = np.asarray(ours, np.float64).ravel()
        if self.positions is not None:
            flat = flat[self.positions]
        if flat.shape != self.values.shape:
            raise ValueError(f"ours has {flat.size} values, the reference has {self.values.size}")
        theirs = self.values.astype(np.float64)
        if self.direction:
            return float(1.0 - flat @ theirs / (np.linalg.norm(flat) * np.linalg.norm(theirs)))
        return float(np.max(np.abs(flat - theirs)) / self.scale)


References = dict[tuple[str, str], Reference]  # (item, part) -> reference


def of(values: object, scale: float | None = None, direction: bool = False) -> Reference:
    """A reference at all places. scale: 1 for absolute differences; by default the largest |value|."""
    array = np.asarray(values, np.float64).ravel()
    return Reference(array, None, float(np.abs(array).max()) if scale is None else scale, direction)


def probe(recorded: Mapping) -> Reference:
    """A reference at the 16 places that the full set keeps of an array too large to be stored."""
    scale = max(abs(recorded["min"]), abs(recorded["max"]))
    return Reference(np.array(recorded["val"]), np.array(recorded["idx"]), scale)


@dataclass(frozen=True)
class Row:
    """One line of the comparison: the item, its part that is off most, by how much, how much is allowed."""

    variant: str
    item: str
    worst: str
    parts: int
    deviation: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.deviation <= self.tolerance


def compare(
    variant: str, computed: Iterable[tuple[str, Parts]], references: References, tolerances: Mapping[str, float]
) -> Iterator[Row]:
    """Hold every computed (item, parts) against the references, item by item.

    Raises ValueError if a reference is never met, so that nothing is left out silently.
    """
    open_parts = set(references)
    for item, parts in computed:
        deviations = {}
        for part, ours in parts.items():
            if (item, part) in references:
                deviations[part] = references[item, part].deviation(ours)
                open_parts.discard((item, part))
        if deviations:
            worst = max(deviations, key=lambda part: (np.isnan(deviations[part]), deviations[part]))
            yield Row(variant, item, worst, len(deviations), deviations[worst], tolerances[item])
    if open_parts:
        raise ValueError(f"{variant}: nothing was computed for {sorted(open_parts)[:5]} ...")


def write_subset(references: References, path: Path, places: int = 1500, fewer: Mapping[str, int] = {}) -> None:
    """Keep each reference at up to ``places`` places, spread at random but the same every time.

    ``fewer``: other limits, by item. What counts as a direction is kept whole.
    """
    keys, scales, values, positions = [], [], [], []
    for (item, part), reference in references.items():
        size = reference.values.size
        where = np.arange(size) if reference.positions is None else reference.positions
        limit = size if reference.direction else fewer.get(item, places)
        chosen = np.sort(recipe.stream(f"{item}|{part}").permutation(size)[:limit])
        keys.append(f"{item}|{part}|{len(chosen)}|{int(reference.direction)}")
        scales.append(reference.scale)
        values.append(reference.values[chosen].astype(np.float32))
        positions.append(where[chosen].astype(np.int32))
    arrays = {
        "keys": np.array(keys),
        "scales": np.array(scales),
        "values": np.concatenate(values),
        "positions": np.concatenate(positions),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def subset(name: str) -> References:
    """The references that the file `name`.npz beside this one keeps."""
    kept = np.load(Path(__file__).with_name(f"{name}.npz"))
    values, positions = kept["values"], kept["positions"]
    references: References = {}
    start = 0
    for key, scale in zip(kept["keys"].tolist(), kept["scales"].tolist(), strict=True):
        item, part, count, direction = key.split("|")
        here = slice(start, start + int(count))
        references[item, part] = Reference(values[here], positions[here], scale, direction == "1")
        start = here.stop
    return references
