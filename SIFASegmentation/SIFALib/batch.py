"""Many scans, one after the other: a folder in, a folder out.

Of every scan the folder then holds NAME.seg.nrrd, a Slicer segmentation, and NAME.sifa.json, the report; `volumes.csv`
has a row for each scan, whatever became of it. A scan that cannot be segmented is told in its row and holds up no other.
Every file is complete at every instant: stopped at any moment, the batch goes on with the scans that are not done, or
that have changed since, or were done by another model or with other options. A segmentation that a person made or
corrected is never written over.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch_cases import BatchError, Case, file_names, find_cases
from .cli_run import sentence
from .job import Options, Progress
from .runs import files
from .search import NoHeartFound
from .segmentation_file import SUFFIX, write_seg_nrrd
from .volume import Volume, VolumeError, check

if TYPE_CHECKING:
    from .inference import Result
    from .model_card import ModelCard
    from .structures import Structure

log = logging.getLogger(__name__)

__all__ = ["BatchError", "Case", "Event", "Row", "file_names", "find_cases", "prepare_folder", "run"]

TABLE = "volumes.csv"
WAITING, WORKING, DONE, KEPT, FAILED = "waiting", "working", "done", "finished before", "failed"
REPORT = ".sifa.json"  # ending of a report's name
KEY = "batch"  # of the report: what scan and settings were
WRITTEN, REPLACED = (
    "written",
    "replaced",
)  # of the report: SHA-256 of the segmentation's file, and of the one before
UNFINISHED = (
    f".*{SUFFIX}",
    f".{'[0-9a-f]' * 32}.nrrd",
)  # segmentations that are not complete or not in place yet
FORESEEN = (VolumeError, OSError, MemoryError, NoHeartFound)  # their texts are sentences
NOT_OURS = (
    "{} is there already and was made or changed by somebody else; it is not written over. "
    "Move it, or choose another folder for the results."
)


@dataclass(frozen=True)
class Row:
    """What became of a case. state: one of this module's; volumes_ml: by structure id; flags: sentences that warn."""

    name: str
    source: str
    state: str = WAITING
    message: str = ""
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Event:
    """A case's row as it is now, and how far the whole batch is: 0..1, and seconds left (None: not known yet)."""

    number: int
    row: Row
    stage: str
    fraction: float
    seconds_left: float | None = None


Segment = Callable[[Volume], "Generator[Progress, None, Result]"]


def prepare_folder(folder: str | os.PathLike) -> Path:
    """The folder of the results, made if it is missing, swept of what a killed batch left. BatchError."""
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.sweep(place)
        for path in (p for pattern in UNFINISHED for p in place.glob(pattern)):
            path.unlink(missing_ok=True)
        with files.written(place / ".sifa-can-write"):
            pass
        (place / ".sifa-can-write").unlink()
    except OSError as error:
        raise BatchError(f"The folder {place} cannot be written to: {sentence(error)}") from error
    return place


def run(
    cases: Sequence[Case], folder: Path, segment: Segment, card: ModelCard, options: Options = Options()
) -> Generator[Event, None, list[Row]]:
    """Segment the cases into `folder` (see `prepare_folder`), yielding events; returns the rows.

    segment: the volume's segmentation in steps, with the model of `card` and `options`. Raises BatchError if results
    can no longer be written; whatever else goes wrong with a case is told in its row.
    """
    rows = [Row(case.name, case.source) for case in cases]
    structures = tuple(s for s in card.labels if options.structures is None or s.id in options.structures)
    pace = _Pace(len(cases))
    for number, case in enumerate(cases):
        began = time.monotonic()
        work = _work(case, folder, segment, card, options, structures)
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                rows[number] = replace(end.value, seconds=round(time.monotonic() - began, 1))
                break
            working = replace(rows[number], state=WORKING)
            yield pace.event(number, working, progress, time.monotonic() - began)
        pace.finished(rows[number])
        with _writing():
            files.write_text(folder / TABLE, table(rows, structures))
        yield pace.event(number, rows[number], Progress(rows[number].state, 1.0))
    return rows


