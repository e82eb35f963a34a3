"""How fast one iteration of the method is, and how much memory it takes: both schedules side by side.

    python Testing/Benchmarks/bench_training.py [--only paper-8 paper-1 compact-8] [--iterations 3] [--threads 2]

Each configuration runs in a process of its own, on augmented slices of phantoms that a loader makes ahead:
- paper-8, paper-1: TMI 2020 with the authors' settings at their size, 256 x 256, at batch 8 (their default) and 1;
- compact-8: our default, width 8, 128 x 128, batch 8.
The faithful schedule goes with the quirks of the authors' code and plain sums, the shared one with neither.
Printed are seconds an iteration (the median; the first is left out) and how long the processor's time for it would take
on cores that no other program uses (processor seconds / threads), peak memory (resident set; on a GPU what torch
allocated there), multiply-accumulates an iteration (of convolutions as plain sums, forward and backward), which
fraction of the rate of a bare matrix product that is (measured in the same process, in turns with the iterations,
because other programs may share the processor; above 1 where Winograd's algorithm spares enough of them), and the
share of the time that the loader was waited for. bfloat16 is measured where
it pays. Against the authors' TensorFlow graph on two cores, required at batch 8: 3 times faster in float32, 6 times in
bfloat16, half of the memory. Exit status 1 if the default schedule misses that.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from SIFALib import adaptation, datasets
from SIFALib.adaptation.method import PRESETS, SCHEDULES, Method
from SIFALib.networks import devices, engine, winograd
from SIFALib.support import malloc
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"

CASES: dict[str, tuple[Method, int, int]] = {  # method, side of a slice in pixels, batch
    "paper-8": (PRESETS["tmi2020"], 256, 8),
    "paper-1": (PRESETS["tmi2020"], 256, 1),
    "compact-8": (PRESETS["compact"], 128, 8),
}
AUTHORS = {  # TensorFlow 1.10 to 1.15 on 2 cores: seconds an iteration from, to; GiB
    "paper-8": (165.0, 177.0, 13.9),
    "paper-1": (14.6, 17.5, 7.3),
}
REQUIRED_SPEED_UP = {"float32": 3.0, "bfloat16": 6.0}  # at batch 8, over their fastest run
REQUIRED_MEMORY = 0.5  # of theirs, at batch 8
PHANTOMS = 4  # of each domain: enough for a loader's work, few enough to be made in a minute


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    parser.add_argument("--iterations", type=int, default=3, help="timed ones, after a first that is not")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS / "training.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return 0

    device = devices.choose_device(options.device)
    fast = devices.choose_precision("auto", device)
    precisions = ["float32"] + ["bfloat16"] * (fast is torch.bfloat16)
    result: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": options.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "precisions": precisions,
    }
    print(", ".join(f"{key} {value}" for key, value in result.items()))
    print(
        f"{'case':10} {'schedule':9} {'precision':9} {'s/iteration':>11} {'free cores':>10} {'peak GiB':>8} {'GMAC':>7} ",
        end="",
    )
    print(f"{'GMAC/s':>7} {'matrix':>7} {'fraction':>8} {'loader':>7}  against the authors")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for case in options.only:
            for schedule in options.schedules:
                for precision in precisions:
                    asked = {
                        "case": case,
                        "schedule": schedule,
                        "precision": precision,
                        "device": str(device),
                        "threads": options.threads,
                        "iterations": options.iterations,
                        "cache": scratch,
                    }
                    rows.append(judged(alone(asked)))
                    show(rows[-1])
    result["rows"] = rows
    result["passed"] = all(row.get("passed", True) for row in rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nAll of it is in {options.out}")
    return 0 if result["passed"] else 1


def alone(asked: dict[str, Any]) -> dict[str, Any]:
    """What `measure` returns in a process of its own, whose peak memory is that of this configuration alone."""
    datasets.prepared(data_of(asked["case"]), asked["cache"])  # here, so that its memory does not count
    command = [sys.executable, str(Path(__file__).resolve()), "--one", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def data_of(case: str) -> datasets.DataSettings:
    """MR-like to CT-like phantoms in slices of the size of that case."""
    return datasets.DataSettings(
        source="phantom:mr", target="phantom:ct", size=CASES[case][1], phantoms=PHANTOMS, phantom_spacing_mm=3.0
    )


def measure(
    case: str, schedule: str, precision: str, device: str, threads: int, iterations: int, cache: str
) -> dict[str, Any]:
    """Time, memory and work of one configuration; peak memory is that of this process."""
    torch.set_num_threads(threads)
    malloc.keep()  # as a training does
    method, _, size = CASES[case]
    where, dtype = torch.device(device), devices.PRECISIONS[precision]
    settings = data_of(case)
    domains = datasets.prepared(settings, cache)
    method = replace(method, schedule=schedule, authors_quirks=schedule == "faithful")
    state = adaptation.start(method, seed=0, iterations=1000, device=where)
    seconds, busy, waited, matrix = [], [], [], []
    begin, begin_busy = time.perf_counter(), time.process_time()
    for batch, seconds_waited in datasets.batches(domains, settings, datasets.Order(0, 0, iterations + 1, size)):
        on_device = datasets.Batch(batch.source.to(where), batch.source_labels.to(where), batch.target.to(where), None)
        adaptation.step(state, on_device, dtype)  # returns numbers: the device has finished
        seconds.append(time.perf_counter() - begin)
        busy.append((time.process_time() - begin_busy) / threads)
        waited.append(seconds_waited)
        matrix.append(engine.matrix_rate(dtype, where, repeats=2))
        begin, begin_busy = time.perf_counter(), time.process_time()
    peak = peak_gib(where)
    one = adaptation.parts(on_device, size)[0]
    with Work() as work:
        adaptation.step(state, one, dtype)
    gmac = size * work.flops / 2 / 1e9  # convolutions grow with the batch in proportion
    middle = statistics.median(seconds[1:])
    rate = statistics.median(matrix[1:])
    return {
        "case": case,
        "schedule": schedule,
        "precision": precision,
        "batch": size,
        "seconds": middle,
        "all_seconds": seconds,
        "seconds_of_free_cores": statistics.median(busy[1:]),
        "peak_gib": peak,
        "gmac": gmac,
        "gmac_per_second": gmac / middle,
        "matrix_gmac_per_second": rate,
        "fraction": gmac / middle / rate,
        "loader_share": sum(waited[1:]) / sum(seconds[1:]),
    }


class Work(TorchDispatchMode):
    """Adds up the floating-point operations of direct convolutions in what runs inside, forward and backward.

    By PyTorch's own formulas; its FlopCounterMode also follows modules by hooks, which `autograd.grad` does not bear.
    Winograd's algorithm, which does with a quarter, counts as what it stands for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            saved = function.overloadpacket is torch.ops.aten.bmm and len(args[0]) == winograd.POINTS**2
            self.flops += formula(*args, **(kwargs or {}), out_val=result) * (4 if saved else 1)
        return result


