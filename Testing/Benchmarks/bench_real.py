"""How well a model does on real scans: Dice and surface distance per structure and data set, with pictures.

    python Testing/Benchmarks/bench_real.py --data ../shared/data [--model ID or folder] [--out FOLDER]

The data are a folder with `images/`, `labels/` and `manifest.json` (see its README for origin and licences); they are
not part of this project. Rules: a `slice` case is scored on its middle slice; voxels labelled 255 are left out; a
structure counts where the manifest lists it and the truth holds it; if the prediction lacks it, its Dice is 0 (and its
surface distance is left out). A case in which no heart is found has Dice 0 for all its structures. Nothing here was
used to choose the model's weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from SIFALib import metrics, models, pictures, volume
from SIFALib.inference import NoHeartFound, Options, segment
from SIFALib.structures import STRUCTURES
from SIFALib.volume import Volume

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--model", default=None, help="id or folder of a model package (default: the bundled one)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "real")
    arguments = parser.parse_args()
    manifest = arguments.data / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} does not exist; give the folder of the real scans with --data.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    package = find(arguments.model)
    segmenter = models.load_segmenter(package)
    rows = []
    for case, facts in json.loads(manifest.read_text(encoding="utf-8")).items():
        rows.append(judge(case, facts, arguments.data, arguments.out, segmenter, package.card))
        print(line(rows[-1]), flush=True)
    summary = summarise(rows)
    print("\n" + table(summary))
    result = {"model": f"{package.card.id} {package.card.version}", "cases": rows, "summary": summary}
    (arguments.out / "real.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"\nPictures (scan, result, truth) and real.json are in {arguments.out}")


def find(model: str | None) -> models.ModelPackage:
    """The model of that id or in that folder; the bundled one without."""
    if model is None:
        return models.default_store().default()
    return models.read_package(model) if Path(model).is_dir() else models.default_store().get(model)


def judge(case: str, facts: dict, data: Path, out: Path, segmenter, card) -> dict:
    """Segment one case, picture it, and score it if it has labels."""
    scan = volume.read(data / "images" / f"{case}.nii.gz")
    truth = volume.read(data / "labels" / f"{case}.nii.gz") if facts.get("labels") else None
    row: dict = {"case": case, "dataset": facts["dataset"], "modality": facts["modality"], "note": ""}
    started = time.monotonic()
    try:
        labels = segment(scan, segmenter, card, Options()).labels
    except NoHeartFound as error:
        labels, row["note"] = Volume(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, case), str(error)
    row["seconds"] = round(time.monotonic() - started, 1)
    shown = (
        None if truth is None else Volume(np.where(truth.array == 255, 0, truth.array), truth.geometry, case)
    )
    pictures.overlay(scan, labels, out / f"{case}.png", truth=shown)
    if truth is None:
        row["ml"] = {
            s.id: round(float((labels.array == s.value).sum() * scan.geometry.voxel_ml), 1)
            for s in STRUCTURES
        }
        return row
    if facts["kind"] == "slice":
        labels, truth = middle(labels), middle(truth)
    scored = [s for s in STRUCTURES if s.value in facts["classes"] and (truth.array == s.value).any()]
    row["dice"] = metrics.dice_per_structure(labels, truth, scored)
    row["assd_mm"] = {
        k: v for k, v in metrics.assd_per_structure(labels, truth, scored).items() if math.isfinite(v)
    }
    row["missing"] = [k for k, v in row["dice"].items() if v == 0]
    return row


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
                    "missing": sum(1 for v in values if v == 0),
                }
    return summary


def table(summary: dict) -> str:
    lines = [f"{'data set':10} {'structure':10} {'Dice':>6} {'ASSD mm':>8} {'cases':>6} {'missing':>8}"]
    for dataset, structures in summary.items():
        for name, v in structures.items():
            assd = "-" if v["assd_mm"] is None else f"{v['assd_mm']:.1f}"
            lines.append(
                f"{dataset:10} {name:10} {v['dice']:6.3f} {assd:>8} {v['cases']:6d} {v['missing']:8d}"
            )
        mean = float(np.mean([v["dice"] for v in structures.values()]))
        lines.append(f"{dataset:10} {'mean':10} {mean:6.3f}")
    return "\n".join(lines)


def line(row: dict) -> str:
    scores = row.get("dice") or row.get("ml") or {}
    unit = "Dice" if "dice" in row else "ml"
    text = "  ".join(f"{k} {v:.2f}" if unit == "Dice" else f"{k} {v:.0f}" for k, v in scores.items())
    return f"{row['case']:26} {row['seconds']:5.1f} s  {unit}: {text}  {row['note']}"


if __name__ == "__main__":
    main()
