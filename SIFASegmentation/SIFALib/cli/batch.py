"""`sifa batch`: a folder of scans in, a folder of segmentations out."""

from __future__ import annotations

import argparse
from collections.abc import Generator

from ..imaging.geometry import Volume
from ..inference import segmentation
from ..inference.batch import run as batch
from ..networks import devices, loading
from ..support.errors import BatchError, ModelError
from .console import (
    BAD_INPUT,
    MODEL,
    OK,
    OUTPUT,
    USAGE,
    Failure,
    ProgressLine,
    fails_as,
    find_model,
    quiet_itk,
    say,
    store_of,
)
from .segment import parse_structures


def run(options: argparse.Namespace) -> int:
    """OK if every scan is done; BAD_INPUT if one could not be segmented, whose row says why."""
    quiet_itk(options.debug)
    package = find_model(store_of(options.models_folder), options.model)
    structures = parse_structures(options.structures, package)
    with fails_as(USAGE, ValueError):
        devices.choose_precision(options.precision, devices.choose_device(options.device))
    with fails_as(BAD_INPUT, BatchError):
        cases = batch.find_cases(options.input)
    with fails_as(OUTPUT, BatchError):
        folder = batch.prepare_folder(options.output)
    with fails_as(MODEL, ModelError):
        segmenter = loading.load_segmenter(package)
    wanted = segmentation.Options(
        device=options.device,
        precision=options.precision,
        structures=tuple(s.id for s in structures) if options.structures else None,
        modality=options.modality,
        views=options.views,
    )

    def segment(scan: Volume) -> Generator[segmentation.Progress, None, segmentation.Result]:
        return segmentation.segment_steps(scan, segmenter, package.card, wanted)

    rows = _followed(batch.run(cases, folder, segment, package.card, wanted), options.quiet)
    failed = [row for row in rows if row.state == batch.FAILED]
    if not options.quiet:
        say(f"{len(rows) - len(failed)} of {len(rows)} scans are done; see {folder / batch.TABLE}.")
    return BAD_INPUT if failed else OK


def _followed(steps: Generator[batch.Event, None, list[batch.Row]], quiet: bool) -> list[batch.Row]:
    """The rows; each is told as soon as it is known, and progress between them."""
    line = ProgressLine(quiet)
    try:
        while True:
            event = next(steps)
            row = event.row
            if row.state == batch.WORKING:
                line(f"{row.name}: {event.stage}", event.fraction, event.seconds_left)
                continue
            line.end()
            if not quiet:
                say("  ".join(filter(None, (row.name, row.state, _volumes(row), row.message))))
    except StopIteration as end:
        return end.value
    except BatchError as error:
        raise Failure(OUTPUT, str(error)) from error
    finally:
        line.end()


def _volumes(row: batch.Row) -> str:
    return ", ".join(f"{i} {ml:.1f} ml" for i, ml in row.volumes_ml.items())
