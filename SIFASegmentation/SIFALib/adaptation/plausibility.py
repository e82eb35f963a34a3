"""What cannot be right, whatever a score says: vetoes against translations and segmentations without the truth.

What to expect is taken from the labels of the source. All tests bear scans that show more or less of the heart, and
slices that are windows of a larger one: they compare shares and places of the structures with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.augmentation import centre
from ..imaging.components import component_sizes
from ..models.structures import structures_of

if TYPE_CHECKING:
    from ..datasets.domains import Slices

SLICES_OF_A_SCAN, SCANS = 12, 24  # that are looked at to learn what to expect
VANISHED = 0.02  # of the area that the source's labels fill: less of a structure on the target is none
SHARE_FACTOR = 3.0  # by which a structure's share of all of them may leave the range of the source's scans
AREA_FACTOR = 4.0  # by which all structures together may fill more than on the source, of the largest of its scans
PLACE_DEVIATIONS = 4.0  # standard deviations (of single slices) by which the mean place may be off
PLACE_PIXELS = 4.0  # that no place has to be better than
LEAST_PIXELS = 12  # of a structure in a slice whose place and components are counted
FRAGMENTS = 0.3  # by which the largest component's share may be lower than on the source
INVERTED = -0.2  # correlation of grey values before and after translation: below, dark and bright have changed places
BLURRED = 0.2  # correlation of edges before and after translation: below, it shows something else


class Veto(str):
    """A sentence on what cannot be right. key: what it is about, whatever the figures: the same of two segmenters."""

    key: str

    def __new__(cls, key: str, sentence: str) -> Veto:
        veto = super().__new__(cls, sentence)
        veto.key = key
        return veto


@dataclass(frozen=True)
class Expected:
    """What the source's labels show. Of each class 1, 2, ...: mean area (share of a slice's pixels); least and largest
    share of all structures in a scan; mean and standard deviation of its place, (row, column) in pixels from the middle
    of all structures; share of its largest component. largest: area of all structures in the fullest scan.
    """

    classes: int
    area: np.ndarray
    shares: np.ndarray
    place: np.ndarray
    spread: np.ndarray
    whole: np.ndarray
    largest: float

    @property
    def present(self) -> tuple[int, ...]:
        """The classes that the source has."""
        return tuple(int(n) + 1 for n in np.flatnonzero(self.area > 0))


def expected(parts: Sequence[Slices], size: int, classes: int) -> Expected:
    """From labelled slices; slices of the coarse pass are left out where there are others."""
    scans = [labels for part in parts for labels in _scans(part, size)]
    scans = [scans[n] for n in np.unique(np.linspace(0, len(scans) - 1, min(SCANS, len(scans))).astype(int))]
    areas = np.stack([_areas(labels, classes) for labels in scans])
    sums = areas.sum(axis=1, keepdims=True)
    shares = areas / np.maximum(sums, 1e-12)
    shares = shares[sums[:, 0] > 0] if (sums > 0).any() else shares
    together = np.concatenate(scans)
    place, spread = _places(together, classes)
    return Expected(
        classes,
        areas.mean(axis=0),
        np.stack([shares.min(axis=0), shares.max(axis=0)]),
        place,
        spread,
        _largest_components(together, classes),
        float(sums.max()),
    )


def of_predictions(labels: np.ndarray, known: Expected) -> list[Veto]:
    """What speaks against labels [N, H, W] that were predicted on the target."""
    area = _areas(labels, known.classes)
    there = known.area > 0
    vanished = there & (area < VANISHED * known.area)
    vetoes = [
        Veto(f"vanished {n}", f"{_name(int(n), known)} has vanished from the target.") for n in np.flatnonzero(vanished)
    ]
    if area.sum() > AREA_FACTOR * known.largest > 0:
        filled = (
            f"The structures fill {100 * area.sum():.0f} % of the target's slices, of the source's at most "
            f"{100 * known.largest:.0f} %."
        )
        vetoes.append(Veto("fill", filled))
    share = area / max(area.sum(), 1e-12)
    place, _ = _places(labels, known.classes)
    whole = _largest_components(labels, known.classes)
    for n in np.flatnonzero(there & ~vanished):
        low, high = known.shares[0, n], known.shares[1, n]
        if not low / SHARE_FACTOR <= share[n] <= high * SHARE_FACTOR:
            made = (
                f"{_name(int(n), known)} makes up {100 * share[n]:.0f} % of all structures on the target, on the source "
                f"{100 * low:.0f} to {100 * high:.0f} %."
            )
            vetoes.append(Veto(f"share {n}", made))
        off = np.abs(place[n] - known.place[n])
        if (off > np.maximum(PLACE_DEVIATIONS * known.spread[n], PLACE_PIXELS)).any():
            where = f"lies elsewhere among the structures than on the source, by {off.max():.0f} pixels"
            vetoes.append(Veto(f"place {n}", f"{_name(int(n), known)} {where}."))
        if whole[n] < known.whole[n] - FRAGMENTS:
            pieces = (
                f"{_name(int(n), known)} is in pieces on the target: the largest holds {100 * whole[n]:.0f} % of it, on the "
                f"source {100 * known.whole[n]:.0f} %."
            )
            vetoes.append(Veto(f"pieces {n}", pieces))
    return vetoes


def of_translations(images: np.ndarray, translated: np.ndarray) -> tuple[dict[str, float], list[Veto]]:
    """(correlations, what speaks against them) of images [N, H, W] and their translations.

    Body is brighter than air and lung in CT and in MR, so grey values of both correlate; and edges stay where they are
    in whatever contrast. The medians over the slices count.
    """
    grey, edges = [], []
    for before, after in zip(images, translated, strict=True):
        grey.append(_correlation(before, after))
        edges.append(_correlation(_edges(before), _edges(after)))
    measured = {"intensity_correlation": float(np.median(grey)), "edge_correlation": float(np.median(edges))}
    vetoes = []
    if measured["intensity_correlation"] < INVERTED:
        dark = f"Translation turns dark into bright (grey values correlate by {measured['intensity_correlation']:.2f})."
        vetoes.append(Veto("inverted", dark))
    if measured["edge_correlation"] < BLURRED:
        edges_lost = (
            f"Translation does not keep what images show (edges correlate by {measured['edge_correlation']:.2f})."
        )
        vetoes.append(Veto("blurred", edges_lost))
    return measured, vetoes


def _scans(slices: Slices, size: int) -> list[np.ndarray]:
    """Labels [n, size, size] of some slices of each scan, fine ones if it has any."""
    assert slices.labels is not None  # the caller's promise
    coarse, volume = np.asarray(slices.coarse), np.asarray(slices.volume)
    found = []
    for scan in np.unique(volume):
        index = np.flatnonzero((volume == scan) & ~coarse)
        index = index if len(index) else np.flatnonzero(volume == scan)
        picks = np.unique(np.linspace(0, len(index) - 1, min(SLICES_OF_A_SCAN, len(index))).astype(int))
        found.append(np.stack([centre(slices.labels[n], size) for n in index[picks]]))
    return found


def _areas(labels: np.ndarray, classes: int) -> np.ndarray:
    """Share of all pixels of each class 1, 2, ..."""
    counts = np.bincount(labels.ravel(), minlength=256)[1:classes]
    return counts / labels.size


def _places(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [classes - 1, 2] of each class's place in slices that show others, too; else NaN."""
    places: list[list[np.ndarray]] = [[] for _ in range(1, classes)]
    for plane in labels:
        rows, columns = np.nonzero((plane > 0) & (plane < classes))
        if not len(rows):
            continue
        values = plane[rows, columns]
        points = np.stack([rows, columns], axis=1)
        counts = np.bincount(values, minlength=classes)
        if (counts > 0).sum() < 2:
            continue
        middle = np.stack([points[values == v].mean(axis=0) for v in np.flatnonzero(counts)]).mean(axis=0)
        for value in np.flatnonzero(counts >= LEAST_PIXELS):
            places[value - 1].append(points[values == value].mean(axis=0) - middle)
    mean = np.stack([np.mean(p, axis=0) if p else np.full(2, np.nan) for p in places])
    return mean, np.stack([np.std(p, axis=0) if p else np.full(2, np.nan) for p in places])


def _largest_components(labels: np.ndarray, classes: int) -> np.ndarray:
    """Of each class the share of its pixels that lie in the largest component of their slice; 1 where there are none."""
    shares = np.ones(classes - 1)
    for label in range(1, classes):
        largest, total = 0, 0
        for plane in labels == label:
            if np.count_nonzero(plane) >= LEAST_PIXELS:
                sizes = component_sizes(plane)
                largest, total = largest + int(sizes[0]), total + int(sizes.sum())
        if total:
            shares[label - 1] = largest / total
    return shares


def _edges(image: np.ndarray) -> np.ndarray:
    """How steep grey values are."""
    rows, columns = np.gradient(image)
    steepness: np.ndarray = np.hypot(rows, columns)
    return steepness


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where either is constant."""
    a, b = one - one.mean(), other - other.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _name(number: int, known: Expected) -> str:
    """What messages call class `number` + 1."""
    return structures_of(known.classes)[number].name
