"""What was found on the grid of the slices, back on the scan's own grid."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..imaging import components, slices
from ..imaging.geometry import Volume
from ..imaging.slices import SliceGrid
from ..support.progress import Steps
from .fusion import likeliest
from .passes import NetworkInput
from .runner import Clock

PASTE_COST = 0.02  # one native plane pasted back, in units of one slice through the network
Put = Callable[[int, tuple[slice, ...], np.ndarray], None]


def paste(
    scan: NetworkInput, clock: Clock, probabilities: np.ndarray, grid: SliceGrid
) -> Steps[tuple[Volume, dict[str, Volume] | None]]:
    """Labels uint8 of the wanted structures on the volume's grid and, if they are to be kept, their probabilities, float16.

    probabilities: float32 [classes, slices, rows, columns].
    """
    volume, wanted, keep = scan.volume, scan.options.wanted(scan.card.labels), scan.options.keep_probabilities
    labels = np.zeros(volume.geometry.shape, np.uint8)
    kept = {s: np.zeros(volume.geometry.shape, np.float16) for s in wanted} if keep else {}
    chosen = np.zeros(256, np.uint8)
    chosen[[s.value for s in wanted]] = [s.value for s in wanted]

    def put(k: int, where: tuple[slice, ...], plane: np.ndarray) -> None:
        labels[k][where] = chosen[likeliest(plane)]
        for structure, array in kept.items():
            array[k][where] = plane[structure.value]

    values, part = (probabilities, grid) if keep else _cropped(probabilities, grid)
    yield from _planes(scan, clock, values, part, put)
    maps = {s.id: Volume(array, volume.geometry, f"{volume.name} {s.id}") for s, array in kept.items()}
    return Volume(labels, volume.geometry, volume.name), maps if keep else None


def paste_map(scan: NetworkInput, clock: Clock, values: np.ndarray, grid: SliceGrid, what: str) -> Steps[Volume]:
    """A map [slices, rows, columns] on the volume's grid, float16; 0 where the grid does not reach."""
    pasted = np.zeros(scan.volume.geometry.shape, np.float16)

    def put(k: int, where: tuple[slice, ...], plane: np.ndarray) -> None:
        pasted[k][where] = plane[0]

    yield from _planes(scan, clock, values[None], grid, put)
    return Volume(pasted, scan.volume.geometry, f"{scan.volume.name} {what}")


def _cropped(probabilities: np.ndarray, grid: SliceGrid) -> tuple[np.ndarray, SliceGrid]:
    """The block around everything that is not background, with one element to spare, and its grid."""
    box = components.bounding_box(likeliest(probabilities) > 0)
    a, b, c = (slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, grid.shape, strict=True))
    return probabilities[:, a, b, c], grid.part((a, b, c))


def _planes(scan: NetworkInput, clock: Clock, values: np.ndarray, grid: SliceGrid, put: Put) -> Steps[None]:
    """Hand values [channels, slices, rows, columns] to `put` as `slices.paste` gives them, native plane after plane."""
    told = time.monotonic()
    for k, where, plane in slices.paste(values, grid, scan.volume.geometry):
        put(k, where, plane)
        clock.advance(PASTE_COST * scan.unit)
        if time.monotonic() - told > 0.1:
            yield clock.progress("Writing into the scan's grid")
            told = time.monotonic()
