"""What a batch writes, and finds again: segmentations, reports, the table, and what is not finished yet."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging.geometry import Volume
from ...imaging.seg_nrrd import SUFFIX, read_seg_nrrd, write_seg_nrrd
from ...support import files, lock
from ...support.errors import BatchError, RunError, VolumeError
from ...support.messages import reason, sayable
from .. import flags as quality
from ..job import Options
from .cases import REPORT, TABLE

if TYPE_CHECKING:
    from ...models.card import ModelCard
    from ...models.structures import Structure

WAITING, WORKING, DONE, KEPT, FAILED = "waiting", "working", "done", "finished before", "failed"
STAGING = ".sifa-unfinished"  # folder of what is not complete yet, and of the lock
KEY = "batch"  # of a report: what scan, model and options were
SOURCE = "source"  # of a report: where its scan lay, or what the scan was called
WRITTEN, REPLACED = ("written", "replaced")  # of a report: SHA-256 of its segmentation's file; of the one before
FIRST, LAST = ["scan", "state"], ["look twice", "message", "source", "seconds"]  # columns of the table
UNIT = " (ml)"  # ends the names of those between
NOT_WRITABLE = "The folder {} cannot be written to ({}); mend that, or choose another folder for the results."
CORRECTED = "Corrected since it was written; the flags of then do not count."


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


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder in `folder` for unfinished files, empty, as long as no other batch has it. BatchError."""
    place = folder / STAGING
    held = lock.held(place)
    try:
        place.mkdir(exist_ok=True)
        held.__enter__()
    except RunError as error:
        raise BatchError(f"Another batch writes into {folder}: {error}") from error
    except OSError as error:
        raise BatchError(NOT_WRITABLE.format(folder, reason(error))) from error
    try:
        for left in place.iterdir():
            if left.name not in (lock.FILE, lock.GUARD):
                left.unlink(missing_ok=True)
        yield place
    finally:
        held.__exit__(None, None, None)
        shutil.rmtree(place, ignore_errors=True)


def settings_of(card: ModelCard, options: Options) -> dict[str, Any]:
    """All besides the scan that a result depends on; JSON. The device is left out: it decides rounding at most."""
    given = asdict(options)
    for key in ("device", "precision", "batch_size"):
        del given[key]
    given["structures"] = [s.id for s in wanted(card, options)]
    return {"model": card.key, "sha256": card.sha256, "options": json.loads(json.dumps(given))}


def wanted(card: ModelCard, options: Options) -> tuple[Structure, ...]:
    """The structures that are drawn, in the model's order."""
    return tuple(s for s in card.labels if options.structures is None or s.id in options.structures)


@dataclass(frozen=True)
class Before:
    """What `folder` holds of a case: its segmentation's file, whether and what hash that has, and its report."""

    output: Path
    there: str
    report: Mapping[str, Any]

    @staticmethod
    def of(folder: Path, name: str) -> Before:
        output = folder / f"{name}{SUFFIX}"
        there = _hash(output) if output.is_file() else ""
        return Before(output, there, report_of(folder, name))

    @property
    def in_the_way(self) -> Path | None:
        """A folder, or a thing that is no file at all, where a result would be written."""
        report = self.output.with_name(self.output.name.removesuffix(SUFFIX) + REPORT)
        return next((p for p in (self.output, report) if p.exists() and not p.is_file()), None)

    @property
    def is_ours(self) -> bool:
        """Whether the file may be replaced: there is none, or a batch left it like that."""
        return self.there in ("", self.report.get(WRITTEN), self.report.get(REPLACED))

    @property
    def source(self) -> str:
        """Where the scan of the result lay; "" if that is not known."""
        return str(self.report.get(SOURCE, ""))

    def is_of(self, scan: str, path: str) -> bool:
        """Whether there is no result, or one of this scan: by fingerprint, or by `path` as it was before it changed."""
        known = self.report.get(KEY)
        same = isinstance(known, dict) and known.get("scan") == scan
        return not self.there or same or bool(path and self.source == path)

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Whether it was made with these settings, corrected since or not."""
        if not self.there or self.report.get(KEY) != dict(settings):
            return False
        return self.there == self.report.get(WRITTEN) or self.there != self.report.get(REPLACED)

    def results(self, structures: Sequence[Structure]) -> dict[str, Any]:
        """What stands in the row of a case that is done: of a corrected segmentation, its volumes as they are now."""
        if self.there == self.report.get(WRITTEN):
            return results_of(self.report)
        try:
            labels, found = read_seg_nrrd(self.output)
        except VolumeError as error:
            return {"message": f"{CORRECTED} Its volumes are not known: {error}"}
        known = tuple(s for s in found if s.id in {each.id for each in structures})
        return {"message": CORRECTED, "volumes_ml": quality.volumes_ml(labels, known)}


def report_of(folder: Path, name: str) -> dict[str, Any]:
    """What was written about a case before; empty if nothing that can be read."""
    try:
        report = json.loads((folder / f"{name}{REPORT}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def results_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a report stands in a row."""
    flags = tuple(f["message"] for f in report.get("flags", ()) if f.get("warns", True))
    return {"volumes_ml": report.get("volumes_ml", {}), "flags": flags}


