"""What the tests of this room share: an engine that reads drawings, and a folder of scans."""

from __future__ import annotations

from pathlib import Path

import batch_folders
import pytest
from drawings import Reader
from SIFALib.networks import engine


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """The engine of whatever is segmented in the test."""
    made = Reader()
    monkeypatch.setattr(engine, "prepare", lambda *_: made)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three scans: beside each other, in a folder with an accent and a blank, and a broken one."""
    return batch_folders.write_scans(tmp_path / "scans")
