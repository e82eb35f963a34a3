"""The values of label maps to the network's classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..models.structures import PAPERS, UNKNOWN, Structure, beyond, structures_of
from ..support.errors import RequestError
from .layouts import VALUES
from .settings import MMWHS, WHOLE

LARGEST = 2**53  # whole number up to which float64 holds all
MOST_NAMED = 12  # values that a message names


def parse(text: str) -> dict[str, int]:
    """`mmwhs` or another of `layouts.VALUES`, or `500=3,420=2`, or both, from a command line; RequestError says how to
    write it."""
    mapping: dict[str, int] = {}
    said: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        value, equals, label = part.partition("=")
        if part.lower() in VALUES:
            mapping.update(VALUES[part.lower()])
        elif equals and WHOLE.fullmatch(value.strip()) and re.fullmatch("[0-9]{1,3}", label.strip()):
            value = str(int(value))
            if said.setdefault(value, int(label)) != int(label):
                raise RequestError(
                    f"The label value {value} is said to be class {said[value]} and class {int(label)}; say one."
                )
            mapping[value] = int(label)
        else:
            raise RequestError(
                f"{part!r} maps no label value; write value=class, like 500=3,420=2, or, for the values of a data set, "
                f"{', '.join(VALUES)}."
            )
    return mapping


def found(labels: np.ndarray) -> tuple[int, ...] | None:
    """The values in a label map, rising; None if some are no whole numbers."""
    if np.issubdtype(labels.dtype, np.floating):
        if labels.size and not -LARGEST <= labels.min() <= labels.max() <= LARGEST:  # nor are NaN and infinity
            return None
        whole = labels.astype(np.int64)
        if (whole != labels).any():
            return None
        labels = whole
    if labels.dtype.itemsize == 1:
        counts = np.bincount(labels.view(np.uint8).ravel(), minlength=256)
        values = np.flatnonzero(counts).astype(np.uint8).view(labels.dtype)
        return tuple(sorted(int(v) for v in values))
    return tuple(int(v) for v in np.unique(labels))


def table(values: Sequence[int], mapping: Mapping[str, int], classes: int) -> dict[int, int] | None:
    """value -> class for all `values` of a map; None if one of them has none, or one that the network does not have. 0 and
    UNKNOWN mean themselves.

    Structures that a network of so many classes does not know (`structures.beyond`) are background.
    """
    known, foreign = _meanings(mapping, classes), {s.value for s in beyond(classes)}
    if not all(known.get(v) in {*range(classes), UNKNOWN, *foreign} for v in values):
        return None
    return {v: 0 if known[v] in foreign else known[v] for v in values}


def meanings(values: Sequence[int], mapping: Mapping[str, int], classes: int) -> tuple[int, ...]:
    """What each of the values is, a label of `models.structures` whether the network knows it or not; none if one is
    nothing."""
    known = _meanings(mapping, classes)
    return tuple(known[v] for v in values) if all(v in known for v in values) else ()


def left_out(values: Sequence[int], mapping: Mapping[str, int], classes: int) -> tuple[Structure, ...]:
    """The structures among the `values` that `table` makes background."""
    known = _meanings(mapping, classes)
    held = {known.get(v) for v in values}
    return tuple(s for s in beyond(classes) if s.value in held)


def _meanings(mapping: Mapping[str, int], classes: int) -> dict[int, int]:
    """value -> label, whether the network knows that or not."""
    if mapping:
        return {0: 0, UNKNOWN: UNKNOWN, **{int(value): label for value, label in mapping.items()}}
    known = {n: n for n in (*range(classes), UNKNOWN)}
    return known | ({s.value: s.value for s in beyond(classes)} if structures_of(classes) == PAPERS else {})


def mapped(labels: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """The label map as classes, uint8; `values` must name every value in it."""
    keys = np.array(sorted(values), np.int64)
    targets = np.array([values[int(k)] for k in keys], np.uint8)
    if len(keys) and keys[0] >= 0 and keys[-1] < 65536:
        lookup = np.zeros(int(keys[-1]) + 1, np.uint8)
        lookup[keys] = targets
        return lookup[labels.astype(np.uint16, copy=False)]
    return targets[np.searchsorted(keys, labels)]


def advice(values: Sequence[int], mapping: Mapping[str, int], classes: int) -> str:
    """A sentence that names the values without a class and suggests a mapping."""
    unknown = [v for v in values if table([v], mapping, classes) is None]
    names = ", ".join(map(str, unknown[:MOST_NAMED])) + (" ..." if len(unknown) > MOST_NAMED else "")
    many = len(unknown) > 1
    wrong = f"the label value{'s' if many else ''} {names} stand{'' if many else 's'} for no class"
    if all(str(v) in MMWHS or v == 0 for v in values):
        return f"{wrong}; these are MM-WHS's values: add --label-values mmwhs."
    if len(unknown) > MOST_NAMED:
        return f"{wrong}; is this a label map? If so, say with --label-values which class each value is."
    example = ",".join(f"{v}=?" for v in unknown)
    start = "".join(f"{k}={v}," for k, v in mapping.items() if int(k) not in unknown)
    return (
        f"{wrong}; add --label-values {start}{example} with a class 0 to {classes - 1} for each ?, "
        f"or {UNKNOWN} where it is not known what the voxels are."
    )
