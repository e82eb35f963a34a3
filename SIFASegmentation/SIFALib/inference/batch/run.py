"""Many scans, one after the other, by one process or by many: a folder in, a folder out.

Of every scan the folder then holds NAME.seg.nrrd, a Slicer segmentation, and NAME.sifa.json, the report; `volumes.csv`
has a row for each scan, whatever became of it. A scan that cannot be segmented is told in its row and holds up no other.
Every file is complete at every instant: stopped at any moment, the batch goes on with the scans that are not done, or
that have changed since, or were done by another model or with other options. A segmentation that a person made or
corrected is never written over, nor is the result of another scan, as of a folder that went into the same one before.
Any number of processes work into one folder together, on any number of computers that share it: each claims a scan,
does it, and tells the others what became of it; a scan of one that was killed is another's (see `cohort`).
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from .cohort import DONE, FAILED, FOLDER, KEPT, NOT_WRITABLE, WAITING, WORKING, Member, Row, joined
from .results import Before, Table

if TYPE_CHECKING:
    from ...models.choice import Models
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
Events = Generator[Event, None, None]
POLL_SECONDS = 0.2  # between looks at what others make of the last scans
_MOST_SAVES = 5  # of a table that another process's overtook


def prepare_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder of the results, made if it is missing. BatchError if nothing can be written to it."""
    place = Path(folder)
    if FOLDER in place.absolute().parts:
        raise BatchError(f"{place} lies in a folder that a batch deletes when it ends; choose another one.")
    try:
        files.check_place(place)
        place.mkdir(parents=True, exist_ok=True)
        files.check_writable(place)
    except OSError as error:
        raise BatchError(NOT_WRITABLE.format(place, reason(error))) from error
    return place


def run(
    cases: Sequence[Case], folder: Path, segment: Segment, models: Models, options: Options = Options()
) -> Generator[Event, None, list[Row]]:
    """Segment the cases into `folder` (see `prepare_folder`), yielding events; returns the rows.

    segment: the volume's segmentation in steps, with that of `models` which serves it and `options`. Raises BatchError if
    results can no longer be written, or if what is there is no batch's table; whatever else goes wrong with a case is told
    in its row. Cases that other processes work on are waited for: one that is killed leaves its case to this one.
    """
    settings = results.settings_of(models, options)
    with joined(folder, settings) as member:
        table = Table(folder, options.wanted(models.card.labels))
        work = partial(_work, folder=folder, staged=member.folder, segment=segment, models=models, options=options)
        batch = _Batch(cases, folder, member, table, work)
        yield from batch.steps()
    return batch.rows


def merge(cases: Sequence[Case], folder: Path) -> list[Row]:
    """Write the table from the results that lie in `folder` now, whoever works there; returns the rows.

    A case without a result of its own keeps the row that it had, unless its scan was another one then. Raises BatchError.
    """
    rows = [_row_of_result(case, Before.of(folder, case.name)) for case in cases]
    with joined(folder, {}) as member, _writing(folder, TABLE):
        Table(folder, ()).save(rows, member.folder, member.rows())
    return rows


def _row_of_result(case: Case, before: Before) -> Row:
    row = Row(case.name, case.source)
    if not before.is_whole:
        return row
    try:
        if before.report[results.KEY].get("scan") == case.fingerprint():
            return replace(row, state=KEPT, **before.results())
    except (SifaError, OSError) as error:
        return replace(row, message=sentence(error))
    return replace(row, message=results.CHANGED) if before.report.get(results.SOURCE) == case.source else row


