"""Whether the lengths in the header of a NRRD or MetaImage file are millimetres, and agree with each other.

ITK takes every length for one in mm, whatever unit the header states, and passes over the ends of a NRRD's axes ("axis
mins", "axis maxs"), by which other programs reckon the voxels' size. NRRD: teem's "Definition of NRRD File Format".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ..support.errors import VolumeError

MM = {"mm", "millimeter", "millimeters", "millimetre", "millimetres"}
UNSTATED = {"", "?", "???", "none", "unknown"}
SPACE_AXES = 3
SPACE_KINDS = {"domain", "space", *UNSTATED}
SAME_SPACING = 1e-3  # of a voxel's size, by which both ways to state it may differ: programs round them


def check_lengths(path: object, fields: Mapping[str, str], nrrd: bool) -> None:
    """Raise VolumeError unless every length that the fields of a sound header state can be taken for mm."""
    stated = _nrrd_units(fields) if nrrd else [("DistanceUnits", fields.get("distanceunits", ""))]
    for field, unit in stated:
        if unit.strip().lower() not in MM | UNSTATED:
            raise VolumeError(
                f"{path} states its lengths in {unit[:20]!r} ({field}), and only mm can be read; save it again in mm."
            )
    if nrrd:
        _check_ends(path, fields)


def _nrrd_units(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """(field, unit) of what lies in space."""
    of_space = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))[:SPACE_AXES]
    of_axes = re.findall(r'"([^"]*)"', fields.get("units", ""))
    named = [("units", of_axes[axis]) for axis in space_axes(fields) if axis < len(of_axes)]
    return [*(("space units", unit) for unit in of_space), *named]


def space_axes(fields: Mapping[str, str]) -> list[int]:
    """The axes of the voxels that lie in space: by their kinds, else by their directions, else the first three."""
    kinds = fields.get("kinds", "").lower().split()
    if kinds:
        return [axis for axis, kind in enumerate(kinds) if kind in SPACE_KINDS]
    directions = re.findall(r"\([^)]*\)|none", fields.get("spacedirections", ""), re.IGNORECASE)
    axes = [axis for axis, direction in enumerate(directions) if direction.lower() != "none"]
    return axes or list(range(min(int(fields["dimension"]), SPACE_AXES)))


def _check_ends(path: object, fields: Mapping[str, str]) -> None:
    """VolumeError if the ends of an axis say another size of voxels than its spacing, which is 1 where it is not stated.

    An axis of n voxels is n of them long where its ends are those of the outer voxels, n - 1 where they are their centres.
    """
    sizes = [int(size) for size in fields["sizes"].split()]
    lows, highs, spacings = (_numbers(fields, name, len(sizes)) for name in ("axismins", "axismaxs", "spacings"))
    for axis in space_axes(fields):
        count, length = sizes[axis], highs[axis] - lows[axis]
        spacing = 1.0 if "spacings" not in fields else spacings[axis]
        lengths = [n * spacing for n in (count, count - 1)]
        if math.isfinite(length) and not any(abs(length - each) <= SAME_SPACING * abs(each) for each in lengths):
            raise VolumeError(
                f"{path} says of its axis {axis + 1} that {count} voxels of {spacing:g} mm reach from {lows[axis]:g} to "
                f"{highs[axis]:g} mm (axis mins, axis maxs), which contradict each other. Mend its header."
            )


def _numbers(fields: Mapping[str, str], name: str, count: int) -> list[float]:
    """A number for each axis; NaN where none is stated."""
    return [float(number) for number in fields[name].split()] if name in fields else [math.nan] * count
