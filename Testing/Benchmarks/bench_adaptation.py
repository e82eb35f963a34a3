"""Does adaptation without labels work? The papers' table, on phantoms that everybody can make.

    python Testing/Benchmarks/bench_adaptation.py [--scale small] [--folder FOLDER] [--jobs 2] [--seeds 3] [--only NAME ...]

Every method is trained as a run of its own (a run folder: stop it, and start the same command again) on phantoms of a
source domain, labelled, and of other persons in a target domain, unlabelled; it is judged on phantoms of a third group
of persons in the target domain, whole volumes of slices around the heart. All of a repetition begin with the same
segmenter, trained on the source ("start"), and have the same number of iterations and the same batch.

Two ways to choose the checkpoint are shown side by side: by the score without labels, as the product does, and by the
Dice on labelled target phantoms ("oracle"), as the authors of SIFA did; these are the target's validation phantoms.
Both are then measured on the test phantoms, so that no choice sees what it is judged by. A missing structure has
Dice 0 and no distance. "Gap closed" is (method - source only) / (target supervised - source only), on mean Dice.

`make bench-gain` asks of the same runs, at the smallest scale, only whether adapting pays: SIFA against a control that
goes on with the source for as many iterations, from the same start, with the same phantoms, repetition by repetition
(--margin). A network so small, trained so short, ends elsewhere when a single number is rounded otherwise, so that one
repetition proves nothing; the mean over several must lie above the margin with 95 % confidence.

One in eight CT phantoms is native, without contrast agent: blood and muscle look alike, and an outline can only be
guessed from the shape of the heart. They are among the training scans, as at a hospital; among the test scans they have
a column of their own and no part in the others (the papers' scans are all contrast-enhanced).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SIFASegmentation"))

import adaptation_table  # noqa: E402
from adaptation_measure import measure  # noqa: E402
from adaptation_scales import SCALES, Scale, describe  # noqa: E402
from adaptation_table import mean_dice  # noqa: E402
from SIFALib import adaptation  # noqa: E402
from SIFALib.adaptation import label_free, signs  # noqa: E402
from SIFALib.adaptation.method import Method  # noqa: E402
from SIFALib.datasets import Augmentation, DataSettings, Domains, prepare  # noqa: E402
from SIFALib.models import store  # noqa: E402
from SIFALib.models.card import Preprocessing  # noqa: E402
from SIFALib.networks import loading  # noqa: E402
from SIFALib.runs import best, checkpoints, events, run_folder, status  # noqa: E402
from SIFALib.runs.configuration import Configuration  # noqa: E402
from SIFALib.runs.run_folder import RunFolder  # noqa: E402
from SIFALib.support.progress import drain  # noqa: E402

TRAINING_SEED, TEST_SEED = (10_000, 20_000)  # of phantoms; each repetition takes persons of its own for training
DIRECTIONS = {"MR to CT": ("phantom:mr", "phantom:ct"), "CT to MR": ("phantom:ct", "phantom:mr")}
PHANTOM_SPACING_MM = 2.0
USUAL = Augmentation()
STRONG = Augmentation(gain=0.5, offset=0.25, gamma=0.7, noise=0.1)
"""Randomisation of grey values so wide that another modality may be among them."""
PLAIN = Augmentation(gain=0.0, offset=0.0, gamma=0.0, noise=0.0)
"""Slices are moved only, as in the papers, whose source-only network knows no grey values but its own (--plain)."""


@dataclass(frozen=True)
class Way:
    """One row of the table."""

    name: str
    changes: dict[str, object]
    augmentation: Augmentation = USUAL


START = Way("start", {"objective": "source_only"})
WAYS = (
    Way("source only", {"objective": "source_only"}),
    Way("source only, randomised", {"objective": "source_only"}, STRONG),
    Way("image adaptation only", {"objective": "image"}),
    Way("SIFA, AAAI 2019", {"variant": "aaai2019", "keep_rate": 0.75, "prediction_from_epoch": 5}),
    Way("SIFA 2019, without dropout", {"variant": "aaai2019", "keep_rate": 1.0, "prediction_from_epoch": 5}),
    Way(
        "SIFA 2019, without dropout, randomised",
        {"variant": "aaai2019", "keep_rate": 1.0, "prediction_from_epoch": 5},
        STRONG,
    ),
    Way("SIFA, TMI 2020", {}),
    Way("self-training", {"objective": "self_training", "self_training_weight": 1.0}),
    Way("SIFA 2020, self-training", {"self_training_weight": 1.0}),
    Way("SIFA 2020, randomised", {}, STRONG),
    Way("target supervised", {"objective": "target_supervised"}),
)
COMMON: dict[str, object] = {
    "segmentation_rate": 1e-3,
    "segmentation_decay": 0.75,
    "adversarial_rate": 1e-3,
    "adversarial_decay": True,
    "epochs": 20,
    "average_decay": 0.98,
}


BOUNDS = ("source only", "target supervised")
GAIN = ("SIFA, TMI 2020", "source only")
"""The way that must pay, and its control."""


@dataclass(frozen=True)
class Cell:
    """One run: a way, a direction, a repetition."""

    way: Way
    direction: str
    seed: int
    scale: Scale
    usual: Augmentation = USUAL

    @property
    def name(self) -> str:
        return f"{self.direction}-{self.way.name}-{self.seed}".replace(" ", "_").replace(",", "").lower()

    def data(self) -> DataSettings:
        source, target = DIRECTIONS[self.direction]
        return dataclasses.replace(
            _data(self.scale, source, target, TRAINING_SEED + 1000 * self.seed),
            augmentation=self.usual if self.way.augmentation is USUAL else self.way.augmentation,
            target_labels=self.way.changes.get("objective") == "target_supervised",
            phantoms=self.scale.phantoms,
        )

    def configuration(self, folder: Path) -> Configuration:
        s, starts = self.scale, self.way is START
        iterations = s.start_iterations if starts else s.iterations
        every = iterations if starts else s.iterations // s.judgements
        method = Method(width=s.width, **{**COMMON, **self.way.changes})  # type: ignore[arg-type]
        start = dataclasses.replace(self, way=START)
        return Configuration(
            data=self.data(),
            method=method,
            name=self.name,
            iterations=iterations,
            batch=s.batch,
            seed=self.seed,
            threads=1,
            workers=0,
            precision="float32",  # on every processor, so that tables can be compared
            save_every=every,
            judge_every=every,
            preview_every=every,
            keep_checkpoints=1000,
            start_model="" if starts else str(folder / start.name / f"model-{method.variant}"),
            cache=str(folder / "cache"),
        )


def _data(scale: Scale, source: str, target: str, seed: int) -> DataSettings:
    return DataSettings(
        source=source,
        target=target,
        preprocessing=Preprocessing(
            spacing_mm=scale.spacing_mm, slice_spacing_mm=scale.slice_spacing_mm, crop=scale.size
        ),
        size=scale.size,
        coarse_share=0.0,
        phantom_seed=seed,
        phantom_spacing_mm=PHANTOM_SPACING_MM,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--iterations", type=int, help="of each run, instead of the scale's; in a folder of its own")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-adaptation")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)), help="runs side by side")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="only runs whose name holds one of these")
    parser.add_argument("--table", action="store_true", help="train nothing; show what there is")
    parser.add_argument(
        "--margin", type=float, help=f"of mean Dice, by which {GAIN[0]} must surpass {GAIN[1]}; else ends with 1"
    )
    parser.add_argument("--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "adaptation.json")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="grey values as they are, in every row but the randomised; a folder of its own",
    )
    options = parser.parse_args()
    scale, folder = SCALES[options.scale], options.folder / options.scale
    if options.iterations:
        scale = dataclasses.replace(scale, iterations=options.iterations)
        folder = options.folder / f"{options.scale}-{options.iterations}"
    usual = USUAL
    if options.plain:
        usual, folder = PLAIN, folder.with_name(f"{folder.name}-plain")
    cells = [
        Cell(way, direction, seed, scale, usual)
        for seed in range(options.seeds)
        for direction in DIRECTIONS
        for way in WAYS
    ]
    cells = [c for c in cells if not options.only or any(part in c.name for part in options.only)]
    if not options.table:
        repetitions = dict.fromkeys((c.direction, c.seed) for c in cells)
        starts = [Cell(START, direction, seed, scale, usual) for direction, seed in repetitions]
        with ThreadPoolExecutor(options.jobs) as pool:
            for seed in range(options.seeds):  # so that a broken off table has whole repetitions
                for group in (starts, cells):
                    for message in pool.map(lambda c: _bring(c, folder), [c for c in group if c.seed == seed]):
                        print(message, flush=True)
    rows = [row for cell in cells if (row := _read(folder / cell.name / "judgement.json"))]
    if not rows:
        sys.exit(f"There are no finished runs in {folder}.")
    print(f"\n{describe(scale)}")
    for line in adaptation_table.lines(rows, [way.name for way in WAYS], BOUNDS):
        print(line)
    content: dict[str, Any] = {"scale": dataclasses.asdict(scale), "rows": rows}
    kept = True
    if options.margin is not None:
        said, kept = adaptation_table.promise(rows, *GAIN, options.margin)
        print("\n" + "\n".join(said or ["No repetition has both runs."]))
        content |= {"gains": adaptation_table.gains(rows, *GAIN), "margin": options.margin, "kept": kept}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(0 if kept else 1)


def _bring(cell: Cell, folder: Path) -> str:
    """Bring one run to its end and measure its checkpoints; what is there already is not done again."""
    path = folder / cell.name
    done = path / "model-aaai2019" if cell.way is START else path / "judgement.json"
    if done.exists():
        return f"{cell.name}: there already"
    if not path.exists():
        run_folder.create(path, cell.configuration(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "SIFASegmentation")}
    subprocess.run([sys.executable, "-m", "SIFALib.runs", str(path)], env=environment, check=True)
    ended = status.read(RunFolder(path).status)
    if ended is None or ended.state != "finished":  # stopped from outside; the same command goes on with it
        return f"{cell.name}: not finished"
    if cell.way is START:
        write_start_models(path)
    else:
        subprocess.run([sys.executable, __file__, "judge", str(path)], env=environment, check=True)
    return f"{cell.name}: {_hours(path) * 60:.1f} min of training"


def write_start_models(path: Path) -> None:
    """The last averaged segmenter of a run as a model package, and the same function as AAAI 2019's network."""
    c = RunFolder(path).read().configuration
    saved = checkpoints.load_newest(RunFolder(path).checkpoints)
    assert saved is not None
    weights = saved["state"]["average"]
    first = "encoder.c1.conv.weight"  # three times the same slice, each with a third of the weight
    triple = {k: v for k, v in weights.items() if not k.startswith("segmentation_head_ll")}
    triple[first] = weights[first].expand(-1, 3, -1, -1) / 3
    for variant, state, channels in (("tmi2020", weights, 1), ("aaai2019", triple, 3)):
        store.write_package(
            path / f"model-{variant}",
            loading.state_arrays(state),
            id="start",
            name=f"{c.name}, {variant}",
            version="0.0.1",
            architecture=store.Architecture(variant=variant, width=c.method.width, input_channels=channels),
            modality="CT/MR",
            preprocessing=c.data.preprocessing,
            trained_on="Phantoms of the source domain.",
            licence="Apache-2.0",
            citation="SIFA for 3D Slicer",
        )


