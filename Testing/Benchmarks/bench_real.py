"""How well models do on real scans, and how well one would do without them: per structure and data set, with pictures.

    python Testing/Benchmarks/bench_real.py --data ../shared/data [--models ID-or-folder ...] [--out FOLDER]

The data are a folder with `images/`, `labels/` and `manifest.json` (see its README for origin and licences); they are
not part of this project. Rules: a `slice` case is scored on its middle slice; voxels labelled 255 are left out; a
structure counts where the manifest lists it and the truth holds it; if the prediction lacks it, its Dice is 0 (and its
surface distance is left out). A case in which no heart is found has Dice 0 for all its structures. Nothing here was
used to choose the model's weights.

Several models (the one from phantoms beside one that was adapted, say) are judged side by side; and beside them what a
user without labels would do otherwise, a threshold and region growing (region_growing.py). What tells without labels
how good a result is stands in the rows too: the model's agreement with itself, the Dice that its probabilities promise,
how unlike its training data the scan is; and how well each orders the cases as their true Dice does (Spearman).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from region_growing import grow
from SIFALib.adaptation import label_free
from SIFALib.imaging import metrics, pictures, reading
from SIFALib.imaging.geometry import Volume
from SIFALib.inference.localisation import plane_of
from SIFALib.inference.passes import NetworkInput, Pass
from SIFALib.inference.segmentation import Options, segment
from SIFALib.models import store
from SIFALib.models.structures import STRUCTURES
from SIFALib.networks import loading
from SIFALib.networks.arrays import to_numpy, to_tensor
from SIFALib.support.errors import NoHeartFound

ROOT = Path(__file__).resolve().parents[2]
GROWING = "region growing"
PREDICTORS = ("agreement", "expected_dice", "unlike")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--model",
        "--models",
        dest="models",
        nargs="+",
        default=[None],
        help="ids or folders of model packages (default: the bundled one)",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "real")
    arguments = parser.parse_args()
    manifest = arguments.data / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} does not exist; give the folder of the real scans with --data.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    packages = [find(model) for model in arguments.models]
    results = {}
    for package in packages:
        folder = arguments.out if len(packages) == 1 else arguments.out / package.card.key
        folder.mkdir(parents=True, exist_ok=True)
        segmenter = loading.load_segmenter(package)
        print(f"\n{package.card.key}")
        rows = []
        for case in facts:
            rows.append(judge(case, facts[case], arguments.data, folder, segmenter, package.card))
            print(line(rows[-1]), flush=True)
        results[package.card.key] = {"cases": rows, "summary": summarise(rows), "predicts": correlations(rows)}
        keep_extremes(rows, folder)
    rows = [judge_growing(case, facts[case], arguments.data) for case in facts if facts[case].get("labels")]
    results[GROWING] = {"cases": rows, "summary": summarise(rows)}
    for name, result in results.items():
        print(f"\n{name}\n{table(result['summary'])}")
    print("\n" + comparison({name: result["summary"] for name, result in results.items()}))
    for name, result in results.items():
        for predictor, found in result.get("predicts", {}).items():
            print(f"{name}: {predictor} orders {found['cases']} cases as Dice does: rho {found['rho']:.2f}")
    text = json.dumps(without_infinity({"methods": results}), indent=1, allow_nan=False)
    (arguments.out / "real.json").write_text(text + "\n", encoding="utf-8")
    print(f"\nPictures (scan, result, truth) and real.json are in {arguments.out}")


def find(model: str | None) -> store.ModelPackage:
    """The model of that id or in that folder; the bundled one without."""
    if model is None:
        return store.default_store().default()
    return store.read_package(model) if Path(model).is_dir() else store.default_store().get(model)


def judge(case: str, facts: dict, data: Path, out: Path, segmenter, card) -> dict:
    """Segment one case, picture it, and score it if it has labels."""
    scan, truth = load(case, facts, data)
    row: dict[str, Any] = {
        "case": case,
        "dataset": facts["dataset"],
        "modality": facts["modality"],
        "note": "",
        "flags": [],
    }
    started = time.monotonic()
    try:
        result = segment(scan, segmenter, card, Options())
        labels = result.labels
        row |= told(result.report.to_json())
    except NoHeartFound as error:
        labels, row["note"] = Volume(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, case), str(error)
    row["seconds"] = round(time.monotonic() - started, 1)
    shown = None if truth is None else Volume(np.where(truth.array == 255, 0, truth.array), truth.geometry, case)
    pictures.overlay(scan, labels, out / f"{case}.png", truth=shown)
    row["ml"] = {s.id: round(float((labels.array == s.value).sum() * scan.geometry.voxel_ml), 1) for s in STRUCTURES}
    row["agreement"] = agreement(scan, labels, facts["kind"], segmenter, card)
    if truth is not None:
        row |= scores(labels, truth, facts)
    return row


def load(case: str, facts: dict, data: Path) -> tuple[Volume, Volume | None]:
    scan = reading.read(data / "images" / f"{case}.nii.gz")
    return scan, reading.read(data / "labels" / f"{case}.nii.gz") if facts.get("labels") else None


def told(report: dict) -> dict:
    """What the report says of the result's quality: flags, the promised Dice, how unlike the training data."""
    expected = [v for v in report.get("expected_dice", {}).values() if v is not None and math.isfinite(v)]
    return {
        "flags": [f"{f['structure']} {f['kind']}".strip() for f in report["flags"]],
        "expected_dice": float(np.mean(expected)) if expected else None,
        "unlike": report["out_of_distribution"].get("unlike"),
    }


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


