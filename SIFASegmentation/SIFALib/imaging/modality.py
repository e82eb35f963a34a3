"""CT or MR, told by the histogram of a whole scan: whether grey values are Hounsfield units (HU).

In HU every tissue has its place: air at -1000, lung at -900 to -600, fat at -100, muscle and blood at 0 to 100 (up to 600
with contrast agent), bone above; and hardly anything lies between lung and fat. An MR has no such places, whatever was
added to it. Thresholds are between what 88 CT and 111 MR (phantoms whole and cut around the heart, and open scans) show;
those MR were scaled and shifted in 110 ways each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLES = 500_000
AIR_HU, LUNG_HU = -200.0, -600.0  # below the first is lung or air, below the second most of it
VALLEY_HU, FAT_HU, SOFT_HU, BONE_HU = -150.0, -30.0, 200.0, 700.0  # upper ends of what lies above AIR_HU
STORED_HU = 1024.0  # what CT scanners add, so that stored values are positive: DICOM's rescale takes it away again
PADDING_SHARE, PADDING_GAP = 0.005, 0.2  # of the voxels; of the range of all others, that lies between
CLIPPED_HU = -900.0  # a lowest value above this is where a CT was clipped
OUT_OF_HU, BELOW_HU = 0.005, -1400.0  # the share that may lie below: noise in air
LEAST = 0.01  # share of the voxels that are seen at all


@dataclass(frozen=True)
class Guess:
    """modality: "ct" if values are HU, "mr" for any others. why: a part of a sentence. doubtful: look at it yourself.

    added: what HU had added to them. padding: a value below all others, with which the scan was filled up; None for none.
    """

    modality: str
    why: str
    doubtful: bool = False
    added: float = 0.0
    padding: float | None = None

    @property
    def hounsfield(self) -> bool:
        """Whether the values are HU as they stand there."""
        return self.modality == "ct" and not self.added


@dataclass(frozen=True)
class _Shares:
    """What shares of the voxels lie where, 0..1. air: below AIR_HU, deep: below LUNG_HU or at the value where a scan is
    clipped; between: the rest of `air`; below: too low for HU. The others are shares of what is no air.
    """

    air: float
    deep: float
    between: float
    below: float
    valley: float
    fat: float
    soft: float
    bone: float
    clipped: bool

    @property
    def tissue(self) -> bool:
        """Whether fat, soft tissue and bone lie where they should."""
        return self.fat >= 0.02 and self.soft >= 0.3 and self.bone <= 0.1

    @property
    def gap(self) -> float:
        """How much lies between lung and fat, in parts of what is tissue."""
        return self.between / max(1e-9, 1.0 - self.air)


def guess(array: np.ndarray) -> Guess:
    """CT or MR, by the values of a scan of any shape and type. What is in doubt is read as MR, by its own values."""
    sample = array.ravel()[:: max(1, array.size // SAMPLES)].astype(np.float64)
    every = sample[np.isfinite(sample)]
    if not every.size:
        return Guess("mr", "it holds no numbers")
    values, padding = _without_padding(every)
    aside = "" if padding is None else f", its padding of {padding:g} set aside"
    for hu, note in ((_shares(every), ""), (_shares(values), aside)):
        if _is_hu(hu):
            why = (
                f"{100 * hu.air:.0f} % of it is as dark as lung and air, and fat and soft tissue are where CT has them"
            )
            return Guess("ct", why + note, hu.gap > 0.5, padding=padding)
    if padding is not None and padding < AIR_HU and hu.air < LEAST and _tissue_alone(hu):
        return Guess("ct", f"fat and soft tissue are where CT has them{aside}", padding=padding)
    if hu.air >= LEAST:
        why = f"{100 * hu.air:.0f} % of it lies below {AIR_HU:g}, but not as lung, air, fat and soft tissue do in CT"
        return Guess("mr", why + aside, True, padding=padding)
    if _tissue_alone(hu):
        return Guess("mr", f"there is no lung or air, though fat and soft tissue may be those of CT{aside}", True)
    if _is_stored_hu(_shares(values - STORED_HU)):
        return Guess("ct", f"its values look like those of CT with {STORED_HU:g} added", True, STORED_HU)
    if _may_be_stored_hu(_shares(values - STORED_HU)):
        return Guess(
            "mr", f"its values are ordinary ones of MR, but could be those of CT with {STORED_HU:g} added", True
        )
    return Guess("mr", f"its values ({values.min():g} to {values.max():g}) are not those of CT{aside}", padding=padding)


def _is_hu(hu: _Shares) -> bool:
    """Whether these are HU with air or lung in them; what is clipped must be more like them."""
    if hu.deep < LEAST or not hu.tissue or hu.below > OUT_OF_HU or hu.air > 0.9:
        return False
    return hu.gap <= 0.6 and not (hu.clipped and hu.valley > 0.09)


def _is_stored_hu(hu: _Shares) -> bool:
    """The same of values that would be ordinary ones of MR, too: a match by chance must be out of the question."""
    sure = hu.gap <= 0.12 and hu.valley <= 0.09 and hu.fat >= 0.04 and hu.soft >= 0.35 and hu.bone <= 0.06
    return sure and hu.deep >= 0.05 and hu.air <= 0.9 and hu.below <= OUT_OF_HU


def _may_be_stored_hu(hu: _Shares) -> bool:
    """Whether that may be, for all that is known: true of CT with many edges of thick slices, which the rule above leaves
    out, and of 6 in 8,820 MR (140 stacks, scaled by 0.2 to 20 and shifted by -20 to 50)."""
    return hu.deep >= LEAST and hu.tissue and hu.gap <= 0.6 and hu.air <= 0.9 and hu.below <= OUT_OF_HU


def _tissue_alone(hu: _Shares) -> bool:
    """Whether what is there could be fat and soft tissue of a CT without air."""
    return 0.03 <= hu.fat <= 0.45 and hu.bone <= 0.05 and hu.soft >= 0.3 and hu.valley <= 0.09


def _shares(values: np.ndarray) -> _Shares:
    lowest = values.min()
    air = values < AIR_HU
    lowest_ones = air & (values == lowest)
    deep = lowest_ones | (values < LUNG_HU)
    tissue = values[~air]

    def share(low: float, high: float) -> float:
        return np.count_nonzero((tissue >= low) & (tissue < high)) / max(1, tissue.size)

    return _Shares(
        air=float(air.mean()),
        deep=float(deep.mean()),
        between=float((air & ~deep).mean()),
        below=float((values < BELOW_HU).mean()),
        valley=share(AIR_HU, VALLEY_HU),
        fat=share(VALLEY_HU, FAT_HU),
        soft=share(AIR_HU, SOFT_HU),
        bone=share(BONE_HU, np.inf),
        clipped=bool(lowest > CLIPPED_HU and 2 * np.count_nonzero(lowest_ones) > np.count_nonzero(air)),
    )


def _without_padding(values: np.ndarray) -> tuple[np.ndarray, float | None]:
    """The values [n] but a negative one that many voxels have, far below all others; and that one, if there is any."""
    if not values.size or values.min() >= 0:
        return values, None
    lowest = values.min()
    others = values[values > lowest]
    if not LEAST * values.size <= others.size <= (1 - PADDING_SHARE) * values.size:
        return values, None
    low, high = np.percentile(others, (0.1, 99.9))
    if low - lowest <= PADDING_GAP * (high - low):
        return values, None
    return others[others >= (low + lowest) / 2], float(lowest)
