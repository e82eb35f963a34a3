"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("SIFASegmentation", "SIFATraining", "Testing"):
    path = str(ROOT / folder)
    if path not in sys.path:
        sys.path.insert(0, path)