def save(
    labels: Volume, structures: Sequence[Structure], report: dict[str, Any], before: Before, staged: Path, model: str
) -> None:
    """Put a segmentation and its report in place of those of before. OSError.

    First the report: killed in between, it tells that the segmentation of before is no person's.
    """
    write_seg_nrrd(labels, staged / before.output.name, structures, model)
    report |= {REPLACED: before.there, WRITTEN: _hash(staged / before.output.name)}
    name = before.output.name.removesuffix(SUFFIX) + REPORT
    _write(before.output.with_name(name), json.dumps(report, indent=2) + "\n", staged)
    files.replace(staged / before.output.name, before.output)


class Table:
    """`volumes.csv`: a row for each case. Of cases that are not reached yet it keeps what it said before, and of results
    of other scans that still lie in the folder, too."""

    def __init__(self, folder: Path, structures: Sequence[Structure]) -> None:
        """BatchError if there is a file of that name that is no such table."""
        self.folder, self.path = folder, folder / TABLE
        self.volumes = [f"{s.id}{UNIT}" for s in structures]
        self.former = self._read()

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        try:
            lines = list(csv.reader(io.StringIO(self.path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, csv.Error):
            lines = []
        if not lines or lines[0][: len(FIRST)] != FIRST or lines[0][-len(LAST) :] != LAST:
            raise BatchError(
                f"{self.path} is no table of a batch and is not written over. Move it, or choose another folder."
            )
        return [dict(zip(lines[0], line, strict=False)) for line in lines[1:] if line]

    def save(self, rows: Sequence[Row], staged: Path) -> None:
        """OSError."""
        rows = [replace(row, source=sayable(row.source)) for row in rows]
        former = {(line["scan"], line.get("source")): line for line in self.former}
        lines = [former.get((row.name, row.source), _line(row)) if row.state == WAITING else _line(row) for row in rows]
        lines += self._of_others(rows)
        # structures that only former results have stand after those of today
        more = [key for line in lines for key, text in line.items() if key.endswith(UNIT) and text]
        heading = [*FIRST, *dict.fromkeys([*self.volumes, *more]), *LAST]
        text = io.StringIO()
        writer = csv.DictWriter(text, heading, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        _write(self.path, text.getvalue(), staged)

    def _of_others(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """The former rows of results that lie in the folder and that none of these rows tells of."""
        told = {row.name for row in rows if row.state in (DONE, KEPT)}
        known = {(row.name, row.source) for row in rows}
        return [
            line
            for line in self.former
            if line.get("state") in (DONE, KEPT)
            and line["scan"] not in told
            and (line["scan"], line.get("source")) not in known
            and (self.folder / f"{line['scan']}{SUFFIX}").is_file()
        ]


def _line(row: Row) -> dict[str, str]:
    line = {
        "scan": row.name, "state": row.state, "look twice": " ".join(row.flags), "message": row.message,
        "source": row.source, "seconds": f"{row.seconds:.1f}",
        **{f"{structure}{UNIT}": f"{ml:.2f}" for structure, ml in row.volumes_ml.items()},
    }  # fmt: skip
    return {key: sayable(text) for key, text in line.items()}


def _write(path: Path, text: str, staged: Path) -> None:
    """A UTF-8 text, complete or not at all, by way of the folder `staged`. OSError."""
    files.write_text(staged / path.name, text)
    files.replace(staged / path.name, path)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
