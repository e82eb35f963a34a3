"""Connected components of masks."""

from __future__ import annotations

import numpy as np


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
