"""`sifa adapt`: scans of a site in, a model of its own out, or a sentence why not."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runs.help_texts import HELP_TEXTS
from ..support.errors import DataError, RequestError, RunError, SifaError
from ..support.files import absolute, expanded
from . import export as exporting
from .console import OK, OTHER, complain, say
from .shared import PLACES, add_command, check_device, find_model, said_as, store_of, tell_needs, writes_into
from .watch import Watch

if TYPE_CHECKING:
    from typing import Any

    from ..datasets.scans import Scan
    from ..models.store import ModelPackage, ModelStore
    from ..runs import Configuration, RunFolder

DESCRIPTION = """Adapt a model to a site's own scans, without labels: look, train, judge, and make a model of it.

One command for what check-data, train and export do one after the other. The scans are a folder, a JSON list or one
file; cines are taken apart into phases, and scans in which the model finds no heart are left out and named. Whether
the result is better is judged without labels, on the scans, against the model that it began with; only if it most
likely is, it becomes the model NAME. Otherwise a sentence says why not, and everything stays as it was.

It may be stopped at any time (Ctrl-C, `sifa runs stop`, even by pulling the plug); the same command goes on with it.
Nothing leaves this computer. Ten scans are a good number; fewer than five cannot tell much."""
LOOKED_AT = 3  # scans, to tell what kind they are of
METHODS = ("self-training", "sifa")
METHOD = (
    "sifa: learn by SIFA's translation and alignment, too, for scans that look unlike those of other scanners; about three "
    "times as long (default: %(default)s)"
)
BUDGET = "how long, on two cores: quick ten minutes, standard half an hour, thorough two hours (default: %(default)s)"


def add(commands: Any) -> None:
    helped = "adapt a model to your own scans, in one command"
    parser = add_command(commands, "adapt", run, helped, DESCRIPTION, of_store=True)
    parser.add_argument("target", metavar="SCANS", help="your scans: a folder, a JSON list, or a file")
    parser.add_argument("name", metavar="NAME", help="id of the new model, or id@version (default: version 1.0.0)")
    parser.add_argument("--start-model", metavar="ID", help="what is adapted: id or folder (default: the bundled one)")
    parser.add_argument("--method", choices=METHODS, default=METHODS[0], help=METHOD)
    parser.add_argument("--budget", choices=("quick", "standard", "thorough"), default="standard", help=BUDGET)
    parser.add_argument(
        "--source",
        metavar="PLACE",
        help="labelled images to learn from besides (default: what the model "
        "has learned from, of what comes with SIFA: phantom, or phantom+contours)",
    )
    parser.add_argument("--partial-labels", action="store_true", help=HELP_TEXTS["data.partial_labels"])
    parser.add_argument(
        "--exclude", metavar="SCAN", action="append", default=[], help="leave a scan out, like target:NAME"
    )
    parser.add_argument("--places", metavar="FILE", type=Path, help=PLACES)
    parser.add_argument(
        "--run", metavar="FOLDER", type=Path, dest="run_folder", help="of the training (default: runs/NAME)"
    )
    parser.add_argument("--iterations", type=int, metavar="N", help="instead of the budget's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="of the CPU (default: as many as there are)"
    )
    parser.add_argument("--title", metavar="TEXT", help="what people call the new model")
    parser.add_argument("--licence", metavar="TEXT", help="who may use it (default: that none is given)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


@dataclass(frozen=True)
class Request:
    """What is to be adapted where, and what is to come of it. begun: the run is there already."""

    path: Path
    configuration: Configuration
    begun: bool
    model: exporting.Request


def run(options: argparse.Namespace) -> int:
    from ..runs import RunFolder, create, loop

    request = check(options)
    with writes_into(request.path), said_as(RequestError, RunError):
        folder = RunFolder(request.path) if request.begun else create(request.path, request.configuration)
        if request.begun:
            with folder.held():
                folder.change(request.configuration)
    with Watch(folder, options.quiet), writes_into(folder.path):
        end = loop.run(folder.path)
    if end.error is not None:
        raise end.error
    if end.outcome != loop.FINISHED:
        complain(f"stopped; the same command goes on with it. What it has so far is in {folder.path}.")
        return OTHER
    return _made_a_model(folder, request, options)


def _made_a_model(folder: RunFolder, request: Request, options: argparse.Namespace) -> int:
    """The model, if it is better, and how it was judged. RunError, which says so, if not."""
    from ..runs import export

    with writes_into(request.model.store.user):
        package = export.export(
            folder,
            request.model.folder,
            request.model.model_id,
            version=request.model.version,
            name=options.title or "",
            licence=options.licence or export.LICENCE,
        )
    say(export.verdict(folder))
    say(f"{package.card.key} is now in {package.folder}. Try it: sifa segment SCAN --model {package.card.id}")
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for; every SifaError that can be known before anything is made."""
    from ..runs import RunFolder, preflight

    store = store_of(options.models_folder)
    model = exporting.free_name(store, options)
    path = options.run_folder or Path("runs") / model.model_id
    start = find_model(store, options.start_model)
    wanted = configuration(options, start, path)
    with writes_into(path):  # a folder that may not be looked into
        begun = RunFolder(path).run_file.exists()
    if begun:
        wanted = _same(RunFolder(path), wanted, bool(options.source))
    preflight.check(wanted)
    scans = _checked_scans(wanted)
    check_device(wanted.device, wanted.precision)
    if not begun:
        tell_needs(wanted, path)
        if not options.start_model:
            _tell_other_start(store, start, scans)
    return Request(path, wanted, begun, model)


