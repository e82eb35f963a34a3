"""One of several processes that train together, or the only one: `method_worker.py RANK WORLD FOLDER SETTINGS`.

Works on its share of every global batch of `BATCH` slices and writes `FOLDER/WORLD-RANK.pt`: the gradients of the
first iteration and the state after the last.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SIFASegmentation"), str(ROOT / "Testing" / "Python")]

import tiny_method  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from SIFALib import adaptation  # noqa: E402
from SIFALib.adaptation import State  # noqa: E402
from SIFALib.datasets.batching import Batch  # noqa: E402
from SIFALib.networks import distributed  # noqa: E402
from torch import Tensor  # noqa: E402

ITERATIONS, BATCH = 3, 4


def share(whole: Batch, rank: int, world: int) -> Batch:
    here = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    return Batch(*(value[here] for value in vars(whole).values()))


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    if world > 1:
        meeting = (folder / f"meeting-{world}").as_uri()
        dist.init_process_group(
            "gloo", init_method=meeting, rank=rank, world_size=world, timeout=timedelta(seconds=250)
        )
    assert (distributed.rank(), distributed.world()) == (rank, world)
    state = tiny_method.start(**json.loads(sys.argv[4]), dtype=torch.float64)
    batches = [
        share(tiny_method.batch(n, BATCH, dtype=torch.float64), rank, world) for n in range(ITERATIONS)
    ]
    gradients: dict[str, Tensor] = {}
    step = adaptation.Adam.step

    def watched(optimizer: adaptation.Adam, found: list[Tensor], *rest: float) -> None:
        group = next(name for name, one in state.optimizers.items() if one is optimizer)
        gradients.setdefault(group, torch.cat([g.flatten() for g in found]).clone())
        step(optimizer, found, *rest)

    with mock.patch.object(adaptation.Adam, "step", watched):
        losses = [adaptation.step(state, batch) for batch in batches]
    result = {"losses": losses, "gradients": gradients, "state": State.state_dict(state)}
    torch.save(result, folder / f"{world}-{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
