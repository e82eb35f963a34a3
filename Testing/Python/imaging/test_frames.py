"""Promises of frames.py: several maps as one 4D image, in no more memory than that takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_helpers import scan
from SIFALib.imaging.frames import join_frames
from SIFALib.imaging.geometry import Geometry, Volume

LIBRARY = Path(__file__).resolve().parents[3] / "SIFASegmentation"


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_probabilities_become_frames_of_float32_in_the_order_asked_for(kind):
    geometry = Geometry.of(scan())
    rng = np.random.default_rng(1)
    whole = rng.random((3, *geometry.shape)).astype(kind)  # the maps may be views of one array
    maps = {name: Volume(part, geometry) for name, part in zip("abc", whole, strict=True)}
    joined = join_frames(maps, ["c", "a"])
    expected = sitk.JoinSeries([Volume(whole[n].astype(np.float32), geometry).image() for n in (2, 0)])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(joined), sitk.GetArrayFromImage(expected))
    assert joined.GetPixelID() == sitk.sitkFloat32
    for part in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(joined, part)() == getattr(expected, part)()
    assert list(maps) == ["b"], "what was copied is let go"


MEMORY = """
import resource, sys
import numpy as np
from SIFALib.imaging.frames import join_frames
from SIFALib.imaging.geometry import Geometry, Volume

def peak():  # Linux counts what the parent took before this process began; its own status does not
    if sys.platform == "linux":
        return 1024 * int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

grid = Geometry((256, 256, 100), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
maps = {name: Volume(np.full(grid.shape, 0.5, np.float32), grid) for name in "abcd"}
before = peak()
image = join_frames(maps, list("abcd"))
print((peak() - before) / (4 * image.GetNumberOfPixels()))
"""


def test_joining_the_probabilities_takes_the_memory_of_the_joined_image_and_no_copy_more():
    printed = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=LIBRARY, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout
    assert 0.5 < float(printed) < 1.25