def _hours(path: Path) -> float:
    """Spent on training, as the events say."""
    return sum(e["seconds"] for e in events.read(RunFolder(path).events) if e["kind"] == "losses") / 3600


# --- judging -----------------------------------------------------------------------------------------------------


def judge(path: Path) -> None:
    """Measure every checkpoint of a run on target validation and test phantoms, and write judgement.json."""
    torch.set_num_threads(1)
    run = RunFolder(path).read()
    c = run.configuration
    scale = next(s for s in SCALES.values() if s.size == c.data.size and s.width == c.method.width)
    seen = _domains(c.data, c.cache)
    labelled = _domains(dataclasses.replace(c.data, target_labels=True), c.cache)
    tested = dataclasses.replace(
        c.data, phantom_seed=TEST_SEED, phantoms=scale.test_phantoms, target_labels=True, validation_share=0.0
    )
    test = _domains(tested, c.cache)
    state = adaptation.start(c.method, c.seed, c.iterations, _start_weights(c.start_model))
    start, first = _judged(state, seen, labelled, test, c)
    judged = [first]
    for file in sorted(RunFolder(path).checkpoints.glob("*.pt")):
        if int(file.stem) % c.judge_every:
            continue  # of a training that was stopped in between: chance decides that it is there
        state.load_state_dict(checkpoints.load(file)["state"])
        judged.append(_judged(state, seen, labelled, test, c, start)[1])
    last = adaptation.averaged_segmenter(state)
    sound = [j for j in judged if not j["vetoes"]] or judged
    direction, way, _ = _parts(c.name)
    row = {
        "name": c.name,
        "direction": direction,
        "way": way,
        "seed": c.seed,
        "hours": _hours(path),
        "label_free": max(sound, key=lambda j: j["score"])["iteration"],
        "oracle": max(judged, key=lambda j: j["validation"])["iteration"],
        "source": mean_dice(measure(last, test.source, c.data.size), False),
        "checkpoints": judged,
    }
    temporary = path / ".judgement.json"
    temporary.write_text(json.dumps(row, indent=1) + "\n")
    os.replace(temporary, path / "judgement.json")


