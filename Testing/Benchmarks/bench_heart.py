"""How often the heart is found: phantoms cut, turned, mixed up in every way, and real scans.

    python Testing/Benchmarks/bench_heart.py [--cases 200] [--anatomies 25] [--data FOLDER] [--model ID or folder]

The cases are drawn at random, by their number alone, from phantoms of 3 mm in both modalities; their tissue maps are made
once and kept in `--cache`. A scenario's case is a success if

- a heart is there: the box that inference would segment holds at least 98 % of the labelled heart that the scan shows, and
  is at most as large as the smallest box around that grown by 40 mm on every side (4.6 times as large around an adult's
  heart of 12 cm); in the scenario with a wrong header, and only there, the report must say that the patient seems to lie
  otherwise;
- no heart is there: the answer is that none was found; for a coarse find the fine pass has the last word, as in use.

Of real scans only whether a heart is found counts: all of the open ones show one. Results are added to the JSON file as
they come: stopped, the benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from chosen_models import Chosen
from heart_scenarios import SCENARIOS, SPACING_MM, Case, draw
from SIFALib.imaging import reading
from SIFALib.imaging.geometry import Volume
from SIFALib.inference import Options, segmentation
from SIFALib.inference.localisation import Localisation, localise
from SIFALib.inference.passes import NetworkInput
from SIFALib.inference.runner import Clock, Runner
from SIFALib.models import Models
from SIFALib.phantom.slices.anatomies import make_anatomies
from SIFALib.support.errors import NoHeartFound
from SIFALib.support.progress import drain

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"
FIRST_SEED = 2_000_000  # training and its validation stay below
HELD, SPARE_MM = 0.98, 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, help="over all scenarios")
    parser.add_argument("--anatomies", type=int, default=25)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="real scans")
    parser.add_argument("--model", help="id or folder of a model package (default: those of the default command)")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "bench-heart")
    parser.add_argument("--out", type=Path, default=RESULTS / "heart.json")
    options = parser.parse_args()
    chosen = Chosen(options.model)
    rows = earlier(options.out, chosen.models.sha256)
    seeds = range(FIRST_SEED, FIRST_SEED + options.anatomies)
    for number in range(options.cases):
        name = list(SCENARIOS)[number % len(SCENARIOS)]
        if not any(r["number"] == number for r in rows):
            make_anatomies(options.cache, [seeds[number // len(SCENARIOS) % len(seeds)]], SPACING_MM)
            case = draw(number, name, options.cache, seeds)
            rows.append({"number": number, "scenario": name} | judge(case, *chosen.of(case.image)))
            write(options.out, chosen.models, rows)
    for path in real_scans(options.data):
        if not any(r["number"] == path.stem for r in rows):
            rows.append({"number": path.stem, "scenario": "real scans"} | real(path, chosen))
            write(options.out, chosen.models, rows)
    print(table(rows))


def earlier(path: Path, sha256: str) -> list[dict]:
    """What an earlier start found with this model."""
    if not path.is_file():
        return []
    known = json.loads(path.read_text(encoding="utf-8"))
    return known["cases"] if known["sha256"] == sha256 else []


def write(path: Path, models: Models, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"model": models.key, "sha256": models.sha256, "summary": summary(rows), "cases": rows}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def judge(case: Case, segmenter, card) -> dict:
    """What was found, and whether that is right."""
    started = time.process_time()
    heart = localised(case.image, segmenter, card)
    box, notes = (heart.box, [heart.note] if heart.note else []) if heart else (None, [])
    row: dict = {"name": case.image.name, "found": box is not None, "notes": notes}
    if case.heart and box is not None:
        row |= held(case.labels, box)
    if not case.heart and box is not None:
        row["found"] = segmented(case.image, segmenter, card)
    row["cpu_seconds"] = round(time.process_time() - started, 1)
    right = row.get("held", 0) >= HELD and row["room"] <= 1.0 and bool(notes) == case.lies
    row["success"] = bool(right) if case.heart else not row["found"]
    return row


def localised(scan: Volume, segmenter, card) -> Localisation | None:
    try:
        return drain(localise(NetworkInput.of(scan, card), Runner(segmenter, Options(), Clock())))
    except NoHeartFound:
        return None


def segmented(scan: Volume, segmenter, card) -> bool:
    """Whether a segmentation comes of it; one view decides as three would, in a third of the time."""
    try:
        segmentation.segment(scan, segmenter, card, Options(views="one"))
    except NoHeartFound:
        return False
    return True


def held(labels: Volume, box: np.ndarray) -> dict:
    """Share of the labelled heart within the box; how many times the smallest box around it this one is, and how large
    beside that box with SPARE_MM on every side."""
    where = np.argwhere(labels.array > 0)[:, ::-1]
    inside = ((where >= box[0] - 0.5) & (where <= box[1] + 0.5)).all(axis=1)
    smallest = (where.max(axis=0) - where.min(axis=0) + 1) * labels.geometry.spacing
    size = (box[1] - box[0] + 1) * labels.geometry.spacing
    room = float(np.prod(size / (smallest + 2 * SPARE_MM)))
    times = float(np.prod(size / smallest))
    return {"held": round(float(inside.mean()), 4), "times": round(times, 2), "room": round(room, 3)}


def real_scans(folder: Path) -> list[Path]:
    return sorted((folder / "images").glob("*.nii.gz")) if folder.is_dir() else []


def real(path: Path, chosen: Chosen) -> dict:
    started = time.process_time()
    scan = reading.read(path)
    segmenter, card = chosen.of(scan)
    heart = localised(scan, segmenter, card)
    smaller = heart is not None and (heart.box[1] - heart.box[0] + 1 < scan.geometry.size).any()
    found = smaller or segmented(scan, segmenter, card)
    notes = [heart.note] if heart and heart.note else []
    return {
        "name": path.stem,
        "found": bool(found),
        "notes": notes,
        "success": bool(found) and not notes,
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def summary(rows: list[dict]) -> dict[str, dict]:
    found = {}
    for name in (*SCENARIOS, "real scans"):
        mine = [r for r in rows if r["scenario"] == name]
        if mine:
            seconds = float(np.mean([r["cpu_seconds"] for r in mine]))
            found[name] = {"cases": len(mine), "right": sum(r["success"] for r in mine), "cpu_seconds": seconds}
    return found


def table(rows: list[dict]) -> str:
    lines = [f"{'scenario':28} {'cases':>6} {'right':>6} {'rate':>6} {'CPU s':>6}"]
    for name, v in summary(rows).items():
        lines.append(
            f"{name:28} {v['cases']:6d} {v['right']:6d} {v['right'] / v['cases']:6.2f} {v['cpu_seconds']:6.1f}"
        )
    right, cases = (sum(v[k] for v in summary(rows).values()) for k in ("right", "cases"))
    return "\n".join([*lines, f"{'all':28} {cases:6d} {right:6d} {right / max(cases, 1):6.2f}"])


if __name__ == "__main__":
    main()
