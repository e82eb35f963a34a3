"""The bundled model draws what it drew: voxels of each structure as `heart` 1.1.0 drew them, on two phantoms
(of version 3: `phantom.VERSION`).

`bench_unchanged.py` compares ten phantoms and the open real scans bit for bit. A test has to hold on every processor, of
which each rounds otherwise: half a percent of a structure's voxels is many times what that moves.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from SIFALib import inference, models, networks, phantom

DRAWN = {"ct": (1792, 639, 258, 326, 721, 1030, 518), "mr": (1830, 698, 272, 352, 744, 1028, 495)}
"""MYO, LA, LV, AA, RV, RA, PA: voxels of 3.5 mm, phantom 2000000."""
STORED = Path(__file__).resolve().parents[2] / "Benchmarks" / "unchanged.json"


@pytest.mark.parametrize("modality", DRAWN)
def test_the_bundled_model_draws_what_it_drew(modality):
    package = models.default_store().default()
    scan = phantom.make(2_000_000, modality, 3.5).image
    options = inference.Options(device="cpu", precision="float32")
    labels = inference.segment(scan, networks.load_segmenter(package), package.card, options).labels.array
    voxels = np.bincount(labels.ravel(), minlength=8)[1:]
    assert voxels == pytest.approx(DRAWN[modality], rel=0.005)


def test_the_list_of_what_was_drawn_is_whole():
    scans = json.loads(STORED.read_text(encoding="utf-8"))["scans"]
    assert sum(name.startswith("phantom") for name in scans) == 10
    assert all(len(scan["sha256"]) == 64 and scan["voxels"] for scan in scans.values())
