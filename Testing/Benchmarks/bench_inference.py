"""How fast and how large: the network beside a bare matrix product, a volume's stages, memory of a big CT.

    python Testing/Benchmarks/bench_inference.py [--only network volume memory precision] [--rounds 9]

- network: slices through the engine, in the precision that "auto" takes here, for both widths. The matrix
  product is measured in the same process, in turns with the network, because other programs may share the
  processor; what counts is the median of the ratios. Required: 85 %.
- volume: a phantom CT from file to file, by stage; how much of the matrix rate is reached in the network's
  stages including the resampling, and inside of the engine alone. Required of the engine: 85 %.
- memory: `sifa segment` on a synthetic CT of 512 x 512 x 300 voxels of 0.4 mm, in a process of its own.
  Required: 3 GB.
- precision: where bfloat16 is fast, its labels against those of float32. Required: a mean Dice of 0.99, and
  0.98 of each structure.

The bundled model is used where there is one, else random weights (and then a region of interest instead of
the search for the heart, which would find nothing).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import hardware
import numpy as np
import SimpleITK as sitk
import torch
from SIFALib import phantom
from SIFALib.cli.console import NO_HEART
from SIFALib.imaging import metrics, reading, seg_nrrd, writing
from SIFALib.imaging.geometry import Volume
from SIFALib.inference import segmentation
from SIFALib.models import store
from SIFALib.models.architectures import multiply_accumulates
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.networks import devices, engine, loading
from SIFALib.networks.segmenter import Segmenter
from SIFALib.phantom.tissues import known_to
from SIFALib.support.errors import ModelError, NoHeartFound

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"

WIDTHS = (8, 16)
SIZES = (192, 256)  # the crop of the bundled model's card; the papers' slices
REQUIRED_FRACTION = 0.85
REQUIRED_GB = 3.0
REQUIRED_DICE = {"mean": 0.99, "each": 0.98}
PARTS = ("network", "volume", "memory", "precision")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=9, help="turns of matrix product and network")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS / "inference.json")
    options = parser.parse_args()

    device = devices.choose_device(options.device)
    dtype = devices.choose_precision(options.precision, device)
    result: dict = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": str(device),
        "precision": str(dtype).removeprefix("torch."),
    }
    print(", ".join(f"{key} {value}" for key, value in result.items()))
    with tempfile.TemporaryDirectory() as scratch:
        package, trained = model(Path(scratch))
        if "network" in options.only:
            result["network"] = network(device, dtype, options.rounds)
        if "volume" in options.only:
            result["volume"] = whole_volume(package, trained, device, dtype, Path(scratch))
        if "memory" in options.only:
            result["memory"] = memory(package, trained, Path(scratch))
        if "precision" in options.only:
            result["precision_check"] = precision(package, trained, device, Path(scratch))
    result["passed"] = all(row.get("passed", True) for row in rows_of(result))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nAll of it is in {options.out}")
    return 0 if result["passed"] else 1


def rows_of(result: dict) -> list[dict]:
    """What the verdict counts: each has `passed`, unless there was nothing to measure."""
    others = ("volume", "memory", "precision_check")
    return list(result.get("network", [])) + [result[name] for name in others if name in result]


def random_segmenter(width: int) -> Segmenter:
    """Weights whose activations neither vanish nor explode: numbers that a trained network could meet."""
    torch.manual_seed(0)
    segmenter = Segmenter("tmi2020", width)
    for module in segmenter.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_var is not None
            module.running_var.fill_(2.0)
    return segmenter.eval()


def model(scratch: Path) -> tuple[store.ModelPackage, bool]:
    """The bundled model, or one of width 8 with random weights; and whether it is trained."""
    try:
        return store.default_store().default(), True
    except ModelError:
        card = {
            "id": "random",
            "name": "Random weights",
            "version": "1.0.0",
            "architecture": store.Architecture(width=8),
            "modality": "CT/MR",
            "preprocessing": store.Preprocessing(),
            "trained_on": "Nothing: random weights for measurements of speed.",
            "licence": "Apache-2.0",
            "citation": "none",
            "quality": (),
        }
        state = loading.state_arrays(random_segmenter(8).state_dict())
        return store.write_package(scratch / "random", state, **card), False


def network(device: torch.device, dtype: torch.dtype, rounds: int) -> list[dict]:
    print("\nmatrix: GMAC/s of a product of two 2048 x 2048 matrices")
    heads = ("width", "size", "batch", "ms/slice", "GMAC/s", "matrix", "fraction", "best/best", "peak GB")
    print(" ".join(f"{head:>9}" for head in heads))
    rows = []
    for width in WIDTHS:
        segmenter = random_segmenter(width)
        prepared = engine.prepare(segmenter, device, dtype)
        for size in SIZES:
            batch = prepared.batch_size(size, size)
            images = np.random.default_rng(0).uniform(-1, 1, (batch, size, size)).astype(np.float32)
            work = batch * multiply_accumulates(segmenter.architecture) * size**2 / 1e9
            prepared.probabilities(images)
            ours, matrix = [], []
            for _ in range(rounds):
                matrix.append(hardware.matrix_rate(dtype, device, repeats=1))
                start = time.perf_counter()
                prepared.probabilities(images)
                ours.append(work / (time.perf_counter() - start))
            row = {
                "width": width,
                "size": size,
                "batch": batch,
                "gmac_per_slice": work / batch,
                "ms_per_slice": 1000 * work / batch / statistics.median(ours),
                "gmacs": statistics.median(ours),
                "matrix_gmacs": statistics.median(matrix),
                "fraction": statistics.median(a / b for a, b in zip(ours, matrix, strict=True)),
                "best_over_best": max(ours) / max(matrix),
                "peak_gb": peak_gb(),
            }
            row["passed"] = row["fraction"] >= REQUIRED_FRACTION
            rows.append(row)
            print(
                f"{width:9d} {size:9d} {batch:9d} {row['ms_per_slice']:9.1f} {row['gmacs']:9.1f}"
                f" {row['matrix_gmacs']:9.1f} {row['fraction']:9.2f} {row['best_over_best']:9.2f}"
                f" {row['peak_gb']:9.2f}   {'ok' if row['passed'] else 'TOO SLOW'}",
                flush=True,
            )
    return rows


def peak_gb() -> float:
    """Largest resident memory of this process so far, in 1e9 bytes; nan where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def whole_volume(
    package: store.ModelPackage, trained: bool, device: torch.device, dtype: torch.dtype, scratch: Path
) -> dict:
    """A phantom CT from file to file: seconds by stage, and what was computed in them."""
    case = phantom.make(seed=1, modality="ct", spacing_mm=1.5)
    path = scratch / "phantom.nii.gz"
    writing.write(case.image, path)
    segmenter = loading.load_segmenter(package)
    computed = {"gmac": 0.0, "seconds": 0.0}
    probabilities = engine.Engine.probabilities

    def counted(self: engine.Engine, batch: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        out = probabilities(self, batch)
        computed["seconds"] += time.perf_counter() - start
        computed["gmac"] += batch.size * multiply_accumulates(segmenter.architecture) / 1e9
        return out

    before = hardware.matrix_rate(dtype, device)
    start = time.perf_counter()
    scan = reading.read(path)
    seconds = {"read": time.perf_counter() - start}
    options = segmentation.Options(
        device=str(device), precision=str(dtype).removeprefix("torch."), roi=None if trained else heart(case.labels)
    )
    with mock.patch.object(engine.Engine, "probabilities", counted):
        result, note = segment(scan, segmenter, package, options, case.labels)
    seconds |= result.report.seconds
    start = time.perf_counter()
    seg_nrrd.write_labels(result.labels, scratch / "phantom.seg.nrrd", STRUCTURES)
    seconds["write"] = time.perf_counter() - start
    matrix = statistics.mean((before, hardware.matrix_rate(dtype, device)))

    through = seconds.get("locate", 0.0) + seconds["network"]
    row = {
        "model": f"{package.card.id} {package.card.version}",
        "size": list(scan.geometry.size),
        "slices": result.report.slices,
        "seconds": {stage: round(s, 2) for stage, s in seconds.items()},
        "gmac": computed["gmac"],
        "matrix_gmacs": matrix,
        "fraction_engine": computed["gmac"] / computed["seconds"] / matrix,
        "fraction_with_resampling": computed["gmac"] / through / matrix,
        "note": note,
        "passed": computed["gmac"] / computed["seconds"] / matrix >= REQUIRED_FRACTION,
    }
    print(f"\nA phantom CT of {' x '.join(map(str, row['size']))} voxels through {row['model']}, seconds: ", end="")
    print(", ".join(f"{stage} {s:.2f}" for stage, s in row["seconds"].items()))
    print(
        f"{row['gmac']:.0f} GMAC: {row['fraction_engine']:.2f} of the matrix rate ({matrix:.0f} GMAC/s) inside of the"
        f" engine (required {REQUIRED_FRACTION:.2f}), {'ok' if row['passed'] else 'TOO SLOW'};"
        f" {row['fraction_with_resampling']:.2f} with the resampling of 'locate' and 'network'. {note}"
    )
    return row


def segment(
    scan: Volume, segmenter: Segmenter, package: store.ModelPackage, options: segmentation.Options, truth: Volume
) -> tuple[segmentation.Result, str]:
    try:
        return segmentation.segment(scan, segmenter, package.card, options), ""
    except NoHeartFound:
        inside = segmentation.Options(options.device, options.precision, roi=heart(truth))
        result = segmentation.segment(scan, segmenter, package.card, inside)
        return result, "The model found no heart; a region was given."


def heart(labels: Volume, margin_mm: float = 10.0) -> tuple[float, ...]:
    """The region of interest around the papers' four structures, LPS mm."""
    indices = np.argwhere(known_to(labels.array, len(PAPERS) + 1))[:, ::-1]
    corners = labels.geometry.point([indices.min(axis=0), indices.max(axis=0)])
    low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
    return tuple(float(v) for pair in zip(low, high, strict=True) for v in pair)


def big_ct() -> tuple[Volume, Volume]:
    """A phantom's heart in 512 x 512 x 300 voxels of 0.4 mm (int16); its labels on the phantom's own grid."""
    case = phantom.make(seed=2, modality="ct", spacing_mm=1.5)
    size, spacing, axes = (512, 512, 300), (0.4, 0.4, 0.4), (1, 0, 0, 0, 1, 0, 0, 0, 1)
    middle = np.array(heart(case.labels, 0.0)).reshape(3, 2).mean(axis=1)
    origin = middle - np.array(spacing) * (np.array(size) - 1) / 2
    whole, air = case.image.image(), -1000
    image = sitk.Resample(whole, size, sitk.Transform(), sitk.sitkLinear, origin.tolist(), spacing, axes, air)
    return Volume.of(image, "big CT"), case.labels


def memory(package: store.ModelPackage, trained: bool, scratch: Path) -> dict:
    """`sifa segment` on the big CT in a process of its own: peak memory and seconds."""
    if not hasattr(os, "wait4"):
        print("\nmemory: this system does not tell the peak memory of another process.")
        return {}
    scan, truth = big_ct()
    path, report = scratch / "big.nrrd", scratch / "big.json"
    writing.write(scan, path)
    size = scan.geometry.size
    del scan
    roi = ",".join(f"{v:.1f}" for v in heart(truth))
    command = [sys.executable, "-m", "SIFALib", "segment", str(path), str(scratch / "big.seg.nrrd")]
    command += ["--quiet", "--model", str(package.folder), "--report", str(report)]
    searched = trained
    status, gb, seconds = run(command + ([] if trained else [f"--roi={roi}"]))
    if status == NO_HEART and trained:  # measure with a region of interest; any other failure is a failure
        searched = False
        status, gb, seconds = run([*command, f"--roi={roi}"])
    row = {
        "size": list(size),
        "spacing_mm": 0.4,
        "searched_heart": searched,
        "peak_gb": gb,
        "seconds_total": seconds,
        "seconds": json.loads(report.read_text())["seconds"] if status == 0 else {},
        "passed": status == 0 and gb < REQUIRED_GB,
    }
    print(
        f"\nA CT of {' x '.join(map(str, size))} voxels of 0.4 mm: peak {gb:.2f} GB"
        f" (allowed {REQUIRED_GB:.0f}), {seconds:.0f} s in all; {'ok' if row['passed'] else 'FAILED'}."
        f" Seconds: {row['seconds']}"
    )
    return row


def run(command: list[str]) -> tuple[int, float, float]:
    """Exit status, peak memory in GB and seconds of a command."""
    paths = [str(ROOT / "SIFASegmentation"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, usage.ru_maxrss * unit / 1e9, time.perf_counter() - start


def precision(package: store.ModelPackage, trained: bool, device: torch.device, scratch: Path) -> dict:
    """Labels in bfloat16 against labels in float32, where "auto" would choose bfloat16."""
    if devices.choose_precision("auto", device) != torch.bfloat16:
        row = {"bfloat16_fast": False, "note": "not fast here: float32 is used", "passed": True}
        print(f"\nprecision: bfloat16 is {row['note']}; ok")
        return row
    case = phantom.make(seed=1, modality="ct", spacing_mm=1.5)
    segmenter = loading.load_segmenter(package)
    labels = {}
    for name in devices.PRECISIONS:
        options = segmentation.Options(str(device), name, roi=heart(case.labels))
        labels[name] = segmentation.segment(case.image, segmenter, package.card, options).labels
    dice = metrics.dice_per_structure(labels["bfloat16"], labels["float32"])
    row = {"bfloat16_fast": True, "trained": trained} | agreement(dice)
    weights = "trained" if trained else "random"
    values = ", ".join(f"{name} {value:.4f}" for name, value in dice.items())
    print(
        f"\nprecision: Dice of bfloat16 with float32 ({weights} weights): {values}, mean {row['mean_dice']:.4f}"
        f" (required {REQUIRED_DICE['mean']}, each {REQUIRED_DICE['each']}); {'ok' if row['passed'] else 'FAILED'}"
    )
    return row


def agreement(dice: dict[str, float]) -> dict:
    """The verdict on the Dice of each structure; NaN, where neither result holds it, is left out of it."""
    seen = [value for value in dice.values() if not math.isnan(value)]
    mean = statistics.mean(seen) if seen else 0.0
    passed = mean >= REQUIRED_DICE["mean"] and min(seen) >= REQUIRED_DICE["each"]
    known = {name: None if math.isnan(value) else value for name, value in dice.items()}
    return {"dice": known, "mean_dice": mean, "passed": passed}


if __name__ == "__main__":
    sys.exit(main())
