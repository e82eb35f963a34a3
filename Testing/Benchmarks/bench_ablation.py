"""What each ingredient of the bundled model brings: the same short training with one of them left out, and more of it.

    python Testing/Benchmarks/bench_ablation.py --data ../shared/data [--iterations 1000] [--width 4] [--only NAME ...]

Every row but the last trains from nothing on as many slices, with the same numbers of random ones where it has them, and
is scored on the labelled slices of real scans (rules: bench_real.py; the mean over data sets and structures), and by Dice
on 64 random slices of phantoms that none was trained on. "adapted" goes on from "everything" (or --start-model) with SIFA
on the real images of one modality, unlabelled, for a quarter of the iterations, and is scored on that modality. The last
lines compare one plane with three, on whole phantoms, with the bundled model (or --start-model): the others are too young
to find a heart in a whole thorax. The network is half as wide as the bundled one, so that a row takes some minutes on two
cores; a row that is finished is kept in --folder, an unfinished one goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chosen_models import find
from real_cases import listed
from real_measures import judge
from real_tables import mean_of, summarise
from SIFALib import phantom
from SIFALib.cli.main import main as sifa
from SIFALib.imaging import metrics
from SIFALib.inference.segmentation import Options, segment
from SIFALib.models import store as models
from SIFALib.networks import loading
from SIFALib.phantom.slices.randomisation import Randomisation
from SIFALib.runs import RunFolder, best, configuration, create, export, presets
from SIFALib.runs.configuration import PhantomSlices
from SIFALib.support import malloc
from SIFALib.support.errors import NoHeartFound

ROOT = Path(__file__).resolve().parents[2]
ANATOMIES = 60
FIRST_SEED = 2_000_000  # of whole phantoms; training and its validation stay below
EVERYTHING, ADAPTED = "everything", "adapted"
MODALITIES = ("CT", "MR")


@dataclass(frozen=True)
class Row:
    """randomisation: of the slices. healthy: only anatomies of healthy adults. settings: others, by dotted key."""

    randomisation: Randomisation = field(default_factory=Randomisation)
    healthy: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


ROWS = {
    EVERYTHING: Row(),
    "CT and MR alone, no random contrast": Row(Randomisation(any=0)),
    "random contrast alone": Row(Randomisation(ct=0, mr=0)),
    "no artefacts": Row(Randomisation(artefacts=0)),
    "sharp and without noise": Row(Randomisation(resolution=0, noise=0)),
    "plain: the middle of every range": Row(Randomisation(strength=0)),
    "healthy adults alone": Row(healthy=True),
    "planes of the body alone, as they lie": Row(Randomisation(planes=0)),
    "the papers' four structures": Row(settings={"method.classes": 5, "data.classes": 5}),
    "the papers' network, half as wide": Row(settings={"method.variant": "tmi2020"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "ablation", help="what was trained")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--width", type=int, default=8, help="channels of the networks' first layer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start-model", help='id or folder that "adapted" starts from, not "everything"')
    parser.add_argument("--only", nargs="+", choices=[*ROWS, ADAPTED], default=[*ROWS, ADAPTED])
    parser.add_argument("--phantoms", type=int, default=2, help="whole ones of each modality")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "ablation.json")
    options = parser.parse_args()
    manifest = options.data / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} does not exist; give the folder of the real scans with --data.")
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    malloc.keep()
    torch.set_flush_denormal(True)
    found = earlier(options.out, options.iterations, options.width)
    for name in options.only:
        if name not in found["rows"]:
            found["rows"][name] = adapted(options, facts) if name == ADAPTED else trained(name, options)
            save(found, options.out)
        print(line(name, found["rows"][name]), flush=True)
    if "planes" not in found:
        found["planes"] = planes(find(options.start_model), options.phantoms)
        save(found, options.out)
    for views, dice in found["planes"].items():
        print(f"{views}: mean Dice {dice:.3f} on whole phantoms")


def earlier(path: Path, iterations: int, width: int) -> dict:
    """What was found with as many iterations of networks of this width."""
    asked = {"iterations": iterations, "width": width}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in asked} == asked:
            return found
    return asked | {"rows": {}}


def save(found: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def place_of(options: argparse.Namespace, name: str) -> Path:
    return options.folder / f"{run_name(options)} {name.replace(':', '').replace(',', '')}"


def run_name(options: argparse.Namespace) -> str:
    return f"{options.iterations}x{options.width}"


def trained(name: str, options: argparse.Namespace) -> dict:
    """Train one row's model, go on with it, or read it, and score it. Tissue maps are shared by all rows."""
    row, place = ROWS[name], place_of(options, name)
    preset = presets.configuration(presets.PRETRAINING)
    width = options.width if "method.variant" not in row.settings else options.width // 2
    preset = configuration.changed(preset, {"method.width": width, **row.settings})
    settings = replace(
        preset,
        iterations=options.iterations,
        threads=options.threads,
        judge_every=options.iterations,
        cache=str((options.folder / "cache").resolve()),
        phantom_slices=PhantomSlices(ANATOMIES, healthy_adults=row.healthy, randomisation=row.randomisation),
    )
    run = RunFolder(place) if place.exists() else create(place, settings)
    done(["train", str(place), "--quiet"])
    if not (place / "model").exists():
        export.export(run, place / "model", "ablation", checkpoint=options.iterations, force=True)
    judged = best.judged_at(run.events, options.iterations)
    assert judged is not None
    return on_real(place / "model", options.data) | {"phantom slices": judged.value}