def scores(labels: Volume, truth: Volume, facts: dict) -> dict:
    """Dice, surface distance (where it is defined) and what is missing, by the rules above."""
    if facts["kind"] == "slice":
        labels, truth = middle(labels), middle(truth)
    scored = [s for s in STRUCTURES if s.value in facts["classes"] and (truth.array == s.value).any()]
    dice = metrics.dice_per_structure(labels, truth, scored)
    distances = metrics.assd_per_structure(labels, truth, scored)
    return {
        "dice": dice,
        "assd_mm": {k: v for k, v in distances.items() if math.isfinite(v)},
        "missing": [s.id for s in scored if not (labels.array == s.value).any()],
    }


def judge_growing(case: str, facts: dict, data: Path) -> dict:
    """The same scores for a threshold and region growing, in the middle slice of a `slice` case."""
    scan, truth = load(case, facts, data)
    assert truth is not None
    row: dict[str, Any] = {"case": case, "dataset": facts["dataset"], "modality": facts["modality"], "note": ""}
    if facts["kind"] != "slice":
        return row | {"note": "not a slice: left out"}
    grey, known = middle(scan), middle(truth)
    axis = int(np.argmin(known.array.shape))
    asked = np.where(np.isin(known.array, facts["classes"]), known.array, 0)
    spacing = [s for n, s in enumerate(reversed(known.geometry.spacing)) if n != axis]
    found = grow(grey.array.take(0, axis), asked.take(0, axis), (spacing[0], spacing[1]))
    labels = Volume(np.expand_dims(found, axis), known.geometry, case)
    return row | scores(labels, known, facts | {"kind": "3D"})


def middle(labels: Volume) -> Volume:
    """The middle one of the copies that a slice case consists of: they follow each other along the shortest axis."""
    axis = int(np.argmin(labels.geometry.extent_mm))
    start, size = [0, 0, 0], list(labels.geometry.size)
    start[axis], size[axis] = size[axis] // 2, 1
    part = tuple(slice(a, a + n) for a, n in zip(reversed(start), reversed(size), strict=True))
    return Volume(labels.array[part], labels.geometry.part(start, size), labels.name)


