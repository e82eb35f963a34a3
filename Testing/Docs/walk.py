"""The files that `sifa segment` goes through, in order: python Testing/Docs/walk.py SCAN [LIBRARY]

Every function of the library is noted when it is called for the first time; the walk is the row of their files, a file
that follows itself counted once. A stay is an entry of the row, a return one whose file was there before.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any


def walk(scan: Path, library: Path) -> list[str]:
    """Segment the scan with the library in that folder; the row of files, relative to SIFALib."""
    sys.path.insert(0, str(library))
    from SIFALib.cli import main

    root, known, row = str(library / "SIFALib") + "/", set(), []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if not code.co_flags & inspect.CO_OPTIMIZED or code.co_name.startswith("<"):  # a class or a module is defined
            return
        if event != "call" or not code.co_filename.startswith(root) or code in known:
            return
        known.add(code)
        file = code.co_filename.removeprefix(root)
        if not row or row[-1] != file:
            row.append(file)

    with tempfile.TemporaryDirectory() as scratch:
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            code = main(["segment", str(scan), str(Path(scratch) / "heart.seg.nrrd"), "--quiet"])
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
    assert code == 0, code
    return row


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[2] / "SIFASegmentation"
    found = walk(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
    print(" → ".join(found))
    print(f"{len(found)} stays, {len(found) - len(set(found))} returns, {len(set(found))} files")
