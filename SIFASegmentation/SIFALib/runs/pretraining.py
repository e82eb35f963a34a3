"""Supervised training of the segmenter on random slices of phantoms: how the bundled model was made.

    python -m SIFALib.runs.pretraining --folder runs/default          starts, or goes on where it was stopped

The folder holds `anatomies/` (tissue maps), `checkpoint.pt` (everything needed to go on), `log.jsonl`, and at the end
`model/`, a model package. A slice depends on the seed and its number alone: going on equals never having stopped.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import os
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..adaptation import losses
from ..models import store
from ..models.structures import STRUCTURES
from ..networks import devices, loading
from ..networks.arrays import to_tensor
from ..networks.segmenter import Segmenter
from ..phantom.slices import workers as slice_workers
from ..phantom.slices.anatomies import make_anatomies
from ..phantom.slices.randomisation import Randomisation
from ..support import malloc
from ..support.errors import ModelError

log = logging.getLogger(__name__)

TRAINING_SEEDS = 1000  # anatomies are drawn from the phantoms below; whatever judges a model uses others
VALIDATION_SEED = 1_000_000


@dataclass(frozen=True)
class Settings:
    """anatomies: how many; spacing_mm: of their tissue maps; size: side of a slice in pixels; ema: decay of the average.

    device, precision: as `engine` names them. workers: processes that make slices ahead; 0: none. randomisation: of the
    slices trained on; those that validate are always as random as by default. start_model: folder of a model package
    whose weights are the first ones; none: they are drawn at random.
    """

    width: int = 8
    size: int = 128
    batch: int = 8
    iterations: int = 10_000
    learning_rate: float = 1e-3
    warm_up: int = 100
    ema: float = 0.995
    anatomies: int = 240
    validation_anatomies: int = 6
    spacing_mm: float = 2.0
    seed: int = 1  # of the slices
    threads: int = 2
    save_every: int = 100
    device: str = "auto"
    precision: str = "auto"
    workers: int = 0
    start_model: str = ""
    randomisation: Randomisation = field(default_factory=Randomisation)

    def __post_init__(self) -> None:
        if not 0 < self.anatomies <= TRAINING_SEEDS:
            raise ValueError(f"{self.anatomies} anatomies cannot be; give 1 to {TRAINING_SEEDS}.")


FREE_TO_CHANGE = ("iterations", "threads", "save_every", "device", "precision", "workers")  # when a training goes on


@dataclass
class State:
    """What changes while training; `average` is the exponential moving average of the segmenter's state."""

    segmenter: Segmenter
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    precision: torch.dtype = torch.float32
    iteration: int = 0
    first_weights: str = ""  # name and version of the model that they were of

    @property
    def device(self) -> torch.device:
        return next(self.segmenter.parameters()).device


def start(settings: Settings) -> State:
    """A new training.

    Raises ValueError for a device or precision that this computer does not have, ModelError for an unusable start.
    """
    device = devices.choose_device(settings.device)
    precision = devices.choose_precision(settings.precision, device)
    torch.manual_seed(settings.seed)
    segmenter = channels_last(Segmenter("tmi2020", settings.width)).to(device)
    first_weights = ""
    if settings.start_model:
        package = store.read_package(Path(settings.start_model))
        width = package.card.architecture.width
        if width != settings.width:
            raise ValueError(
                f"{package.folder} has width {width}, the training {settings.width}; they must be the same."
            )
        segmenter.load_state_dict(loading.load_segmenter(package).state_dict())
        first_weights = f"{package.card.id} {package.card.version}"
    optimizer = torch.optim.Adam(segmenter.parameters(), lr=settings.learning_rate)
    average = {k: v.clone() for k, v in segmenter.state_dict().items()}
    return State(segmenter, average, optimizer, precision, first_weights=first_weights)


