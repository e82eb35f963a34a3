"""What bench_adapt_real learns from and judges by, made once, by many processes, and shared by all of its runs.

Slices are cut by `datasets.prepare` into one cache, scan by scan and phantom by phantom (an entry of the cache does not
depend on the others), the target's around the heart that the start model finds. The batches of a repetition are the same
for all rows: they are made ahead and read from disk.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sunnybrook
import torch
from SIFALib import datasets
from SIFALib.datasets import Batch, DataSettings, Domains
from SIFALib.datasets.cutting import Locator, Place, border_size, sample_labels
from SIFALib.datasets.settings import CONTOURED
from SIFALib.imaging import metrics, slices
from SIFALib.imaging.geometry import Volume
from SIFALib.imaging.intensity import intensity_rule
from SIFALib.models import store
from SIFALib.models.store import ModelPackage
from SIFALib.networks import loading
from SIFALib.networks.arrays import to_tensor
from SIFALib.networks.segmenter import Segmenter
from SIFALib.runs.start_model import locator_of
from SIFALib.support import files
from SIFALib.support.errors import DataError
from SIFALib.support.progress import drain

SIZE = 128  # pixels a side of a slice that is trained on, and at least of one that is judged
PIXELS_MM = (1.0, 1.2)  # sizes at which a checkpoint is judged
STRUCTURES = {"MYO": sunnybrook.MYO, "LV": sunnybrook.LV}
AT_ONCE = 25  # batches that a process makes in one go
SOURCE = 1  # part of the seed of a batch, as `datasets.batch` has it
SLICES_AT_ONCE = 64  # that are judged


@dataclass(frozen=True)
class Bench:
    """What all runs have in common. scans: how many target scans (ED and ES count apart); phantoms: of the source, which
    is one of the built-in ones."""

    start: Path
    data: Path
    folder: Path
    iterations: int
    every: int
    batch: int
    phantoms: int
    scans: int
    device: str
    precision: str
    source: str = "phantom"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def targets(self) -> list[str]:
        """Names of the target's scans; SC-N-06 is among them, of which no contours are known."""
        stems = sorted(
            path.name.removesuffix(".nii.gz") for path in (self.data / "scd" / "unlabelled").glob("*.nii.gz")
        )
        return stems[: self.scans]

    @property
    def contoured(self) -> list[str]:
        return [name for name in self.targets if name.rsplit("_", 1)[0] in sunnybrook.CONTOURED]


# --- settings ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def package(folder: Path) -> ModelPackage:
    return store.read_package(folder)


@lru_cache(maxsize=1)
def segmenter(folder: Path) -> Segmenter:
    return loading.load_segmenter(package(folder))


def settings_of(bench: Bench, targets: Sequence[str], phantoms: int, first: int = 0) -> DataSettings:
    """Source phantoms (the seeds first .. first + phantoms - 1) and some of the target's scans, without labels."""
    path = bench.folder / "lists" / f"{'all' if len(targets) != 1 else targets[0]}.json"
    _write(path, {"images": [str(_scan(bench, name)) for name in targets]})
    card = package(bench.start).card
    return DataSettings(
        bench.source, str(path), preprocessing=card.preprocessing, size=SIZE, classes=card.architecture.classes,
        phantoms=phantoms, phantom_seed=first,
    )  # fmt: skip


def contour_settings(bench: Bench, names: Sequence[str]) -> DataSettings:
    """The target's scans with their contours, as a source of which only some structures are labelled."""
    path = bench.folder / "lists" / f"contours-{'all' if len(names) != 1 else names[0]}.json"
    drawn = bench.data / "scd" / "contours_of_unlabelled"
    labels = [str((drawn / f"{name}.nii.gz").resolve()) for name in names]
    _write(path, {"images": [str(_scan(bench, name)) for name in names], "labels": labels})
    plain = settings_of(bench, bench.targets, bench.phantoms)
    return dataclasses.replace(plain, source=str(path), target="phantom", partial_labels=True)


def _scan(bench: Bench, name: str) -> Path:
    return (bench.data / "scd" / "unlabelled" / f"{name}.nii.gz").resolve()


def _write(path: Path, content: object) -> None:
    text = json.dumps(content)
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)


# --- what is made ahead ------------------------------------------------------------------------------------------


def prepare_phantom(bench: Bench, seed: int) -> None:
    drain(datasets.prepare_source(settings_of(bench, bench.targets, 1, seed), bench.cache))


