"""Does adapting help at a site whose scanner no training has seen? A made-up one, of which the truth is known exactly.

    python Testing/Benchmarks/bench_adapt_site.py [--folder FOLDER] [--start heart-phantom] [--budget standard] [--seeds 1]
        [--only ROW ...] [--iterations N] [--table]

The scanner is `phantom.low_field`: little contrast, much noise, uneven brightness. It shows ten persons, whose scans are the
unlabelled target, and six others, by whom the default command is judged afterwards (`sifa evaluate`, seven structures, whole
volumes, no region of interest; a missing structure has Dice 0). Nothing else is done with these six.

Every row is a run of the preset `adaptation`, from the same start, with the same phantoms as source, and as many iterations:

"source only" goes on with the source: the control of every row. "self-training" is what `sifa adapt` does, "SIFA with
self-training" what it does with `--method sifa`, "SIFA" the same without the teacher. "labels of the target" learns from
the ten scans' own labels alone: the bound. "Chosen" is the checkpoint that the verdict takes, with which no label has to
do; "last" the last one.
Stopped, the same command goes on: what is there is kept, also of a broken off run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SIFASegmentation"))

from SIFALib import imaging, phantom  # noqa: E402
from SIFALib.models import models_of, store  # noqa: E402
from SIFALib.models.structures import STRUCTURES  # noqa: E402
from SIFALib.phantom.low_field import low_field  # noqa: E402
from SIFALib.runs import presets, run_folder  # noqa: E402
from SIFALib.runs.configuration import Configuration  # noqa: E402
from SIFALib.runs.run_folder import RunFolder  # noqa: E402
from SIFALib.runs.status import read as read_status  # noqa: E402

FIRST_SEED = 7_000_000
TARGETS, TESTS = 10, 6  # persons
SPACING_MM = 2.0
CONTROL, BOUND = "source only", "labels of the target"
ROWS: dict[str, dict[str, object]] = {
    CONTROL: {"objective": "source_only"},
    "self-training": {},
    "SIFA": {"self_training_weight": 0.0},
    "SIFA with self-training": {},
    BOUND: {"objective": "target_supervised", "self_training_weight": 0.0},
}


@dataclass(frozen=True)
class Bench:
    """Where everything lies, and what all rows have in common."""

    folder: Path
    start: str
    budget: str
    iterations: int

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def place(self, what: str) -> Path:
        return self.folder / "scans" / what


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-adapt-site")
    parser.add_argument("--start", default="heart-phantom", help="id or folder of a model (default: %(default)s)")
    parser.add_argument("--budget", choices=presets.BUDGETS, default="standard")
    parser.add_argument("--iterations", type=int, default=0, help="instead of the budget's")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name begins with one of these")
    parser.add_argument("--table", action="store_true", help="train nothing; show what there is")
    parser.add_argument("--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "adapt-site.json")
    options = parser.parse_args()
    bench = Bench(options.folder.absolute(), options.start, options.budget, options.iterations)
    wanted = [row for row in ROWS if not options.only or row.startswith(tuple(options.only))]
    if not options.table:
        make_scans(bench)
        evaluated(bench, bench.start, "start")
        for seed in range(options.seeds):
            for row in wanted:
                print(bring(bench, row, seed), flush=True)
    rows = [found for seed in range(options.seeds) for row in ROWS if (found := read(bench, row, seed))]
    start = scores(bench.folder / "results" / "start.json")
    for line in table(start, rows):
        print(line)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"start": start, "rows": rows}, indent=1) + "\n")


def make_scans(bench: Bench) -> None:
    """The scans that are not there yet; of the target with their labels in a folder that only the bound reads."""
    for number in range(TARGETS + TESTS):
        what, seed = ("target" if number < TARGETS else "test"), FIRST_SEED + number
        image, labels = (bench.place(kind) / f"{seed}.nrrd" for kind in (what, f"{what}-labels"))
        if not labels.exists():
            for path in (image, labels):
                path.parent.mkdir(parents=True, exist_ok=True)
            case = phantom.make(seed, "ct", SPACING_MM)
            imaging.write(low_field(case.image, seed), image)
            imaging.write(case.labels, labels)


def bring(bench: Bench, row: str, seed: int) -> str:
    """Bring a run to its end and judge its last checkpoint, and the one that the verdict takes, if it takes one."""
    name = name_of(row, seed)
    path = bench.folder / "runs" / name
    if not path.exists():
        run_folder.create(path, configuration(bench, row, seed))
    subprocess.run([sys.executable, "-m", "SIFALib.runs", str(path)], check=True, cwd=ROOT / "SIFASegmentation")
    status = read_status(RunFolder(path).status)
    if status is None or status.state != "finished":
        return f"{name}: not finished"
    last = RunFolder(path).read().configuration.iterations
    export(bench, path, f"{name}-last", "--force", "--checkpoint", str(last))
    evaluated(bench, str(bench.models / f"{name}-last-1.0.0"), f"{name}-last")
    verdict = export(bench, path, f"{name}-chosen")
    if (chosen := bench.models / f"{name}-chosen-1.0.0").exists():
        evaluated(bench, str(chosen), f"{name}-chosen")
    (bench.folder / "results" / f"{name}.txt").write_text(verdict + "\n", encoding="utf-8")
    return f"{name}: {verdict}"


def configuration(bench: Bench, row: str, seed: int) -> Configuration:
    """Of that row: the budget's adaptation, but for what the row is."""
    card = models_of(store.default_store(bench.models), bench.start).card
    target = labelled(bench) if row == BOUND else bench.place("target")
    made = presets.within(bench.budget, presets.adaptation("phantom", str(target), card))
    made = dataclasses.replace(made, iterations=bench.iterations or made.iterations)
    if row.startswith("SIFA"):
        made = presets.translating(made)
    return dataclasses.replace(
        made,
        data=dataclasses.replace(made.data, target_labels=row == BOUND),
        method=dataclasses.replace(made.method, **ROWS[row]),  # type: ignore[arg-type]
        name=name_of(row, seed),
        seed=seed,
        start_model=bench.start,
        cache=str(bench.folder / "cache"),
        keep_checkpoints=1000,
    )


