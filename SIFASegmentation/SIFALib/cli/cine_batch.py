"""`sifa batch --cine`: a folder of studies in, a folder of results for each out, and a table with a row for each.

A study that cannot be segmented is told in its row and holds up no other. Stopped, the same command goes on: a study whose
report is there, of the same files, model and options, is left as it is. The result of another study is never written over.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..support import files, schema
from ..support.errors import BatchError, OutputError, RecordError, SifaError, VolumeError
from ..support.messages import sayable, sentence
from . import cine
from .console import BAD_INPUT, OK, ProgressLine, say
from .shared import Segmenting, quiet_itk, said_as, segmenting, writes_into

log = logging.getLogger(__name__)

TABLE = "cine.csv"
LONGEST = 16 * 1024**2  # bytes of a table or a report of an earlier call
KEY = "batch"  # of a report: which study, model and options it is of
WAITING, DONE, KEPT, FAILED = "waiting", "done", "finished before", "failed"
FIRST, LAST = ("study", "state", "phases"), ("made by", "look twice", "message", "source", "seconds")
OTHERS = (
    "{} holds the result of another study, {}, and is not written over. Move it, rename this study, or choose another "
    "folder for the results."
)
ATRIUM = "LA volume at LV end-systole, biplane (ml)"  # where a study has views along the heart
COLUMNS = ("edv_ml", "esv_ml", "sv_ml", "ef_percent", "output_l_min", "mass_g")


@dataclass(frozen=True)
class Row:
    """What became of a study; report: as `sifa cine` writes it, if there is one."""

    name: str
    source: str
    state: str
    message: str = ""
    seconds: float = 0.0
    report: Mapping[str, Any] = field(default_factory=dict)


def run(options: argparse.Namespace) -> int:
    """OK if every study is done; BAD_INPUT if one could not be segmented, whose row says why."""
    quiet_itk(options.debug)
    options.stack, options.height, options.weight, options.sex = "", None, None, None
    studies = find(options.input)
    _check_table(options.output / TABLE)
    if options.table:
        return _merge(studies, options)
    by = segmenting(options)
    before = _results_in(options.output)
    rows: list[Row] = []
    for number, (name, path) in enumerate(studies, 1):
        row = _row(name, path, f"{number} of {len(studies)}, {name}", by, options)
        rows.append(row)
        _write(rows, before, options.output)
        if not options.quiet:
            say("  ".join(filter(None, (name, row.state, _told(row.report), row.message))))
    failed = sum(row.state == FAILED for row in rows)
    if not options.quiet:
        say(f"{len(rows) - failed} of {len(rows)} studies are done; see {options.output / TABLE}.")
    return BAD_INPUT if failed else OK


def _merge(studies: Sequence[tuple[str, Path]], options: argparse.Namespace) -> int:
    """OK, however many studies are done."""
    rows = [_row_of_result(name, path, options.output / name) for name, path in studies]
    _write(rows, _results_in(options.output), options.output)
    if not options.quiet:
        done = sum(row.state == KEPT for row in rows)
        say(f"{done} of {len(rows)} studies are done; see {options.output / TABLE}.")
    return OK


def _row_of_result(name: str, path: Path, folder: Path) -> Row:
    """Of a study by the report in the folder of its results, if that is of these files."""
    from ..imaging.study import fingerprint
    from ..inference.batch.results import CHANGED

    report, row = _report_of(folder), Row(name, str(path), WAITING)
    if not report:
        return row
    try:
        _check_ordinary(path)
        if _study_of(report) == fingerprint(path):
            return Row(name, str(path), KEPT, report=report)
    except (SifaError, OSError) as error:
        return Row(name, str(path), WAITING, sentence(error))
    return Row(name, str(path), WAITING, CHANGED if _is_of(report, path) else "")


def _results_in(output: Path) -> list[Row]:
    """Rows of the studies whose results a batch has put into the folder before."""
    with writes_into(output):
        output.mkdir(parents=True, exist_ok=True)
        found = [(folder.name, _report_of(folder)) for folder in sorted(output.iterdir()) if folder.is_dir()]
    return [Row(name, str(each["input"]["source"]), KEPT, report=each) for name, each in found if _study_of(each)]


def _write(rows: Sequence[Row], before: Sequence[Row], output: Path) -> None:
    """The table of the rows, and of results before them that still lie there: of other studies, or not reached yet."""
    done = {row.name for row in rows if row.state in (DONE, KEPT)}
    told = {(row.name, row.source) for row in rows}
    others = [row for row in before if row.name not in done and (row.name, row.source) not in told]
    with writes_into(output):
        files.write_text(output / TABLE, table([*rows, *others]))


def find(folder: Path) -> list[tuple[str, Path]]:
    """Name and place of each study: folders with DICOM in a folder, and its files of several volumes. BatchError."""
    from ..imaging.cine_files import NAMES
    from ..imaging.files import is_hidden
    from ..imaging.study import is_study
    from ..inference.batch.cases import file_names

    if not folder.is_dir():
        raise BatchError(f"There is no folder {folder}; give the one that holds your studies.")
    with said_as(BatchError, OSError):
        inside = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    found = [p for p in inside if (_may_be_study(p, is_study) if p.is_dir() else p.name.lower().endswith(NAMES))]
    if not found:
        raise BatchError(
            f"{folder} holds no studies: no folders with DICOM images in them, and no NIfTI or NRRD files. A single study "
            "is for `sifa cine`."
        )
    stems = [next((p.name[: -len(n)] for n in NAMES if p.name.lower().endswith(n)), p.name) for p in found]
    # the table and the reports may be read from anywhere
    return list(zip(file_names(stems), (Path(os.path.normpath(p.absolute())) for p in found), strict=True))


def _may_be_study(folder: Path, is_study: Callable[[Path], bool]) -> bool:
    """Whether a folder holds DICOM images; also if that cannot be told, which its row says."""
    try:
        return is_study(folder)
    except (SifaError, OSError):
        return True


def _check_ordinary(path: Path) -> None:
    """VolumeError for a pipe or a device, which may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise VolumeError(f"{path} is a pipe or a device and no file; give the folder of a study or a file.")


