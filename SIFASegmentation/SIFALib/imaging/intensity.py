"""Grey values to the network's range of -1..1, by the rule of the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .geometry import Volume

if TYPE_CHECKING:
    from ..models.card import Preprocessing

AIR_HU = -200.0  # below all soft tissue: a CT holds lung or air, an MR has no such values


@dataclass(frozen=True)
class Intensity:
    """A rule: a fixed `window` (low, high) in HU, percentiles of the voxels that are seen, or a range of their z-scores."""

    name: str
    window: tuple[float, float] | None
    percentiles: tuple[float, float]
    zscore_range: tuple[float, ...] = ()

    def normalise(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """values [...] and where they are real: float32 of that shape, clipped to -1..1; -1 where not `inside`.

        By z-scores nothing is clipped, and where not `inside` stands the darkest value that is.
        """
        if self.zscore_range:
            return self._scored(values, inside)
        if self.window is not None:
            low, high = self.window
        else:
            seen = values[inside]
            low, high = np.percentile(seen[:: max(1, seen.size // 200_000)], self.percentiles)
        scaled = (values - low) * (2.0 / max(high - low, 1e-6)) - 1.0
        return np.where(inside, np.clip(scaled, -1.0, 1.0), -1.0).astype(np.float32)

    def _scored(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        seen = values[inside].astype(np.float64)
        scores = (values - seen.mean()) / max(float(seen.std()), 1e-6)
        scaled = scores_to_unit(scores, self.zscore_range)
        return np.where(inside, scaled, scaled[inside].min()).astype(np.float32)


def scores_to_unit(scores: np.ndarray, zscore_range: Sequence[float]) -> np.ndarray:
    """z-scores of any shape, the two of the range to -1 and 1 and all others in proportion (the authors' data_loader.py)."""
    low, high = zscore_range
    return 2.0 * (scores - low) / (high - low) - 1.0


def intensity_rule(volume: Volume, preprocessing: Preprocessing, modality: str = "auto") -> Intensity:
    """The card's rule for this volume; `modality` is ct, mr or auto.

    auto: what the scan's own file says; where it says nothing, Hounsfield units are told by their air and lung.
    """
    if modality not in ("auto", "ct", "mr"):
        raise ValueError(f"There is no modality {modality!r}; choose auto, ct or mr.")
    percentiles = preprocessing.percentiles
    if preprocessing.zscore_range:
        low, high = preprocessing.zscore_range
        return Intensity(f"z-scores {low:g} to {high:g}", None, percentiles, (low, high))
    if modality == "auto":
        modality = volume.modality or ("ct" if looks_like_hounsfield(volume.array) else "mr")
    if modality == "ct":
        low, high = preprocessing.ct_window_hu
        return Intensity(f"CT window {low:g} to {high:g} HU", (low, high), percentiles)
    return Intensity(f"percentiles {percentiles[0]:g} to {percentiles[1]:g}", None, percentiles)


def looks_like_hounsfield(array: np.ndarray) -> bool:
    """Whether grey values are Hounsfield units: at least one in a hundred lies where only lung, fat and air do."""
    sample = array.ravel()[:: max(1, array.size // 500_000)]
    return bool(np.mean(sample < AIR_HU) >= 0.01)
