"""Places that the user named and that cannot be written to."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .cli_run import OUTPUT, Failure

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writes_into(folder: Path) -> Iterator[None]:
    """Turn an OSError into a Failure that names this folder and says what to do.

    The error itself names a temporary file in it, which the user never heard of, or none at all.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        reason = "the disk is full" if full else error.strerror or str(error)
        advice = (
            "make room there, or choose another place"
            if full
            else "make it writable, or choose another place"
        )
        raise Failure(OUTPUT, f"Nothing can be written into {folder} ({reason}); {advice}.") from error
