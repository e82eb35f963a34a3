"""How good a model is on scans with label maps: Dice and surface distance per scan, and over all scans.

Two protocols. `product`: whole scans as they come, segmented by `inference.segment` as anybody would. `published`: the
authors' evaluate.py on the volumes that PnP-AdaNet released (.npz): turned by half a turn, grey values scaled by the
statistics of the modality and not clipped, slice by slice, nothing cleaned up afterwards, distances in voxels; a label
5 is no structure and counts as background. Their code leaves the last slices of a volume out, up to 127 of them, and
mixes classes unless there are just four volumes; here all slices of any number of volumes count.

Compared are the structures that the model draws and any of the label maps holds; which are left out for either reason
is said (`Evaluation`). The published protocol is of the papers' four alone.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import DataSettings, label_values, released, scans
from ..datasets.scans import Scan
from ..imaging import metrics
from ..imaging.intensity import scores_to_unit
from ..models.card import NORMALISATIONS
from ..models.structures import PAPERS, UNKNOWN, Structure
from ..support.errors import DataError, NoHeartFound
from ..support.progress import Progress, Steps, mapped, within
from . import segmentation
from .options import Options
from .runner import Clock, Runner

if TYPE_CHECKING:
    from ..models.card import ModelCard
    from ..networks.segmenter import Segmenter

RULE = (
    "Dice is 0 where a structure is missing in prediction or truth, and left out where it is in neither. The surface "
    "distance is undefined then; such scans are counted and left out of its mean. Mean and population standard "
    "deviation are over scans."
)
STATISTICS = {"ct": "sifa_ct", "ct-old": "sifa_ct_old", "mr": "sifa_mr"}  # -> datasets.settings.NORMALISATIONS
CSV_HEADS = ("scan", "structure", "dice", "assd_voxels", "assd_mm", "note")


@dataclass(frozen=True)
class Case:
    """One scan: Dice, surface distance in mm and in voxels, each by structure id. NaN: nothing to measure; infinite
    distance: missing in one. assd_mm is empty where the spacing is not known. note: what happened, if anything did.
    """

    name: str
    dice: dict[str, float]
    assd_voxels: dict[str, float]
    assd_mm: dict[str, float]
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """One structure over all scans. Means and standard deviations are NaN where nothing could be measured.

    scans: in which it is; missed: in how many of them the surface distance is undefined.
    """

    dice: tuple[float, float]
    assd_voxels: tuple[float, float]
    assd_mm: tuple[float, float] | None
    scans: int
    missed: int


@dataclass(frozen=True)
class Evaluation:
    """cases: of every scan, all of the same structures. not_labelled: structures of the model that no label map holds;
    not_drawn: those in label maps that the model does not draw. Neither is compared."""

    cases: tuple[Case, ...]
    structures: tuple[Structure, ...]
    not_labelled: tuple[Structure, ...] = ()
    not_drawn: tuple[Structure, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was left out."""
        reasons = {
            "no label map holds it, so that nothing could be compared": self.not_labelled,
            "label maps hold it, but the model does not draw it": self.not_drawn,
        }
        return tuple(f"{s.name}: {reason}." for reason, structures in reasons.items() for s in structures)


def product(
    found: Sequence[Scan],
    segmenter: Segmenter,
    card: ModelCard,
    options: Options = Options(),
    mapping: dict[str, int] | None = None,
) -> Steps[Evaluation]:
    """Segment every scan and compare. All files are checked before the first is segmented. mapping: of label values.

    Raises DataError, which names the files, if any cannot be compared, and what `inference.segment_steps` raises.
    """
    classes, mapping = card.architecture.classes, dict(mapping or {})
    settings = DataSettings("scans", "phantom", mapping, card.preprocessing, classes=classes)
    problems: list[str] = []
    findings: list[Scan] = []
    for n, scan in enumerate(found):
        yield Progress(f"Checking {scan.name}", 0.1 * n / len(found))
        finding, *_ = scans.examine(scan, "source", settings)
        findings.append(finding)
        problems += finding.problems
    if problems:
        raise DataError(" ".join(problems[:10]) + (f" And {len(problems) - 10} more." if problems[10:] else ""))
    shown = tuple(s for s in card.labels if not all(s.value in f.missing for f in findings))
    cases = []
    for n, scan in enumerate(found):
        low, high = (0.1 + 0.9 * part / len(found) for part in (n, n + 1))
        yield Progress(f"Segmenting {scan.name}", low)
        finding, image, labels = scans.examine(scan, "source", settings)
        if image is None or labels is None:
            raise DataError(" ".join(finding.problems))  # it changed meanwhile
        truth = np.where(labels.array >= classes, UNKNOWN, labels.array).astype(np.uint8)
        steps = within(segmentation.segment_steps(image, segmenter, card, options), low, high)
        drawn, note = yield from _labels_or_note(scan.name, steps, truth.shape)
        cases.append(compare(scan.name, drawn, truth, shown, image.geometry.spacing, note))
    labelled = sorted({label for finding in findings for label in finding.label_meanings})
    not_labelled = tuple(s for s in card.labels if s not in shown)
    return Evaluation(
        tuple(cases), shown, not_labelled, label_values.left_out(labelled, {str(v): v for v in labelled}, classes)
    )


def _labels_or_note(
    name: str, steps: Steps[segmentation.Result], shape: tuple[int, ...]
) -> Steps[tuple[np.ndarray, str]]:
    """The labels of a segmentation, and why there are none."""
    try:
        result = yield from mapped(steps, lambda step: replace(step, stage=f"Segmenting {name}"))
    except NoHeartFound:
        return np.zeros(shape, np.uint8), "No heart was found."
    return result.labels.array, ""