def summarise(rows: list[dict]) -> dict:
    """Mean Dice, ASSD, number of cases and of missing structures, per data set and structure."""
    summary: dict = {}
    for dataset in dict.fromkeys(r["dataset"] for r in rows if "dice" in r):
        mine = [r for r in rows if r["dataset"] == dataset and "dice" in r]
        for s in STRUCTURES:
            values = [r["dice"][s.id] for r in mine if s.id in r["dice"]]
            distances = [r["assd_mm"][s.id] for r in mine if s.id in r["assd_mm"]]
            if values:
                summary.setdefault(dataset, {})[s.id] = {
                    "dice": float(np.mean(values)),
                    "assd_mm": float(np.mean(distances)) if distances else None,
                    "cases": len(values),
                    "missing": sum(1 for r in mine if s.id in r["missing"]),
                }
    return summary


def mean_dice(row: dict) -> float | None:
    """Of all the structures that count in a case; None where none does."""
    values = list(row.get("dice", {}).values())
    return float(np.mean(values)) if values else None


def correlations(rows: list[dict]) -> dict[str, dict]:
    """Of each label-free predictor: Spearman's rank correlation with the mean Dice over the labelled cases.

    Cases that lack the predictor are left out; fewer than 5 say nothing. `unlike` is turned round: high is bad.
    """
    found = {}
    for name in PREDICTORS:
        pairs = [(r[name], mean_dice(r)) for r in rows if r.get(name) is not None and mean_dice(r) is not None]
        if len(pairs) >= 5 and len({p for p, _ in pairs}) > 1 and len({d for _, d in pairs}) > 1:
            one, other = np.array(pairs, float).T
            sign = -1.0 if name == "unlike" else 1.0
            found[name] = {"rho": spearman(sign * one, other), "cases": len(pairs)}
    return found


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of ranks; equal values share their mean rank."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def keep_extremes(rows: list[dict], out: Path) -> None:
    """Under the names DATASET-best.png, -median.png and -worst.png the pictures of the cases of that mean Dice."""
    for dataset in dict.fromkeys(r["dataset"] for r in rows if mean_dice(r) is not None):
        mine = sorted((r for r in rows if r["dataset"] == dataset and mean_dice(r) is not None), key=mean_dice)
        for name, row in (("worst", mine[0]), ("median", mine[len(mine) // 2]), ("best", mine[-1])):
            (out / f"{dataset}-{name}.png").write_bytes((out / f"{row['case']}.png").read_bytes())


def table(summary: dict) -> str:
    lines = [f"{'data set':10} {'structure':10} {'Dice':>6} {'ASSD mm':>8} {'cases':>6} {'missing':>8}"]
    for dataset, structures in summary.items():
        for name, v in structures.items():
            assd = "-" if v["assd_mm"] is None else f"{v['assd_mm']:.1f}"
            lines.append(f"{dataset:10} {name:10} {v['dice']:6.3f} {assd:>8} {v['cases']:6d} {v['missing']:8d}")
        lines.append(f"{dataset:10} {'mean':10} {mean_of(structures):6.3f}")
    return "\n".join(lines)


def mean_of(structures: dict) -> float:
    return float(np.mean([v["dice"] for v in structures.values()]))


def comparison(summaries: dict[str, dict]) -> str:
    """Mean Dice per data set, a column for each method."""
    names = list(summaries)
    lines = [f"{'mean Dice':10} " + " ".join(f"{name:>22}" for name in names)]
    for dataset in dict.fromkeys(d for summary in summaries.values() for d in summary):
        cells = [f"{mean_of(summaries[n][dataset]):22.3f}" if dataset in summaries[n] else f"{'-':>22}" for n in names]
        lines.append(f"{dataset:10} " + " ".join(cells))
    return "\n".join(lines)


def line(row: dict) -> str:
    scored = row.get("dice") or row.get("ml") or {}
    unit = "Dice" if "dice" in row else "ml"
    text = "  ".join(f"{k} {v:.2f}" if unit == "Dice" else f"{k} {v:.0f}" for k, v in scored.items())
    agrees = "-" if row.get("agreement") is None else f"{row['agreement']:.2f}"
    flags = ", ".join(row.get("flags", []))
    return f"{row['case']:26} {row['seconds']:5.1f} s  {unit}: {text}  agreement {agrees}  {flags} {row['note']}"


def without_infinity(value: Any) -> Any:
    """The same with None for numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {key: without_infinity(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_infinity(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