def prepare_scan(bench: Bench, name: str, phantom: int) -> None:
    """Slices of a target scan, around the heart that the start model finds, and of a phantom, where they are not there yet.
    No two at once should name the same phantom. Where the heart is goes to places/NAME.json. One scan may hold too
    few slices to learn from; what all of them lack is said by `domains`."""
    with suppress(DataError):
        drain(datasets.prepare(settings_of(bench, [name], 1, phantom), bench.cache, _recording(bench)))


def prepare_contours(bench: Bench, name: str) -> None:
    with suppress(DataError):
        drain(datasets.prepare_source(contour_settings(bench, [name]), bench.cache))


def _recording(bench: Bench) -> Locator:
    """The start model's locator, as a run has it, that writes down what it finds."""
    locator = locator_of(package(bench.start).card, segmenter(bench.start))

    def find(volume: Volume) -> Place | None:
        place = locator(volume)
        kept = None if place is None else {"box": place.box.tolist(), "quarters": place.quarters, "note": place.note}
        _write(bench.folder / "places" / f"{volume.name}.json", kept)
        return place

    return Locator(locator.key, find)


@lru_cache(maxsize=1)
def domains(bench: Bench) -> Domains:
    """Everything, from the cache."""
    settings = settings_of(bench, bench.targets, bench.phantoms)
    return drain(datasets.prepare(settings, bench.cache, _recording(bench)))


@lru_cache(maxsize=1)
def _contours(bench: Bench) -> datasets.Slices:
    return drain(datasets.prepare_source(contour_settings(bench, bench.contoured), bench.cache))[0]


def batch_file(bench: Bench, kind: str, seed: int, field: str) -> Path:
    """kind: "both" (source and target) or "contours" (target slices with contours in the source's place)."""
    return bench.folder / "batches" / f"{kind}-{seed}-{field}.npy"


def fields(bench: Bench, kind: str) -> tuple[str, ...]:
    """Of a `Batch`, that are kept."""
    of_target = ("target",) if kind == "both" else ()
    known = ("source_known",) if kind == "contours" or bench.source == CONTOURED else ()
    return ("source", "source_labels", *of_target, *known)


def lay_out(bench: Bench, kind: str, seed: int) -> None:
    """Files for the batches of a repetition, still empty."""
    planes = (bench.iterations, bench.batch)
    classes = package(bench.start).card.architecture.classes
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "source": ((*planes, 1, SIZE, SIZE), np.float32),
        "target": ((*planes, 1, SIZE, SIZE), np.float32),
        "source_labels": ((*planes, SIZE, SIZE), np.uint8),
        "source_known": ((*planes, classes), np.bool_),
    }
    for field in fields(bench, kind):
        path = batch_file(bench, kind, seed, field)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.lib.format.open_memmap(path, "w+", shapes[field][1], shapes[field][0])


def make_batches(bench: Bench, kind: str, seed: int, first: int) -> None:
    """Batches first .. first + AT_ONCE - 1 of a repetition into their files."""
    arrays = {f: np.load(batch_file(bench, kind, seed, f), mmap_mode="r+") for f in fields(bench, kind)}
    for iteration in range(first, min(first + AT_ONCE, bench.iterations)):
        made = _batch(bench, kind, seed, iteration)
        for field, array in arrays.items():
            array[iteration] = getattr(made, field).numpy()


def _batch(bench: Bench, kind: str, seed: int, iteration: int) -> Batch:
    if kind == "both":
        settings = settings_of(bench, bench.targets, bench.phantoms)
        return datasets.batch(domains(bench), settings, seed, iteration, bench.batch)
    settings, all_slices = contour_settings(bench, bench.contoured), _contours(bench)
    images, labels, scans = datasets.drawn(all_slices, settings, [seed, iteration, SOURCE], range(bench.batch))
    assert labels is not None
    shown = to_tensor(images)
    return Batch(shown, to_tensor(labels), shown, None, to_tensor(all_slices.known[scans, : settings.classes]))


def batches(bench: Bench, kind: str, seed: int, device: torch.device) -> Iterator[Batch]:
    arrays = {f: np.load(batch_file(bench, kind, seed, f), mmap_mode="r") for f in fields(bench, kind)}
    for iteration in range(bench.iterations):
        tensors = {f: to_tensor(np.array(array[iteration])).to(device) for f, array in arrays.items()}
        yield Batch(**{"target": tensors["source"], **tensors})


# --- judging -----------------------------------------------------------------------------------------------------


def case_file(bench: Bench, patient: str) -> Path:
    return bench.folder / "cases" / f"{patient}.npz"


