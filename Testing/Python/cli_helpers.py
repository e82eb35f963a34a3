"""What the tests of the command `sifa` share: a scan on an oblique grid, and a store with one model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models

TURN = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def scan() -> sitk.Image:
    """Noise on an oblique, anisotropic grid."""
    noise = np.random.default_rng(0).normal(0, 300, (20, 44, 40)).astype(np.int16)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((4.0, 4.5, 6.0))
    image.SetOrigin((-71.3, -82.1, 33.7))
    image.SetDirection(TURN)
    return image


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    """A folder with scan.nrrd and the store "models", whose only model finds the left ventricle anywhere."""
    folder = tmp_path_factory.mktemp("case")
    sitk.WriteImage(scan(), str(folder / "scan.nrrd"))
    tiny_models.write_constant(folder / "models" / "tiny-1.0.0", 3)
    return folder
