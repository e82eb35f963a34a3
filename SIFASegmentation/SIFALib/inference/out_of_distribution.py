"""Is this scan like what the model was trained on? If not, its outlines mean little, however sure the network is.

Six questions, each with a flag of its own:

- `unfamiliar`: does the network see, where it drew the heart, what it saw in training? Mean and standard deviation of
  the channels of an early layer (its probe, r4: edges, texture, contrast) over the outlined pixels of at most 8
  slices, and their Mahalanobis distance from those of training slices (Lee et al., "A simple unified framework for detecting
  out-of-distribution samples", NeurIPS 2018, there with the network's classes).
- `places`: do the structures lie and compare in size as in a heart? Directions from one to the other and ratios of
  volumes; a header that says another position of the patient shows here.
- `mirrored`: are they a heart's mirror image? Needs no reference; see `handedness`.
- `contrast`: can blood be told from muscle? Their grey values' difference over their spread.
- `little`: is there a slice at all of which enough was outlined to ask this?
- `scale`: are these a scanner's grey values at all, or those of a picture of 8 bits?

The first two compare with a reference in the model card, which `calibration` makes; without one they say so. Both
references are normal distributions with few free directions, the others sharing one variance (probabilistic PCA:
Tipping and Bishop, J R Stat Soc B 61:611 (1999)), so that some hundred examples determine them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..imaging.geometry import Geometry, Volume
from ..imaging.slices import SliceGrid
from ..models import VARIANTS
from ..models.architectures import placed
from ..models.card import feature_count, probed_channels
from .flags import HEART, Flag
from .handedness import MIRRORED, handedness

if TYPE_CHECKING:
    from ..models import ModelCard, Reference
    from ..models.structures import Structure
    from ..networks import Segmenter

SLICES = 8  # that are looked at: evenly through what was found
LEAST_PIXELS = 1000  # of a slice that must be outlined to be looked at: 10 cm2, more than an aorta alone
LEAST_MM2 = 1000.0  # and is a heart at all: less than any slice near its middle shows
LEAST_OF_EACH = 60  # pixels of blood and of muscle that are compared
SEPARATION = 1.25
"""Difference of the medians of blood and muscle over their spread, papillary muscles included. Contrast-enhanced
phantoms have 3.7 and more; of 22 short-axis stacks that were drawn with a Dice above 0.8 all but one have 1.4 and more, a
chest CT without contrast 0.4 to 0.7, a slice of which nothing was drawn right 1.2."""
SMALL_ML = 10.0  # of a structure say nothing of where its middle lies: a sliver, or a piece of something else
PAIRS = (("LV", "MYO"), ("LV", "LA"), ("LV", "AA"))  # whose directions and volumes are compared

NOT_CALIBRATED = (
    "Whether the scan is like what the model was trained on was not checked: "
    "the model's card holds no reference for it. Check every outline."
)
UNFAMILIAR = (
    "The scan looks unlike what the model was trained on; check every outline, "
    "and adapt the model to scans like this one if you have several."
)
PLACES = (
    "The structures do not lie, or compare in size, as in a heart; check every outline, "
    "and whether the scan is stored the right way round (left and right, head and feet)."
)
MIRROR_IMAGE = (
    "The chambers are arranged as in the mirror image of a heart. Either the scan is stored mirrored (a wrong sign in its "
    "header, or slices in the opposite order), or this heart is (situs inversus). Compare with the original before you use "
    "the result: left and right may be exchanged."
)
LITTLE = (
    f"In no slice more than {LEAST_MM2 / 100:.0f} cm2 were drawn as heart, too little to check whether the scan is like "
    "what the model was trained on; check that it shows the heart at all."
)
CONTRAST = (
    "Blood and heart muscle can hardly be told apart in this scan (no contrast agent, or much noise); "
    "check every outline: most of what is drawn is a guess."
)
SCALE = (
    "The grey values are whole numbers from 0 to 255, as in a picture. If this is a CT, it has lost its Hounsfield "
    "units: load the original, and check every outline."
)
PICTURE = (
    "The grey values are whole numbers from 0 to 255, as in a picture. For MR, as which the scan was read, that is enough; "
    "if it is a CT, load the original with its Hounsfield units."
)


@dataclass(frozen=True)
class Finding:
    """Flags and notes for a person, and for the report what was measured.

    measured: `unlike`, the largest of the distances over their limits (above 1: flagged; None: none could be
    measured), `network` and `places`, these distances, `separation`, blood from muscle, and `handedness`.
    """

    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)


def check(
    segmenter: Segmenter,
    card: ModelCard,
    volume: Volume,
    grid: SliceGrid,
    images: np.ndarray,
    labels: np.ndarray,
    known: Sequence[Flag] = (),
    read_as: str = "",
) -> Finding:
    """Compare what was found with the reference of the model card.

    images: normalised slices float32 [slices, rows, columns] of the grid, -1..1. labels: uint8 of that shape, cleaned.
    known: what `flags` has said of them; structures that are cut off or missing are not compared with whole ones.
    read_as: "ct" or "mr", as which the grey values were taken; MR has no scale that a picture could have lost.
    """
    values, reference = {s.id: s.value for s in card.labels}, card.out_of_distribution
    flags, ratios = [], {}
    notes: tuple[str, ...] = () if reference is not None else (NOT_CALIBRATED,)
    chosen = slices_of(labels > 0)
    columns, rows, _ = grid.spacing_mm(volume.geometry)
    if 0 < int((labels > 0).sum(axis=(1, 2)).max(initial=0)) * columns * rows < LEAST_MM2:
        flags.append(Flag("", "little", LITTLE))
    apart = separation(images[chosen], labels[chosen], values)
    if apart is not None and apart < SEPARATION:
        flags.append(Flag("", "contrast", CONTRAST))
    if is_picture(volume.array):
        notes += (PICTURE,) if read_as == "mr" else ()
        flags += [Flag("", "scale", SCALE)] if read_as != "mr" else []
    if reference is not None:
        measured = features(segmenter, images[chosen], labels[chosen] > 0)
        if len(measured):
            ratios["network"] = float(np.median(distances(reference.network, measured))) / reference.network.limit
        whole = not any(f.kind in ("cut", "empty") and f.structure_id in HEART for f in known)
        shape = places(labels, values, lps_of(grid, volume.geometry)) if whole and reference.places else None
        if shape is not None and reference.places:
            ratios["places"] = float(distances(reference.places, shape[None])[0]) / reference.places.limit
    if ratios.get("network", 0.0) > 1.0:
        flags.append(Flag("", "unfamiliar", UNFAMILIAR))
    hand = handedness(_centres(labels, card.labels, grid, volume.geometry))  # of cut ones too: a stack shows enough
    if hand is not None and hand < MIRRORED:  # says more than that they lie in the wrong places
        flags.append(Flag("", "mirrored", MIRROR_IMAGE))
    elif ratios.get("places", 0.0) > 1.0:
        flags.append(Flag("", "places", PLACES))
    told: dict[str, Any] = {"calibrated": reference is not None, "unlike": max(ratios.values(), default=None)}
    told |= {name: ratios.get(name) for name in ("network", "places")} | {"separation": apart, "handedness": hand}
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in told.items()}
    return Finding(tuple(flags), notes, rounded)


def slices_of(found: np.ndarray, count: int = SLICES) -> np.ndarray:
    """Indices of at most `count` slices of a mask [slices, rows, columns]: evenly through its area, none nearly empty."""
    area = found.sum(axis=(1, 2))
    area = np.where(area >= LEAST_PIXELS, area, 0)
    if not area.any():
        return np.zeros(0, int)
    shares = (np.cumsum(area) - area / 2) / area.sum()
    wanted = (np.arange(count) + 0.5) / count
    filled = np.flatnonzero(area)
    return np.unique(filled[np.abs(shares[filled][None] - wanted[:, None]).argmin(axis=1)])


def features(segmenter: Segmenter, images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """What the network's probe sees in slices [N, H, W] (-1..1) where something was `found` (mask of that shape).

    float64 [N, 2 C]: mean and standard deviation of C channels, evenly chosen (card.probed_channels). Slices with
    less than LEAST_PIXELS found are left out. H and W are multiples of 8.
    """
    import torch

    from ..networks import arrays

    probe = VARIANTS[segmenter.variant].probe
    step = placed(segmenter.variant, segmenter.width)[probe].pixels
    channels = probed_channels(segmenter.architecture)
    device = next(segmenter.parameters()).device
    result = []
    with torch.inference_mode():
        for image, mask in zip(images, found, strict=True):
            if np.count_nonzero(mask) < LEAST_PIXELS:
                continue
            x = arrays.to_tensor(np.ascontiguousarray(image, np.float32))[None, None].to(device)
            x = segmenter.encoder.through(x.expand(-1, segmenter.in_channels, -1, -1), last=probe)[0]
            seen = arrays.to_numpy(x.float().cpu()).astype(np.float64)[:: channels.step]
            height, width = seen.shape[1:]
            weight = mask.reshape(height, step, width, step).mean(axis=(1, 3))
            weight = weight / weight.sum()
            mean = (seen * weight).sum(axis=(1, 2))
            variance = (seen**2 * weight).sum(axis=(1, 2)) - mean**2
            result.append(np.concatenate([mean, np.sqrt(np.maximum(variance, 0.0))]))
    return np.array(result).reshape(len(result), feature_count(segmenter.architecture))


def places(labels: np.ndarray, values: dict[str, int], to_lps: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """Directions (unit vectors in LPS) and logarithms of the volume ratios of PAIRS in a label array of 3 axes.

    values: label of each structure id. to_lps: continuous array indices [3] to mm. float64 [4 x pairs], less one: the
    aorta's volume hangs on where the scan ends. None if a structure is missing.
    """
    names = {name for pair in PAIRS for name in pair}
    where = {name: np.argwhere(labels == values[name]) for name in names & values.keys()}
    if len(where) < len(names) or any(not len(points) for points in where.values()):
        return None
    centres = {name: to_lps(points.mean(axis=0)) for name, points in where.items()}
    numbers: list[float] = []
    for one, other in PAIRS:
        way = centres[other] - centres[one]
        numbers += list(way / max(float(np.linalg.norm(way)), 1e-6))
        if other != "AA":
            numbers.append(float(np.log(len(where[other]) / len(where[one]))))
    return np.array(numbers)


def _centres(
    labels: np.ndarray, structures: Sequence[Structure], grid: SliceGrid, geometry: Geometry
) -> dict[str, np.ndarray]:
    """In LPS mm, of every structure of which more than SMALL_ML are drawn."""
    to_lps, least = lps_of(grid, geometry), SMALL_ML / grid.voxel_ml(geometry)
    where = {s.id: np.argwhere(labels == s.value) for s in structures}
    return {name: to_lps(points.mean(axis=0)) for name, points in where.items() if len(points) > least}


def lps_of(grid: SliceGrid, geometry: Geometry) -> Callable[[np.ndarray], np.ndarray]:
    """Continuous (slice, row, column) of a grid over a volume of that geometry to LPS mm."""

    def point(where: np.ndarray) -> np.ndarray:
        index = np.empty(3)
        for work, axis in enumerate(grid.plane.axes):
            index[axis] = grid.start[work] + grid.step[work] * where[2 - work]
        found: np.ndarray = geometry.point(index[None])[0]
        return found

    return point


def separation(images: np.ndarray, labels: np.ndarray, values: dict[str, int]) -> float | None:
    """How far the grey values of ventricular blood and muscle differ, in units of their spread; None where one is missing.

    The median over slices [N, H, W] of |median - median| over the root of the mean variance.
    """
    found = []
    if not {"LV", "MYO"} <= values.keys():
        return None
    for image, label in zip(images, labels, strict=True):
        muscle, blood = image[label == values["MYO"]], image[label == values["LV"]]
        if min(len(muscle), len(blood)) >= LEAST_OF_EACH:
            spread = np.sqrt((float(muscle.var()) + float(blood.var())) / 2 + 1e-6)
            found.append(abs(float(np.median(blood)) - float(np.median(muscle))) / spread)
    return float(np.median(found)) if found else None


def is_picture(array: np.ndarray) -> bool:
    """Whether a volume holds whole numbers of 0 to 255 only, up to 200 at least: a scan that was saved as pictures."""
    sample = array.ravel()[:: max(1, array.size // 500_000)]
    if sample.min() < 0 or not 200 <= sample.max() <= 255 or array.max() > 255:
        return False
    return array.dtype.kind in "ub" or bool((sample == np.rint(sample)).all())


def distances(reference: Reference, measured: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each row of measured [N, F], over the root of F: about 1 for what made the reference."""
    z = (measured - np.array(reference.mean)) / np.array(reference.scale)
    along = z @ np.array(reference.directions).reshape(-1, z.shape[1]).T
    rest = (z**2).sum(axis=1) - (along**2).sum(axis=1)
    squared = (along**2 / np.array(reference.variances)).sum(axis=1) + np.maximum(rest, 0.0) / reference.rest
    root: np.ndarray = np.sqrt(squared / z.shape[1])
    return root
