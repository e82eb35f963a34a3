"""A cine of images that a program holds already is the one of the files that they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cine_studies as studies
import numpy as np
import pytest
from cine_studies import PHASES, PLACES, STEP_MS
from SIFALib.imaging.cine import BEAT_OF_IMAGES
from SIFALib.imaging.cine_images import CineImage, cine_of_images, stacks_in
from SIFALib.imaging.geometry import Volume
from SIFALib.support.errors import VolumeError

GRID = studies.geometry()


def slices(place: int, series: str, times: Sequence[int] = range(PHASES), phases: int = PHASES) -> list[CineImage]:
    """The images of one place, each a volume of one slice, in a series."""
    grid = replace(
        GRID.part((0, 0, place), (*GRID.size[:2], 1)), spacing=(*GRID.spacing[:2], 1.0)
    )  # as readers have it
    arrays = [studies.heart(t, place, phases)[None] for t in times]
    return [CineImage(Volume(a, grid), series, n, trigger_ms=STEP_MS * n) for n, a in enumerate(arrays)]


def in_a_series_each() -> list[CineImage]:
    return [image for k in range(PLACES) for image in slices(k, f"{k + 3}: MR cine sax")]


def in_one_series() -> list[CineImage]:
    return [image for k in reversed(range(PLACES)) for image in slices(k, "5: MR cine sax")]


def a_volume_each() -> list[CineImage]:
    array = studies.array()
    return [CineImage(Volume(array[t], GRID), "sax", t + 1, t + 1, STEP_MS * t) for t in reversed(range(PHASES))]


@pytest.mark.parametrize("images", [in_a_series_each, in_one_series, a_volume_each])
def test_places_and_phases_are_those_of_the_study(images):
    cine = cine_of_images(images(), "Patient 7")
    np.testing.assert_array_equal(cine.array, studies.array())
    np.testing.assert_allclose(cine.geometry.corners(), GRID.corners(), atol=1e-3)
    assert cine.times_ms == tuple(STEP_MS * t for t in range(PHASES))
    assert (cine.name, cine.frames, cine.notes) == ("Patient 7", (), (BEAT_OF_IMAGES,))
    assert cine.modality == "", "nothing said whether they are CT or MR"
    assert "lies as short axes do" in cine.chosen
    (stack,) = stacks_in(images()).stacks
    assert (len(stack.places), stack.phases) == (PLACES, PHASES)


def test_images_that_say_what_they_are_of_are_read_so():
    told = [replace(each, volume=replace(each.volume, modality="ct")) for each in a_volume_each()]
    assert cine_of_images(told, "Patient 7").modality == "ct"
    assert cine_of_images([*told[1:], a_volume_each()[0]], "Patient 7").modality == ""


def test_what_fits_no_stack_is_told_and_what_holds_none_refused():
    short = slices(PLACES - 1, "9: MR cine sax", range(3))
    cine = cine_of_images([image for image in in_a_series_each() if image.series[0] != "7"] + short, "study")
    assert cine.array.shape == (PHASES, PLACES - 1, *GRID.shape[1:])
    assert [(other.name, other.what) for other in cine.others] == [
        ("series 9 MR cine sax", "3 images at places without a beat")
    ]
    with pytest.raises(VolumeError, match="no stack of cine images") as raised:
        cine_of_images(slices(0, "5: MR cine sax"), "study")
    assert raised.value.code == "no_cine"
