"""How well models do on real scans, per structure and data set, with the default command and no region of interest.

    python Testing/Benchmarks/bench_real.py [--data ../shared/data] [--model ID-or-folder] [--model ...]
        [--only SET] [--slicewise] [--pictures FOLDER] [--beside FOLDER] [--out FOLDER]

The sets stand in real_cases.py; the data have a README of origin and licences and are not part of this project. Rules: a
`slice` case is scored on its middle slice; voxels labelled 255 are left out; a structure counts where the set labels it and
the truth holds it; if the result lacks it, its Dice is 0 (and its surface distance is left out). A scan that is refused has
Dice 0 for all its structures. Bias is that of the volumes of a set together, in percent, refused scans left out; wall is
the mean thickness of the myocardium across short-axis slices (real_measures.wall_mm). Nothing here was used to choose the
model's weights.

Several models are judged side by side; and beside them, on single slices, what a user without labels would do otherwise, a
threshold and region growing (region_growing.py). What tells without labels how good a result is stands in the rows too:
warnings, the model's agreement with itself, the Dice that its probabilities promise, how unlike its training data the scan
is; and how well each orders the cases as their true Dice does (Spearman).

`--slicewise` gives the network the true heart's box as region of interest and makes one pass without any other views or
sizes: what is lost without that is lost in finding the heart. Cases without truth are left out.

Rows are kept below `--out`, in a folder for each model, weights, mode, and version of the code that measured them
(MODEL-WEIGHTS[-slicewise]/CODE/rows.json): stopped, the benchmark goes on where it was. `--beside` takes such folders of
other code into the table, as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import real_pictures
from chosen_models import Chosen
from real_cases import Case, cases
from real_measures import grown, judge
from real_tables import comparison, correlations, line, summarise, table, trust, trust_table, without_infinity
from SIFALib.imaging.geometry import Volume
from SIFALib.models import Models

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "SIFASegmentation" / "SIFALib"
GROWING = "region growing"
# What a row depends on besides the model and the scan.
ROOMS = ("imaging", "inference", "models", "networks", "support")
MEASURES = ("real_cases.py", "real_measures.py", "sunnybrook.py")


@dataclass(frozen=True)
class Rows:
    """Rows of one model in one mode, as its folder keeps them, and the label maps that were drawn."""

    folder: Path
    model: str
    sha256: str
    slicewise: bool

    def read(self) -> list[dict]:
        path = self.folder / "rows.json"
        return json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else []

    def write(self, rows: Sequence[dict]) -> None:
        facts = {"model": self.model, "sha256": self.sha256, "slicewise": self.slicewise, "code": self.folder.name}
        text = json.dumps(without_infinity({**facts, "cases": list(rows)}), indent=1, allow_nan=False)
        partial = self.folder / "rows.part"
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.folder / "rows.json")

    def labels(self, case: Case, scan: Volume) -> Volume:
        """What was drawn, on the grid of the scan."""
        return Volume(np.load(self._path(case))["labels"], scan.geometry, case.name)

    def keep(self, case: Case, labels: Volume) -> None:
        self._path(case).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self._path(case), labels=labels.array)

    def _path(self, case: Case) -> Path:
        return self.folder / "labels" / f"{case.name.replace('/', '-')}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    model = "ids or folders of model packages (default: those of the default command); may be given again"
    parser.add_argument("--model", "--models", dest="models", nargs="+", action="extend", default=[], help=model)
    only = "sets, or what their names begin with (scd, scd-tight, hocm ...); may be given again"
    parser.add_argument("--only", nargs="+", action="extend", default=[], help=only)
    parser.add_argument("--slicewise", action="store_true", help="the network alone, within the true heart's box")
    parser.add_argument("--pictures", type=Path, help="where best, median and worst of each set are drawn")
    parser.add_argument("--beside", type=Path, nargs="+", action="extend", default=[], help="folders of earlier rows")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "real")
    arguments = parser.parse_args()
    if not (arguments.data / "manifest.json").is_file():
        raise SystemExit(f"{arguments.data} holds no manifest.json; give the folder of the real scans with --data.")
    chosen = cases(arguments.data, tuple(arguments.only))
    results = {}
    for models in [Chosen(model) for model in arguments.models or [None]]:
        kept = rows_of(models.models, arguments.out, arguments.slicewise)
        print(f"\n{kept.folder}")
        rows = judged(chosen, models, kept)
        results[title(kept)] = result_of(rows)
        if arguments.pictures:
            draw(chosen, rows, kept, arguments.pictures / kept.folder.parent.name)
    names = {case.name for case in chosen}
    for folder in arguments.beside:
        earlier = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
        rows = [row for row in earlier["cases"] if row["case"] in names]
        results[title(Rows(folder, earlier["model"], earlier["sha256"], earlier["slicewise"]))] = result_of(rows)
    by_growing = [judge_growing(case) for case in chosen if case.facts["kind"] == "slice"]
    if by_growing:
        results[GROWING] = {"cases": by_growing, "summary": summarise(by_growing)}
    show(results)
    text = json.dumps(without_infinity({"methods": results}), indent=1, allow_nan=False)
    (arguments.out / "real.json").write_text(text + "\n", encoding="utf-8")
    print(f"\nreal.json and the rows are in {arguments.out}")


def rows_of(models: Models, out: Path, slicewise: bool) -> Rows:
    """Where the rows of these models in this mode are kept, by the code as it is now."""
    weights = "-".join(package.card.sha256[:8] for package in models.packages)
    name = f"{models.name}-{weights}" + ("-slicewise" if slicewise else "")
    folder = out / name / code_version()
    folder.mkdir(parents=True, exist_ok=True)
    return Rows(folder, models.name, models.sha256, slicewise)


def title(kept: Rows) -> str:
    mode = " slicewise" if kept.slicewise else ""
    return f"{kept.model} {kept.sha256[:4]}{mode} ({kept.folder.name[:4]})"


def code_version() -> str:
    """8 hex digits of all the code that a row depends on."""
    paths = [Path(__file__).with_name(name) for name in MEASURES]
    for room in ROOMS:
        paths += sorted((LIBRARY / room).rglob("*.py"))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def judged(chosen: Sequence[Case], models: Chosen, kept: Rows) -> list[dict]:
    """The rows of all the cases: those that are kept, and the others as they come."""
    rows = {row["case"]: row for row in kept.read()}
    for case in chosen:
        if case.name in rows or (kept.slicewise and not case.facts.get("labels")):
            continue
        row, labels = judge(case, models.of, kept.slicewise)
        kept.keep(case, labels)
        rows[case.name] = row
        kept.write(list(rows.values()))
        print(line(row), flush=True)
    return [rows[case.name] for case in chosen if case.name in rows]


def judge_growing(case: Case) -> dict:
    """A row of region growing, with the same scores."""
    scan, truth = case.read()
    assert truth is not None
    row = {"case": case.name, "dataset": case.dataset, "modality": case.facts["modality"], "note": ""}
    return row | grown(scan, truth, case.facts)


def result_of(rows: list[dict]) -> dict[str, Any]:
    return {"cases": rows, "summary": summarise(rows), "trust": trust(rows), "predicts": correlations(rows)}


def draw(chosen: Sequence[Case], rows: list[dict], kept: Rows, folder: Path) -> None:
    """Best, median and worst of each set, and all that is only looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {case.name: case for case in chosen}
    pictures = real_pictures.extremes(rows)
    for row in rows:
        if "dice" not in row:
            pictures[row["case"].replace("/", "-")] = row
    for name, row in pictures.items():
        case = by_name[row["case"]]
        scan, truth = case.read()
        real_pictures.draw(scan, truth, kept.labels(case, scan), case.facts["kind"], folder / f"{name}.png")
    listed = "".join(f"{name}.png: {line(row)}\n" for name, row in pictures.items())
    (folder / "pictures.txt").write_text(listed, encoding="utf-8")


def show(results: dict[str, dict]) -> None:
    for name, result in results.items():
        print(f"\n{name}\n{table(result['summary'])}")
        if "trust" in result:
            print("\n" + trust_table(result["trust"]))
    print("\n" + comparison({name: result["summary"] for name, result in results.items()}))
    for name, result in results.items():
        for predictor, found in result.get("predicts", {}).items():
            print(f"{name}: {predictor} orders {found['cases']} cases as Dice does: rho {found['rho']:.2f}")


if __name__ == "__main__":
    main()
