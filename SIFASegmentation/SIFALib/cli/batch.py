"""`sifa batch`: a folder of scans in, a folder of segmentations out."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import BatchError, OutputError
from ..support.progress import Progress, drain
from . import cine_batch
from .console import BAD_INPUT, OK, ProgressLine, say
from .shared import Segmenting, add_command, add_segmenting, quiet_itk, said_as, segmenting

if TYPE_CHECKING:
    from ..imaging import Volume
    from ..inference import Result
    from ..inference.batch.run import Case, Event, Row
    from ..support.progress import Steps

DESCRIPTION = """Segment the heart in every scan of a folder.

FOLDER and the folders in it hold NIfTI, NRRD or MetaImage files, or DICOM series, each in a folder of its own.
OUT gets NAME.seg.nrrd and NAME.sifa.json (the report) of each scan, and volumes.csv with a row for each.
With --cine each folder in FOLDER is a study with a cine, and so is each file of several volumes: OUT gets a folder for each,
as `sifa cine` writes it, and cine.csv with a row for each.
What is done already is left as it is: stopped, the same command goes on. Nor is a result written over that is
another scan's of the same name. A scan that cannot be segmented is told in its row, and the others are done.

Any number of these commands, also on several computers that share the folders, work together: each scan is done by one
of them, and by another if that one is killed. All of them write the table, of everything that is done so far."""


def add(commands: Any) -> None:
    parser = add_command(
        commands, "batch", run, "segment the heart in every scan of a folder", DESCRIPTION, of_store=True
    )
    parser.set_defaults(goes_on=True)
    parser.add_argument("input", metavar="FOLDER", type=Path, help="of the scans, or with --cine of the studies")
    parser.add_argument("output", metavar="OUT", type=Path, help="made if it is missing")
    parser.add_argument("--cine", action="store_true", help="of cines: volumes and ejection fraction of each study")
    add_segmenting(parser)
    only = "segment nothing; write the table from the results that lie in OUT by now, whoever works there"
    parser.add_argument("--table", action="store_true", help=only)
    parser.add_argument("--quiet", action="store_true", help="no progress and no rows")


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked for, once everything that can be known before the work is known to be well."""

    cases: list[Case]
    folder: Path
    by: Segmenting

    def segment(self, scan: Volume) -> Steps[Result]:
        from ..inference import segment_steps

        return segment_steps(scan, *self.by.serving(scan), self.by.options)


def run(options: argparse.Namespace) -> int:
    """OK if every scan is done; BAD_INPUT if one could not be segmented, whose row says why."""
    from ..inference.batch import run as batch

    if options.cine:
        return cine_batch.run(options)
    if options.table:
        return _merge(options)
    request = check(options)
    steps = batch.run(request.cases, request.folder, request.segment, request.by.models, request.by.options)
    with said_as(OutputError, BatchError), ProgressLine(options.quiet) as line:
        rows = drain(steps, lambda event: _tell(event, line))
    failed = [row for row in rows if row.state == batch.FAILED]
    if not options.quiet:
        say(f"{len(rows) - len(failed)} of {len(rows)} scans are done; see {request.folder / batch.TABLE}.")
    return BAD_INPUT if failed else OK


def _merge(options: argparse.Namespace) -> int:
    """OK, however many scans are done."""
    from ..inference.batch import run as batch

    quiet_itk(options.debug)
    cases = batch.find_cases(options.input)
    with said_as(OutputError, BatchError):
        folder = batch.prepare_folder(options.output)
        rows = batch.merge(cases, folder)
    if not options.quiet:
        done = sum(row.state == batch.KEPT for row in rows)
        say(f"{done} of {len(rows)} scans are done; see {folder / batch.TABLE}.")
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for, with the folder of the results made; every SifaError but those of the work."""
    from ..inference.batch import run as batch

    quiet_itk(options.debug)
    by = segmenting(options)
    cases = batch.find_cases(options.input)
    with said_as(OutputError, BatchError):
        return Request(cases, batch.prepare_folder(options.output), by)


def _tell(event: Event, line: ProgressLine) -> None:
    """A scan's row as soon as it is known, and progress until then."""
    from ..inference.batch.run import WAITING, WORKING

    row = event.row
    if row.state in (WAITING, WORKING):
        line(Progress(f"{row.name}: {event.stage}", event.fraction, event.seconds_left))
        return
    line.end()
    if not line.quiet:
        say("  ".join(filter(None, (row.name, row.state, _volumes(row), row.message))))


def _volumes(row: Row) -> str:
    return ", ".join(f"{i} {ml:.1f} ml" for i, ml in row.volumes_ml.items())