@dataclass(eq=False)
class _Batch:
    """The work on all cases. work: one case from the beginning to its row."""

    cases: Sequence[Case]
    folder: Path
    member: Member
    table: Table
    work: Callable[[Case], Steps[Row]]
    rows: list[Row] = field(init=False)
    pace: _Pace = field(init=False)
    saved: bool = False

    def __post_init__(self) -> None:
        self.rows = [Row(case.name, case.source) for case in self.cases]
        self.pace = _Pace(len(self.cases))

    def steps(self) -> Events:
        queue, held = deque(range(len(self.cases))), 0
        while queue:
            number = queue.popleft()
            case, before = self.cases[number], self.member.count()
            self.pace.members = before
            row = self.member.row_of(case)
            if row is None:
                row = yield from self._claimed(number)
            elif row.state != WAITING:
                self._finished(number, row)
            if row is None:  # another process works on it
                queue.append(number)
                held += 1
                if held >= len(queue):
                    stage = Progress("Waiting for another process", 0.0)
                    yield self.pace.event(number, self.rows[number], time.monotonic(), stage)
                    time.sleep(POLL_SECONDS)
                    held = 0
                continue
            held = 0
            yield self.pace.event(number, row, time.monotonic(), Progress(row.state, 0.0))
        if not self.saved and self.cases:
            self._save(last=True)

    def _claimed(self, number: int) -> Generator[Event, None, Row | None]:
        """The case's row, by this process, or by another just before; None if another works on it. BatchError."""
        case, began = self.cases[number], time.monotonic()
        with _writing(self.folder, FOLDER):
            if not self.member.claim(case):
                return None
        try:
            row = self.member.row_of(case)
            if row is None:
                working = partial(self.pace.event, number, replace(self.rows[number], state=WORKING), began)
                row = yield from mapped(self.work(case), working)
                row = replace(row, seconds=round(time.monotonic() - began, 1))
                with _writing(self.folder, FOLDER):
                    self.member.check()
                    self.member.save(case, row)
            self._finished(number, row)
            self._save()
        finally:
            self.member.release(case)
        return row

    def _finished(self, number: int, row: Row) -> None:
        self.rows[number] = row
        self.pace.finished(row)
        self.saved = False

    def _save(self, last: bool = False) -> None:
        """The table, with what all processes know; once more if one of them told something meanwhile. BatchError."""
        with _writing(self.folder, TABLE):
            for _ in range(_MOST_SAVES):
                told = self.member.rows()
                try:
                    self.table.save(self.rows, self.member.folder, told)
                except PermissionError:  # another program has it open; after the next scan it may not
                    if last:
                        raise
                    self.saved = False
                    return
                self.saved = True
                if len(self.member.rows()) == len(told):
                    return


def _work(case: Case, *, folder: Path, staged: Path, segment: Segment, models: Models, options: Options) -> Steps[Row]:
    """One case from the beginning to its row; raises BatchError alone."""
    row, structures = Row(case.name, case.source), options.wanted(models.card.labels)
    try:
        yield Progress("Reading", 0.0)
        settings = {"scan": case.fingerprint()} | results.settings_of(models, options)
        before = Before.of(folder, case.name)
        if before.is_done(settings):
            return replace(row, state=KEPT, **before.results())
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
            results.save(result.labels, structures, report, before, staged, result.report.model.key)
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
    """How far the whole batch is, and how long the rest takes: as long for each case as for those before it.

    members: the processes that share the rest.
    """

    def __init__(self, count: int) -> None:
        self.count, self.done, self.members = count, 0, 1
        self.seconds: list[float] = []

    def finished(self, row: Row) -> None:
        self.done += 1
        if row.state == DONE:
            self.seconds.append(row.seconds)

    def event(self, number: int, row: Row, began: float, progress: Progress) -> Event:
        """began: when the case did, by `time.monotonic`."""
        left, rest = progress.seconds_left, (self.count - self.done - 1) / self.members
        if rest > 0 and self.seconds:
            left = (left or 0.0) + rest * sum(self.seconds) / len(self.seconds)
        elif rest > 0 and left is not None:
            left += rest * (time.monotonic() - began + left)
        return Event(number, row, progress.stage, (self.done + progress.fraction) / self.count, left)
