"""Several processes that train as one, under torchrun (or SLURM through it); a process that is alone needs nothing.

The first process writes the run folder; the others wait for it without hurry, because preparing and judging take their
time. Whatever a process is asked, all of them do after the same iteration. When one dies, the others fail soon: their
connections break, or a message waits longer than it may.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..adaptation import State, saved_image_pools
from ..networks import devices
from ..support.errors import RunError

PATIENCE = timedelta(days=7)  # for what the first process does alone
POOLS, OLD_POOLS = "image_pools", "histories"  # in a checkpoint, those of all processes; version 0.3 wrote the latter
TIMEOUT = timedelta(minutes=10)  # for a message within an iteration


@dataclass(frozen=True)
class World:
    """This process among all. control: for small messages of the CPU; patient: to wait for the first process."""

    device: torch.device
    rank: int = 0
    size: int = 1
    control: Any = None
    patient: Any = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier(group=self.patient)

    def agree(self, code: int) -> int:
        """The highest of every process's codes."""
        if self.size == 1:
            return code
        highest = torch.tensor(code)
        dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=self.control)
        return int(highest)

    def gathered_pools(self, state: State) -> list[dict[str, dict[str, Tensor]]]:
        """Every process's image pools, in the order of the processes; none where one process trains alone."""
        own = {name: pool.state_dict() for name, pool in state.image_pools.items()}
        if self.size == 1:
            return []
        found: list[dict[str, dict[str, Tensor]]] = [{} for _ in range(self.size)]
        for name, saved in own.items():
            for key, images in saved.items():  # as many in every process
                parts = [torch.empty_like(images, device="cpu") for _ in range(self.size)]
                dist.all_gather(parts, images.cpu().contiguous(), group=self.control)
                for place, part in zip(found, parts, strict=True):
                    place.setdefault(name, {})[key] = part
        return found

    def take_pools(self, state: State, saved: Mapping[str, Any]) -> None:
        """Give this process the image pools that its number had, on its device; more processes share them."""
        everyone = saved[POOLS if POOLS in saved else OLD_POOLS] or [saved_image_pools(saved["state"])]
        state.load_image_pools(everyone[self.rank % len(everyone)])


@contextmanager
def joined(device: str, timeout: timedelta = TIMEOUT) -> Iterator[World]:
    """Join the processes that torchrun started, if it did, on the device of that name. RunError if there is none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        chosen = devices.choose_device(device) if size == 1 else _device_of_this_process(device)
    except ValueError as error:
        raise RunError(str(error)) from None
    if size == 1:
        yield World(chosen)
        return
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timeout)
    try:
        control = dist.new_group(backend="gloo", timeout=timeout)
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield World(chosen, dist.get_rank(), dist.get_world_size(), control, patient)
    finally:
        dist.destroy_process_group()


def _device_of_this_process(name: str) -> torch.device:
    """The GPU of this process's number on its computer, if GPUs are meant."""
    chosen = devices.choose_device(name)
    if chosen.type == "cuda":
        chosen = devices.choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    return chosen
