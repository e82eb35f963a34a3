"""How far long work is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What is being done, how much of the whole is done (0..1), and the seconds that are left (None: not known yet)."""

    stage: str
    fraction: float
    seconds_left: float | None = None
