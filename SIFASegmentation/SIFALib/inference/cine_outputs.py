"""The report of a cine as files: what `sifa cine` and the panel in 3D Slicer write alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..imaging import curves
from ..imaging.cine import Cine
from ..support import files
from . import cine_page, cine_report
from .cine import CineResult

CSV, JSON, PAGE, CURVES = FILES = ("volumes.csv", "report.json", "report.html", "curves.png")


def write(result: CineResult, cine: Cine, made: Mapping[str, Any], folder: Path) -> None:
    """Write FILES, the report for programs at the very end: where it is, the others are. OSError.

    made: the report of `cine_report.report`, and what it shall say besides.
    """
    (folder / JSON).unlink(missing_ok=True)
    curves.write(*cine_page.curve_lines(result, cine), folder / CURVES)
    files.write_text(folder / CSV, cine_report.table(result, cine))
    files.write_text(folder / PAGE, cine_page.page(result, cine, made))
    files.write_text(folder / JSON, json.dumps(made, indent=2, allow_nan=False) + "\n")