def peak_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """With the comparison to the authors' code where there is one; the verdict where something is required."""
    if row["case"] not in AUTHORS:
        return row
    fastest, slowest, gib = AUTHORS[row["case"]]
    row = {**row, "authors_seconds": [fastest, slowest], "authors_gib": gib}
    row |= {"speed_up": fastest / row["seconds"], "memory_share": row["peak_gib"] / gib}
    if row["case"] == "paper-8" and row["schedule"] == Method().schedule:
        quick = row["speed_up"] >= REQUIRED_SPEED_UP[row["precision"]]
        row["passed"] = quick and row["memory_share"] <= REQUIRED_MEMORY
    return row


def show(row: dict[str, Any]) -> None:
    against = ""
    if "speed_up" in row:
        verdict = {True: ", ok", False: ", MISSED"}.get(row.get("passed"), "")
        against = f"{row['speed_up']:.1f} times faster, {row['memory_share']:.2f} of the memory{verdict}"
    print(
        f"{row['case']:10} {row['schedule']:9} {row['precision']:9} {row['seconds']:11.2f} "
        f"{row['seconds_of_free_cores']:10.2f} {row['peak_gib']:8.2f} "
        f"{row['gmac']:7.0f} {row['gmac_per_second']:7.1f} {row['matrix_gmac_per_second']:7.1f} "
        f"{row['fraction']:8.0%} {row['loader_share']:7.1%}  {against}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
