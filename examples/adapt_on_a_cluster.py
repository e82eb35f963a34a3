"""Make a run folder for a cluster: python examples/adapt_on_a_cluster.py SCANS RUN [ITERATIONS]

Writes RUN with its configuration, that of `sifa adapt` with the budget "thorough", and prints the command that trains it
there, on as many GPUs as you give it. Stopped or killed, the same command goes on from the last checkpoint to the same
weights. `sifa runs status RUN` watches it, also from another computer that sees the folder; `sifa export RUN NAME` makes a
model of what it learned.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from SIFALib import models, runs
from SIFALib.runs import presets


def main(scans: Path, run: Path, iterations: int = presets.BUDGETS["thorough"].iterations) -> None:
    start = models.default_store().default().card
    own = presets.adaptation("", str(scans.resolve()), start)  # the start model's network, grid and source
    configuration = dataclasses.replace(
        presets.within("thorough", own),
        start_model=start.key,
        name=run.name,
        iterations=iterations,
        batch=16,  # over all GPUs together: the result does not depend on how many share it
    )
    folder = runs.create(run, configuration)
    print(f"torchrun --nproc-per-node 4 -m SIFALib.runs {folder.path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(n) for n in sys.argv[3:]))
