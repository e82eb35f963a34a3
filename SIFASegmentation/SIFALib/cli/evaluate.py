"""`sifa evaluate`: a model against scans with label maps."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support import files
from ..support.errors import DataError, OutputError, RequestError
from ..support.progress import drain
from .console import OK, ProgressLine, complain, say, table
from .shared import (
    LABEL_VALUES,
    MODEL,
    add_command,
    add_device,
    check_device,
    files_of_model,
    find_model,
    quiet_itk,
    said_as,
    store_of,
)

if TYPE_CHECKING:
    from ..inference.evaluation import Evaluation, Summary
    from ..models.card import ModelCard
    from ..support.progress import Steps

DESCRIPTION = """Segment scans that have label maps, and measure how well the two agree.

Dice and average symmetric surface distance, by scan and structure: of those that the model draws and a label map holds;
what is left out for that is named. The published protocol is that of the authors'
evaluate.py, on the .npz volumes that PnP-AdaNet released."""
STDOUT = Path("-")  # where --json and --csv write without a file name


def add(commands: Any) -> None:
    parser = add_command(commands, "evaluate", run, "measure a model on labelled scans", DESCRIPTION, of_store=True)
    parser.add_argument("--model", metavar="ID", help=MODEL)
    parser.add_argument("--images", metavar="PLACE", type=Path, required=True, help="folder of scans, or a file")
    parser.add_argument(
        "--labels", metavar="FOLDER", type=Path, help="folder of label maps (default: beside the scans, by name)"
    )
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help="leave this scan out")
    parser.add_argument(
        "--protocol", choices=("product", "published"), default="product", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--statistics", choices=("ct", "ct-old", "mr"), help="of the published protocol (default: as the model says)"
    )
    add_device(parser)
    for name in ("json", "csv"):
        text = f"every number as {name.upper()}, in a file or printed instead of the table"
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, nargs="?", const=STDOUT, help=text)
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked for, once everything that can be known before the work is known to be well.

    steps: the work. statistics: of the published protocol; "" for the product's own.
    """

    card: ModelCard
    steps: Steps[Evaluation]
    statistics: str


def run(options: argparse.Namespace) -> int:
    request = check(options)
    with ProgressLine(options.quiet) as show:
        found = drain(request.steps, show)
    _write(found, request, options)
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for; every SifaError but those of the work itself."""
    from .. import inference, networks
    from ..datasets import label_folder, label_values, sources
    from ..imaging.outputs import Output, check_outputs
    from ..inference import evaluation

    quiet_itk(options.debug)
    _check_protocol(options)
    mapping = label_values.parse(options.label_values or "")
    volumes, scans = [], []
    if options.protocol == "published":
        volumes = _npz_files(options.images)
    else:
        scans = label_folder.pairs(options.images, options.labels, tuple(options.exclude))
    listed = [*([options.images] if options.images.is_file() else []), *files_of_model(options.model)]
    outputs = [Output(f"--{n}", path, text=True) for n in ("json", "csv") if (path := getattr(options, n)) != STDOUT]
    check_outputs(outputs, [*listed, *volumes, *sources.files_of(scans)])
    check_device(options.device, options.precision)
    package = find_model(store_of(options.models_folder), options.model)
    card, segmenter = package.card, networks.load_segmenter(package)
    if options.protocol == "published":
        statistics = options.statistics or _statistics_of(card)
        return Request(card, evaluation.published(volumes, segmenter, card, statistics, options.device), statistics)
    wanted = inference.Options(device=options.device, precision=options.precision, modality=options.modality)
    return Request(card, evaluation.product(scans, segmenter, card, wanted, mapping), "")


def _check_protocol(options: argparse.Namespace) -> None:
    """RequestError for options that do not go together."""
    if options.json == STDOUT and options.csv == STDOUT:
        raise RequestError("--json and --csv cannot both be printed; give one of them a file.")
    if options.protocol != "published":
        if options.statistics:
            raise RequestError("--statistics belongs to --protocol published.")
        return
    if options.labels or options.label_values or options.exclude:
        raise RequestError("The published protocol reads labels from the .npz files; leave the other options out.")
    if (options.precision, options.modality) != ("auto", "auto"):
        own = "The published protocol computes in float32, with its own statistics"
        raise RequestError(f"{own}; leave --precision and --modality out.")


def _statistics_of(card: ModelCard) -> str:
    """The statistics that the card names; RequestError if it names none."""
    from ..inference.evaluation import STATISTICS
    from ..models.card import NORMALISATIONS

    for name, key in STATISTICS.items():
        if card.preprocessing.zscore_range == NORMALISATIONS[key]:
            return name
    raise RequestError(
        f"{card.key} does not say which statistics it was trained with; add --statistics ct, ct-old or mr."
    )


def _npz_files(place: Path) -> list[Path]:
    volumes = sorted(place.glob("*.npz")) if place.is_dir() else [place]
    if not volumes or not all(f.name.lower().endswith(".npz") for f in volumes):
        raise DataError(f"{place} holds no .npz volumes; the published protocol needs those of PnP-AdaNet.")
    return volumes


def _write(found: Evaluation, request: Request, options: argparse.Namespace) -> None:
    from ..inference import evaluation

    report = evaluation.report(found, request.card, options.protocol, request.statistics)
    printed = False
    for path, text in (
        (options.json, json.dumps(report, indent=2) + "\n"),
        (options.csv, evaluation.as_csv(found.cases)),
    ):
        if path == STDOUT:
            say(text.rstrip("\n"))
            printed = True
        elif path is not None:
            with said_as(OutputError, OSError):
                files.write_text(path, text)
    if not printed and not options.quiet:
        _print(found)
    for note in found.notes:
        complain(note)
    for case in found.cases:
        if case.note:
            complain(f"{case.name}: {case.note}")


def _print(found: Evaluation) -> None:
    """Percent as papers give it; the rule below the table."""
    from ..inference import evaluation

    summaries = evaluation.summarise(found.cases, [s.id for s in found.structures])
    heads = ("Structure", "Dice (%)", "ASSD (voxels)", "ASSD (mm)", "Scans", "ASSD undefined")
    rows = [(s.name, *_columns(summaries[s.id])) for s in found.structures]
    mean = evaluation.mean_of(summaries)
    rows.append(
        ("Mean", _number(100 * mean["dice"]), _number(mean["assd_voxels"]), _number(mean.get("assd_mm")), "", "")
    )
    say(table(heads, rows))
    say(f"{len(found.cases)} scan(s). {evaluation.RULE}")


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
