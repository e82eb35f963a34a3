"""Does the program still draw the same? Label maps of ten phantoms and of open real scans against a stored list.

    python Testing/Benchmarks/bench_unchanged.py [--data ../shared/data] [--record FILE] [--only phantom]

Each scan goes through `sifa segment` as a user runs it, on the CPU in float32, one thread. Of each result the list
(Testing/Benchmarks/unchanged.json) holds the SHA-256 of the labels and the voxels of each; of a refused scan its exit
code. The same processor must give the same bits; another one rounds otherwise, and may move some voxels of an edge: the
table says how many. The real scans are not part of this project; without --data only phantoms are compared.
`--record` writes the list anew: for a change that is meant to change results.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
STORED = Path(__file__).with_name("unchanged.json")
PHANTOMS = [(seed, modality) for modality in ("ct", "mr") for seed in range(2_000_000, 2_000_005)]
SPACING_MM = "2"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder of open scans with images/ in it")
    parser.add_argument("--record", type=Path, default=None, help="write the list to this file")
    parser.add_argument("--only", default="", help="scans whose name contains this")
    parser.add_argument("--library", type=Path, default=ROOT / "SIFASegmentation", help="folder of another SIFALib")
    options = parser.parse_args()
    stored = json.loads(STORED.read_text(encoding="utf-8"))["scans"] if STORED.is_file() else {}
    found: dict[str, Any] = {}
    changed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, scan in scans(Path(scratch), options.data, options.only, options.library):
            found[name] = outcome(scan, Path(scratch) / "labels.nrrd", options.library)
            verdict = compared(found[name], stored.get(name))
            changed += verdict not in ("same", "new")
            sys.stdout.write(f"{name:36} {verdict}\n")
            sys.stdout.flush()
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    text = json.dumps({"processor": processor(), "scans": found}, indent=1) + "\n"
    (options.record or results / "unchanged.json").write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(found)} scans, {changed} changed, on {processor()}\n")
    return 1 if changed else 0


def scans(scratch: Path, data: Path | None, only: str, library: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of each scan; phantoms are made when they are asked for."""
    for seed, modality in PHANTOMS:
        name = f"phantom {modality} {seed}"
        if only in name:
            path = scratch / f"{modality}{seed}.nrrd"
            run(library, "phantom", str(path), "--seed", str(seed), "--modality", modality, "--spacing", SPACING_MM)
            yield name, path
    for path in sorted((data / "images").glob("*.nii.gz")) if data else ():
        if only in path.name:
            yield path.name, path


def outcome(scan: Path, labels: Path, library: Path) -> dict[str, Any]:
    """What comes of a scan: SHA-256 of the labels and how many voxels each has, or the exit code of a refusal."""
    labels.unlink(missing_ok=True)
    code = run(library, "segment", str(scan), str(labels), "--device", "cpu", "--precision", "float32", "--quiet")
    if code:
        return {"exit_code": code}
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))
    counts = np.bincount(array.ravel(), minlength=5)
    return {
        "sha256": hashlib.sha256(np.ascontiguousarray(array, np.uint8).tobytes()).hexdigest(),
        "voxels": {str(n): int(c) for n, c in enumerate(counts) if n},
    }


def compared(new: dict[str, Any], old: dict[str, Any] | None) -> str:
    """ "same", "new", or what is different."""
    if old is None:
        return "new"
    if new == old:
        return "same"
    if "voxels" not in new or "voxels" not in old:
        return f"changed: {old} -> {new}"
    differing = {k: (old["voxels"].get(k, 0), v) for k, v in new["voxels"].items() if v != old["voxels"].get(k, 0)}
    return "changed: " + (
        ", ".join(f"label {k}: {a} -> {b} voxels" for k, (a, b) in differing.items()) or "places only"
    )


def run(library: Path, *words: str) -> int:
    """`sifa` in a process of its own, with one thread; its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(library), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "SIFALib", *words]
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def processor() -> str:
    """What torch computes with here: the instructions that decide how numbers are rounded."""
    import torch

    return torch.backends.cpu.get_cpu_capability()


if __name__ == "__main__":
    sys.exit(main())
