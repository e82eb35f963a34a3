"""How far long work is: a generator of `Progress` whose return value is what the work was for.

`drain`, `within` and `mapped` are the only loops over such generators: whoever wants the result drains, and work that
consists of other work passes the steps of its parts on, as part of the whole or said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeVar

P = TypeVar("P")
Q = TypeVar("Q")
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """What is being done, how much of the whole is done (0..1), and the seconds that are left (None: not known yet).

    count: of a stage that counts, how far it is in words, as "23 of 600"; else "".
    """

    stage: str
    fraction: float
    seconds_left: float | None = None
    count: str = ""


Steps = Generator[Progress, None, T]
"""Work that yields how far it is between pieces of well under a second, and returns its result."""


def drain(steps: Generator[P, None, T], on_progress: Callable[[P], object] | None = None) -> T:
    """Run the steps (of `Progress`, or what tells more) to their end, tell each to `on_progress`, and return their result.

    Raises what they raise.
    """
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if on_progress is not None:
            on_progress(progress)


def within(steps: Steps[T], low: float, high: float, stage: str = "{}") -> Steps[T]:
    """The steps as the part from `low` to `high` (0..1) of a larger whole, whose time left nobody knows.

    stage: what to call them, with {} for their own words.
    """

    def placed(progress: Progress) -> Progress:
        fraction = low + (high - low) * progress.fraction
        return replace(progress, stage=stage.format(progress.stage), fraction=fraction, seconds_left=None)

    return mapped(steps, placed)


def mapped(steps: Generator[P, None, T], change: Callable[[P], Q]) -> Generator[Q, None, T]:
    """The same work with every step made into another one; dropping it drops the work at once."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield change(step)
    finally:
        steps.close()
