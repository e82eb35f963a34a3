"""`sifa evaluate`: a model against scans with label maps."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Generator, Sequence
from pathlib import Path

from ..datasets import label_values, sources
from ..inference import Options, evaluation
from ..inference.evaluation import Case, Summary
from ..models.card import ModelCard
from ..networks import devices, loading
from ..support.errors import DataError, ModelError, VolumeError
from ..support.progress import Progress
from .console import (
    BAD_INPUT,
    MODEL,
    OK,
    OTHER,
    OUTPUT,
    USAGE,
    Failure,
    ProgressLine,
    check_outputs,
    complain,
    fails_as,
    find_model,
    quiet_itk,
    say,
    store_of,
    table,
    write_text,
)

STDOUT = Path("-")  # where --json and --csv write without a file name
CSV_HEADS = ("scan", "structure", "dice", "assd_voxels", "assd_mm", "note")


def run(options: argparse.Namespace) -> int:
    quiet_itk(options.debug)
    _check(options)
    package = find_model(store_of(options.models_folder), options.model)
    card = package.card
    with fails_as(MODEL, ModelError):
        segmenter = loading.load_segmenter(package)
    statistics = ""
    if options.protocol == "published":
        statistics = options.statistics or _statistics_of(card)
        with fails_as(BAD_INPUT, DataError):
            files = _npz_files(options.images)
        _check_outputs(options, files)
        steps = evaluation.published(files, segmenter, card, statistics, options.device)
    else:
        with fails_as(USAGE, ValueError):
            mapping = label_values.parse(options.label_values) if options.label_values else {}
        with fails_as(BAD_INPUT, DataError):
            found = evaluation.pairs(options.images, options.labels, tuple(options.exclude))
        listed = [options.images] if options.images.is_file() else []
        _check_outputs(options, [*listed, *sources.files_of(found)])
        settings = Options(device=options.device, precision=options.precision, modality=options.modality)
        steps = evaluation.product(found, segmenter, card, settings, mapping)
    cases = _run(steps, options)
    _write(cases, card, statistics, options)
    return OK


def _check(options: argparse.Namespace) -> None:
    """Find out before the work what cannot be. Failure."""

    _check_outputs(options, [])
    if options.json == STDOUT and options.csv == STDOUT:
        raise Failure(USAGE, "--json and --csv cannot both be printed; give one of them a file.")
    with fails_as(USAGE, ValueError):
        devices.choose_precision(options.precision, devices.choose_device(options.device))
    if options.protocol == "published" and (options.labels or options.label_values or options.exclude):
        raise Failure(USAGE, "The published protocol reads labels from the .npz files; leave the other options out.")
    if options.protocol == "published" and (options.precision, options.modality) != ("auto", "auto"):
        raise Failure(
            USAGE,
            "The published protocol computes in float32, with its own statistics; leave --precision and --modality out.",
        )
    if options.protocol != "published" and options.statistics:
        raise Failure(USAGE, "--statistics belongs to --protocol published.")


def _check_outputs(options: argparse.Namespace, inputs: Sequence[Path]) -> None:
    """Failure if an output cannot be written, or would be written over one of the inputs."""
    outputs = {"--json": options.json, "--csv": options.csv}
    check_outputs({name: path for name, path in outputs.items() if path != STDOUT}, *inputs)


def _statistics_of(card: ModelCard) -> str:
    """The statistics that the card names; Failure if it names none."""
    from ..models.card import NORMALISATIONS

    for name, key in evaluation.STATISTICS.items():
        if card.preprocessing.zscore_range == NORMALISATIONS[key]:
            return name
    raise Failure(
        USAGE, f"{card.key} does not say which statistics it was trained with; add --statistics ct, ct-old or mr."
    )


def _npz_files(place: Path) -> list[Path]:
    files = sorted(place.glob("*.npz")) if place.is_dir() else [place]
    if not files or not all(f.name.lower().endswith(".npz") for f in files):
        raise DataError(f"{place} holds no .npz volumes; the published protocol needs those of PnP-AdaNet.")
    return files


def _run(steps: Generator[Progress, None, list[Case]], options: argparse.Namespace) -> list[Case]:
    from ..support.errors import OutOfMemory

    line = ProgressLine(options.quiet)
    try:
        with fails_as(BAD_INPUT, DataError, VolumeError), fails_as(OTHER, MemoryError, OutOfMemory):
            while True:
                try:
                    progress = next(steps)
                except StopIteration as end:
                    return end.value
                line(progress.stage, progress.fraction, progress.seconds_left)
    finally:
        line.end()


def _write(cases: list[Case], card: ModelCard, statistics: str, options: argparse.Namespace) -> None:
    texts = {
        "json": json.dumps(evaluation.report(cases, card, options.protocol, statistics), indent=2),
        "csv": _csv(cases),
    }
    printed = False
    for name, text in texts.items():
        path = getattr(options, name)
        if path == STDOUT:
            say(text.rstrip("\n"))
            printed = True
        elif path is not None:
            with fails_as(OUTPUT, OSError):
                write_text(text.rstrip("\n") + "\n", path)
    if not printed and not options.quiet:
        _print(cases, card)
    for case in cases:
        if case.note:
            complain(f"{case.name}: {case.note}")


def _csv(cases: list[Case]) -> str:
    """A row for each scan and structure; what could not be measured is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_HEADS)
    for case in cases:
        for structure in case.dice:
            values = (case.dice, case.assd_voxels, case.assd_mm)
            numbers = [v.get(structure, math.nan) for v in values]
            written = [f"{n:.5f}" if math.isfinite(n) else "" for n in numbers]
            writer.writerow((case.name, structure, *written, case.note))
    return file.getvalue()


def _print(cases: list[Case], card: ModelCard) -> None:
    """Percent as papers give it; the rule below the table."""
    summaries = evaluation.summarise(cases, [s.id for s in card.labels])
    heads = ("Structure", "Dice (%)", "ASSD (voxels)", "ASSD (mm)", "Scans", "ASSD undefined")
    rows = [(s.name, *_columns(summaries[s.id])) for s in card.labels]
    mean = evaluation.mean_of(summaries)
    rows.append(
        ("Mean", _number(100 * mean["dice"]), _number(mean["assd_voxels"]), _number(mean.get("assd_mm")), "", "")
    )
    say(table(heads, rows))
    say(f"{len(cases)} scan(s). {evaluation.RULE}")


def _columns(summary: Summary) -> tuple[str, ...]:
    dice, std = summary.dice
    pairs = [(100 * dice, 100 * std), summary.assd_voxels, summary.assd_mm or (math.nan, math.nan)]
    return (
        *(f"{_number(mean)} ± {_number(spread)}" if math.isfinite(mean) else "-" for mean, spread in pairs),
        str(summary.scans),
        str(summary.missed),
    )


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.1f}"
