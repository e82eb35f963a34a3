"""Whether the header of a NRRD or MetaImage file says where its voxels lie, once, and so that ITK takes it as it is meant.

ITK takes what is not stated for 1 mm and for axes from right to left, front to back, feet to head, and every space that it
does not know for that of DICOM. NRRD: teem's "Definition of NRRD File Format"; MetaImage: "MetaIO" of ITK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..support.errors import VolumeError
from .header_lengths import SPACE_AXES

TURNED = ("right-anterior-superior-time", "rast", "left-anterior-superior-time", "last")
"""Spaces with an axis of time, whose others ITK takes for left, posterior, superior."""


def check_place(path: object, fields: Mapping[str, str], nrrd: bool) -> None:
    """Raise VolumeError if ITK would take the place that the fields of a sound header state for another one."""
    if nrrd:
        _check_nrrd(path, fields)


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
