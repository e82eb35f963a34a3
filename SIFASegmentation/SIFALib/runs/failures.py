"""What stopped a run, as an error with a code for programs, a sentence for people, and what they can do about it."""

from __future__ import annotations

import logging
from typing import Any

from ..networks.devices import is_out_of_memory
from ..support import errors
from ..support.errors import OutputError, RunError, SifaError
from ..support.files import FULL
from ..support.messages import sentence
from .run_folder import RunFolder

LONGEST = 400  # characters of an error that was written for programmers
_COMPILER = ("torch._dynamo", "torch._inductor")
_BROKEN_TIES = ("connection", "gloo", "nccl", "peer", "timed out", "timeout", "socket")

log = logging.getLogger(__name__)


def explained(error: Exception, folder: RunFolder, world: int = 1) -> SifaError:
    """Whatever was raised as an error of ours, whose `code` and `advice` go into status.json; see `messages.ADVICE`.

    world: how many processes trained together. What must be a mistake of ours is logged with where it happened.
    """
    if not folder.run_file.exists():
        what = f"The run folder {folder.path} is gone; if it was moved, go on with it where it is now."
        return OutputError(what, code=errors.GONE)
    resume: dict[str, Any] = {"advice": "resume", "folder": folder.path}
    kept = f"the checkpoint of iteration {folder.saved[-1]} is sound" if folder.saved else "there is no checkpoint yet"
    if isinstance(error, OSError) and error.errno in FULL:
        return OutputError(f"The disk is full; {kept}. Make room for {folder.path}.", code=errors.DISK_FULL, **resume)
    if world > 1 and isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _BROKEN_TIES):
        what = f"Another process of this training ended or could not be reached; {kept}."
        return SifaError(what, code=errors.PEER_LOST, **resume)
    if type(error).__module__.startswith(_COMPILER):
        return SifaError(
            "torch.compile does not work here.", code=errors.COMPILER, advice="uncompiled", folder=folder.path
        )
    if is_out_of_memory(error):
        what = "Memory ran out; set accumulate higher or size lower, or close other programs."
        return SifaError(what, code=errors.OUT_OF_MEMORY, **resume)
    if isinstance(error, SifaError):
        return error
    if isinstance(error, OSError):
        return OutputError(sentence(error))
    if isinstance(error, (ValueError, FloatingPointError)):  # their texts are for people
        return SifaError(sentence(error), code=RunError.code)
    log.error("This is where it happened:", exc_info=error)
    what = f"Unexpected {type(error).__name__}: {sentence(error)[:LONGEST]} log.txt says where; report it."
    return SifaError(what, code=errors.UNEXPECTED)
