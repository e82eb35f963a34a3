"""The rows of bench_adapt_real, and how one of them is trained and judged in a worker process."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import adapt_real_data
import adapt_real_table
import numpy as np
import torch
from adapt_real_data import SIZE, Bench
from SIFALib import adaptation, datasets
from SIFALib.adaptation import label_free, signs
from SIFALib.adaptation.method import Method
from SIFALib.datasets import Batch
from SIFALib.imaging import pictures
from SIFALib.models.structures import structures_of
from SIFALib.networks import devices
from SIFALib.networks.arrays import to_numpy
from SIFALib.runs import previews
from SIFALib.support import files, malloc

FINISHED, UNFINISHED, SIGNS = "run.json", "unfinished.json", "signs.json"
COMMON: dict[str, object] = {
    "segmentation_rate": 2e-4,
    "warm_up": 50,
    "final_share": 0.1,
    "adversarial_rate": 2e-4,
    "clip": 5.0,
    "average_decay": 0.995,
    "class_balance": 0.0,
    "epochs": 20,
}
"""Rates of a fine-tuning, the same for all rows: linear warm-up, then half a cosine down to a tenth."""
AAAI = {"lower_weight": 0.0, "lower_prediction_weight": 0.0, "prediction_from_epoch": 5}
"""AAAI 2019's objective on the start's own network: one head, predictions aligned from a quarter of the iterations on."""
SELF = {"self_training_weight": 1.0}
TUNED = {**SELF, "translation_width": 8, "source_weight": 1.0, "segmenter_from": 100}
"""SIFA for a segmenter that can do something already: narrower translators with a head start, the source as it is beside."""


@dataclass(frozen=True)
class Way:
    """A row. batches: a kind of adapt_real_data. trains: otherwise only the running statistics of normalisation move."""

    name: str
    changes: dict[str, object]
    batches: str = "both"
    trains: bool = True


WAYS = (
    Way(adapt_real_table.CONTROL, {"objective": "source_only"}),
    Way("batch-norm statistics", {"objective": "source_only"}, trains=False),
    Way("image adaptation only", {"objective": "image"}),
    Way("AAAI 2019 with dropout", {**AAAI, "keep_rate": 0.75}),
    Way("AAAI 2019 without dropout", {**AAAI, "keep_rate": 1.0}),
    Way("TMI 2020", {}),
    Way("self-training alone", {"objective": "self_training", **SELF}),
    Way("self-training, unbalanced", {"objective": "self_training", **SELF, "self_training_balance": 0.0}),
    Way("TMI 2020 with self-training", SELF),
    Way("TMI 2020 tuned, with self-training", TUNED),
    Way(adapt_real_table.BOUND, {"objective": "source_only"}, "contours"),
)


@dataclass(frozen=True)
class Cell:
    """One run: a row and a repetition."""

    way: Way
    seed: int

    @property
    def name(self) -> str:
        return f"{self.way.name}-{self.seed}".replace(" ", "_").lower()

    def path(self, bench: Bench) -> Path:
        return bench.folder / "runs" / self.name

    def method(self, bench: Bench) -> Method:
        own = adapt_real_data.package(bench.start).card.architecture
        made = {"variant": own.variant, "width": own.width, "classes": own.classes, **COMMON, **self.way.changes}
        return Method(**made)  # type: ignore[arg-type]


def bring(bench: Bench, cell: Cell, no_more: float, end: float) -> str:
    """Bring a run to its end, unless it has been, and say what became of it.

    no_more, end: times after which it is not begun, and broken off; what it had by then stays in UNFINISHED.
    """
    if (cell.path(bench) / FINISHED).exists():
        return f"{cell.name}: there already"
    if time.time() > no_more:
        return f"{cell.name}: not begun, the time is over"
    begun = time.perf_counter()
    torch.set_flush_denormal(True)
    malloc.keep()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False):
        row = _trained(bench, cell, end)
    if row is None:
        return f"{cell.name}: broken off, the time is over"
    files.write_text(cell.path(bench) / FINISHED, json.dumps(row) + "\n")
    (cell.path(bench) / UNFINISHED).unlink(missing_ok=True)
    first, last = (adapt_real_table.mean_dice(row["checkpoints"][n]) for n in (0, -1))
    return (
        f"{cell.name}: {time.perf_counter() - begun:.0f} s, {row['milliseconds']:.0f} ms an iteration and "
        f"{row['outside_ms']:.1f} ms beside it, {row['judging_s']:.1f} s a judgement; mean Dice {first:.3f} to {last:.3f}"
    )


def _trained(bench: Bench, cell: Cell, end: float) -> dict[str, Any] | None:
    """The run, or None if it was broken off."""
    path = cell.path(bench)
    path.mkdir(parents=True, exist_ok=True)
    (path / SIGNS).unlink(missing_ok=True)  # of other weights
    device = devices.choose_device(bench.device)
    precision = devices.choose_precision(bench.precision, device)
    method = cell.method(bench)
    state = adaptation.start(method, cell.seed, bench.iterations, _start_weights(bench.start), device)
    judged: list[float] = []
    checkpoints = [_checkpoint(bench, cell, state, {}, True, judged)]
    steps: list[float] = []
    losses: list[dict[str, float]] = []
    begun = time.perf_counter()
    for batch in adapt_real_data.batches(bench, cell.way.batches, cell.seed, device):
        if time.time() > end:
            return None
        before = time.perf_counter()
        losses.append(_step(cell.way, state, batch, precision))
        steps.append(time.perf_counter() - before)
        if state.iteration % bench.every == 0 or state.iteration == bench.iterations:
            checkpoints.append(_checkpoint(bench, cell, state, _means(losses), False, judged))
            losses.clear()
            known = {
                "name": cell.name,
                "way": cell.way.name,
                "seed": cell.seed,
                "milliseconds": None,
                "checkpoints": checkpoints,
            }
            files.write_text(path / UNFINISHED, json.dumps(known) + "\n")
    outside = time.perf_counter() - begun - sum(steps) - sum(judged[1:])
    if method.translates and cell.seed == 0:
        draw(bench, state, path / "translations.png")
    return {
        "name": cell.name,
        "way": cell.way.name,
        "seed": cell.seed,
        "method": dataclasses.asdict(method),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": str(precision),
        "milliseconds": 1000 * statistics.median(steps),
        "outside_ms": 1000 * outside / bench.iterations,
        "judging_s": statistics.median(judged),
        "checkpoints": checkpoints,
    }


def look(bench: Bench, cell: Cell) -> str:
    """What the verdict goes by, of the start and of every checkpoint that was kept: {iteration: signs}, to SIGNS."""
    path = cell.path(bench)
    if not (path / FINISHED).exists():
        return f"{cell.name}: not finished"
    kept = {int(file.stem): file for file in sorted(path.glob("[0-9]*.safetensors"))}
    known = json.loads((path / SIGNS).read_text()) if (path / SIGNS).exists() else {}
    domains = adapt_real_data.domains(bench)
    patients = {name: name.rsplit("_", 1)[0] for name in domains.hearts}
    hearts = signs.judging(dataclasses.replace(domains, hearts=patients))
    segmenter = adapt_real_data.segmenter(bench.start)
    own = {name: value.clone() for name, value in segmenter.state_dict().items()}
    try:
        for iteration, file in ({0: None} | kept).items():
            if str(iteration) not in known:
                segmenter.load_state_dict(own if file is None else _kept(file, own))
                known[str(iteration)] = signs.of_hearts(segmenter.eval(), hearts, SIZE)
                files.write_text(path / SIGNS, json.dumps(known) + "\n")
    finally:
        segmenter.load_state_dict(own)
    return f"{cell.name}: {len(known)} looked at"


@lru_cache(maxsize=1)
def _start_weights(folder: Path) -> Mapping[str, torch.Tensor]:
    return adapt_real_data.segmenter(folder).state_dict()


def _step(way: Way, state: adaptation.State, batch: Batch, precision: torch.dtype) -> dict[str, float]:
    return adaptation.step(state, batch, precision) if way.trains else _moved_statistics(state, batch)


@torch.no_grad()
def _moved_statistics(state: adaptation.State, batch: Batch) -> dict[str, float]:
    """An iteration without training: the target passes through, and the running statistics of normalisation move."""
    state.segmenter.train()
    state.segmenter(state.wide(batch.target))
    state.iteration += 1
    decay = min(state.method.average_decay, state.iteration / (state.iteration + adaptation.AVERAGE_WARM_UP))
    for name, value in state.segmenter.state_dict().items():
        state.average[name].lerp_(value, 1.0 - decay)
    return {}


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([each[name] for each in losses])), 5) for name in losses[0]}


def _checkpoint(
    bench: Bench, cell: Cell, state: adaptation.State, losses: dict[str, float], first: bool, seconds: list[float]
) -> dict[str, Any]:
    """The averaged segmenter on disk, judged with and without labels; how long that took is added to `seconds`."""
    begun = time.perf_counter()
    segmenter = adaptation.averaged_segmenter(state)
    settings = adapt_real_data.settings_of(bench, bench.targets, bench.phantoms)
    score = label_free.score(state, adapt_real_data.domains(bench), settings)
    if not first:
        _keep(segmenter, cell.path(bench) / f"{state.iteration:06d}.safetensors")
    made = {
        "iteration": state.iteration,
        "score": score.value,
        "parts": score.parts,
        "vetoes": [veto.key for veto in score.vetoes],
        "losses": losses,
        "patients": adapt_real_data.measure(segmenter, bench),
    }
    seconds.append(time.perf_counter() - begun)
    return made


def _keep(segmenter: torch.nn.Module, path: Path) -> None:
    """Its weights in half precision."""
    from safetensors.torch import save

    arrays = {name: value.half().cpu().contiguous() for name, value in segmenter.state_dict().items()}
    files.write_bytes(path, save(arrays))


def _kept(path: Path, like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return {name: value.to(like[name].dtype) for name, value in load(path.read_bytes()).items()}


@torch.inference_mode()
def draw(bench: Bench, state: adaptation.State, path: Path) -> None:
    """A row a slice: source with labels, translated with the same labels, translated, back again; target, what the averaged
    segmenter finds in it, translated, back again."""
    domains = adapt_real_data.domains(bench)
    shown = []
    for kept, all_of_it in ((domains.source_validation, domains.source), (domains.target_validation, domains.target)):
        some = kept if len(kept) else all_of_it
        images, labels = datasets.view(some, previews.chosen(some), SIZE)
        shown.append((images.to(state.device), labels))
    (source, labels), (target, _) = shown
    encoder, seen = state.segmenter.eval().encoder, state.segmenter.encoder.seen_by_decoder
    fake_target = state.generator(state.wide(source))
    cycle_source = state.decoder(encoder(state.wide(fake_target))[seen], fake_target)
    fake_source = state.decoder(encoder(state.wide(target))[seen], target)
    cycle_target = state.generator(state.wide(fake_source))
    drawn = adaptation.averaged_segmenter(state)(state.wide(target)).argmax(1)
    columns = [
        (source, labels), (fake_target, labels), (fake_target, None), (cycle_source, None),
        (target, None), (target, drawn), (fake_source, None), (cycle_target, None),
    ]  # fmt: skip
    structures = structures_of(state.method.classes)
    rows = []
    for n in range(len(source)):
        panels = [
            pictures.paint(
                (to_numpy(grey[n, 0].float()) + 1) / 2,
                None if classes is None else to_numpy(classes[n].to(torch.uint8)),
                structures,
            )
            for grey, classes in columns
        ]
        rows.append(np.concatenate([np.pad(p, ((0, 2), (0, 2), (0, 0))) for p in panels], axis=1))
    pictures.write_png(np.concatenate(rows), path)
