"""Whether the header of a NRRD or MetaImage file says where its voxels lie, once, and so that ITK takes it as it is meant.

ITK takes what is not stated for 1 mm and for axes from right to left, front to back, feet to head, and every space that it
does not know for that of DICOM. NRRD: teem's "Definition of NRRD File Format"; MetaImage: "MetaIO" of ITK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..support.errors import VolumeError
from .header_lengths import SPACE_AXES, space_axes

TURNED = ("right-anterior-superior-time", "rast", "left-anterior-superior-time", "last")
"""Spaces with an axis of time, whose others ITK takes for left, posterior, superior."""

KNOWN = ("right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior", "lps")
LPS_TIME = ("left-posterior-superior-time", "lpst")
META_ORIGINS = ("offset", "position", "origin")
META_AXES = ("transformmatrix", "rotation", "orientation")
NO_SIZE = (
    "{} does not state how large its voxels are: 1 mm was taken. All volumes and lengths hang on that; mend its header, or "
    "check it before you use the result."
)
NO_SIDES = (
    "{} does not say how its axes lie in the patient: they were taken as in DICOM (to the left, to the back, up). Check the "
    "sides before you use the result."
)


def notes_on_place(path: object, fields: Mapping[str, str], nrrd: bool) -> tuple[str, ...]:
    """Sentences on what a sound header leaves open of the place of its voxels."""
    if nrrd:
        turned = "spacedirections" in fields
        sized = turned or "axismins" in fields or _has_spacings(fields)
        sided = turned and fields.get("space", "").lower() in (*KNOWN, *LPS_TIME)
    else:
        sized = "elementspacing" in fields or "elementsize" in fields
        sided = any(key in fields for key in META_AXES)
    return (*([] if sized else [NO_SIZE.format(path)]), *([] if sided else [NO_SIDES.format(path)]))


def _has_spacings(fields: Mapping[str, str]) -> bool:
    """Whether the spacing of each axis in space is a number."""
    spacings = fields.get("spacings", "").lower().split()
    return bool(spacings) and all(spacings[axis] != "nan" for axis in space_axes(fields))


def check_place(path: object, fields: Mapping[str, str], nrrd: bool) -> None:
    """Raise VolumeError if ITK would take the place that the fields of a sound header state for another one."""
    if nrrd:
        _check_nrrd(path, fields)
        return
    for keys in (META_ORIGINS, META_AXES):
        stated = {key: [float(number) for number in fields[key].split()] for key in keys if key in fields}
        if len({tuple(numbers) for numbers in stated.values()}) > 1:
            one, other, *_ = stated
            raise VolumeError(f"{path} states {one} and {other}, which contradict each other. Mend its header.")


def _check_nrrd(path: object, fields: Mapping[str, str]) -> None:
    space = fields.get("space", "")
    if space.lower() in TURNED:
        raise VolumeError(
            f"{path} states its axes in the space {space!r}, which would be read as another one: mirrored, and beside its "
            "place. Save it again in left-posterior-superior."
        )
    directions = re.findall(r"\([^)]*\)|none", fields.get("spacedirections", ""), re.IGNORECASE)
    in_space = [d for d in directions if d.lower() != "none" and "nan" not in d.lower()]
    if len(in_space) < SPACE_AXES <= len(directions):
        raise VolumeError(
            f"{path} has {len(in_space)} axes with a direction in space, where a volume has three; if one of the others is "
            "time, save it again with the axes columns, rows, slices, phases."
        )