def _judged(
    state: adaptation.State,
    seen: Domains,
    labelled: Domains,
    test: Domains,
    c: Configuration,
    start: best.Best | None = None,
) -> tuple[best.Best, dict]:
    """One checkpoint: as training judges it, and a row with its Dice where labels are known."""
    score = label_free.score(state, seen, c.data)
    looked = signs.of_hearts(adaptation.averaged_segmenter(state), signs.judging(seen), c.data.size)
    found = best.judged(state.iteration, score, looked, start)
    segmenter = adaptation.averaged_segmenter(state)
    return found, {
        "iteration": state.iteration,
        "score": found.value,
        "parts": found.parts,
        "vetoes": list(found.vetoes),
        "validation": mean_dice(measure(segmenter, labelled.target_validation, c.data.size)),
        "test": measure(segmenter, test.target, c.data.size),
    }


def _start_weights(folder: str) -> Mapping[str, torch.Tensor]:
    return loading.load_segmenter(store.read_package(folder)).state_dict()


def _domains(settings: DataSettings, cache: str) -> Domains:
    return drain(prepare(settings, cache))


def _parts(name: str) -> tuple[str, str, int]:
    """Direction, way and repetition of a run's name."""
    for cell in _all_cells():
        if cell.name == name:
            return cell.direction, cell.way.name, cell.seed
    raise ValueError(f"{name} is no run of this benchmark.")


def _all_cells() -> Iterator[Cell]:
    for scale in SCALES.values():
        for seed in range(100):
            for direction in DIRECTIONS:
                for way in WAYS:
                    yield Cell(way, direction, seed, scale)


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"]:
        judge(Path(sys.argv[2]))
    else:
        main()
