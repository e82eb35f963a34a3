"""Steps taken by a thread: the same steps and results, while the panel answers, and an end that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Generator

from slicer_helpers import FakeBackend, ReadyDependencies, add_volume, by_place, ijk_to_ras, stage

# the line above sets the stage on which the others can be imported
# isort: split
import numpy as np
import pytest
import slicer
from SIFASegmentationLib.Background import Background
from SIFASegmentationLib.Logic import SIFASegmentationLogic
from SIFASegmentationLib.Runner import Runner


def counting(closed: list[bool], number: int = 3) -> Generator[int, None, str]:
    try:
        yield from range(number)
        return "done"
    finally:
        closed.append(True)


def take(steps: Generator[int, None, str]) -> tuple[list[int], str]:
    taken = []
    while True:
        try:
            taken.append(next(steps))
        except StopIteration as end:
            return taken, end.value


def test_steps_and_result_are_those_of_the_work():
    taken, result = take(Background().steps(lambda: counting([]), -1))
    assert [n for n in dict.fromkeys(taken) if n >= 0] == [0, 1, 2] and result == "done"


def test_all_steps_are_taken_by_one_thread_that_is_not_the_main_one():
    seen, background = set(), Background()

    def work() -> Generator[int, None, str]:
        seen.add(threading.get_ident())
        yield 0
        seen.add(threading.get_ident())
        return ""

    for _ in range(2):
        take(background.steps(work, -1))
    assert len(seen) == 1 and threading.get_ident() not in seen


def test_while_a_step_lasts_the_step_before_is_told_again():
    go_on = threading.Event()

    def work() -> Generator[int, None, str]:
        yield 1
        go_on.wait(30)
        return "done"

    steps = Background().steps(work, 0)
    taken = [next(steps) for _ in range(10)]
    assert taken[-3:] == [1, 1, 1]
    go_on.set()
    assert take(steps)[1] == "done"


def test_an_error_of_the_work_arrives():
    def work() -> Generator[int, None, str]:
        yield 1
        raise ValueError("no heart")

    with pytest.raises(ValueError, match="no heart"):
        take(Background().steps(work, 0))


def test_dropped_work_ends_after_its_step_and_the_next_begins_after_that():
    closed, go_on, background = [], threading.Event(), Background()

    def work() -> Generator[int, None, str]:
        try:
            go_on.wait(30)
            yield 1
            return ""
        finally:
            closed.append(True)

    steps = background.steps(work, 0)
    assert next(steps) == 0
    steps.close()  # returns at once
    assert not closed
    go_on.set()
    assert take(background.steps(lambda: counting([]), -1))[1] == "done"
    assert closed == [True]


def test_segmentation_takes_its_steps_in_the_thread_and_the_event_loop_runs_during_one_that_lasts(tmp_path):
    logic = SIFASegmentationLogic(FakeBackend(tmp_path, by_place), ReadyDependencies())
    threads, heard, go_on = set(), [], threading.Event()

    def step(number: int) -> None:
        threads.add(threading.get_ident())
        if number == 1:
            go_on.wait(30)

    logic.backend.before_step = step
    scan = add_volume(np.zeros((48, 56, 64), np.int16), ijk_to_ras())
    done = []
    runner = Runner(lambda progress: heard.append(progress.stage), done.append, done.append)
    runner.start(logic.segmentSteps(scan))
    stage.wait_until(lambda: heard.count("Segmenting") > 3)
    assert runner.running
    go_on.set()
    stage.wait_until(lambda: bool(done))
    assert done[0].IsA("vtkMRMLSegmentationNode") and slicer.mrmlScene.IsNodePresent(done[0])
    assert len(threads) == 1 and threading.get_ident() not in threads
