"""What the tests of this room share: each begins and ends with an empty scene."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slicer_helpers import stage


@pytest.fixture(autouse=True)
def empty_scene() -> Iterator[None]:
    stage.clear_scene()
    yield
    stage.clear_scene()
