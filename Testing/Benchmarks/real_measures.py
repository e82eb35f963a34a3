"""What bench_real measures of one result: against the truth, and what the result says of itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from real_cases import Case
from region_growing import grow
from SIFALib.adaptation import label_free
from SIFALib.imaging import metrics, slices
from SIFALib.imaging.geometry import Volume
from SIFALib.inference.localisation import plane_of
from SIFALib.inference.options import Options
from SIFALib.inference.passes import NetworkInput, Pass
from SIFALib.inference.segmentation import segment
from SIFALib.models.structures import STRUCTURES, UNKNOWN
from SIFALib.networks.arrays import to_numpy, to_tensor
from SIFALib.support.errors import NoHeartFound, VolumeError

MYO = 1


def judge(case: Case, of: Callable[[Volume], tuple[Any, Any]], slicewise: bool = False) -> tuple[dict, Volume]:
    """Segment one case, and score it if it has labels; the row and the label map, empty where the scan was refused.

    of: the network that serves a scan, and its card.
    """
    scan, truth = case.read()
    segmenter, card = of(scan)
    row: dict[str, Any] = {"case": case.name, "dataset": case.dataset, "modality": case.facts["modality"]}
    row |= {"note": "", "flags": [], "warned": False, "refused": False, "threads": torch.get_num_threads()}
    options = Options(roi=heart_roi(truth), views="one") if slicewise and truth is not None else Options()
    started = time.monotonic()
    try:
        result = segment(scan, segmenter, card, options)
        labels = result.labels
        row |= told(result.report.to_json())
    except (NoHeartFound, VolumeError) as error:
        labels = Volume(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, case.name)
        row |= {"note": str(error), "refused": True}
    row["seconds"] = round(time.monotonic() - started, 1)
    row["ml"] = {s.id: round(float((labels.array == s.value).sum() * scan.geometry.voxel_ml), 1) for s in STRUCTURES}
    row["agreement"] = agreement(scan, labels, case.facts["kind"], segmenter, card)
    if truth is not None:
        row |= scores(labels, truth, case.facts)
        if case.short_axis and "MYO" in row["dice"]:
            row["wall_mm"] = wall(labels, truth)
    return row, labels


def scores(labels: Volume, truth: Volume, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Dice, surface distance (where it is defined), volumes in ml (drawn, true) and what is missing, by structure id.

    facts: kind ("slice": the middle one of the copies counts) and classes, the label values that the truth knows; those
    that it does not hold are left out, and so are its UNKNOWN voxels in everything.
    """
    if facts["kind"] == "slice":
        labels, truth = middle(labels), middle(truth)
    scored = [s for s in STRUCTURES if s.value in facts["classes"] and (truth.array == s.value).any()]
    dice = metrics.dice_per_structure(labels, truth, scored)
    distances = {s.id: distance_mm(labels, truth, s.value) for s in scored}
    known, ml = truth.array != UNKNOWN, truth.geometry.voxel_ml
    return {
        "dice": dice,
        "assd_mm": {k: v for k, v in distances.items() if math.isfinite(v)},
        "missing": [s.id for s in scored if not (labels.array == s.value).any()],
        "drawn_ml": {s.id: float(np.count_nonzero((labels.array == s.value) & known) * ml) for s in scored},
        "true_ml": {s.id: float(np.count_nonzero(truth.array == s.value) * ml) for s in scored},
    }


def distance_mm(labels: Volume, truth: Volume, value: int) -> float:
    """ASSD of a structure in mm; of a single slice that of its outlines, for in three dimensions all of it is surface."""
    known = truth.array != UNKNOWN
    masks = [(labels.array == value) & known, truth.array == value]
    axes = [axis for axis in (2, 1, 0) if masks[0].shape[axis] > 1]
    spacing = [truth.geometry.spacing[2 - axis] for axis in axes]
    return metrics.assd_mm(masks[0].squeeze(), masks[1].squeeze(), spacing)


def wall(labels: Volume, truth: Volume) -> dict[str, float] | None:
    """Mean thickness of the myocardium in mm, drawn and true, over the slices in which both show it; None if none does."""
    known = truth.array != UNKNOWN
    drawn, true = (labels.array == MYO) & known, truth.array == MYO
    both = drawn.any(axis=(1, 2)) & true.any(axis=(1, 2))
    if not both.any():
        return None
    spacing = truth.geometry.spacing[:2]
    return {"drawn": wall_mm(drawn[both], spacing), "true": wall_mm(true[both], spacing)}