def labelled(bench: Bench) -> Path:
    """A list of the target's scans with their labels."""
    path = bench.folder / "scans" / "labelled.json"
    names = sorted(file.name for file in bench.place("target").iterdir())
    pairs = [{"image": f"target/{name}", "label": f"target-labels/{name}"} for name in names]
    path.write_text(json.dumps(pairs) + "\n")
    return path


def sifa(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with the bench's own folder of models."""
    command = [sys.executable, "-m", "SIFALib", *arguments[:1], "--models-folder", str(bench.models), *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "SIFASegmentation")


def export(bench: Bench, run: Path, name: str, *more: str) -> str:
    """Make a model of a run, unless it is there, and say what the command said of it, in one line."""
    done = sifa(bench, "export", str(run), name, *more)
    return " ".join((done.stdout or done.stderr).split())


def evaluated(bench: Bench, model: str, name: str) -> None:
    """Judge a model by the test persons, unless that is done."""
    path = bench.folder / "results" / f"{name}.json"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    places = ("--images", str(bench.place("test")), "--labels", str(bench.place("test-labels")))
    done = sifa(bench, "evaluate", *places, "--model", model, "--quiet", "--json", str(path))
    if done.returncode:
        sys.exit(done.stderr)


def name_of(row: str, seed: int) -> str:
    return f"{row}-{seed}".replace(" ", "-").lower()


def scores(path: Path) -> dict[str, list[float]]:
    """Dice of each test person by structure id; a missing structure has 0."""
    scans = json.loads(path.read_text(encoding="utf-8"))["scans"]
    return {s.id: [float(scan["dice"][s.id] or 0.0) for scan in scans] for s in STRUCTURES}


def read(bench: Bench, row: str, seed: int) -> dict | None:
    """What is known of a run; None if it has not been judged. Where nothing is chosen, the start stays."""
    results, name = bench.folder / "results", name_of(row, seed)
    if not (results / f"{name}.txt").exists():
        return None
    chosen = results / f"{name}-chosen.json"
    return {
        "row": row,
        "seed": seed,
        "last": scores(results / f"{name}-last.json"),
        "chosen": scores(chosen if chosen.exists() else results / "start.json"),
        "taken": chosen.exists(),
        "verdict": (results / f"{name}.txt").read_text(encoding="utf-8").strip(),
    }


def table(start: dict[str, list[float]], rows: list[dict]) -> list[str]:
    """Mean Dice of each structure and of all; less the control of the same repetition, with a 95 % interval over persons."""
    ids = [s.id for s in STRUCTURES]
    lines = [f"{'':38}" + "".join(f"{i:>6}" for i in ids) + "   all  less the control"]
    lines.append(_line("start", start, ""))
    for row in rows:
        control = next((r["last"] for r in rows if (r["row"], r["seed"]) == (CONTROL, row["seed"])), None)
        for which in ("last", "chosen") if row["taken"] else ("last",):
            less = "" if control is None or row["row"] == CONTROL else difference(row[which], control)
            lines.append(_line(f"{row['row']} {row['seed']}, {which}", row[which], less))
    return lines


def _line(name: str, found: dict[str, list[float]], more: str) -> str:
    means = [float(np.mean(values)) for values in found.values()]
    return f"{name:38}" + "".join(f"{m:6.2f}" for m in means) + f"{np.mean(means):6.3f}  {more}"


def difference(one: dict[str, list[float]], other: dict[str, list[float]]) -> str:
    """Of the mean over structures, person by person: its mean, and where 95 % of 10,000 draws of persons lie."""
    each = np.mean([np.subtract(one[i], other[i]) for i in one], axis=0)
    drawn = np.random.default_rng(0).choice(each, (10_000, len(each))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{each.mean():+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
