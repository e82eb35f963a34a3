"""Results can be seen: drawn by Slicer's own displayable managers, offscreen, in their colours."""

from __future__ import annotations

from slicer_helpers import FakeBackend, ReadyDependencies, add_volume, by_place, ijk_to_ras, stage

# the lines above set the stage on which the others can be imported
# isort: split
import re
import sys

import numpy as np
import pytest
from HeadlessSlicer import views
from SIFALib.models.structures import PAPERS

from SIFASegmentation import SIFASegmentationLogic

sys.path.append(str(stage.REPOSITORY / "Testing" / "Pictures"))
import render_panels

SHAPE = (48, 56, 64)


@pytest.fixture
def shown(tmp_path):
    """A volume and its segmentation in a scene of their own."""
    volume = add_volume(np.full(SHAPE, 40, np.int16), ijk_to_ras())
    volume.CreateDefaultDisplayNodes()
    logic = SIFASegmentationLogic(FakeBackend(tmp_path, by_place), ReadyDependencies())
    return volume, logic.segment(volume)


def hues(picture: np.ndarray) -> np.ndarray:
    """Unit colour vectors, brightness taken out, of the pixels that are not grey."""
    pixels = picture.reshape(-1, 3).astype(float)
    vivid = pixels[np.ptp(pixels, axis=1) > 25]
    centred = vivid - vivid.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def share(picture: np.ndarray, color: tuple[int, int, int]) -> float:
    """Part of the picture in the hue of `color`."""
    wanted = np.array(color, float) - np.mean(color)
    found = hues(picture) @ (wanted / np.linalg.norm(wanted)) > 0.97
    return float(found.sum()) / (picture.shape[0] * picture.shape[1])


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_segments_are_drawn_in_their_colours_on_slices(shown, orientation):
    volume, segmentation = shown
    view = views.SliceView(orientation, (200, 200))
    for structure in PAPERS:
        view.show(volume, segmentation.GetSegmentCenterRAS(structure.id), 70.0)
        assert share(view.picture(), structure.color) > 0.01, structure.name


def test_surfaces_are_drawn_in_their_colours_in_3d(shown):
    _, segmentation = shown
    assert segmentation.CreateClosedSurfaceRepresentation()
    view = views.ThreeDView((200, 200))
    view.look(azimuth=20, elevation=20)
    picture = view.picture()
    for structure in PAPERS:
        assert share(picture, structure.color) > 0.003, structure.name


def test_panel_can_be_photographed_at_its_full_height(shown):
    widget = stage.open_module("SIFASegmentation")
    picture = render_panels.grab(widget)
    assert picture.shape[1] == render_panels.PANEL_WIDTH and picture.shape[0] > 150
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_pictures_of_the_documentation_are_small_enough():
    pictures = list(render_panels.SCREENSHOTS.glob("*.png"))
    assert pictures and all(p.stat().st_size < render_panels.LARGEST for p in pictures)


def test_pictures_that_the_readme_shows_exist():
    readme = (stage.REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", readme) + re.findall(r'<img[^>]*src="([^"]+)"', readme)
    assert any("Screenshots" in path for path in shown)
    for path in shown:
        assert (stage.REPOSITORY / path).exists(), path


def test_large_picture_is_written_in_fewer_colours(tmp_path):
    noisy = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    render_panels.save(tmp_path / "Noise.png", noisy)
    assert (tmp_path / "Noise.png").stat().st_size < render_panels.LARGEST
