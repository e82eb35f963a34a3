"""What a panel lets a process of its own do: `python -m SIFALib.runs.tasks NAME FOLDER`.

FOLDER holds request.json; while the task runs, progress.json says how far it is (stage, fraction, seconds_left), and
at its end answer.json holds what was asked for, or {"error": a sentence, "code": what it is}. Torch is imported here
and not by who asks.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..support.errors import UNEXPECTED, SifaError
from ..support.files import write_text
from ..support.messages import sentence
from ..support.progress import Progress, Steps, drain

REQUEST, PROGRESS, ANSWER = "request.json", "progress.json", "answer.json"
TASKS = {"time": "timing", "compare": "comparison", "pack": "pack"}
"""Name -> the module whose `steps(request, folder)` does it."""

log = logging.getLogger(__name__)


def run(name: str, folder: Path) -> dict[str, Any]:
    """Do it and return its answer. Raises what the task raises."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    steps: Callable[[dict[str, Any], Path], Steps[dict[str, Any]]]
    steps = importlib.import_module(f".{TASKS[name]}", __package__).steps

    def tell(progress: Progress) -> None:
        write_text(folder / PROGRESS, json.dumps(dataclasses.asdict(progress)))

    return drain(steps(request, folder), tell)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m SIFALib.runs.tasks", description=__doc__)
    parser.add_argument("name", choices=tuple(TASKS))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        answer = run(options.name, options.folder)
    except Exception as error:  # whatever it is, who asked shall know
        log.error("The task failed:", exc_info=error)
        foreseen = isinstance(error, (SifaError, ValueError, OSError, MemoryError))
        said = sentence(error) if foreseen else f"Unexpected {type(error).__name__}: {sentence(error)}"
        answer = {"error": said, "code": error.code if isinstance(error, SifaError) else UNEXPECTED}
    write_text(options.folder / ANSWER, json.dumps(answer))
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
