"""A short part of the benchmark bench_fuzz.py: damaged headers end in an image or a sentence, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from Benchmarks import bench_fuzz
from SIFALib import imaging
from SIFALib.support.errors import VolumeError


@pytest.mark.parametrize("form", bench_fuzz.FORMATS)
def test_damaged_headers_are_read_or_refused_in_a_sentence(tmp_path: Path, form: str):
    told = {"read": 0, "refused": 0}
    for ending, content in bench_fuzz.cases(form, 150, seed=3):
        path = tmp_path / f"a{ending}"
        path.write_bytes(content)
        try:
            imaging.read(path)
            told["read"] += 1
        except VolumeError as error:
            assert path.stem in str(error) and str(error).endswith(".")
            told["refused"] += 1
    assert min(told.values()) > 0, "both kinds of file are among them"


def test_the_same_seed_gives_the_same_files():
    assert list(bench_fuzz.cases("nrrd", 20, 1)) == list(bench_fuzz.cases("nrrd", 20, 1))
    assert list(bench_fuzz.cases("nrrd", 20, 1)) != list(bench_fuzz.cases("nrrd", 20, 2))


def test_a_child_that_dies_is_told_and_replaced(tmp_path: Path):
    child = bench_fuzz.Child(tmp_path)
    child.process.kill()
    assert child.read(".nii", b"", 60) == ("signal 9", 0)
    child.end()
