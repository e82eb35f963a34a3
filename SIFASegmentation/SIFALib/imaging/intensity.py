"""Grey values to the network's range of -1..1, by the rule of the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .geometry import Volume
from .modality import Guess, guess

if TYPE_CHECKING:
    from ..models.card import Preprocessing

WORDS = {"ct": "CT", "mr": "MR"}


@dataclass(frozen=True)
class Intensity:
    """A rule: a fixed `window` (low, high) in HU, percentiles of the voxels that are seen, or a range of their z-scores.

    modality: "ct" or "mr", "" where that made no difference; why: what told so, a part of a sentence; doubtful: whether
    that may be wrong. padding: of voxels that count as not seen where there are percentiles; None for none.
    """

    name: str
    window: tuple[float, float] | None
    percentiles: tuple[float, float]
    zscore_range: tuple[float, ...] = ()
    modality: str = ""
    why: str = ""
    doubtful: bool = False
    padding: float | None = None

    @property
    def reading(self) -> str:
        """ "as CT, because ..."; "" where there was nothing to choose."""
        return f"as {WORDS[self.modality]}, because {self.why}" if self.modality else ""

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
            if self.padding is not None and (seen > self.padding).any():
                seen = seen[seen > self.padding]
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
    """The card's rule for this volume; `modality` is ct, mr or auto: as DICOM says, else as the histogram looks."""
    if modality not in ("auto", "ct", "mr"):
        raise ValueError(f"There is no modality {modality!r}; choose auto, ct or mr.")
    percentiles = preprocessing.percentiles
    if preprocessing.zscore_range:
        low, high = preprocessing.zscore_range
        return Intensity(f"z-scores {low:g} to {high:g}", None, percentiles, (low, high))
    chosen = chosen_modality(volume, modality)
    if chosen.modality == "mr":
        name = f"percentiles {percentiles[0]:g} to {percentiles[1]:g}"
        return Intensity(name, None, percentiles, (), "mr", chosen.why, chosen.doubtful, chosen.padding)
    low, high = preprocessing.ct_window_hu
    name = f"CT window {low:g} to {high:g} HU" + (f", with {chosen.added:g} added" if chosen.added else "")
    return Intensity(
        name, (low + chosen.added, high + chosen.added), percentiles, (), "ct", chosen.why, chosen.doubtful
    )


def chosen_modality(volume: Volume, modality: str = "auto") -> Guess:
    """How this volume is to be read: as asked for (ct, mr), as DICOM's Modality says, or as its histogram looks."""
    guessed = guess(volume.array)
    asked = volume.modality if modality == "auto" else modality
    if not asked:
        return guessed
    why = "that was asked for" if modality != "auto" else "the DICOM headers say so"
    if asked == "mr":
        return replace(guessed, modality="mr", why=why, doubtful=False, added=0.0)
    if guessed.added:
        return replace(guessed, why=f"{why}; {guessed.why}")
    return replace(guessed, modality="ct", why=why, doubtful=False)
