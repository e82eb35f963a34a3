"""Which of several models serves a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import card_of
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference import serving
from SIFALib.models import store
from SIFALib.models.choice import Models, named

STACKS, OTHERS = (store.ModelPackage(Path(id_), card_of(id=id_)) for id_ in ("heart", "heart-phantom"))
BOTH = Models(STACKS, OTHERS)
SHORT_AXIS = ((64, 60, 9), (1.4, 1.4, 8.0))
OBLIQUE = tuple(np.linalg.qr(np.array([[2.0, 1, 0], [1, -1, 1], [0, 1, 3]]))[0].ravel())


def volume(size=SHORT_AXIS[0], spacing=SHORT_AXIS[1], modality="mr", **other) -> Volume:
    geometry = replace(Geometry(size, (0.0, 0.0, 0.0), spacing), **other)
    values = np.random.default_rng(0).integers(0, 900, geometry.shape).astype(np.int16)
    return Volume(values, geometry, "scan", modality=modality)


@pytest.mark.parametrize(
    ("scan", "package"),
    [
        (volume(), STACKS),
        (volume(direction=OBLIQUE), STACKS),
        (volume((9, 64, 60), (8.0, 1.4, 1.4)), STACKS),  # stored with the slices along another axis
        (volume((64, 60, 1)), STACKS),  # a single one, as thick
        (volume(modality=""), STACKS),  # nothing says that it is an MR but its grey values
        (volume(modality="ct"), OTHERS),
        (volume((64, 60, 50), (1.4, 1.4, 1.4)), OTHERS),
        (volume((64, 60, 40), (1.4, 1.4, 3.0)), OTHERS),
        (volume((64, 60, 1), (0.7, 0.7, 0.7)), OTHERS),
        (volume((16, 15, 9), (5.6, 5.6, 8.0)), OTHERS),  # as coarse within its slices
    ],
)
def test_slices_of_mr_that_lie_far_apart_have_a_model_of_their_own(scan, package):
    assert serving(BOTH, scan) is package


def test_what_is_asked_for_counts_before_what_dicom_says():
    assert serving(BOTH, volume(modality="ct"), "mr") is STACKS
    assert serving(BOTH, volume(modality="mr"), "ct") is OTHERS


def test_a_named_model_serves_every_scan():
    for scan in (volume(), volume(modality="ct")):
        assert serving(named(OTHERS), scan) is OTHERS
