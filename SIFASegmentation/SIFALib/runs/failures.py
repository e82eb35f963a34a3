"""Why a run failed, as a sentence for the person at the screen."""

from __future__ import annotations

import errno
import logging

from ..networks.devices import is_out_of_memory
from ..support.messages import sentence as plain
from . import checkpoints
from .run_folder import RunFolder
from .status import OUT_OF_MEMORY

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LONGEST = 400  # characters of an error that was written for programmers
_COMPILER = ("torch._dynamo", "torch._inductor")
_BROKEN_TIES = ("connection", "gloo", "nccl", "peer", "timed out", "timeout", "socket")

log = logging.getLogger(__name__)


def sentence(error: Exception, folder: RunFolder, world: int = 1) -> str:
    """What went wrong and what to do."""
    resume = f"Resume it with: sifa train {folder.path}"
    if not folder.run_file.exists():
        return f"The run folder {folder.path} is gone; if it was moved, go on with it where it is now."
    done = checkpoints.newest(folder.checkpoints)
    kept = "there is no checkpoint yet" if done is None else f"the checkpoint of iteration {done} is sound"
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"The disk is full; {kept}. Make room for {folder.path}. {resume}"
    if world > 1 and isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _BROKEN_TIES):
        return f"Another process of this training ended or could not be reached; {kept}. {resume}"
    if type(error).__module__.startswith(_COMPILER):
        return f"torch.compile does not work here. Go on without it: sifa train {folder.path} --set compile=false"
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY}; set accumulate higher or size lower, or close other programs. {resume}"
    if foreseen(error):
        return plain(error)
    return f"Unexpected {type(error).__name__}: {plain(error)[:LONGEST]} log.txt says where; report it."


def log_unforeseen(error: Exception) -> None:
    """Put the traceback of what must be a mistake of ours into the log."""
    if not foreseen(error) and not is_out_of_memory(error):
        log.error("This is where it happened:", exc_info=error)


def foreseen(error: Exception) -> bool:
    """Whether its text is a sentence for people."""
    return isinstance(error, (ValueError, OSError, FloatingPointError))
