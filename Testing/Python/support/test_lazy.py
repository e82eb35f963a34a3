"""What a room's face promises is there, for whoever writes a program with the library."""

from __future__ import annotations

import importlib

import pytest

ROOMS = ("adaptation", "datasets", "imaging", "inference", "models", "networks", "runs")


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_rooms_face_is_there(room):
    face = importlib.import_module(f"SIFALib.{room}")
    assert face.__all__
    for name in face.__all__:
        assert hasattr(face, name), name


def test_a_name_that_a_face_does_not_have_is_said():
    with pytest.raises(AttributeError, match="has no nothing"):
        importlib.import_module("SIFALib.inference").nothing  # noqa: B018
