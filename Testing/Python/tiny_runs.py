"""Runs that take seconds: a few small scans with blobs for structures, the narrowest networks, and processes to train."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0  # seconds after which a process that should do something counts as stuck


def make_scans(folder: Path) -> None:
    """source/ with labelled scans, target/ with inverted ones without labels, two of each."""
    for domain in ("source", "target"):
        (folder / domain).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            image, labels = _blobs(number + 10 * (domain == "target"))
            name = f"{domain}{number}"
            _write(image if domain == "source" else 1 - image, folder / domain / f"{name}.nii.gz")
            if domain == "source":
                _write(labels, folder / domain / f"{name}_label.nii.gz")


def _blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey values float32 0..1 and labels uint8, [10, 40, 40]."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:10, :40, :40]
    labels = np.zeros((10, 40, 40), np.uint8)
    for value, (row, column) in enumerate(((14, 14), (14, 26), (26, 14), (26, 26)), start=1):
        centre = np.array([5, row, column]) + rng.uniform(-1, 1, 3)
        distance = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
        labels[distance < 25] = value
    return (labels / 5 + rng.normal(0, 0.05, labels.shape)).astype(np.float32), labels


def _write(array: np.ndarray, path: Path) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 8.0))
    sitk.WriteImage(image, str(path))


def configuration(scans: Path, **changes: Any):
    """Six iterations of the whole method, width 2, slices of 32 pixels; the slices are kept in `scans`.

    In float32 by name: what two runs must have in common may not depend on what the processor is made for.
    """
    from SIFALib.datasets import DataSettings
    from SIFALib.method import Method
    from SIFALib.model_card import Preprocessing
    from SIFALib.runs import Configuration

    pre = Preprocessing(
        spacing_mm=4.0, slice_spacing_mm=8.0, crop=32, locate_spacing_mm=8.0, locate_slice_spacing_mm=16.0
    )
    data = DataSettings(str(scans / "source"), str(scans / "target"), preprocessing=pre, size=32)
    tiny = Configuration(
        data, Method(width=2, history=3), iterations=6, batch=2, threads=1, save_every=2, judge_every=3,
        preview_every=4, workers=0, cache=str(scans / "cache"), device="cpu", precision="float32",
    )  # fmt: skip
    return dataclasses.replace(tiny, **changes)


def supervised(**changes: Any):
    """A method that takes a fifth of the time of the whole one."""
    from SIFALib.method import Method

    return Method(width=2, objective="source_only", **changes)


def whole(**changes: Any):
    """The whole method, as narrow as it can be."""
    from SIFALib.method import Method

    return Method(width=2, **changes)


def start(*arguments: str, **options: Any) -> subprocess.Popen:
    """A Python process that finds the library."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "SIFASegmentation"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *arguments], env=environment, encoding="utf-8", **options)


def wait_until(what: Callable[[], Any], process: subprocess.Popen | None = None) -> Any:
    """The first true answer of `what`; fails when the process ends before, or nothing happens for long."""
    until = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert process is None or process.poll() is None, (
            f"ended with {process.returncode} before it happened"
        )
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)
    return answer


def losses_of(run: Path) -> dict[int, dict[str, float]]:
    """Iteration -> losses; fails if an iteration was logged twice or out of order."""
    from SIFALib.runs import events

    logged = [
        (e["iteration"], e["losses"]) for e in events.read(run / "events.jsonl") if e["kind"] == "losses"
    ]
    numbers = [n for n, _ in logged]
    assert numbers == sorted(set(numbers)), numbers
    return dict(logged)


def result_of(run: Path) -> dict[str, Any]:
    """All that a run computed, fit for ==: losses, scores, the newest checkpoint, the best model, the pictures."""
    from SIFALib.runs import best, checkpoints, events

    saved = checkpoints.load_newest(run / "checkpoints")
    assert saved is not None
    logged = list(events.read(run / "events.jsonl"))
    scores = [{k: v for k, v in e.items() if k != "time"} for e in logged if e["kind"] == "score"]
    weights = best.read_weights(run / "best") if best.read(run / "best") else {}
    return {
        "losses": losses_of(run),
        "scores": scores,
        "state": digest(saved["state"]),
        "best": {name: array.tobytes() for name, array in weights.items()},
        "previews": {p.name: p.read_bytes() for p in (run / "previews").glob("*.png")},
    }


def digest(content: Any) -> Any:
    """The same nested thing with the bytes of every tensor."""
    if hasattr(content, "untyped_storage"):
        from SIFALib.arrays import to_numpy

        array = to_numpy(content.contiguous())
        return (str(content.dtype), tuple(content.shape), array.tobytes())
    if isinstance(content, dict):
        return {key: digest(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [digest(value) for value in content]
    return content


def status_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text(encoding="utf-8"))
