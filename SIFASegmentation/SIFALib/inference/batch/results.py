"""What a batch writes, and finds again: segmentations, reports, the table, and what is not finished yet."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging.geometry import Volume
from ...imaging.seg_nrrd import SUFFIX, read_seg_nrrd, write_seg_nrrd
from ...support import files
from ...support.errors import BatchError, OutputError, VolumeError
from ...support.messages import sayable
from ..flags import volumes_ml
from ..options import Options
from .cases import REPORT, TABLE
from .cohort import DONE, KEPT, WAITING, Row

if TYPE_CHECKING:
    from ...models.choice import Models
    from ...models.structures import Structure

KEY = "batch"  # of a report: what scan, model and options were
SOURCE = "source"  # of a report: where its scan lay, or what the scan was called
WRITTEN, REPLACED = "written", "replaced"  # of a report: SHA-256 of its segmentation's file; of the one before
MADE_BY = "made by"  # column of what a row's result depends on besides the scan
FIRST, LAST = ["scan", "state"], ["look twice", "message", "source", "seconds"]  # columns of the table
LONGEST_TEXT = 256 * 1024**2  # bytes of a table or a report
UNIT = " (ml)"  # ends the names of those between
NOT_OURS = (
    "{} is there already and was made or changed by somebody else; it is not written over. "
    "Move it, or choose another folder for the results."
)
OTHERS = (
    "{} is the result of another scan, {}, and is not written over. Move it, rename this scan, or choose another folder "
    "for the results."
)
CHANGED = "What was segmented has changed since; the same batch without --table does it again."
CORRECTED = "Corrected since it was written; the flags of then do not count."


def settings_of(models: Models, options: Options) -> dict[str, Any]:
    """All besides the scan that a result depends on; JSON. The device is left out: it decides rounding at most."""
    given = asdict(options)
    for key in ("device", "precision", "batch_size"):
        del given[key]
    given["structures"] = [s.id for s in options.wanted(models.card.labels)]
    return {"model": models.key, "sha256": models.sha256, "options": json.loads(json.dumps(given))}


def model_of(report: Mapping[str, Any]) -> str:
    """`id@version` of the model that made what is reported; "" where that is not told."""
    model = report.get("model")
    return f"{model['id']}@{model['version']}" if isinstance(model, dict) and {"id", "version"} <= set(model) else ""


def made_by(report: Mapping[str, Any]) -> str:
    """The model of a batch's report, the beginning of its weights' hash, and the options that are not as usual; ""."""
    known, model = report.get(KEY), model_of(report)
    if not isinstance(known, dict) or not model:
        return ""
    usual, given = json.loads(json.dumps(asdict(Options()))), known.get("options", {})
    others = [f"{key} {given[key]}" for key in given if key != "structures" and given[key] != usual.get(key)]
    return ", ".join([f"{model} ({str(report['model'].get('sha256', ''))[:8]})", *others])


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
    def report_file(self) -> Path:
        return self.output.with_name(self.output.name.removesuffix(SUFFIX) + REPORT)

    def check_replaceable(self, scan: str, path: str) -> None:
        """OutputError or OSError if there is something else than a batch's result of this scan, which is known by its
        fingerprint, or by `path` as it was before it changed."""
        for file in (self.output, self.report_file):
            files.check_replaceable(file)
        if self.there not in ("", self.report.get(WRITTEN), self.report.get(REPLACED)):
            raise OutputError(NOT_OURS.format(self.output), path=self.output)
        known, source = self.report.get(KEY), str(self.report.get(SOURCE, ""))
        same = isinstance(known, dict) and known.get("scan") == scan
        if self.there and not same and not (path and source == path):
            raise OutputError(OTHERS.format(self.output, source or "it is not known which"), path=self.output)

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Whether it was made with these settings, corrected since or not."""
        return self.is_whole and self.report.get(KEY) == dict(settings)

    @property
    def is_whole(self) -> bool:
        """Whether the report is that of the segmentation, corrected since or not."""
        return bool(self.there and isinstance(self.report.get(KEY), dict)) and (
            self.there == self.report.get(WRITTEN) or self.there != self.report.get(REPLACED)
        )

    def results(self) -> dict[str, Any]:
        """What stands in the row of a whole result: of a corrected segmentation, its volumes as they are now."""
        if self.there == self.report.get(WRITTEN):
            return results_of(self.report)
        told = {"message": CORRECTED, "made_by": made_by(self.report)}
        try:
            labels, found = read_seg_nrrd(self.output)
        except VolumeError as error:
            return {**told, "message": f"{CORRECTED} Its volumes are not known: {error}"}
        ids = self.report[KEY].get("options", {}).get("structures", ())
        return {**told, "volumes_ml": volumes_ml(labels, [s for s in found if s.id in ids])}


