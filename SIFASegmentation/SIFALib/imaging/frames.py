"""Several maps as one image with four axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .geometry import Volume

SLAB = 16  # slices of a map that are converted at once


def join_frames(maps: dict[str, Volume], ids: Sequence[str]) -> sitk.Image:
    """A 4D float32 image whose frames are the maps of these ids, in their order.

    Each map leaves `maps` once it is copied, and copies are made slab by slab: on a large scan four maps and the image
    take gigabytes, and no third copy would fit beside them.
    """
    geometry = maps[ids[0]].geometry
    axes = np.eye(4)
    axes[:3, :3] = geometry.axes
    image = sitk.Image((*geometry.size, len(ids)), sitk.sitkFloat32)
    image.SetOrigin((*geometry.origin, 0.0))
    image.SetSpacing((*geometry.spacing, 1.0))
    image.SetDirection(axes.ravel().tolist())
    for frame, structure_id in enumerate(ids):
        array = maps.pop(structure_id).array
        for k in range(0, len(array), SLAB):
            slab = np.ascontiguousarray(array[k : k + SLAB], np.float32)
            image[:, :, k : k + len(slab), frame] = sitk.GetImageFromArray(slab)
    return image
