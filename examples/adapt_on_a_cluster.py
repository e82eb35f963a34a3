"""Make a run folder for a cluster: python examples/adapt_on_a_cluster.py SCANS RUN [ITERATIONS]

Writes RUN with its configuration and prints the command that trains it there, on as many GPUs as you give it. Stopped or
killed, the same command goes on from the last checkpoint to the same weights. `sifa runs status RUN` watches it, also from
another computer that sees the folder; `sifa export RUN NAME` makes a model of what it learned.
"""

from __future__ import annotations

import sys
from pathlib import Path

from SIFALib import models, runs
from SIFALib.adaptation import Method
from SIFALib.datasets import DataSettings


def main(scans: Path, run: Path, iterations: int = 4000) -> None:
    start = models.default_store().default().card
    configuration = runs.Configuration(
        data=DataSettings(source="phantom", target=str(scans.resolve()), preprocessing=start.preprocessing),
        method=Method(width=start.architecture.width),  # the start model's own
        start_model=start.id,
        iterations=iterations,
        batch=16,  # over all GPUs together: the result does not depend on how many share it
    )
    folder = runs.create(run, configuration)
    print(f"torchrun --nproc-per-node 4 -m SIFALib.runs {folder.path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(n) for n in sys.argv[3:]))
