"""Places that the user named and that cannot be written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..support.messages import FULL, reason
from .console import OUTPUT, Failure


@contextmanager
def writes_into(folder: Path) -> Iterator[None]:
    """Turn an OSError into a Failure that names this folder and says what to do.

    The error itself names a temporary file in it, which the user never heard of, or none at all.
    """
    try:
        yield
    except OSError as error:
        advice = "make room there" if error.errno in FULL else "make it writable"
        raise Failure(
            OUTPUT, f"Nothing can be written into {folder} ({reason(error)}); {advice}, or choose another place."
        ) from error
