"""How well ejection fraction, volumes and mass of the left ventricle are told, on real hearts with experts' contours.

    python Testing/Benchmarks/bench_cine.py [--data ../shared/data] [--model ID-or-folder] [--model ...]
        [--only PATIENT ...] [--no-cine] [--out FOLDER]

The 11 open patients of the Sunnybrook Cardiac Data (sunnybrook.py), end-diastole (ED) and end-systole (ES) as two phases:
the contoured slices alone, so the stacks' ends are the experts'; the pictures tell which of them lie at the same place. Of
each: ejection fraction (EF), volumes at ED (EDV) and ES (ESV), and the muscle's mass at ED, beside those of the contours. A
scan that is refused counts by itself and in no mean.

And the one whole cine with contours, SC-HF-I-01 from its 4D file: which phases are found as ED and ES, and how good
the outlines are there; each phase for itself, and averaged with those beside it (--neighbours, the control of each other).

Rows are kept below `--out`, in a folder for each model, its weights, and the version of the code: stopped, it goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sunnybrook
from bench_real import code_version
from chosen_models import find
from SIFALib.imaging.reading import read
from SIFALib.imaging.study import read_cine
from SIFALib.inference import cine as inference
from SIFALib.inference import segment
from SIFALib.inference.basal import without_open_slices
from SIFALib.inference.heart_function import MYOCARDIUM_G_PER_ML
from SIFALib.models.store import ModelPackage
from SIFALib.networks import loading
from SIFALib.networks.segmenter import Segmenter
from SIFALib.support.errors import NoHeartFound, VolumeError
from SIFALib.support.progress import drain

ROOT = Path(__file__).resolve().parents[2]
WHOLE, WHOLE_TRUTH = "SCD0000101_sax_cine.nii.gz", "SCD0000101"  # SC-HF-I-01
NEIGHBOURS = (0.0, 0.25)
SLICES = 2  # the axis, of i, j, k, along which they follow each other
AIMS = {"EF": (5.0, 2.0), "EDV": (10.0, None), "ESV": (10.0, None), "mass": (12.0, None)}
"""Mean absolute error and bias that are wanted at most: points of EF, percent of the others."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    model = "id or folder of a model package (default: the bundled one); may be given again"
    parser.add_argument("--model", dest="models", nargs="+", action="extend", default=[], help=model)
    parser.add_argument("--only", nargs="+", action="extend", default=[], help="patients, like SC-N-02")
    parser.add_argument("--no-cine", action="store_true", help="without the whole cine")
    parser.add_argument("--neighbours", nargs="+", type=float, default=NEIGHBOURS, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "cine")
    arguments = parser.parse_args()
    if not (arguments.data / "scd").is_dir():
        raise SystemExit(f"{arguments.data} holds no folder scd; give the folder of the real scans with --data.")
    patients = [p for p in sunnybrook.OPEN if not arguments.only or p in arguments.only]
    results: dict[str, dict[str, Any]] = {}
    for package in [find(model) for model in arguments.models or [None]]:
        card = package.card
        folder = arguments.out / f"{card.key}-{card.sha256[:8]}" / code_version()
        folder.mkdir(parents=True, exist_ok=True)
        print(f"\n{folder}", flush=True)
        segmenter = loading.load_segmenter(package)
        rows = [
            kept(folder, patient, partial(judge, arguments.data, patient, segmenter, package)) for patient in patients
        ]
        wholes = [
            kept(folder, f"{WHOLE_TRUTH}-{weight:g}", partial(judge_whole, arguments.data, segmenter, package, weight))
            for weight in (() if arguments.no_cine else arguments.neighbours)
        ]
        results[f"{card.key} {card.sha256[:4]}"] = {"patients": rows, "summary": summarise(rows), "cine": wholes}
    for name, result in results.items():
        print(f"\n{name}\n{table(result['patients'])}\n\n{whole_table(result['cine'])}")
    print(f"\n{comparison({name: result['summary'] for name, result in results.items()})}")
    (arguments.out / "cine.json").write_text(json.dumps({"models": results}, indent=1) + "\n", encoding="utf-8")
    print(f"\ncine.json and the rows are in {arguments.out}")