def channels_last(segmenter: Segmenter) -> Segmenter:
    """The same network with its kernels laid out as CPUs and GPUs like them best."""
    return segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def train_step(state: State, images: Tensor, labels: Tensor, settings: Settings) -> float:
    """One update on images [N, 1, H, W] and labels [N, H, W] (0..4); returns the segmentation loss before it."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.iteration, settings)
    images, labels = images.to(state.device), labels.to(state.device)
    one_hot = torch.nn.functional.one_hot(labels.long(), state.segmenter.classes).movedim(-1, 1).float()
    exact = state.precision is torch.float32
    with torch.autocast(state.device.type, state.precision) if not exact else nullcontext():
        logits, logits_ll = state.segmenter.forward_both(images)
    main = losses.segmentation(logits, one_hot)
    loss = main if logits_ll is None else main + losses.LOWER_WEIGHT * losses.segmentation(logits_ll, one_hot)
    decay = sum((p**2).sum() for p in state.segmenter.parameters()) / 2
    state.optimizer.zero_grad(set_to_none=True)
    (loss + losses.WEIGHT_DECAY * decay).backward()
    torch.nn.utils.clip_grad_norm_(state.segmenter.parameters(), 5.0)
    state.optimizer.step()
    state.iteration += 1
    decay_rate = min(settings.ema, state.iteration / (state.iteration + 10))
    for key, value in state.segmenter.state_dict().items():
        state.average[key].lerp_(value, 1 - decay_rate)
    return float(main.detach())


def learning_rate(iteration: int, settings: Settings) -> float:
    """Linear warm-up, then a half cosine down to a hundredth."""
    if iteration < settings.warm_up:
        return settings.learning_rate * (iteration + 1) / settings.warm_up
    done = (iteration - settings.warm_up) / max(1, settings.iterations - settings.warm_up)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def row_of(settings: Settings, folder: Path, seed: int) -> slice_workers.Row:
    wild = settings.randomisation if seed != VALIDATION_SEED else Randomisation()
    return slice_workers.Row(folder, settings.size, seed, settings.batch, wild)


def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """A batch of slices, as `slice_workers` makes it, for `train_step`."""
    return to_tensor(images).contiguous(memory_format=torch.channels_last), to_tensor(labels)


@torch.inference_mode()
def validate(state: State, folder: Path, settings: Settings, slices: int = 64) -> list[float]:
    """Dice of the averaged weights by structure (MYO, LA, LV, AA), pooled over `slices` slices of the anatomies in
    `folder`, which were not trained on."""
    judge = channels_last(Segmenter("tmi2020", settings.width)).to(state.device).eval()
    judge.load_state_dict(state.average)
    overlap, total = np.zeros(5), np.zeros(5)
    row = row_of(settings, folder, VALIDATION_SEED)
    for made in slice_workers.batches(row, 0, math.ceil(slices / settings.batch), 0):
        images, labels = tensors(*made)
        predicted = judge(images.to(state.device)).argmax(1).cpu()
        for c in range(1, 5):
            overlap[c] += 2 * ((predicted == c) & (labels == c)).sum().item()
            total[c] += ((predicted == c).sum() + (labels == c).sum()).item()
    return [float(o / max(t, 1)) for o, t in zip(overlap[1:], total[1:], strict=True)]


def save(state: State, settings: Settings, folder: Path) -> None:
    """Write `checkpoint.pt`; it is complete or the former one at every instant."""
    temporary = folder / ".checkpoint.pt"
    with open(temporary, "wb") as file:
        torch.save(
            {
                "settings": asdict(settings),
                "iteration": state.iteration,
                "segmenter": state.segmenter.state_dict(),
                "average": state.average,
                "optimizer": state.optimizer.state_dict(),
                "first_weights": state.first_weights,
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / "checkpoint.pt")


def load(settings: Settings, folder: Path) -> State:
    """The state in `folder`, or a new one. Raises ValueError if it was trained with other settings."""
    path = folder / "checkpoint.pt"
    state = start(replace(settings, start_model="") if path.exists() else settings)
    if path.exists():
        saved = torch.load(path, weights_only=True, map_location=state.device)
        fixed = {k: v for k, v in asdict(settings).items() if k not in FREE_TO_CHANGE}
        other = [k for k, v in fixed.items() if saved["settings"].get(k) != v]
        if other:
            was = ", ".join(f"{k} {saved['settings'].get(k)}" for k in other)
            raise ValueError(f"{path} was trained with other settings ({was}); use those, or another folder.")
        state.segmenter.load_state_dict(saved["segmenter"])
        state.average = saved["average"]
        state.optimizer.load_state_dict(saved["optimizer"])
        state.iteration = saved["iteration"]
        state.first_weights = saved["first_weights"]
    return state


def train(settings: Settings, folder: Path) -> State:
    """Train to the end, or go on from the folder's checkpoint; log and save as it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    make_all(settings, folder)
    state = load(settings, folder)
    since, seconds = state.iteration, time.monotonic()
    losses_seen: list[float] = []
    row = row_of(settings, folder / "anatomies", settings.seed)
    for made in slice_workers.batches(row, state.iteration, settings.iterations, settings.workers):
        images, labels = tensors(*made)
        losses_seen.append(train_step(state, images, labels, settings))
        if state.iteration % settings.save_every == 0 or state.iteration == settings.iterations:
            entry = {
                "iteration": state.iteration,
                "loss": float(np.mean(losses_seen)),
                "dice": validate(state, folder / "validation", settings),
                "seconds_per_iteration": (time.monotonic() - seconds) / (state.iteration - since),
            }
            save(state, settings, folder)
            with open(folder / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            log.info("%s", entry)
            since, seconds, losses_seen = state.iteration, time.monotonic(), []
    return state


def write_model(state: State, settings: Settings, dice: list[float], folder: Path, version: str) -> store.ModelPackage:
    """The averaged weights as a model package in `folder`; `dice` as from `validate`. Raises ModelError if it exists."""
    trained_on = (
        f"No patient: {state.iteration * settings.batch:,} random slices of {settings.anatomies} digital phantoms, "
        "adults and children, healthy and ill, in every plane, with CT-like, MR-like and random contrast"
    )
    if state.first_weights:
        trained_on += f"; its first weights were those of {state.first_weights}"
    trained_on += ". Check every outline."
    quality = store.Quality(
        data=f"random slices of {settings.validation_anatomies} phantoms that were not trained on",
        measure="Dice",
        rule="pooled over 64 slices; a structure that is missed counts with its whole area",
        values={s.id: round(d, 3) for s, d in zip(STRUCTURES, dice, strict=True)},
    )
    return store.write_package(
        folder,
        loading.state_arrays(state.average),
        id="heart-phantom",
        name="Heart, from phantoms",
        version=version,
        architecture=store.Architecture(variant="tmi2020", width=settings.width),
        modality="CT/MR",
        preprocessing=store.Preprocessing(),
        trained_on=trained_on,
        quality=(quality,),
        licence="Apache-2.0",
        citation="Chen et al., IEEE Transactions on Medical Imaging 39(7), 2020 (the network); SIFA for 3D Slicer",
    )


def make_all(settings: Settings, folder: Path) -> None:
    """Make the anatomies that are missing, with a process a thread, or as many as make slices later."""
    jobs = [(folder / "anatomies", [n], settings.spacing_mm) for n in range(settings.anatomies)]
    jobs += [
        (folder / "validation", [VALIDATION_SEED + n], settings.spacing_mm)
        for n in range(settings.validation_anatomies)
    ]
    with multiprocessing.get_context("spawn").Pool(max(settings.threads, settings.workers)) as pool:
        pool.starmap(make_anatomies, jobs, chunksize=1)


def randomisation(text: str) -> Randomisation:
    """As written on the command line: `any=0,artefacts=0.5`. Raises argparse.ArgumentTypeError for anything else."""
    known = [each.name for each in fields(Randomisation)]
    try:
        given = {name: float(value) for name, value in (part.split("=") for part in text.split(",") if part)}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"{unknown[0]} is none of {', '.join(known)}.")
        return Randomisation(**given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no randomisation: {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--version", default="0.1.0", help="of the model package")
    parser.add_argument(
        "--randomisation",
        type=randomisation,
        default=Randomisation(),
        metavar="NAME=NUMBER,...",
        help="what differs from the bundled model's, such as artefacts=0,texture=0.5",
    )
    for name, value in asdict(Settings()).items():
        if name != "randomisation":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    folder, version = arguments.pop("folder"), arguments.pop("version")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = replace(Settings(), **arguments)
    torch.set_num_threads(settings.threads)
    malloc.keep()
    torch.set_flush_denormal(True)  # of the whole process: vanishing weights would slow it down many times
    try:
        state = train(settings, folder)
        dice = validate(state, folder / "validation", settings)
        package = write_model(state, settings, dice, folder / "model", version)
    except (ValueError, ModelError) as error:
        raise SystemExit(str(error)) from None
    log.info("The model is in %s", package.folder)


if __name__ == "__main__":
    main()