def on_real(model: Path, data: Path, modalities: tuple[str, ...] = MODALITIES) -> dict:
    """Mean Dice over data sets and structures, by modality."""
    package = models.read_package(model)
    segmenter = loading.load_segmenter(package)
    labelled = [case for case in listed(data) if case.facts.get("labels")]
    found = {}
    for modality in modalities:
        cases = [case for case in labelled if case.facts["modality"] == modality]
        rows = [judge(case, lambda _scan: (segmenter, package.card))[0] for case in cases]
        summary = summarise(rows)
        found[f"real {modality}"] = float(np.mean([mean_of(v) for v in summary.values()]))
    return found


def adapted(options: argparse.Namespace, facts: dict) -> dict:
    """Adapt the model of "everything" to the real images of each modality, and score it there."""
    start, found = place_of(options, EVERYTHING) / "model", {}
    if options.start_model is None and not start.is_dir():
        raise SystemExit(f'"{ADAPTED}" goes on from "{EVERYTHING}": train that first, or name a --start-model.')
    package = find(options.start_model) if options.start_model else models.read_package(start)
    for modality in MODALITIES:
        run = options.folder / f"{run_name(options)} {ADAPTED} {modality}"
        options.folder.mkdir(parents=True, exist_ok=True)
        listed = options.folder / f"{modality}.json"
        images = [
            str((options.data / "images" / f"{c}.nii.gz").resolve())
            for c, f in facts.items()
            if f["modality"] == modality
        ]
        listed.write_text(json.dumps({"images": images}), encoding="utf-8")
        more = [
            *("--source", "phantom", "--target", str(listed)),
            *("--start-model", str(package.folder), "--iterations", str(options.iterations // 4)),
            *("--threads", str(options.threads)),
        ]
        done(["train", str(run), *([] if run.exists() else more), "--quiet"])
        name = f"adapted-{modality.lower()}"
        store = options.folder / f"{run_name(options)} models"
        if not (store / f"{name}-1.0.0").exists():
            done(["export", str(run), name, "--models-folder", str(store), "--force"])
        found |= on_real(store / f"{name}-1.0.0", options.data, (modality,))
    return found


def done(arguments: list[str]) -> None:
    """Run a `sifa` command; SystemExit with what it said if it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = sifa(arguments)
    if code:
        raise SystemExit(f"sifa {' '.join(arguments)} ended with {code}:\n{said.getvalue()}")


def planes(package: models.ModelPackage, count: int) -> dict[str, float]:
    """Mean Dice on whole phantoms, looked at in one plane and in three."""
    segmenter = loading.load_segmenter(package)
    found = {}
    for views in ("one", "three"):
        dice = []
        for modality in MODALITIES:
            for seed in range(FIRST_SEED, FIRST_SEED + count):
                case = phantom.make(seed, modality.lower(), 2.0)
                try:
                    labels = segment(case.image, segmenter, package.card, Options(views=views)).labels
                    dice += list(metrics.dice_per_structure(labels, case.labels, package.card.labels).values())
                except NoHeartFound:
                    dice += [0.0] * len(package.card.labels)
        found["one plane" if views == "one" else "three planes"] = float(np.mean(dice))
    return found


def line(name: str, row: dict) -> str:
    cells = [f"{key} {value:.3f}" for key, value in row.items()]
    return f"{name:38} " + "   ".join(cells)


if __name__ == "__main__":
    main()
