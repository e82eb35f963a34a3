"""How well a model does on whole phantoms that it was not trained on: Dice and surface distance, CT and MR.

    python Testing/Benchmarks/bench_phantom.py [--cases 4] [--model ID or folder] [--out FOLDER]

Rules: whole volumes on the phantom's own grid; a structure that the prediction lacks has Dice 0; a phantom in which no
heart is found has Dice 0 for all structures. In the JSON file the distance to what is not there is null.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from chosen_models import Chosen
from real_tables import without_infinity
from SIFALib import phantom
from SIFALib.imaging import metrics, pictures
from SIFALib.inference.segmentation import segment
from SIFALib.support.errors import NoHeartFound

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training and its validation stay below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4, help="phantoms for each modality")
    parser.add_argument("--model", default=None, help="id or folder of a model (default: those of the default command)")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "phantom")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = Chosen(arguments.model)
    structures = chosen.models.card.labels
    print(f"{'case':14} {'seconds':>8}  " + "  ".join(f"{s.id:>13}" for s in structures) + "   (Dice, ASSD mm)")
    rows = []
    for modality in ("ct", "mr"):
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.cases):
            case = phantom.make(seed, modality)
            row: dict = {"modality": modality, "seed": seed}
            started = time.monotonic()
            try:
                labels = segment(case.image, *chosen.of(case.image)).labels
                row["dice"] = metrics.dice_per_structure(labels, case.labels, structures)
                row["assd_mm"] = metrics.assd_per_structure(labels, case.labels, structures)
                pictures.overlay(case.image, labels, arguments.out / f"{modality}-{seed}.png", truth=case.labels)
            except NoHeartFound:
                row |= {"dice": {s.id: 0.0 for s in structures}, "assd_mm": {s.id: math.inf for s in structures}}
            row["seconds"] = round(time.monotonic() - started, 1)
            rows.append(row)
            cells = [f"{row['dice'][s.id]:6.3f} {row['assd_mm'][s.id]:6.1f}" for s in structures]
            print(f"{modality} {seed:<11} {row['seconds']:8.1f}  " + "  ".join(cells), flush=True)
    summary = {}
    for modality in ("ct", "mr"):
        mine = [r["dice"] for r in rows if r["modality"] == modality]
        summary[modality] = {s.id: float(np.mean([d[s.id] for d in mine])) for s in structures}
        cells = [f"{summary[modality][s.id]:6.3f}       " for s in structures]
        print(
            f"{modality} mean                 "
            + "  ".join(cells)
            + f"  all: {np.mean(list(summary[modality].values())):.3f}"
        )
    result = {"model": chosen.models.key, "cases": rows, "dice": summary}
    text = json.dumps(without_infinity(result), indent=1, allow_nan=False)
    (arguments.out / "phantom.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