def prepare_case(bench: Bench, patient: str) -> None:
    """End-diastole of a patient kept for judging, cut in the true heart's box, at both pixel sizes."""
    stack = sunnybrook.open_stack(bench.data, f"{patient}_ED")
    card, geometry = package(bench.start).card, stack.scan.geometry
    where = np.argwhere(stack.labels.array > 0)[:, ::-1]
    box = slices.with_margin(geometry, np.stack([where.min(0), where.max(0)]).astype(float))
    plane = slices.choose_plane(geometry, card.preprocessing.plane)
    rule = intensity_rule(stack.scan, card.preprocessing)
    arrays = {}
    for pixel in PIXELS_MM:
        grid = slices.slice_grid(geometry, plane, box, pixel, 1.0, SIZE)
        arrays[f"image {pixel:g}"] = rule.normalise(*slices.sample(stack.scan, grid)).astype(np.float32)
        arrays[f"truth {pixel:g}"] = sample_labels(stack.labels, grid)
    path = case_file(bench, patient)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.written(path) as file:
        np.savez(file, **arrays)


@cache
def _case(bench: Bench, patient: str) -> dict[str, np.ndarray]:
    with np.load(case_file(bench, patient)) as kept:
        return dict(kept)


@torch.inference_mode()
def measure(network: Segmenter, bench: Bench) -> dict[str, Any]:
    """{patient: {pixel size: {structure: what `_compared` finds}}} of all open patients."""
    device = next(network.parameters()).device
    found: dict[str, Any] = {}
    for patient in sunnybrook.OPEN:
        case, sizes = _case(bench, patient), {}
        for pixel in PIXELS_MM:
            images = to_tensor(case[f"image {pixel:g}"])[:, None].to(device)
            parts = [network(x.expand(-1, network.in_channels, -1, -1)).argmax(1) for x in images.split(SLICES_AT_ONCE)]
            drawn, truth = torch.cat(parts).cpu().numpy(), case[f"truth {pixel:g}"]
            sizes[f"{pixel:g}"] = {name: compared(drawn == v, truth == v, pixel) for name, v in STRUCTURES.items()}
        found[patient] = sizes
    return found


def compared(drawn: np.ndarray, truth: np.ndarray, pixel_mm: float) -> dict[str, float | None]:
    """Of masks [slices, rows, columns]: Dice of the stack; mean ASSD (mm) of slices where both have something, None if
    there are none; share of slices with truth in which nothing was drawn."""
    distances = [
        metrics.assd_mm(a, b, (pixel_mm, pixel_mm)) for a, b in zip(drawn, truth, strict=True) if a.any() and b.any()
    ]
    there = truth.any(axis=(1, 2))
    missing = there & ~drawn.any(axis=(1, 2))
    return {
        "dice": round(metrics.dice(drawn, truth), 5),
        "assd_mm": round(float(np.mean(distances)), 4) if distances else None,
        "missing": round(float(missing.sum() / max(1, there.sum())), 5),
    }


def crops(bench: Bench) -> dict[str, Any]:
    """Of each contoured target scan: which share of the contoured voxels its kept slices show, and the middle of them that
    is trained on unshifted; None where the start model found no heart."""
    settings = settings_of(bench, bench.targets, bench.phantoms)
    found: dict[str, Any] = {}
    for name in bench.contoured:
        path = bench.folder / "places" / f"{name}.json"
        if not path.exists():
            continue
        place = json.loads(path.read_text())
        stack = sunnybrook.contoured_stack(bench.data, name)
        sides = {"kept": border_size(SIZE), "middle": SIZE}
        found[name] = None if place is None else {k: shown(stack.labels, place, settings, s) for k, s in sides.items()}
    return found


def shown(labels: Volume, place: dict[str, Any], settings: DataSettings, side: int) -> float:
    """The share of labelled voxels that lie in the square of `side` pixels amid the fine slices around a place."""
    pre, geometry = settings.preprocessing, labels.geometry
    plane = slices.choose_plane(geometry, pre.plane).turned(place["quarters"])
    least = max(pre.crop, border_size(settings.size))
    grid = slices.slice_grid(geometry, plane, np.array(place["box"]), pre.spacing_mm, pre.slice_spacing_mm, least)
    where = np.argwhere(labels.array > 0)[:, ::-1]
    inside = np.ones(len(where), bool)
    for work, axis in enumerate(plane.axes):
        element = (where[:, axis] - grid.start[work]) / grid.step[work]
        first = 0 if work == 2 else (grid.count[work] - side) // 2
        count = grid.count[work] if work == 2 else side
        inside &= (element >= first - 0.5) & (element <= first + count - 0.5)
    return round(float(inside.mean()), 4) if len(inside) else math.nan
