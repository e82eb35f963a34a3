"""Folders of scans for the tests of a batch, a segmenter that counts, and what came of it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from SIFALib.imaging import writing
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.batch import run as batch
from SIFALib.inference.segmentation import Options, Progress, Result
from SIFALib.models.store import ModelCard


def card_of(sha256: str) -> ModelCard:
    return ModelCard(
        sha256=sha256,
        sifa_version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        **tiny_models.card_fields(),
    )


CARD = card_of("0" * 64)
GRID = Geometry((40, 44, 20), (1.0, 2.0, 3.0), (4.0, 4.5, 6.0))
FIRST_SLICE_ML = 40 * 44 * 4.0 * 4.5 * 6.0 / 1000


def scan(seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(0, 99, GRID.shape).astype(np.int16), GRID, "scan")


@pytest.fixture
def place(tmp_path) -> Path:
    """Three scans: beside each other, in a folder with an accent and a blank, and a broken one."""
    scans = tmp_path / "scans"
    (scans / "é b").mkdir(parents=True)
    writing.write(scan(1), scans / "one.nrrd")
    writing.write(scan(2), scans / "é b" / "two.nii.gz")
    (scans / "broken.nii.gz").write_bytes(b"no image")
    return scans


class Segmenter:
    """Left ventricle in the first slice; counts what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.given: list[Volume] = []
        self.error = error

    def __call__(self, given: Volume):
        self.given.append(given)
        yield Progress("Segmenting", 0.5, 3.0)
        if self.error is not None:
            raise self.error
        labels = np.zeros(given.geometry.shape, np.uint8)
        labels[0] = 3
        flags = [{"structure": "LA", "kind": "missing", "warns": True, "message": "Left atrium is missing."}]
        ml = {"LV": float((labels == 3).sum() * given.geometry.voxel_ml)}
        yield Progress("Segmenting", 1.0, 0.0)
        return Result(Volume(labels, given.geometry), None, {"volumes_ml": ml, "flags": flags})


def finish(steps):
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events


def run(place: Path, out: Path, segmenter: Segmenter | None = None, card=CARD, options=Options()):
    cases = batch.find_cases(place)
    return finish(batch.run(cases, batch.prepare_folder(out), segmenter or Segmenter(), card, options))


def table(out: Path) -> list[dict]:
    return list(csv.DictReader((out / batch.TABLE).read_text(encoding="utf-8").splitlines()))


def states(rows) -> dict[str, str]:
    return {row.name: row.state for row in rows}
