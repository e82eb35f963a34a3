"""Steps of the library, taken by a thread, so that the panel answers while one of them lasts.

Slicer's event loop lets no other thread run, so who waits for a step waits with Python's lock let go, for a moment at a
time. Nothing that touches the scene may be done there: VTK and Qt belong to the main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")

MOMENT = 0.02  # seconds, how long a step is waited for at once


class Background:
    """One thread for all steps, as networks keep what they need by thread; it begins with the first step."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def steps(self, make: Callable[[], Generator[Step, None, Result]], first: Step) -> Generator[Step, None, Result]:
        """The steps of `make()`, and its result; while one lasts, the step before is told again, `first` to begin with.

        Dropped, it ends the work at the end of the step that is being taken, without waiting for that.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="SIFA")
        pool, steps, step = self._pool, make(), first
        future = pool.submit(_next, steps)
        try:
            while True:
                if not wait([future], MOMENT).done:
                    yield step
                    continue
                ended, value = future.result()
                if ended:
                    return value  # type: ignore[no-any-return]
                step = value
                future = pool.submit(_next, steps)
                yield step
        finally:
            pool.submit(steps.close)

    def call(self, work: Callable[[], Result], first: Step) -> Generator[Step, None, Result]:
        """The same of a function: its result."""

        def steps() -> Generator[Step, None, Result]:
            yield first
            return work()

        result = yield from self.steps(steps, first)
        return result


class Foreground(Background):
    """The same without a thread: each step is taken by who asks for it."""

    def steps(self, make: Callable[[], Generator[Step, None, Result]], first: Step) -> Generator[Step, None, Result]:
        result = yield from make()
        return result


def _next(steps: Generator[Any, None, Any]) -> tuple[bool, Any]:
    """Whether it has ended, and its next step or its result."""
    try:
        return False, next(steps)
    except StopIteration as stop:
        return True, stop.value