def _row(name: str, path: Path, told: str, by: Segmenting, options: argparse.Namespace) -> Row:
    """A study from the beginning to its row. OutputError where nothing can be written."""
    from ..imaging.study import fingerprint
    from ..inference import cine as inference
    from ..inference.batch.results import settings_of
    from ..models.choice import named
    from ..support.progress import Progress, drain

    began, folder = time.monotonic(), options.output / name
    try:
        _check_ordinary(path)
        known = {"study": fingerprint(path), **settings_of(named(by.models.stacks), by.options)}
        before = _report_of(folder)
        if before.get(KEY) == json.loads(json.dumps(known)):
            return Row(name, str(path), KEPT, report=before)
        if before and _study_of(before) != known["study"] and not _is_of(before, path):
            raise BatchError(OTHERS.format(folder, before["input"]["source"] or "it is not known which"))
        request = cine.request_of(path, folder, by, options)
        with ProgressLine(options.quiet) as show:
            steps = inference.segment_cine_steps(request.cine, *by.of_cines(), by.options)
            result = drain(steps, lambda step: show(Progress(f"{told}: {step.stage}", step.fraction)))
        with writes_into(folder):
            report, _ = cine.write(result, request, {KEY: known})
    except OutputError:
        raise
    except (SifaError, OSError, MemoryError) as error:  # their texts are sentences
        return Row(name, str(path), FAILED, sentence(error), round(time.monotonic() - began, 1))
    except Exception as error:  # a mistake of ours; the other studies are still to be segmented
        log.warning("%s failed", path, exc_info=error)
        what = f"Something went wrong with {path}: {sentence(error)}"
        return Row(name, str(path), FAILED, what, round(time.monotonic() - began, 1))
    return Row(name, str(path), DONE, "", round(time.monotonic() - began, 1), report)


def _report_of(folder: Path) -> dict[str, Any]:
    """The report of an earlier call; empty if there is none that can be read."""
    from ..inference.cine_report import KIND

    try:
        report = schema.parse(files.read_limited(folder / cine.JSON, LONGEST), str(folder / cine.JSON))
    except (OSError, RecordError):
        return {}
    return report if isinstance(report, dict) and report.get("kind") == KIND else {}


def _study_of(report: Mapping[str, Any]) -> str:
    """The fingerprint of the study of a batch's report; "" of another one."""
    return str((report.get(KEY) or {}).get("study", ""))


def _is_of(report: Mapping[str, Any], path: Path) -> bool:
    """Whether a report is of what lay at this path."""
    return os.path.normpath(Path(report["input"]["source"]).absolute()) == str(path)


def _check_table(path: Path) -> None:
    """BatchError if there is a file of the table's name that is none."""
    try:
        first = files.read_limited(path, LONGEST).decode("utf-8").partition("\n")[0]
    except (FileNotFoundError, NotADirectoryError):  # what is not a folder is told by who writes there
        return
    except (OSError, ValueError):
        first = ""
    if not first.startswith(",".join(FIRST)):
        raise BatchError(f"{path} is no table of a batch and is not written over. Move it, or choose another folder.")


def table(rows: Sequence[Row]) -> str:
    """CSV with a row for each study, and columns for every ventricle that was found in one; no mass where none is told."""
    from ..inference import cine as inference
    from ..inference.batch.results import made_by
    from ..inference.cine_report import NAMES, warnings_of

    ventricles = list(dict.fromkeys(v for row in rows for v in row.report.get("ventricles", {})))
    massless = {v for v, _, muscle in inference.VENTRICLES if not muscle}
    keys = [(v, key) for v in ventricles for key in COLUMNS if key != "mass_g" or v not in massless]
    columns = [(v, key, f"{v} {NAMES[key][0].lower()} ({NAMES[key][1]})") for v, key in keys]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    along = any(row.report.get("long_axis") for row in rows)
    writer.writerow([*FIRST, *(name for *_, name in columns), *([ATRIUM] if along else []), *LAST])
    for row in rows:
        report = row.report
        found = report.get("ventricles", {})
        numbers = [f"{found[v][key]:.2f}" if key in found.get(v, {}) else "" for v, key, _ in columns]
        if along:
            volume = ((report.get("long_axis") or {}).get("la_volume_ml") or {}).get("end_systole")
            numbers.append("" if volume is None else f"{volume:.1f}")
        phases = str(report["input"]["phases"]) if report else ""
        twice = " ".join(warnings_of(report)) if report else ""
        said = (made_by(report), twice, row.message, row.source, f"{row.seconds:.1f}")
        cells = (row.name, row.state, phases, *numbers, *said)
        writer.writerow([sayable(cell) for cell in cells])
    return text.getvalue()


def _told(report: Mapping[str, Any]) -> str:
    found = report.get("ventricles", {})
    return ", ".join(f"{v} EF {each['ef_percent']:.0f} %, EDV {each['edv_ml']:.0f} ml" for v, each in found.items())
