"""Promises of training with several processes: together they compute what one process would.

Two real processes talk over gloo, in float64: their sums are made in another order than one process's, and so small
networks turn rounding to float32 into changes of their gradients by several per cent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import method_worker
import pytest
import tiny_method
import torch

WORKER = Path(__file__).parents[1] / "fixtures" / "method_worker.py"

pytestmark = pytest.mark.timeout(900)

GRADIENTS = 1e-8  # largest |difference| / |gradient| in the first iteration
MOVEMENT = 1e-5  # largest |difference| / |way since the start| of a group of weights after three iterations
STATISTICS = 1e-7  # largest |difference| / |averages| of batch normalisation after three iterations


CASES = [("tmi2020", "shared"), ("aaai2019", "faithful")]


def trained_by_two(folder: Path, settings: list[dict]) -> list[list[dict]]:
    """What each of two processes wrote, for each of the settings."""
    given = json.dumps(settings)
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(folder), given],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        for process in processes:
            output, _ = process.communicate(timeout=280)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Of each case: what one process alone computes, and what each of two does."""
    every = [{**tiny_method.NO_CHANCE, "variant": variant, "schedule": schedule} for variant, schedule in CASES]
    together = zip(*trained_by_two(tmp_path_factory.mktemp("together"), every), strict=True)
    found = {
        case: (method_worker.result(0, 1, settings), both)
        for case, settings, both in zip(CASES, every, together, strict=True)
    }
    return lambda *case: found[case]


@pytest.mark.parametrize(("variant", "schedule"), CASES)
def test_two_processes_have_the_gradients_and_losses_of_one(outcomes, variant, schedule):
    alone, (first, second) = outcomes(variant, schedule)
    assert set(alone["gradients"]) >= {"generator", "segmenter", "decoder", "discriminator_source"}
    for group, gradient in alone["gradients"].items():
        assert tiny_method.difference(first["gradients"][group], gradient) < GRADIENTS, group
    assert first["losses"] == second["losses"]
    for name, value in alone["losses"][0].items():
        assert first["losses"][0][name] == pytest.approx(value, rel=1e-6), name  # reported in float32


@pytest.mark.parametrize(("variant", "schedule"), CASES)
def test_two_processes_end_with_the_same_weights_and_those_are_the_weights_of_one(outcomes, variant, schedule):
    alone, (first, second) = outcomes(variant, schedule)
    assert tiny_method.same(first["state"], second["state"])
    start = tiny_method.weights(
        tiny_method.start(**tiny_method.NO_CHANCE, variant=variant, schedule=schedule, dtype=torch.float64)
    )
    for group, end in alone["state"]["networks"].items():
        keys = [key for key in end if "running_" not in key]
        together = first["state"]["networks"][group]
        way = torch.cat([(end[key] - start[group][key]).flatten() for key in keys])
        apart = torch.cat([(together[key] - end[key]).flatten() for key in keys])
        assert apart.norm() < MOVEMENT * way.norm(), group


@pytest.mark.parametrize(("variant", "schedule"), CASES)
def test_batch_statistics_are_those_of_the_global_batch(outcomes, variant, schedule):
    alone, (first, _) = outcomes(variant, schedule)
    for kind in ("running_mean", "running_var"):
        one, two = (
            torch.cat([v for key, v in end["state"]["networks"]["segmenter"].items() if key.endswith(kind)])
            for end in (alone, first)
        )
        assert tiny_method.difference(two, one) < STATISTICS
    one, two = (torch.cat([v.flatten() for v in end["state"]["average"].values()]) for end in (alone, first))
    assert tiny_method.difference(two, one) < STATISTICS
