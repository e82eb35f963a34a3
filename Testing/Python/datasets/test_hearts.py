"""Which images show one heart, by what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from SIFALib.datasets import sources
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.writing import write


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(Volume(np.zeros((2, 2, 2), np.int16), Geometry((2, 2, 2), (0.0,) * 3, (1.0,) * 3), path.name), path)


HEARTS = {
    "ACDC without cines and labels": ["patient1/patient1_frame01", "patient1/patient1_frame12", "patient2/patient2_frame01"],
    "ACDC as nnU-Net has it": [
        "imagesTr/patient1_frame01_0000", "imagesTs/patient1_frame12_0000", "imagesTr/patient2_frame01_0000",
    ],
    "M&Ms-2 in both views": ["SA/001_SA_ED", "LA/001_LA_ES", "SA/002_SA_ED"],
    "M&Ms-2's cines": ["001/001_SA_CINE", "001/001_LA_CINE", "002/002_LA_CINE"],
    "a site's own phases": ["SC-HF-01_ED", "SC-HF-01_es", "SC-HF-02_ED"],
}  # fmt: skip


@pytest.mark.parametrize("names", HEARTS.values(), ids=HEARTS)
def test_images_of_one_heart_are_known_without_labels(tmp_path, names):
    for name in names:
        save(tmp_path / f"{name}.nii.gz")
    found = sources.find(str(tmp_path), labelled=False).scans
    hearts = [next(s.heart for s in found if s.image.name == Path(f"{name}.nii.gz").name) for name in names]
    assert hearts[0] == hearts[1] != hearts[2] and all(hearts)


def test_names_that_no_data_set_has_are_of_one_heart_in_their_folder_alone(tmp_path):
    for name in ("p1/cine_4d", "p2/cine_4d", "p3/heart_sa_cine", "p4/heart_sa_cine"):
        save(tmp_path / f"{name}.nii.gz")
    assert len({scan.heart for scan in sources.find(str(tmp_path), labelled=False).scans}) == 4
