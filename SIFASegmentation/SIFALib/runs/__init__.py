"""A training as a folder: started, stopped, resumed, watched. Reading one needs no torch.

    run.json       the complete configuration, versions of the software, fingerprint of the data (configuration.py)
    data.json      which scans it learns from, each with the hash of its slices
    status.json    what it is doing now: state, process, iteration, heartbeat, time left (status.py)
    events.jsonl   one line for every loss, score and picture, each iteration once (events.py)
    previews/      pictures: source, translated, segmented; target, segmented (previews.py)
    checkpoints/   all that is needed to go on, the newest few (checkpoints.py)
    best/          the best segmenter so far, by the score that needs no labels (best.py)
    log.txt        what happened, for people
    cache/         prepared slices, unless the configuration names another folder
    lock.json      who is working on it (lock.py)
    stop.request, pause.request    whoever creates these files stops or pauses the run; removing the latter resumes it

Every file is complete at every instant, whatever is killed when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.errors import RunError
from ..support.lazy import face

if TYPE_CHECKING:
    from .best import Best
    from .configuration import Configuration, RunFile
    from .run_folder import RunFolder, create

__all__ = ["Best", "Configuration", "RunError", "RunFile", "RunFolder", "create"]

__getattr__ = face(
    __name__, {"best": ("Best",), "configuration": ("Configuration", "RunFile"), "run_folder": ("RunFolder", "create")}
)
