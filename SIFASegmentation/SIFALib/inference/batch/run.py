"""Many scans, one after the other: a folder in, a folder out.

Of every scan the folder then holds NAME.seg.nrrd, a Slicer segmentation, and NAME.sifa.json, the report; `volumes.csv`
has a row for each scan, whatever became of it. A scan that cannot be segmented is told in its row and holds up no other.
Every file is complete at every instant: stopped at any moment, the batch goes on with the scans that are not done, or
that have changed since, or were done by another model or with other options. A segmentation that a person made or
corrected is never written over, nor is the result of another scan, as of a folder that went into the same one before.
One batch at a time writes into a folder.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...imaging.checks import check
from ...imaging.geometry import Volume
from ...support import files
from ...support.errors import BatchError, SifaError
from ...support.messages import reason, sentence
from ...support.progress import Progress, Steps, mapped
from ..options import Options
from . import results
from .cases import REPORT, TABLE, Case, file_names, find_cases
from .results import DONE, FAILED, KEPT, NOT_WRITABLE, WAITING, WORKING, Before, Row, Table, staging

if TYPE_CHECKING:
    from ...models.card import ModelCard
    from ..segmentation import Result

log = logging.getLogger(__name__)

__all__ = [
    "DONE", "FAILED", "KEPT", "REPORT", "TABLE", "WAITING", "WORKING", "BatchError", "Case", "Event", "Row",
    "file_names", "find_cases", "prepare_folder", "run",
]  # fmt: skip


@dataclass(frozen=True)
class Event:
    """A case's row as it is now, and how far the whole batch is: 0..1, and seconds left (None: not known yet)."""

    number: int
    row: Row
    stage: str
    fraction: float
    seconds_left: float | None = None


Segment = Callable[[Volume], "Steps[Result]"]


def prepare_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder of the results, made if it is missing. BatchError if nothing can be written to it."""
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        probe = place / ".sifa-can-write"
        files.write_text(probe, "")
        probe.unlink()
    except OSError as error:
        raise BatchError(NOT_WRITABLE.format(place, reason(error))) from error
    return place


def run(
    cases: Sequence[Case], folder: Path, segment: Segment, card: ModelCard, options: Options = Options()
) -> Generator[Event, None, list[Row]]:
    """Segment the cases into `folder` (see `prepare_folder`), yielding events; returns the rows.

    segment: the volume's segmentation in steps, with the model of `card` and `options`. Raises BatchError if results
    can no longer be written, if another batch writes there, or if what is there is no batch's table; whatever else goes
    wrong with a case is told in its row.
    """
    rows = [Row(case.name, case.source) for case in cases]
    pace, saved = _Pace(len(cases)), False
    with staging(folder) as staged:
        table = Table(folder, options.wanted(card.labels))
        for number, case in enumerate(cases):
            began = time.monotonic()
            working = partial(pace.event, number, replace(rows[number], state=WORKING), began)
            row = yield from mapped(_work(case, folder, staged, segment, card, options), working)
            rows[number] = replace(row, seconds=round(time.monotonic() - began, 1))
            pace.finished(rows[number])
            with _writing(folder, TABLE):
                try:
                    table.save(rows, staged)
                    saved = True
                except PermissionError:  # another program has it open; after the next scan it may not
                    saved = False
            yield pace.event(number, rows[number], time.monotonic(), Progress(rows[number].state, 1.0))
        if not saved and cases:
            with _writing(folder, TABLE):
                table.save(rows, staged)
    return rows


def _work(case: Case, folder: Path, staged: Path, segment: Segment, card: ModelCard, options: Options) -> Steps[Row]:
    """One case from the beginning to its row; raises BatchError alone."""
    row, structures = Row(case.name, case.source), options.wanted(card.labels)
    try:
        yield Progress("Reading", 0.0)
        settings = {"scan": case.fingerprint()} | results.settings_of(card, options)
        before = Before.of(folder, case.name)
        if before.is_done(settings):
            return replace(row, state=KEPT, **before.results(structures))
        before.check_replaceable(settings["scan"], case.path)
        scan = yield from mapped(case.read(), lambda fraction: Progress("Reading", 0.05 * fraction))
        check(scan)
        result = yield from segment(scan)
    except (SifaError, OSError, MemoryError) as error:  # their texts are sentences
        return replace(row, state=FAILED, message=sentence(error))
    except Exception as error:  # a mistake of ours; the other scans are still to be segmented
        log.warning("%s failed", case.source, exc_info=error)
        what = f"Something went wrong with {case.source}: {sentence(error)}"
        return replace(row, state=FAILED, message=what)
    yield Progress("Writing", 1.0)
    report = {**result.report.to_json(), results.KEY: settings, results.SOURCE: case.source}
    with _writing(folder, before.output.name):
        try:
            results.save(result.labels, structures, report, before, staged, card.key)
        except PermissionError as error:  # another program has the former one open
            return replace(row, state=FAILED, message=sentence(error))
    return replace(row, state=DONE, **results.results_of(report))


@contextmanager
def _writing(folder: Path, name: str) -> Iterator[None]:
    """Where nothing can be written any more, nothing needs to be computed either: BatchError."""
    try:
        yield
    except OSError as error:
        raise BatchError(
            f"The results cannot be written to {folder} ({name}: {reason(error)}). Mend that; what is finished stays, "
            "and the same batch goes on from there."
        ) from error


class _Pace:
    """How far the whole batch is, and how long the rest takes: as long for each case as for those before it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seconds: list[float] = []

    def finished(self, row: Row) -> None:
        if row.state == DONE:
            self.seconds.append(row.seconds)

    def event(self, number: int, row: Row, began: float, progress: Progress) -> Event:
        """began: when the case did, by `time.monotonic`."""
        left, rest = progress.seconds_left, self.count - number - 1
        if rest and self.seconds:
            left = (left or 0.0) + rest * sum(self.seconds) / len(self.seconds)
        elif rest and left is not None:
            left += rest * (time.monotonic() - began + left)
        return Event(number, row, progress.stage, (number + progress.fraction) / self.count, left)