def _checked_scans(wanted: Configuration) -> Sequence[Scan]:
    """The target's scans, none of phantoms. DataError for scans of which nothing could be told in the end."""
    from ..adaptation.verdict import FEWEST
    from ..datasets import PHANTOMS, sources

    data = wanted.data
    if data.target in PHANTOMS:
        return ()
    scans = sources.find(data.target, False, data.excluded("target"), cines=True).scans
    hearts = {scan.heart or (str(scan.image) if scan.moment else scan.name) for scan in scans}
    if len(hearts) < FEWEST:
        raise DataError(
            f"{data.target} holds scans of at most {len(hearts)} heart{'s' if len(hearts) > 1 else ''}; at least {FEWEST} "
            "are needed to tell whether a model became better."
        )
    return scans


def _tell_other_start(store: ModelStore, start: ModelPackage, scans: Sequence[Scan]) -> None:
    """Complain where scans like most of the first LOOKED_AT ones are drawn by another model, if none is named: what comes of
    the adaptation is compared with its start, and not with that."""
    from .. import imaging
    from ..inference import serving
    from ..models.choice import automatic

    models, served = automatic(store), []
    if models is None:
        return
    for scan in scans[:LOOKED_AT]:
        with suppress(SifaError, OSError):  # which the look at all scans tells
            served.append(models.stacks if scan.moment else serving(models, imaging.read(scan.image)))
    others = [package for package in served if package != start]
    if len(others) > len(served) / 2:
        key = others[0].card.key
        complain(
            f"look out: scans like these are drawn by {key} where no model is named, and this adapts {start.card.key}. To "
            f"adapt the other, and be compared with it, give --start-model {others[0].card.id}."
        )


def configuration(options: argparse.Namespace, start: ModelPackage, path: Path) -> Configuration:
    """Of the adaptation that the options mean. RequestError."""
    from ..datasets import PHANTOMS, places
    from ..runs import presets

    if options.iterations == 0:
        raise RequestError("--iterations 0 trains nothing; give 1 or more.")
    said = places.read(options.places) if options.places else places.Places()
    exclude = tuple(dict.fromkeys((*options.exclude, *said.left_out)))
    source, target = (
        place if not place or place in PHANTOMS else str(absolute(expanded(place)))
        for place in (options.source or "", options.target)
    )
    if options.partial_labels and (not source or source in PHANTOMS):
        raise RequestError("--partial-labels is about labelled scans of your own; name their folder with --source.")
    with said_as(RequestError, RunError):
        base = presets.within(options.budget, presets.adaptation(source, target, start.card))
    bundled = store_of(options.models_folder).is_bundled(start)
    more = {"iterations": options.iterations} if options.iterations is not None else {}
    with said_as(RequestError, RunError):
        data = dataclasses.replace(
            base.data, exclude=exclude, places=said.hearts, partial_labels=options.partial_labels
        )
        made = dataclasses.replace(
            base,
            data=data,
            name=absolute(path).name[:100],
            device=options.device,
            precision=options.precision,
            threads=options.threads,
            start_model=start.card.key if bundled else str(absolute(start.folder)),
            cache=str(absolute(path.parent / "cache")),
            **more,
        )
        return presets.translating(made) if options.method == "sifa" else made


def _named(value: object) -> str:
    """What a run was begun with, in a sentence."""
    return ", ".join(value) or "none" if isinstance(value, (dict, tuple)) else str(value or "none")


def _same(folder: RunFolder, wanted: Configuration, source_named: bool) -> Configuration:
    """The run's own configuration, if it is an adaptation to the same scans from the same model, and of the same source if
    one is named; of one that failed before its data were ready, what is wanted by now. RequestError."""
    from ..runs import control

    run = folder.read()
    own = run.configuration
    partial = wanted.data.partial_labels if source_named else own.data.partial_labels
    failed_early = not run.fingerprint and control.look(folder.path).state == "failed"
    for what, one, other in (
        ("scans", own.data.target, wanted.data.target),
        ("start model", own.start_model, wanted.start_model),
        ("source", own.data.source, wanted.data.source if source_named else own.data.source),
        ("--partial-labels", own.data.partial_labels, own.data.partial_labels if failed_early else partial),
        ("exclusions", own.data.exclude, own.data.exclude if failed_early else wanted.data.exclude),
        ("places of hearts", own.data.places, own.data.places if failed_early else wanted.data.places),
    ):
        if one != other:
            raise RequestError(
                f"{folder.path} is an adaptation with other {what} ({_named(one)}); name another folder with --run."
            )
    share = "segmenter_from"  # of the iterations
    one, other = ({k: v for k, v in vars(c.method).items() if k != share} for c in (own, wanted))
    if one != other:
        raise RequestError(f"{folder.path} is a training by another method; name another folder with --run.")
    if own.iterations != wanted.iterations:
        complain(f"{folder.path} goes on as it was begun, for {own.iterations} iterations.")
    data = dataclasses.replace(own.data, exclude=wanted.data.exclude, places=wanted.data.places, partial_labels=partial)
    return dataclasses.replace(own, data=data, device=wanted.device, precision=wanted.precision, threads=wanted.threads)
