"""The documentation's pictures lie among the modules' resources; a built site needs them among its own files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_PICTURE = re.compile(r"\((?:\.\./)+(SIFASegmentation|SIFATraining)/Resources/Screenshots/([\w.-]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add every screenshot of the modules as pictures/MODULE/NAME."""
    for module in ("SIFASegmentation", "SIFATraining"):
        for picture in sorted((ROOT / module / "Resources" / "Screenshots").glob("*.png")):
            place = f"pictures/{module}/{picture.name}"
            files.append(File.generated(config, place, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let the page show them from there."""
    up = "../" * page.file.src_uri.count("/")
    return _PICTURE.sub(lambda found: f"({up}pictures/{found[1]}/{found[2]})", markdown)