def published(
    files: Sequence[Path], segmenter: Segmenter, card: ModelCard, statistics: str, device: str = "auto"
) -> Steps[Evaluation]:
    """The published protocol on .npz volumes; `statistics`: a key of STATISTICS. Raises DataError, ValueError."""
    span = NORMALISATIONS[STATISTICS[statistics]]
    assert span is not None  # the table's
    structures = tuple(s for s in card.labels if s.value <= len(PAPERS))
    runner = Runner(segmenter, Options(device=device, precision="float32"), Clock())
    cases = []
    for n, file in enumerate(files):
        images, truth = released.read_npz(file)
        if images.shape[1] % 8 or images.shape[2] % 8:
            raise DataError(
                f"{file} has slices of {images.shape[1]} x {images.shape[2]} pixels; sides must be multiples of 8."
            )
        images = scores_to_unit(images, span).astype(np.float32)
        found = np.zeros(truth.shape, np.uint8)
        yield Progress(f"Segmenting {file.name}", n / len(files))
        for first, probabilities in runner.probabilities(images):
            done = first + len(probabilities)
            found[first:done] = probabilities.argmax(axis=1)
            yield Progress(f"Segmenting {file.name}", (n + done / len(images)) / len(files))
        cases.append(compare(file.stem, found, truth, structures, None))
    return Evaluation(tuple(cases), structures)


def compare(
    name: str,
    found: np.ndarray,
    truth: np.ndarray,
    structures: Sequence[Structure],
    spacing_mm: Sequence[float] | None,
    note: str = "",
) -> Case:
    """Two label arrays [k, j, i] on one grid; `spacing_mm` (i, j, k), None if it is not known."""
    known = truth != UNKNOWN
    masks = {s.id: ((found == s.value) & known, truth == s.value) for s in structures}
    return Case(
        name,
        dice={i: metrics.dice(a, b) for i, (a, b) in masks.items()},
        assd_voxels={i: metrics.assd_mm(a, b, (1.0, 1.0, 1.0)) for i, (a, b) in masks.items()},
        assd_mm={} if spacing_mm is None else {i: metrics.assd_mm(a, b, spacing_mm) for i, (a, b) in masks.items()},
        note=note,
    )


def summarise(cases: Sequence[Case], structures: Sequence[str]) -> dict[str, Summary]:
    """By structure id, over all scans."""
    result = {}
    for structure in structures:
        dice = [c.dice[structure] for c in cases]
        distances = [c.assd_voxels[structure] for c in cases]
        in_mm = [c.assd_mm[structure] for c in cases if c.assd_mm]
        result[structure] = Summary(
            _mean_std(dice),
            _mean_std(distances),
            _mean_std(in_mm) if in_mm else None,
            sum(not math.isnan(d) for d in dice),
            sum(math.isinf(d) for d in distances),
        )
    return result


def mean_of(summaries: dict[str, Summary]) -> dict[str, float]:
    """The mean over the structures of their means, as published; NaN if a structure has none."""
    values = summaries.values()
    means = {"dice": [s.dice[0] for s in values], "assd_voxels": [s.assd_voxels[0] for s in values]}
    if all(s.assd_mm for s in values):
        means["assd_mm"] = [s.assd_mm[0] for s in values if s.assd_mm]
    return {name: float(np.mean(numbers)) for name, numbers in means.items()}


def report(found: Evaluation, card: ModelCard, protocol: str, statistics: str = "") -> dict[str, Any]:
    """All of it as JSON data; what could not be measured is null."""
    cases = found.cases
    summaries = summarise(cases, [s.id for s in found.structures])
    what = {"protocol": protocol} | ({"statistics": statistics} if statistics else {})
    return {
        **what,
        "model": {"id": card.id, "version": card.version, "sha256": card.sha256},
        "rule": RULE,
        "scans": [
            {
                "name": c.name,
                "dice": _plain(c.dice),
                "assd_voxels": _plain(c.assd_voxels),
                **({"assd_mm": _plain(c.assd_mm)} if c.assd_mm else {}),
                **({"note": c.note} if c.note else {}),
            }
            for c in cases
        ],
        "structures": {name: _summary(summary) for name, summary in summaries.items()},
        "mean": _plain(mean_of(summaries)),
        "not_labelled": [s.id for s in found.not_labelled],
        "not_drawn": [s.id for s in found.not_drawn],
    }


def as_csv(cases: Sequence[Case]) -> str:
    """A row for each scan and structure; what could not be measured is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_HEADS)
    for case in cases:
        for structure in case.dice:
            values = (case.dice, case.assd_voxels, case.assd_mm)
            numbers = [v.get(structure, math.nan) for v in values]
            shown = [f"{n:.5f}" if math.isfinite(n) else "" for n in numbers]
            writer.writerow((case.name, structure, *shown, case.note))
    return file.getvalue()


def _summary(summary: Summary) -> dict[str, Any]:
    pairs = {name: getattr(summary, name) for name in ("dice", "assd_voxels", "assd_mm")}
    measured = {name: _plain({"mean": pair[0], "std": pair[1]}) for name, pair in pairs.items() if pair is not None}
    return {**measured, "scans": summary.scans, "assd_undefined": summary.missed}


def _mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and population standard deviation of the finite ones."""
    finite = [v for v in values if math.isfinite(v)]
    return (float(np.mean(finite)), float(np.std(finite))) if finite else (math.nan, math.nan)


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {name: float(v) if math.isfinite(v) else None for name, v in values.items()}