def _work(
    case: Case,
    folder: Path,
    segment: Segment,
    card: ModelCard,
    options: Options,
    structures: tuple[Structure, ...],
) -> Generator[Progress, None, Row]:
    """One case from the beginning to its row; raises BatchError alone."""
    row = Row(case.name, case.source)
    try:
        yield Progress("Reading", 0.0)
        settings = {"scan": case.fingerprint(), "source": case.source} | settings_of(card, options)
        output, before = folder / f"{case.name}{SUFFIX}", report_of(folder, case.name)
        there = _hash(output) if output.is_file() else ""
        written, replaced = before.get(WRITTEN), before.get(REPLACED)
        if before.get(KEY) == settings and there and (there == written or there != replaced):
            return replace(row, state=KEPT, **_results(before))  # as it was written, or corrected since
        if there not in ("", written, replaced):
            raise VolumeError(NOT_OURS.format(output))
        scan = yield from _read(case)
        check(scan)
        result = yield from segment(scan)
    except FORESEEN as error:
        return replace(row, state=FAILED, message=sentence(error))
    except Exception as error:  # a mistake of ours; the other scans are still to be segmented
        log.error("%s failed", case.source, exc_info=error)
        return replace(
            row, state=FAILED, message=f"Something went wrong ({type(error).__name__}): {sentence(error)}"
        )
    yield Progress("Writing", 1.0)
    report = {**result.report, KEY: settings, REPLACED: there}
    staged = folder / f".{case.name}{SUFFIX}"
    with _writing():
        write_seg_nrrd(result.labels, staged, structures)
        # First the report: killed in between, it tells that the segmentation of before is no person's.
        report[WRITTEN] = _hash(staged)
        files.write_text(folder / f"{case.name}{REPORT}", json.dumps(report, indent=2) + "\n")
        os.replace(staged, output)
    return replace(row, state=DONE, **_results(report))


def _read(case: Case) -> Generator[Progress, None, Volume]:
    steps = case.read()
    while True:
        try:
            fraction = next(steps)
        except StopIteration as end:
            return end.value
        yield Progress("Reading", 0.05 * fraction)


def settings_of(card: ModelCard, options: Options) -> dict[str, Any]:
    """All besides the scan that a result depends on; JSON. The device is left out: it decides rounding at most."""
    given = {k: v for k, v in asdict(options).items() if k not in ("device", "precision", "batch_size")}
    return {"model": card.key, "sha256": card.sha256, "options": json.loads(json.dumps(given))}


def report_of(folder: Path, name: str) -> dict[str, Any]:
    """What was written about a case before; empty if nothing that can be read."""
    try:
        report = json.loads((folder / f"{name}{REPORT}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _results(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a report stands in a row."""
    flags = tuple(f["message"] for f in report.get("flags", ()) if f.get("warns", True))
    return {"volumes_ml": report.get("volumes_ml", {}), "flags": flags}


@contextmanager
def _writing() -> Iterator[None]:
    """Where nothing can be written any more, nothing needs to be computed either: BatchError."""
    try:
        yield
    except OSError as error:
        raise BatchError(
            f"The results cannot be written: {sentence(error)} What is finished stays; start again to go on."
        ) from error


class _Pace:
    """How far the whole batch is, and how long the rest takes: as long for each case as for those before it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seconds: list[float] = []

    def finished(self, row: Row) -> None:
        if row.state == DONE:
            self.seconds.append(row.seconds)

    def event(self, number: int, row: Row, progress: Progress, elapsed: float = 0.0) -> Event:
        left, rest = progress.seconds_left, self.count - number - 1
        if rest and self.seconds:
            left = (left or 0.0) + rest * sum(self.seconds) / len(self.seconds)
        elif rest and left is not None:
            left += rest * (elapsed + left)
        return Event(number, row, progress.stage, (number + progress.fraction) / self.count, left)


def table(rows: Sequence[Row], structures: Sequence[Structure]) -> str:
    """The rows as CSV with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    volumes = [f"{s.id} (ml)" for s in structures]
    writer.writerow(["scan", "state", *volumes, "look twice", "message", "source", "seconds"])
    for row in rows:
        ml = [f"{row.volumes_ml[s.id]:.2f}" if s.id in row.volumes_ml else "" for s in structures]
        writer.writerow(
            [row.name, row.state, *ml, " ".join(row.flags), row.message, row.source, f"{row.seconds:.1f}"]
        )
    return text.getvalue()
