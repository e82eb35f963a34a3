"""Does adapting to a real site help? Phantoms as the source, unlabelled Sunnybrook scans as the target, against a control.

    python Testing/Benchmarks/bench_adapt_real.py --start MODEL-FOLDER [--data ../shared/data] [--seeds 3] [--jobs 2]
        [--source phantom+contours] [--iterations 600] [--every 100] [--only ROW ...] [--minutes M] [--folder FOLDER]
        [--out FOLDER] [--table]

All rows begin with the same model and have as many updates on the same slices. Source: random slices of phantoms, as the
start was trained on (the seeds 0, 1, ... are among its own). Target: the 19 unlabelled patients, ED and ES, cut around the
heart that the start model finds; their contours are read by the row "supervised bound" alone, and at the end, to say how
many crops held the heart. Judged on end-diastole of the 11 open patients, in the true heart's box, slice by slice, at two
pixel sizes, at every checkpoint; nothing else is done with them.

Rows: "start" is the model as it is. "source only" goes on with the source: the control of every row. "batch-norm
statistics" trains nothing; the target passes through and the running statistics of normalisation move. "image adaptation
only", "TMI 2020" and "self-training" are the library's objectives. "AAAI 2019" has its objective (one head, predictions
aligned from a quarter of the iterations on) on the start's own network, since another could not begin with its weights;
dropout as in the paper, or none. "supervised bound" learns from target slices with their contours instead of the source,
cut around them, ED and ES; whatever is not contoured may be anywhere in the background.

All rows: batch 8 of each domain, 128 px, segmentation rate 2e-4 after a warm-up of 50 iterations, falling by a cosine
to a tenth, adversarial rate 2e-4, gradients of the segmenter clipped at 5, moving average 0.995, classes of equal
weight; self-training with weight 1 after 100 iterations; "unbalanced" where rare classes weigh no more in what the
teacher teaches. "Tuned": translators of width 8 that learn alone for 100 iterations, and the source teaches as it is,
too. The verdict is what a site would be told of a checkpoint, from its unlabelled scans alone. "By the truth" chooses
by what it is judged by: no method may, it says what a choice could gain.

Does a model that knows real contours forget them? For that the start is one that has learned from others than the 11 (`make
train-default` makes it), and its rows are compared for both built-in sources, each in a folder of its own.

Stopped, the same command goes on: finished runs are kept in --folder (one for each kind of settings). `--pack FOLDER`
copies what is needed of the data, 15 MB. Figures of every checkpoint, the table and pictures of translations go to --out.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SIFASegmentation"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import adapt_real_data  # noqa: E402
import adapt_real_runs  # noqa: E402
import adapt_real_table  # noqa: E402
import sunnybrook  # noqa: E402
import torch  # noqa: E402
from adapt_real_data import AT_ONCE, Bench  # noqa: E402
from adapt_real_runs import FINISHED, SIGNS, UNFINISHED, WAYS, Cell  # noqa: E402
from SIFALib.adaptation.verdict import compared  # noqa: E402
from SIFALib.models.card import BUILT_IN_SOURCES  # noqa: E402
from SIFALib.support import files  # noqa: E402

Job = tuple[Callable[..., object], tuple[Any, ...]]
FREE = ("start", "data", "folder", "device", "precision")
"""Of a Bench: what may differ when it goes on."""


def main() -> None:
    options = _options()
    if options.pack:
        print(f"{pack(options.data, options.pack) / 1e6:.1f} MB are in {options.pack}")
        return
    if options.start is None:
        sys.exit("Name the model to begin with: --start FOLDER.")
    bench = Bench(
        options.start, options.data, options.folder, options.iterations, options.every, options.batch, options.phantoms,
        options.scans, options.device, options.precision, options.source,
    )  # fmt: skip
    _check(bench)
    every = [
        Cell(way, seed) for seed in range(options.seeds) for way in WAYS
    ]  # a broken off table has whole repetitions
    cells = [cell for cell in every if not options.only or any(part in cell.name for part in options.only)]
    if not options.table:
        now = time.time()
        run(bench, cells, options.jobs, now + 60 * options.minutes, now + 60 * options.end)
    report(bench, cells, options.out, options.until)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, help="folder of the model package that all rows begin with")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real scans")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench-adapt-real", help="slices and runs")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "adapt-real")
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--every", type=int, default=100, help="iterations between checkpoints")
    parser.add_argument("--batch", type=int, default=8, help="slices of each domain")
    parser.add_argument("--source", choices=BUILT_IN_SOURCES, default="phantom", help="what the control goes on with")
    parser.add_argument("--phantoms", type=int, default=48, help="of the source, a fifth of them for the score")
    parser.add_argument("--scans", type=int, default=38, help="of the target, in the order of their names")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes side by side")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--only", nargs="*", default=[], help="only runs whose name (source_only-0) holds one of these")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after so many, no run is begun")
    parser.add_argument("--end", type=float, default=float("inf"), help="minutes after which runs are broken off")
    until = "show all rows as they were at this iteration, broken off runs that came so far among them"
    parser.add_argument("--until", type=int, help=until)
    parser.add_argument("--table", action="store_true", help="train nothing; show what there is")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="copy what is needed of the data there, and end")
    return parser.parse_args()


def pack(data: Path, folder: Path) -> int:
    """Copy the needed part of the data; how many bytes it has."""
    opened = [f"{name}.nii.gz" for name in sunnybrook.names(sunnybrook.OPEN, ("ED",))]
    wanted = [Path("open") / kind / name for kind in ("images", "labels") for name in opened]
    for place in ("unlabelled", "contours_of_unlabelled"):
        wanted += [Path(place) / path.name for path in sorted((data / "scd" / place).glob("*.nii.gz"))]
    for path in wanted:
        (folder / "scd" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / "scd" / path, folder / "scd" / path)
    return sum((folder / "scd" / path).stat().st_size for path in wanted)


def _check(bench: Bench) -> None:
    """The folder is of these settings, or new; otherwise the end."""
    if not bench.targets:
        sys.exit(f"{bench.data / 'scd' / 'unlabelled'} holds no scans; give the folder of the real scans with --data.")
    weights = hashlib.sha256((bench.start / "model.safetensors").read_bytes()).hexdigest()
    own = {k: v for k, v in dataclasses.asdict(bench).items() if k not in FREE} | {"weights": weights}
    if bench.source == "phantom":  # as long as there was no other
        del own["source"]
    path = bench.folder / "settings.json"
    if path.exists() and json.loads(path.read_text()) != own:
        sys.exit(f"{bench.folder} was begun with other settings ({path.read_text()}); name another --folder.")
    bench.folder.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(own))


def run(bench: Bench, cells: Sequence[Cell], jobs: int, no_more: float, end: float) -> None:
    """Prepare what the cells need, then train them, `jobs` processes side by side."""
    cells = [cell for cell in cells if not all((cell.path(bench) / name).exists() for name in (FINISHED, SIGNS))]
    if not cells:
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(bench, jobs)) as pool:
        prepare(pool, bench, cells)
        for work in (
            [(adapt_real_runs.bring, (bench, cell, no_more, end)) for cell in cells],
            [(adapt_real_runs.look, (bench, cell)) for cell in cells],
        ):
            for said in _done(pool, work):
                print(said, flush=True)


def prepare(pool: ProcessPoolExecutor, bench: Bench, cells: Sequence[Cell]) -> None:
    """Slices, cases and batches, as far as they are not there."""
    begun = time.perf_counter()
    supervised = any(cell.way.batches == "contours" for cell in cells)
    marker = bench.folder / f"prepared{'-with-contours' if supervised else ''}"
    if not marker.exists():
        beside, later = bench.targets[: bench.phantoms], bench.targets[bench.phantoms :]
        wanted: list[Job] = [(adapt_real_data.prepare_scan, (bench, name, n)) for n, name in enumerate(beside)]
        wanted += [(adapt_real_data.prepare_phantom, (bench, seed)) for seed in range(len(beside), bench.phantoms)]
        wanted += [(adapt_real_data.prepare_contours, (bench, name)) for name in bench.contoured if supervised]
        wanted += [(adapt_real_data.prepare_case, (bench, patient)) for patient in sunnybrook.OPEN]
        _all(pool, wanted)
        _all(pool, [(adapt_real_data.prepare_scan, (bench, name, 0)) for name in later])
        marker.touch()
    print(f"Slices after {time.perf_counter() - begun:.0f} s", flush=True)
    kinds = dict.fromkeys((cell.way.batches, cell.seed) for cell in cells)
    new = [kind for kind in kinds if not _batches_are_there(bench, *kind).exists()]
    for kind, seed in new:
        adapt_real_data.lay_out(bench, kind, seed)
    firsts = range(0, bench.iterations, AT_ONCE)
    _all(pool, [(adapt_real_data.make_batches, (bench, *kind, first)) for kind in new for first in firsts])
    for kind, seed in new:
        _batches_are_there(bench, kind, seed).touch()
    print(f"Batches after {time.perf_counter() - begun:.0f} s", flush=True)


def _batches_are_there(bench: Bench, kind: str, seed: int) -> Path:
    return bench.folder / "batches" / f"{kind}-{seed}-complete"


def _begin(bench: Bench, jobs: int) -> None:
    """In every process: as many threads as leave the others room, and no notes on single scans."""
    logging.getLogger("SIFALib").setLevel(logging.ERROR)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _all(pool: ProcessPoolExecutor, jobs: Iterable[Job]) -> None:
    for future in as_completed([pool.submit(function, *arguments) for function, arguments in jobs]):
        future.result()


def _done(pool: ProcessPoolExecutor, jobs: Iterable[Job]) -> Iterable[str]:
    """What is said of each job as it ends; a run that failed says why, and the others go on."""
    for future in as_completed([pool.submit(function, *arguments) for function, arguments in jobs]):
        error = future.exception()
        yield f"failed: {error!r}" if error else str(future.result())


def report(bench: Bench, cells: Sequence[Cell], out: Path, until: int | None) -> None:
    """Print the table of the finished runs and write it, their figures and pictures to `out`."""
    finished = [cell for cell in cells if (cell.path(bench) / FINISHED).exists()]
    runs = [_judged(cell.path(bench)) for cell in finished]
    halves = [cell.path(bench) / UNFINISHED for cell in cells if cell not in finished]
    broken_off = [json.loads(path.read_text()) for path in halves if path.exists()]
    shown = runs if until is None else adapt_real_table.until([*runs, *broken_off], until)
    if not shown:
        sys.exit(f"There are no finished runs in {bench.folder}.")
    crops = adapt_real_data.crops(bench)
    card = adapt_real_data.package(bench.start).card
    devices = ", ".join(dict.fromkeys(run["device"] for run in runs))
    said = [
        f"Start {card.key} ({card.architecture.variant}, width {card.architecture.width}), {bench.iterations} iterations, "
        f"batch {bench.batch}, {bench.phantoms} phantoms, {len(bench.targets)} target scans; {devices}",
        _of_crops(crops),
        *adapt_real_table.lines(shown, [way.name for way in WAYS]),
    ]
    print("\n" + "\n".join(said))
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "settings": {k: str(v) for k, v in dataclasses.asdict(bench).items()},
        "crops": crops,
        "runs": runs,
        "unfinished": broken_off,
    }
    files.write_text(out / "adapt-real.json", json.dumps(content) + "\n")
    files.write_text(out / "adapt-real.txt", "\n".join(said) + "\n")
    for cell in finished:
        if (cell.path(bench) / "translations.png").exists():
            shutil.copyfile(cell.path(bench) / "translations.png", out / f"{cell.name}.png")


def _judged(path: Path) -> dict[str, Any]:
    """A finished run with the verdict on each checkpoint that was looked at: [probability, difference]."""
    run: dict[str, Any] = json.loads((path / FINISHED).read_text())
    known = json.loads((path / SIGNS).read_text()) if (path / SIGNS).exists() else {}
    for checkpoint in run["checkpoints"]:
        own = known.get(str(checkpoint["iteration"]))
        found = None if own is None else compared(known["0"], own)
        checkpoint["verdict"] = None if found is None else [found.probability, found.difference]
    return run


def _of_crops(crops: dict[str, Any]) -> str:
    found = [crop for crop in crops.values() if crop is not None]
    whole = {k: sum(crop[k] >= 0.99 for crop in found) for k in ("kept", "middle")}
    lost = sum(crop["kept"] < 0.5 for crop in found)
    return (
        f"Of {len(crops)} contoured target scans the start model finds a heart in {len(found)}; the kept slices show all "
        f"that is contoured in {whole['kept']}, their middles, as trained on unshifted, in {whole['middle']}; less "
        f"than half of it in {lost}."
    )


if __name__ == "__main__":
    main()