def report_of(folder: Path, name: str) -> dict[str, Any]:
    """What was written about a case before; empty if nothing that can be read."""
    try:
        report = json.loads(files.read_limited(folder / f"{name}{REPORT}", LONGEST_TEXT).decode("utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def results_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a report stands in a row."""
    flags = tuple(f["message"] for f in report.get("flags", ()) if f.get("warns", True))
    return {"volumes_ml": report.get("volumes_ml", {}), "flags": flags, "made_by": made_by(report)}


def save(
    labels: Volume, structures: Sequence[Structure], report: Mapping[str, Any], before: Before, staged: Path, model: str
) -> None:
    """Put a segmentation and its report in place of those of before, by way of the folder `staged`. OSError.

    First the report: killed in between, it tells that the segmentation of before is no person's.
    """
    complete = staged / before.output.name
    write_seg_nrrd(labels, complete, structures, model)
    told = {**report, REPLACED: before.there, WRITTEN: _hash(complete)}
    _write(before.report_file, json.dumps(told, indent=2) + "\n", staged)
    files.replace(complete, before.output)


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
            lines = list(csv.reader(io.StringIO(files.read_limited(self.path, LONGEST_TEXT).decode("utf-8"))))
        except (OSError, ValueError, csv.Error):
            lines = []
        if not lines or lines[0][: len(FIRST)] != FIRST or lines[0][-len(LAST) :] != LAST:
            raise BatchError(
                f"{self.path} is no table of a batch and is not written over. Move it, or choose another folder."
            )
        return [dict(zip(lines[0], line, strict=False)) for line in lines[1:] if line]

    def save(self, rows: Sequence[Row], staged: Path, told: Sequence[Row] = ()) -> None:
        """told: rows of other processes, which stand where these wait, or have no such scan. OSError."""
        rows = self._joined([replace(row, source=sayable(row.source)) for row in rows], told)
        former = {(line["scan"], line.get("source")): line for line in self.former}
        lines = [former.get((row.name, row.source), _line(row)) if _says_nothing(row) else _line(row) for row in rows]
        lines += self._of_others(rows)
        # structures that only former results have stand after those of today
        more = [key for line in lines for key, text in line.items() if key.endswith(UNIT) and text]
        heading = [*FIRST, *dict.fromkeys([*self.volumes, *more]), MADE_BY, *LAST]
        text = io.StringIO()
        writer = csv.DictWriter(text, heading, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        _write(self.path, text.getvalue(), staged)

    @staticmethod
    def _joined(rows: Sequence[Row], told: Sequence[Row]) -> list[Row]:
        others = {(row.name, sayable(row.source)): replace(row, source=sayable(row.source)) for row in told}
        own = {(row.name, row.source): row for row in rows}
        known = [others.get(key, row) if row.state == WAITING else row for key, row in own.items()]
        return [*known, *(row for key, row in others.items() if key not in own)]

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


def _says_nothing(row: Row) -> bool:
    return row.state == WAITING and not row.message


def _line(row: Row) -> dict[str, str]:
    line = {
        "scan": row.name, "state": row.state, "look twice": " ".join(row.flags), "message": row.message,
        "source": row.source, "seconds": f"{row.seconds:.1f}", MADE_BY: row.made_by,
        **{f"{structure}{UNIT}": f"{ml:.2f}" for structure, ml in row.volumes_ml.items()},
    }  # fmt: skip
    return {key: sayable(text) for key, text in line.items()}


def _write(path: Path, text: str, staged: Path) -> None:
    """A UTF-8 text, complete or not at all, by way of the folder `staged`. OSError."""
    files.write_text(staged / path.name, text)
    files.replace(staged / path.name, path)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