def kept(folder: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The row of that name in the folder, made if it is not there."""
    path = folder / f"{name}.json"
    if not path.is_file():
        began = time.monotonic()
        row = {**make(), "seconds": round(time.monotonic() - began, 1)}
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
        print(line(row), flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def judge(data: Path, patient: str, segmenter: Segmenter, package: ModelPackage) -> dict[str, Any]:
    """A patient's row: ml and g of the contours (true) and of the model (found), and EF in percent."""
    row: dict[str, Any] = {"name": patient, "true": {}, "found": {}, "without_rule": {}, "dice": {}, "note": ""}
    stacks = {phase: sunnybrook.open_stack(data, f"{patient}_{phase}") for phase in sunnybrook.PHASES}
    drawn: dict[str, np.ndarray] = {}
    for phase, stack in stacks.items():
        row["true"] |= measures(stack.labels.array, stack.labels.geometry.voxel_ml, phase)
        try:
            drawn[phase] = segment(stack.scan, segmenter, package.card).labels.array
        except (NoHeartFound, VolumeError) as error:
            row["note"] += f"{phase}: {error} "
    first = first_slices(*(stacks[phase].scan.array for phase in sunnybrook.PHASES))
    for phase, ruled in _ruled(drawn, dict(zip(sunnybrook.PHASES, first, strict=True)), package).items():
        truth = stacks[phase].labels
        row["found"] |= measures(ruled, truth.geometry.voxel_ml, phase)
        row["without_rule"] |= measures(drawn[phase], truth.geometry.voxel_ml, phase)
        row["dice"] |= {f"LV {phase}": dice(ruled, truth.array, sunnybrook.LV)}
        if phase == "ED":
            row["dice"] |= {"MYO ED": dice(ruled, truth.array, sunnybrook.MYO)}
    for kind in ("true", "found", "without_rule"):
        add_fraction(row[kind])
    return row


def first_slices(diastole: np.ndarray, systole: np.ndarray) -> tuple[int, int]:
    """At which slice of one stack each of both [slices, rows, columns] begins, whose ends the experts cut off: where the
    pictures are most alike (correlation), all slices of the smaller one but one at most beside slices of the other."""
    n, m = len(diastole), len(systole)
    alike = np.corrcoef(diastole.reshape(n, -1), systole.reshape(m, -1))[:n, n:]
    least = min(n, m) - 1
    shifts = [s for s in range(1 - m, n) if len(np.diagonal(alike, -s)) >= least]
    shift = max(shifts, key=lambda s: float(np.diagonal(alike, -s).mean()))
    return max(0, -shift), max(0, shift)


def _ruled(drawn: dict[str, np.ndarray], first: dict[str, int], package: ModelPackage) -> dict[str, np.ndarray]:
    """Labels of each phase without open slices, by the rule for cines, which sees both phases."""
    count = max((first[phase] + len(labels) for phase, labels in drawn.items()), default=0)
    both = [np.pad(a, ((first[p], count - first[p] - len(a)), (0, 0), (0, 0))) for p, a in drawn.items()]
    if not both:
        return {}
    ruled, _ = without_open_slices(np.array(both), SLICES, package.card.labels)
    return {p: stack[first[p] : first[p] + len(drawn[p])] for p, stack in zip(drawn, ruled, strict=True)}


def judge_whole(data: Path, segmenter: Segmenter, package: ModelPackage, neighbours: float) -> dict[str, Any]:
    """The row of the whole cine. phases: numbers, from 0, of ED and ES, in the truth and as they were found."""
    cine = read_cine(data / "scd" / WHOLE)
    steps = inference.segment_cine_steps(cine, segmenter, package.card, neighbours=neighbours)
    result = drain(steps)
    row: dict[str, Any] = {
        "name": f"whole cine, neighbours {neighbours:g}",
        **{key: {} for key in ("true", "found", "dice", "phases")},
    }
    volumes = np.array(result.volumes_ml["LV"])
    row["curve_ml"] = [round(float(v), 1) for v in volumes]
    row["roughness_ml"] = round(float(np.abs(np.roll(volumes, 1) - 2 * volumes + np.roll(volumes, -1)).mean()), 2)
    for phase in sunnybrook.PHASES:
        image = read(data / "scd" / "true_geometry" / "images" / f"{WHOLE_TRUTH}_{phase}.nii.gz").array
        labels = read(data / "scd" / "true_geometry" / "labels" / f"{WHOLE_TRUTH}_{phase}.nii.gz").array
        true = int(np.argmin([np.abs(cine.array[t].astype(float) - image).mean() for t in range(cine.phases)]))
        drawn = result.labels[true]
        known = labels != 255
        function = result.functions.get("LV")
        found = None if function is None else (function.end_diastole if phase == "ED" else function.end_systole)
        row["phases"][phase] = [true, found]
        row["true"] |= measures(np.where(known, labels, 0), cine.geometry.voxel_ml, phase)
        row["found"] |= measures(drawn, cine.geometry.voxel_ml, phase)
        row["dice"][f"LV {phase}"] = dice(drawn * known, labels * known, sunnybrook.LV)
        if phase == "ED":
            row["dice"]["MYO ED"] = dice(drawn * known, labels * known, sunnybrook.MYO)
    for kind in ("true", "found"):
        add_fraction(row[kind])
    return row


def measures(labels: np.ndarray, voxel_ml: float, phase: str) -> dict[str, float]:
    """EDV or ESV in ml; at ED the mass in g, too."""
    found = {"EDV" if phase == "ED" else "ESV": np.count_nonzero(labels == sunnybrook.LV) * voxel_ml}
    if phase == "ED":
        found["mass"] = np.count_nonzero(labels == sunnybrook.MYO) * voxel_ml * MYOCARDIUM_G_PER_ML
    return {key: round(float(value), 2) for key, value in found.items()}


def add_fraction(values: dict[str, float]) -> None:
    if values.get("EDV") and "ESV" in values:
        values["EF"] = round(100.0 * (1.0 - values["ESV"] / values["EDV"]), 2)


def dice(drawn: np.ndarray, truth: np.ndarray, value: int) -> float:
    one, other = drawn == value, truth == value
    return round(float(2 * np.count_nonzero(one & other) / max(1, np.count_nonzero(one) + np.count_nonzero(other))), 4)


def error_of(row: dict[str, Any], key: str, kind: str = "found") -> float | None:
    """Points of EF, percent of the others; None where one of both is not known."""
    true, found = row["true"].get(key), row[kind].get(key)
    if true is None or found is None:
        return None
    return found - true if key == "EF" else 100.0 * (found / true - 1.0)


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean absolute error and bias by quantity, with the rule of basal slices and without it, and how many were refused."""
    summary: dict[str, Any] = {"patients": len(rows), "refused": sum(bool(row["note"]) for row in rows)}
    for kind in ("found", "without_rule"):
        for key in AIMS:
            errors = [e for row in rows if (e := error_of(row, key, kind)) is not None]
            mean = {"error": round(float(np.abs(errors).mean()), 2), "bias": round(float(np.mean(errors)), 2)}
            summary.setdefault(kind, {})[key] = {"count": len(errors), **(mean if errors else {})}
    found = [d for row in rows for d in row["dice"].items()]
    summary["dice"] = {k: round(float(np.mean([v for n, v in found if n == k])), 3) for k in dict(found)}
    return summary


def line(row: dict[str, Any]) -> str:
    parts = [f"{key} {row['found'].get(key, float('nan')):.0f}/{row['true'][key]:.0f}" for key in AIMS]
    told = [f"{name} {value:.2f}" for name, value in row["dice"].items()]
    phases = [f"{phase} found {found}, true {true}" for phase, (true, found) in row.get("phases", {}).items()]
    return f"{row['name']:<28}{'  '.join((*parts, *told, *phases))}  {row['seconds']:.0f} s {row.get('note', '')}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    return "found/true: EF %, EDV ml, ESV ml, mass g; Dice\n" + "\n".join(line(row) for row in rows)


def whole_table(rows: Sequence[dict[str, Any]]) -> str:
    return "\n".join(f"{line(row)} roughness {row['roughness_ml']:.2f} ml" for row in rows)


def comparison(summaries: dict[str, dict[str, Any]]) -> str:
    """Models beside each other, and what is aimed at."""
    heads = ["model", "refused", *(f"{key} error (bias)" for key in AIMS), "Dice"]
    lines = [heads, ["aim", "0", *(f"{e:g}" + (f" ({b:g})" if b else "") for e, b in AIMS.values()), ""]]
    for name, summary in summaries.items():
        for kind, told in (("found", ""), ("without_rule", ", every slice")):
            cells = [
                f"{each['error']:.1f} ({each['bias']:+.1f})" if each["count"] else "none"
                for each in (summary[kind][key] for key in AIMS)
            ]
            scores = ", ".join(f"{k} {v:.2f}" for k, v in summary["dice"].items()) if kind == "found" else ""
            lines.append([f"{name}{told}", f"{summary['refused']} of {summary['patients']}", *cells, scores])
    widths = [max(len(row[n]) for row in lines) for n in range(len(heads))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines)


if __name__ == "__main__":
    main()
