"""Does the uncertainty tell where, and in which structure, a result is wrong? Phantoms of varied difficulty, real slices.

    python Testing/Benchmarks/bench_uncertainty.py [--cases 8] [--data FOLDER] [--model ID or folder] [--views auto]

Phantoms (2 mm, seeds that no training used) are taken in turn as they are, with strong noise, with little contrast, and
in slices of 8 mm. Of each scan and each structure that the truth holds:

- rank correlation (Spearman) of 1 - expected Dice with 1 - Dice, over all structures of all scans;
- area under the ROC curve for telling wrong voxels from right ones by their uncertainty, among the voxels that are of a
  structure in the truth or in the result, or lie within 8 voxels of one along each axis; the mean over the scans.

Voxels labelled 255, and structures that a real scan's labels do not list, are left out. Of a slice case the middle counts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from chosen_models import Chosen
from real_measures import middle
from scipy.ndimage import maximum_filter
from scipy.stats import rankdata, spearmanr
from SIFALib import phantom
from SIFALib.imaging import metrics, reading
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.segmentation import Options, Result, segment
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.phantom.tissues import known_to
from SIFALib.support.errors import NoHeartFound

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training and its validation stay below
DIFFICULTIES = ("plain", "noise", "low contrast", "thick slices")
NEAR = 8  # voxels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=8, help="phantoms")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="real scans")
    parser.add_argument("--model", help="id or folder of a model package (default: those of the default command)")
    parser.add_argument("--views", default="auto")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing/Benchmarks/results/uncertainty.json")
    options = parser.parse_args()
    chosen = Chosen(options.model)
    wanted = Options(views=options.views, uncertainty=True)
    rows = []
    for kind, name, scan, truth, ids, single in (*phantoms(options.cases), *real(options.data)):
        started = time.process_time()
        row = {"kind": kind, "name": name}
        try:
            result = segment(scan, *chosen.of(scan), wanted)
        except NoHeartFound as error:
            row["note"] = str(error)
        else:
            row |= judge(result, truth, ids, single)
        rows.append(row | {"cpu_seconds": round(time.process_time() - started, 1)})
        print(rows[-1], flush=True)
    summary = {kind: summarise([r for r in rows if r["kind"] == kind]) for kind in ("phantom", "real")}
    print(table(summary))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found = {"model": chosen.models.key, "views": options.views, "summary": summary, "cases": rows}
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def phantoms(count: int):
    """(kind, name, scan, truth, ids of the labelled structures, whether only the middle slice counts)"""
    for n in range(count):
        seed, modality = FIRST_SEED + n, ("ct", "mr")[n % 2]
        difficulty = DIFFICULTIES[n // 2 % len(DIFFICULTIES)]
        case = phantom.make(seed, modality, 2.0)
        scan, truth = harder(case.image, four(case.labels), difficulty, np.random.default_rng(seed))
        yield "phantom", f"{modality} {seed} {difficulty}", scan, truth, [s.id for s in PAPERS], False


def harder(scan: Volume, labels: Volume, difficulty: str, rng: np.random.Generator) -> tuple[Volume, Volume]:
    """The same scan with noise (90 HU; 15 % of an MR's brightest), a third of its contrast, or slices of 8 mm."""
    array, is_ct = scan.array.astype(np.float32), scan.array.min() < -500
    bright = float(np.percentile(array, 99))
    if difficulty == "noise":
        array += rng.normal(0, 90.0 if is_ct else 0.15 * bright, array.shape)
    elif difficulty == "low contrast":
        dark = 0.0 if is_ct else float(np.percentile(array, 60))
        array = np.where(array > dark, dark + (array - dark) / 3, array)
        array += rng.normal(0, 8.0 if is_ct else 0.05 * bright, array.shape)
    elif difficulty == "thick slices":
        n = len(array) // 4 * 4
        array = array[:n].reshape(-1, 4, *array.shape[1:]).mean(axis=1)
        g = scan.geometry
        origin = tuple(float(x) for x in g.point((0, 0, 1.5)))
        spacing = (g.spacing[0], g.spacing[1], 4 * g.spacing[2])
        thick = Geometry((g.size[0], g.size[1], n // 4), (origin[0], origin[1], origin[2]), spacing, g.direction)
        return Volume(array.astype(np.int16), thick, scan.name), Volume(labels.array[1:n:4], thick, labels.name)
    return Volume(array.astype(np.int16), scan.geometry, scan.name), labels


def four(labels: Volume) -> Volume:
    """A phantom's labels without what the papers do not have."""
    return Volume(known_to(labels.array, len(PAPERS) + 1), labels.geometry, labels.name)


def real(folder: Path):
    manifest = folder / "manifest.json"
    for case, facts in json.loads(manifest.read_text(encoding="utf-8")).items() if manifest.is_file() else ():
        if facts.get("labels"):
            scan, truth = (reading.read(folder / kind / f"{case}.nii.gz") for kind in ("images", "labels"))
            ids = [s.id for s in STRUCTURES if s.value in facts["classes"]]
            yield "real", case, scan, truth, ids, facts["kind"] == "slice"


def judge(result: Result, truth: Volume, ids: list[str], single: bool) -> dict:
    labels, unsure = result.labels, result.uncertainty
    assert unsure is not None  # it was asked for
    if single:
        labels, truth, unsure = middle(labels), middle(truth), middle(unsure)
    there = [s for s in STRUCTURES if s.id in ids and (truth.array == s.value).any()]
    foreign = [s.value for s in STRUCTURES if s.id not in ids]
    near = maximum_filter(np.isin(truth.array, [s.value for s in there]) | (labels.array > 0), 2 * NEAR + 1)
    counted = near & (truth.array != metrics.UNKNOWN) & ~np.isin(labels.array, foreign)
    return {
        "dice": metrics.dice_per_structure(labels, truth, there),
        "expected_dice": {s.id: result.report.expected_dice[s.id] for s in there},
        "auc": area(unsure.array[counted], (labels.array != truth.array)[counted]),
        "views": list(result.report.views),
    }


def area(scores: np.ndarray, wrong: np.ndarray) -> float | None:
    """Area under the ROC curve (the share of pairs of a wrong and a right voxel in the right order); None without both."""
    bad, good = int(wrong.sum()), int((~wrong).sum())
    if not bad or not good:
        return None
    ranks = rankdata(scores)
    return float((ranks[wrong].sum() - bad * (bad + 1) / 2) / (bad * good))


def summarise(rows: list[dict]) -> dict:
    pairs = [(r["expected_dice"][i] or 0.0, d) for r in rows for i, d in r.get("dice", {}).items()]
    areas = [r["auc"] for r in rows if r.get("auc") is not None]
    return {
        "scans": len(rows),
        "no_heart": sum("note" in r for r in rows),
        "structures": len(pairs),
        "spearman": float(spearmanr(*zip(*pairs, strict=True)).statistic) if len(pairs) > 2 else None,
        "auc": float(np.mean(areas)) if areas else None,
    }


def table(summary: dict[str, dict]) -> str:
    lines = [f"{'':8} {'scans':>6} {'no heart':>9} {'structures':>11} {'Spearman':>9} {'AUC':>6}"]
    for kind, v in summary.items():
        numbers = ["-" if v[k] is None else f"{v[k]:.2f}" for k in ("spearman", "auc")]
        lines.append(
            f"{kind:8} {v['scans']:6d} {v['no_heart']:9d} {v['structures']:11d} {numbers[0]:>9} {numbers[1]:>6}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
