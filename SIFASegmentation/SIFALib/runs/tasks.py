"""What a panel lets a process of its own do: `python -m SIFALib.runs.tasks NAME FOLDER`.

FOLDER holds request.json; while the errand runs, progress.json says how far it is (stage, fraction, seconds_left), and
at its end answer.json holds what was asked for, or {"error": a sentence}. Torch is imported here and not by who asks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from ..support.files import write_text
from ..support.messages import sentence
from ..support.progress import Progress

REQUEST, PROGRESS, ANSWER = "request.json", "progress.json", "answer.json"
Errand = Callable[[dict[str, Any], Path], Generator[Progress, None, dict[str, Any]]]

log = logging.getLogger(__name__)


def errand(name: str) -> Errand:
    """The errand of that name; ValueError if there is none."""
    if name == "time":
        from .timing import steps

        return steps
    if name == "compare":
        from .comparison import steps

        return steps
    if name == "pack":
        from .pack import steps

        return steps
    raise ValueError(f"There is no errand {name!r}; there are time, compare and pack.")


def run(name: str, folder: Path) -> dict[str, Any]:
    """Do it and return its answer. Raises what the errand raises."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    steps = errand(name)(request, folder)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        write_text(folder / PROGRESS, json.dumps(dataclasses.asdict(progress)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m SIFALib.runs.tasks", description=__doc__)
    parser.add_argument("name", choices=("time", "compare", "pack"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        answer = run(options.name, options.folder)
    except Exception as error:  # whatever it is, who asked shall know
        log.error("The errand failed:", exc_info=error)
        known = isinstance(error, (ValueError, OSError, MemoryError)) or type(error).__name__ == "NoHeartFound"
        what = "" if known else f"Unexpected {type(error).__name__}: "
        answer = {"error": what + sentence(error)}
    write_text(options.folder / ANSWER, json.dumps(answer))
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
