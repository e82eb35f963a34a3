"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]
for folder in ("SIFASegmentation", "SIFATraining", "Testing"):
    path = str(ROOT / folder)
    if path not in sys.path:
        sys.path.insert(0, path)

settings.register_profile(
    "project", deadline=None, derandomize=True
)  # no verdict may hang on the clock or on luck
settings.load_profile("project")
