"""A training keeps the memory that it frees, and says where that cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from SIFALib import freed_memory

LIBRARY = Path(__file__).resolve().parents[2] / "SIFASegmentation"
FAULTS = """
import resource, sys
sys.path[:0] = [{path!r}]
import numpy as np
from SIFALib import freed_memory
if {keep}:
    assert freed_memory.keep()
for _ in range(3):
    np.ones(2**22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**23)[::512].sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool) -> int:
    """How many pages the system had to provide while blocks of 64 MiB came and went."""
    code = FAULTS.format(path=str(LIBRARY), keep=keep)
    return int(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )


def test_freed_blocks_are_used_again_instead_of_being_cleared_anew():
    assert faults(True) < 0.2 * faults(False)


def test_where_there_is_no_such_setting_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert freed_memory.keep() is False
