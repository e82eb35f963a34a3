"""Do the flags tell when a result cannot be trusted, and keep silent when it can?

    python Testing/Benchmarks/bench_trust.py [--data ../shared/data] [--model ID or folder] [--out FOLDER]

Good scans: phantoms that no model was trained on (whole chests, hearts cut out of them in slices of 6 mm, such ones
whose ends are cut off, single thick slices) and, with --data, real scans with contrast agent. Bad ones: CT without
contrast agent, abdomens, and everything in spoiled.py, made of phantoms and of a real scan. A flag that warns, or that no
heart was found, counts as an alarm; remarks on what the edge of the scan cuts off do not. Beside each rate stands the
mean Dice, where the truth is known: an alarm about a good outline is a smaller sin, silence about a bad one the greatest.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from chosen_models import Chosen
from real_cases import load
from real_measures import middle, scores
from real_tables import without_infinity
from SIFALib import phantom
from SIFALib.imaging import metrics
from SIFALib.imaging.components import bounding_box
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.reading import read
from SIFALib.inference.flags import REMARKS
from SIFALib.inference.segmentation import segment
from SIFALib.models import PAPERS
from SIFALib.phantom.slices.anatomies import make_anatomies
from SIFALib.phantom.tissues import LABEL_OF_TISSUE, known_to
from SIFALib.support.errors import NoHeartFound
from spoiled import SPOILED

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training, its validation and calibration stay below
SPACING_MM = 3.0
MARGIN_MM = 25  # around the heart in a scan of the heart alone
NATIVE = "CT without contrast agent"
ABDOMEN = "abdomen"
REAL_BAD = {"tcia": NATIVE}  # data set -> what is wrong with it; the others are good


@dataclass(frozen=True)
class Case:
    """A scan, whether an alarm is right, and the truth where it is known."""

    name: str
    kind: str
    good: bool
    scan: Volume
    truth: Volume | None = None
    facts: dict | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", default=None, help="id or folder of a model (default: those of the default command)")
    parser.add_argument("--persons", type=int, default=10, help="phantoms for each kind of good scan")
    parser.add_argument("--spoiled", type=int, default=5, help="phantoms for each kind of bad scan")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "trust")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = Chosen(arguments.model)
    rows = []
    for case in cases(arguments):
        rows.append(judge(case, *chosen.of(case.scan)))
        print(line(rows[-1]), flush=True)
    summary = summarise(rows)
    print("\n" + table(summary))
    result = {"model": chosen.models.key, "cases": rows, "summary": summary}
    text = json.dumps(without_infinity(result), indent=1, allow_nan=False)
    (arguments.out / "trust.json").write_text(text + "\n", encoding="utf-8")


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    folder = arguments.out / "anatomies"
    for number in range(max(arguments.persons, arguments.spoiled)):
        seed = FIRST_SEED + number
        make_anatomies(folder, [seed], SPACING_MM)
        tissues = read(folder / f"{seed}.nrrd")
        if number < arguments.persons:
            yield from good_phantoms(tissues, seed)
        if number < arguments.spoiled:
            yield from bad_phantoms(tissues, seed)
    if (arguments.data / "manifest.json").is_file():
        yield from real_cases(arguments.data)


def good_phantoms(tissues: Volume, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    labels = truth_of(tissues)
    modality = ("ct", "mr")[seed % 2]
    yield Case(f"{modality}-{seed}", "whole chest", True, painted(tissues, seed, modality), labels)
    for modality in ("ct", "mr"):
        scan, truth = (heart_only(v, labels) for v in (painted(tissues, seed, modality), labels))
        yield Case(f"{modality}-{seed}", "heart, slices of 6 mm", True, scan, truth)
        n = len(scan.array)
        ends = (int(0.45 * n), n) if rng.random() < 0.5 else (0, int(0.6 * n))
        yield Case(f"{modality}-{seed}", "heart, cut off", True, part(scan, *ends), part(truth, *ends))
        k = int(rng.integers(int(0.35 * n), int(0.65 * n)))
        yield Case(f"{modality}-{seed}", "one thick slice", True, copied(scan, k), copied(truth, k))


def bad_phantoms(tissues: Volume, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng([seed, 1])
    labels = truth_of(tissues)
    native = heart_only(painted(tissues, seed, "ct", contrast=False), labels)
    yield Case(f"ct-{seed}", NATIVE, False, native, heart_only(labels, labels))
    low = bounding_box(labels.array > 0)[0].start
    below = painted(tissues, seed, "ct").array[: low - 2]
    geometry = tissues.geometry.part((0, 0, 0), (*tissues.geometry.size[:2], len(below)))
    yield Case(f"ct-{seed}", ABDOMEN, False, Volume(below, geometry, ABDOMEN))
    modality = ("ct", "mr")[seed % 2]
    scan = heart_only(painted(tissues, seed, modality), labels)
    for kind, spoil in SPOILED.items():
        yield Case(f"{modality}-{seed}", kind, False, spoil(scan, rng))


def real_cases(data: Path) -> Iterator[Case]:
    rng = np.random.default_rng(1)
    for case, facts in json.loads((data / "manifest.json").read_text(encoding="utf-8")).items():
        scan, truth = load(case, facts, data)
        dataset = case.split("_")[0]
        kind = f"real: {dataset}, {facts['modality']} {facts['kind']}"
        yield Case(case, kind, dataset not in REAL_BAD, scan, truth, facts)
        if facts["kind"] == "3D" and dataset not in REAL_BAD:
            for name, spoil in SPOILED.items():
                yield Case(case, f"real: {name}", False, spoil(scan, rng))


def painted(tissues: Volume, seed: int, modality: str, contrast: bool = True) -> Volume:
    """A scan of the phantom; of CTs the first with, or without, contrast agent in its blood: told by the aorta."""
    aorta = LABEL_OF_TISSUE[tissues.array] == 4
    for n in range(100):
        scan = phantom.appearance(tissues, seed + 1000 * n, "ct" if modality == "ct" else "mr")
        if modality == "mr" or (float(np.median(scan.array[aorta])) > 100) is contrast:
            return scan
    raise RuntimeError(f"No CT of phantom {seed} has contrast agent in its blood: {contrast}.")


def truth_of(tissues: Volume) -> Volume:
    """Of the papers' four, which what is cut lies about and is judged by."""
    return Volume(known_to(LABEL_OF_TISSUE[tissues.array], len(PAPERS) + 1), tissues.geometry, tissues.name)


