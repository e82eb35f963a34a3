"""Random slices of phantoms made ahead by processes: the same slices, and no process is left or lost unnoticed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from SIFALib.phantom.slices import workers
from SIFALib.phantom.slices.anatomies import make_anatomies


@pytest.mark.parametrize("count", [1, 2])
def test_slices_made_ahead_are_those_made_when_asked_for(tmp_path: Path, count: int):
    make_anatomies(tmp_path, [3], 6.0)
    row = workers.Row(tmp_path, 32, 7, 2)
    asked = list(workers.batches(row, 3, 8, 0))
    ahead = list(workers.batches(row, 3, 8, count))
    assert len(asked) == len(ahead) == 5
    for one, other in zip(asked, ahead, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_process_that_dies_is_told_of(tmp_path: Path):
    (tmp_path / "1.nrrd").write_text("no tissue map")
    with pytest.raises(RuntimeError, match="ended by itself"):
        next(workers.batches(workers.Row(tmp_path, 32, 7, 2), 0, 1, 1))


def test_nothing_is_left_running_when_the_slices_are_no_longer_wanted(tmp_path: Path):
    make_anatomies(tmp_path, [3], 6.0)
    made = workers.batches(workers.Row(tmp_path, 32, 7, 2), 0, 1000, 2)
    next(made)
    assert len(multiprocessing.active_children()) == 2
    made.close()
    assert not multiprocessing.active_children()