def wall_mm(muscle: np.ndarray, spacing: tuple[float, float]) -> float:
    """Mean thickness in mm of a wall that short-axis slices [slices, rows, columns] (bool) cut; spacing: columns, rows.

    Twice its area over the length of its outlines, inner and outer together, all slices summed: for a ring of radii R and
    r, 2 pi (R^2 - r^2) / 2 pi (R + r) = R - r. Of an open arc, as at the outflow tract, the two ends count as outline, by
    which it comes out a little thinner; truth and result alike. Outlines by Crofton's formula in four directions
    (skimage.measure.perimeter_crofton), which staircases of pixels do not lengthen.
    """
    from skimage.measure import perimeter_crofton

    side = math.sqrt(spacing[0] * spacing[1])  # pixels are square but for rounding
    outline = sum(float(perimeter_crofton(np.pad(m, 2).astype(np.uint8), directions=4)) for m in muscle) * side
    return 2.0 * float(np.count_nonzero(muscle)) * spacing[0] * spacing[1] / outline


def told(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the report says of the result's quality: flags and whether one warns, the promised Dice, how unlike the
    training data."""
    expected = [
        v or 0.0 for v in report.get("expected_dice", {}).values()
    ]  # of what was not drawn: as its Dice would be
    return {
        "flags": [f"{f['structure']} {f['kind']}".strip() for f in report["flags"]],
        "warned": any(f["warns"] for f in report["flags"]),
        "expected_dice": float(np.mean(expected)) if expected else None,
        "unlike": report["out_of_distribution"].get("unlike"),
    }


def heart_roi(truth: Volume) -> tuple[float, ...]:
    """A region of interest, LPS mm, around all that the truth shows, with the margin that the localisation leaves."""
    where = np.argwhere((truth.array > 0) & (truth.array != UNKNOWN))[:, ::-1]
    box = slices.with_margin(truth.geometry, np.stack([where.min(axis=0), where.max(axis=0)]).astype(float))
    corners = truth.geometry.point([(i, j, k) for i in box[:, 0] for j in box[:, 1] for k in box[:, 2]])
    return tuple(float(v) for axis in corners.T for v in (axis.min(), axis.max()))


def agreement(scan: Volume, labels: Volume, kind: str, segmenter, card) -> float | None:
    """The model's agreement with itself on at most 4 slices through what it found; None where it found nothing."""
    given = NetworkInput.of(scan, card)
    where = np.argwhere(labels.array > 0)[:, ::-1]
    if not len(where):
        return None
    box = np.stack([where.min(axis=0), where.max(axis=0)]).astype(float)
    images = given.images(Pass(plane_of(given, scan.geometry)).grid(given, box))
    count = 1 if kind == "slice" else min(4, len(images))
    which = ((np.arange(count) + 0.5) / count * len(images)).astype(int)
    found = self_agreement(segmenter, images[which])
    return found if math.isfinite(found) else None


@torch.inference_mode()
def self_agreement(segmenter, images: np.ndarray) -> float:
    """How far a segmenter agrees with itself on slices [N, H, W] (-1..1) when they are moved and recoloured: 0 to 1.

    As in the label-free score's part `augmented`, both ways for every slice; the mean Dice over the classes that it finds
    anywhere, NaN if it finds none.
    """
    batch = to_tensor(images.astype(np.float32))[:, None].repeat(1, segmenter.in_channels, 1, 1)
    found = to_numpy(segmenter(batch).argmax(1))
    agreements = []
    for sign in (1.0, -1.0):
        changed, back, inside = label_free.moved(batch, sign)
        again = to_numpy(label_free.undone(segmenter(label_free.recoloured(changed, sign)), back).argmax(1))
        both = [np.where(inside, labels, 0) for labels in (found, again)]
        present = tuple(np.unique(found[found > 0]))
        agreements.append(label_free.agreement(both[0], both[1], segmenter.classes, present))
    return float(np.mean(agreements)) if (found > 0).any() else math.nan


def grown(scan: Volume, truth: Volume, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same scores for a threshold and region growing, in the middle slice of a `slice` case."""
    grey, known = middle(scan), middle(truth)
    axis = int(np.argmin(known.array.shape))
    asked = np.where(np.isin(known.array, facts["classes"]), known.array, 0)
    spacing = [s for n, s in enumerate(reversed(known.geometry.spacing)) if n != axis]
    found = grow(grey.array.take(0, axis), asked.take(0, axis), (spacing[0], spacing[1]))
    labels = Volume(np.expand_dims(found, axis), known.geometry, scan.name)
    return scores(labels, known, {**facts, "kind": "3D"})


def middle(labels: Volume) -> Volume:
    """The middle one of the copies that a slice case consists of: they follow each other along the shortest axis."""
    axis = int(np.argmin(labels.geometry.extent_mm))
    start, size = [0, 0, 0], list(labels.geometry.size)
    start[axis], size[axis] = size[axis] // 2, 1
    part = tuple(slice(a, a + n) for a, n in zip(reversed(start), reversed(size), strict=True))
    return Volume(labels.array[part], labels.geometry.part(start, size), labels.name)