def heart_only(volume: Volume, labels: Volume) -> Volume:
    """The block around the heart, every second axial slice of it: as a scan of the heart in thick slices."""
    margin = round(MARGIN_MM / SPACING_MM)
    box = bounding_box(labels.array > 0)
    block = [
        slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, labels.array.shape, strict=True)
    ]
    start = [s.start for s in reversed(block)]
    array = np.ascontiguousarray(volume.array[tuple(block)][::2])
    fine = volume.geometry.part(start, [array.shape[2], array.shape[1], array.shape[0]])
    spacing = (fine.spacing[0], fine.spacing[1], 2 * fine.spacing[2])
    return Volume(array, Geometry(fine.size, fine.origin, spacing, fine.direction), volume.name)


def part(volume: Volume, first: int, last: int) -> Volume:
    """Slices first .. last - 1."""
    size = (*volume.geometry.size[:2], last - first)
    return Volume(volume.array[first:last], volume.geometry.part((0, 0, first), size), volume.name)


def copied(volume: Volume, k: int) -> Volume:
    """One slice five times, 2 mm apart: as the slices of the real data set are kept."""
    one = volume.geometry.part((0, 0, k), (*volume.geometry.size[:2], 1))
    geometry = Geometry((*one.size[:2], 5), one.origin, (*one.spacing[:2], 2.0), one.direction)
    return Volume(np.repeat(volume.array[k : k + 1], 5, axis=0), geometry, volume.name)


def judge(case: Case, segmenter, card) -> dict:
    started = time.monotonic()
    row: dict = {"case": case.name, "kind": case.kind, "good": case.good, "measured": {}, "dice": None}
    try:
        result = segment(case.scan, segmenter, card)
        labels, report = result.labels, result.report.to_json()
        row["flags"] = [f"{f['structure']} {f['kind']}".strip() for f in report["flags"] if f["kind"] not in REMARKS]
        row["remarks"] = [f["structure"] for f in report["flags"] if f["kind"] in REMARKS]
        row["measured"] = report["out_of_distribution"]
    except NoHeartFound:
        labels, row["flags"] = (
            Volume(np.zeros(case.scan.geometry.shape, np.uint8), case.scan.geometry, "none"),
            ["no heart"],
        )
    row["seconds"] = round(time.monotonic() - started, 1)
    if case.truth is not None and case.facts is not None:
        values = scores(labels, case.truth, case.facts)["dice"]
        row["dice"] = float(np.mean(list(values.values()))) if values else None
    elif case.truth is not None:
        thin = case.kind == "one thick slice"
        pair = (middle(labels), middle(case.truth)) if thin else (labels, case.truth)
        values = [v for v in metrics.dice_per_structure(*pair).values() if np.isfinite(v)]
        row["dice"] = float(np.mean(values)) if values else None
    return row


def summarise(rows: list[dict]) -> dict:
    """Per kind and for all good and all bad ones: how many, how many with an alarm, mean Dice, which flags how often."""
    summary = {}
    groups = {kind: [r for r in rows if r["kind"] == kind] for kind in dict.fromkeys(r["kind"] for r in rows)}
    for origin, real in (("phantoms", False), ("real", True)):
        for name, good in (("good", True), ("bad", False)):
            mine = [r for r in rows if r["good"] is good and r["kind"].startswith("real:") is real]
            if mine:
                groups[f"ALL {name} {origin}"] = mine
    for kind, mine in groups.items():
        dice = [r["dice"] for r in mine if r["dice"] is not None]
        names = [name for r in mine for name in {f.split()[-1] if f != "no heart" else f for f in r["flags"]}]
        summary[kind] = {
            "good": mine[0]["good"],
            "cases": len(mine),
            "alarms": sum(bool(r["flags"]) for r in mine),
            "dice": float(np.mean(dice)) if dice else None,
            "flags": {name: names.count(name) for name in dict.fromkeys(names)},
        }
    return summary


def table(summary: dict) -> str:
    lines = [f"{'':32} {'alarms':>10} {'wanted':>7} {'Dice':>6}  flags (cases)"]
    for kind, v in summary.items():
        dice = "-" if v["dice"] is None else f"{v['dice']:.2f}"
        flags = ", ".join(f"{name} {count}" for name, count in sorted(v["flags"].items(), key=lambda x: -x[1]))
        wanted = "none" if v["good"] else "all"
        lines.append(f"{kind:32} {v['alarms']:4d} of {v['cases']:2d} {wanted:>7} {dice:>6}  {flags}")
    return "\n".join(lines)


def line(row: dict) -> str:
    right = bool(row["flags"]) is not row["good"]
    dice = "-" if row["dice"] is None else f"{row['dice']:.2f}"
    numbers = " ".join(f"{k} {v:.2f}" for k, v in row["measured"].items() if isinstance(v, float))
    sign, flags = "  " if right else "!!", ", ".join(row["flags"])
    return f"{sign} {row['kind']:30} {row['case']:24} {row['seconds']:5.1f} s  Dice {dice}  {numbers}  {flags}"


if __name__ == "__main__":
    main()
