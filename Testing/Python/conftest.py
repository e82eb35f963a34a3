"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]
for folder in ("SIFASegmentation", "SIFATraining", "Testing"):
    path = str(ROOT / folder)
    if path not in sys.path:
        sys.path.insert(0, path)

settings.register_profile("project", deadline=None, derandomize=True)  # no verdict may hang on the clock or on luck
settings.load_profile("project")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tests run side by side; threads that wait for each other would only slow them down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
