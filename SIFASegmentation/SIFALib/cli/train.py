"""`sifa train`: options become the configuration of a run, which is made, changed or gone on with."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..adaptation.method import PRESETS
from ..runs.help_texts import HELP_TEXTS
from ..support.errors import RequestError, RunError
from ..support.files import absolute, expanded, read_limited
from ..support.messages import sentence
from .console import OK, OTHER, complain, say
from .shared import PLACES, add_command, check_device, said_as, tell_needs, writes_into
from .watch import Watch

if TYPE_CHECKING:
    from ..runs import Configuration, RunFolder

DESCRIPTION = """Adapt a segmenter to unlabelled scans: start a training, or go on with one.

RUN is a folder that holds everything about the training; it may be stopped at any time (Ctrl-C, `sifa runs stop`,
even by pulling the plug), and `sifa train RUN` goes on with it as if nothing had happened.
A new run needs --source (images with label maps) and --target (images). With an existing run, the options change
what may change on the way: iterations, device, precision, threads and how often something is saved.
Several processes: torchrun --nproc-per-node N -m SIFALib.runs RUN (make RUN with --create-only first).

The presets tmi2020 and aaai2019 train as the papers did: slices of 256 pixels without augmentation, batches of 8,
20,000 iterations (tmi2020) or 20 epochs of the larger domain (aaai2019; counted when the data are prepared). Of the
authors' own files (.tfrecords, .npz) they scale grey values by the statistics of MR or CT, which the names of the files,
or else of their folder, must tell by the word mr or ct (--source-normalisation and --target-normalisation say it too).
The preset adaptation is what `sifa adapt` does: a start model learns on from phantoms, and by itself from the target.
The preset pretraining makes a model from nothing, as the bundled one is made: of random slices of phantoms, without
--target; the labelled scans of a --source make up half of every batch, and what they do not label may be anything.
--phantoms 60 or --set phantom_slices.randomisation.artefacts=0 vary it."""

TEXTS = {
    "data.source": "PLACE", "data.target": "PLACE", "start_model": "MODEL", "name": "NAME",
    "data.source_normalisation": "NAME", "data.target_normalisation": "NAME", "method.objective": "NAME",
    "method.schedule": "NAME", "device": "NAME", "precision": "NAME", "cache": "FOLDER",
}  # fmt: skip
"""Dotted key of the configuration -> what stands for the value in the help; the option is called like the last word."""
NUMBERS = (
    "iterations", "batch", "accumulate", "data.size", "method.width", "data.phantoms", "seed", "threads", "workers",
    "save_every", "judge_every", "preview_every", "keep_checkpoints",
)  # fmt: skip
FLAGS = ("compile", "tensorboard", "data.target_labels", "data.partial_labels")
KEYS = (*TEXTS, *NUMBERS, *FLAGS)
LABEL_VALUES = "values in label maps: mmwhs, acdc, mms, or like 500=3,600=0 (default: 0, 1, 2 ...)"
SETTINGS = "any other setting of run.json, like method.cycle_weight=5; may be repeated"


def add(commands: Any) -> None:
    parser = add_command(commands, "train", run, "adapt a model to unlabelled scans", DESCRIPTION)
    parser.add_argument(
        "run_folder", metavar="RUN", nargs="?", type=Path, help="folder of the run (new: a name by date)"
    )
    parser.add_argument("--resume", metavar="RUN", type=Path, help="the same as RUN, which must exist")
    parser.add_argument(
        "--preset",
        choices=(*PRESETS, "adaptation", "pretraining"),
        help="where a new run's settings come from (default: compact)",
    )
    parser.add_argument("--configuration", metavar="FILE", type=Path, help="a run.json to take settings from")
    settings = [parser.add_argument(_option(key), dest=key, metavar=metavar) for key, metavar in TEXTS.items()]
    settings += [parser.add_argument(_option(key), dest=key, type=int, metavar="N") for key in NUMBERS]
    settings += [parser.add_argument(_option(key), dest=key, action="store_const", const=True) for key in FLAGS]
    parser.before_help = lambda: _explain(settings)
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--exclude", metavar="SCAN", action="append", help="leave a scan out; may be repeated")
    parser.add_argument("--places", metavar="FILE", type=Path, help=PLACES)
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings", help=SETTINGS)
    parser.add_argument("--create-only", action="store_true", help="make the run folder and do not train")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _option(key: str) -> str:
    return f"--{key.rpartition('.')[2].replace('_', '-')}"


def _explain(settings: Sequence[argparse.Action]) -> None:
    """Say of each what it means, and its range where that is one of numbers."""
    from ..adaptation.method import Method
    from ..datasets import DataSettings
    from ..runs import Configuration
    from ..support.limits import Range, limits

    known = {"": limits(Configuration), "data": limits(DataSettings), "method": limits(Method)}
    for setting in settings:
        room, _, name = setting.dest.rpartition(".")
        limit = known[room].get(name)
        setting.help = HELP_TEXTS[setting.dest] + (f"; {limit.rule}" if isinstance(limit, Range) else "")


@dataclass(frozen=True)
class Request:
    """The folder of a run and what is to be computed in it. before: what that was; None: there is no run yet."""

    path: Path
    configuration: Configuration
    before: Configuration | None


def run(options: argparse.Namespace) -> int:
    folder = _made(check(options))
    if options.create_only:
        say(str(folder.path))
        return OK
    from ..runs import control, export, loop

    with Watch(folder, options.quiet), writes_into(folder.path):
        end = loop.run(folder.path)
    seen = control.look(folder.path).status
    if end.outcome == loop.FAILED:
        complain(sentence(end.error) if end.error else f"The run failed; {folder.log} says why.")
        return end.error.exit_code if end.error else OTHER
    if seen is not None and not options.quiet:
        go_on = "" if end.outcome == loop.FINISHED else f" Go on with: sifa train {folder.path}"
        if end.outcome == loop.FINISHED and (said := export.verdict_if_any(folder)):
            say(said)
        say(f"{end.outcome.capitalize()} after iteration {seen.iteration} of {seen.iterations}.{go_on}")
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for; every SifaError that can be known before anything is made or changed."""
    from ..runs import RunFolder, preflight

    path = options.resume or options.run_folder
    if options.resume and options.run_folder and options.resume != options.run_folder:
        raise RequestError("RUN and --resume name different folders; give one of them.")
    values = _values(options)
    there = False
    if path is not None:
        with writes_into(path):  # a folder that may not be looked into
            there = RunFolder(path).run_file.exists()
    if path is not None and (there or options.resume):
        return _check_existing(RunFolder(path), options, values)
    new = _new_configuration(options, values)
    if path is None:
        path = Path("runs") / f"{new.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    if "name" not in values:
        new = dataclasses.replace(new, name=absolute(path).name[:100])
    preflight.check(new)  # else a corrected command would find a folder in its way
    _check_device(new, options)
    if not options.create_only:
        tell_needs(new, path)
    return Request(path, new, None)


def _check_existing(folder: RunFolder, options: argparse.Namespace, values: dict[str, Any]) -> Request:
    """A run with the values of the options; with all of them, as long as its data were never ready."""
    from ..runs import configuration, control, preflight

    run, status = folder.read(), control.look(folder.path).status
    before = run.configuration
    if options.preset or options.configuration:
        if run.fingerprint:
            raise RequestError(f"{folder.path} exists; --preset and --configuration are for new runs.")
        after = _new_configuration(options, {"name": before.name, **values})
    else:
        after = _changed(before, values)
    done = max([0 if status is None else status.iteration, *folder.saved])  # the status may be damaged
    if 0 < after.iterations < done:
        said = f"{folder.path} has done {done} iterations already"
        raise RequestError(f"{said}; --iterations {after.iterations} would be fewer.")
    if configuration.differences(before, after) and not run.fingerprint:
        preflight.check(after)
    _check_device(after, options)
    return Request(folder.path, after, before)


def _check_device(settings: Configuration, options: argparse.Namespace) -> None:
    """What is only made may be for another computer, and needs no torch."""
    if not options.create_only:
        check_device(settings.device, settings.precision)


def _made(request: Request) -> RunFolder:
    """The run's folder, made or changed. SifaError."""
    from ..runs import RunFolder, create

    with writes_into(request.path):
        if request.before is None:
            with said_as(RequestError, RunError):
                return create(request.path, request.configuration)
        folder = RunFolder(request.path)
        if request.configuration != request.before:
            with folder.held(), said_as(RequestError, RunError):
                folder.change(request.configuration)
    return folder


def _new_configuration(options: argparse.Namespace, values: dict[str, Any]) -> Configuration:
    from ..runs import presets

    if options.configuration:
        if options.preset:
            raise RequestError("Give --preset or --configuration, not both.")
        return _changed(_settings_in(options.configuration), values)
    missing = [name for name in ("source", "target") if not values.get(f"data.{name}")]
    if missing and options.preset != presets.PRETRAINING:
        wanted = " and ".join(f"--{name}" for name in missing)
        raise RequestError(f"A new run needs {wanted}; an existing one is given by its folder.")
    with said_as(RequestError, RunError):
        preset = presets.configuration(
            options.preset or "compact",
            values.get("data.source", ""),
            values.get("data.target", ""),
            values.get("data.source_normalisation"),
            values.get("data.target_normalisation"),
        )
    if options.preset == presets.ADAPTATION and not values.get("start_model"):
        raise RequestError("The preset adaptation adapts a model; name it with --start-model.")
    return _changed(preset, _of_start_model(values, options.preset == presets.ADAPTATION) | values)


def _of_start_model(values: dict[str, Any], grid: bool) -> dict[str, Any]:
    """Variant, width and classes of the start model, if one is named, and its preprocessing (`grid`): what nobody said
    otherwise. ModelError."""
    from ..runs import preflight

    if not values.get("start_model"):
        return {}
    card = preflight.model_named(values["start_model"]).card
    network = card.architecture
    found = {f"method.{name}": getattr(network, name) for name in ("variant", "width", "classes")}
    if grid:
        found["data.preprocessing"] = json.loads(
            json.dumps(dataclasses.asdict(card.preprocessing))
        )  # no tuples in JSON
    return found | {"data.classes": values.get("method.classes", network.classes)}


def _changed(before: Configuration, values: dict[str, Any]) -> Configuration:
    """With other values, by dotted key; of random slices, the number of phantoms is that which they are of. RequestError."""
    from ..runs import configuration

    if before.phantom_slices is not None and "data.phantoms" in values:
        values = {"phantom_slices.anatomies": values["data.phantoms"], **values}
        del values["data.phantoms"]
    with said_as(RequestError, RunError):
        return configuration.changed(before, values)


def _values(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say, by dotted key. RequestError."""
    from ..datasets import PHANTOMS, label_values, places

    values = {key: vars(options)[key] for key in KEYS if vars(options)[key] is not None}
    for key in ("data.source", "data.target", "cache"):  # so that the run may be resumed from anywhere
        if values.get(key) and values[key] not in PHANTOMS:
            values[key] = str(absolute(expanded(values[key])))
    if values.get("start_model") and Path(values["start_model"]).is_dir():
        values["start_model"] = str(absolute(values["start_model"]))
    if options.label_values is not None:
        values["data.label_values"] = label_values.parse(options.label_values)
    if options.exclude:
        values["data.exclude"] = options.exclude
    if options.places:
        said = places.read(options.places)
        values["data.places"] = places.records(said.hearts)
        values["data.exclude"] = [*dict.fromkeys((*(options.exclude or ()), *said.left_out))]
    for setting in options.settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RequestError(f"--set {setting} says no value; write it like method.cycle_weight=5.")
        values[key.strip()] = _value(text.strip())
    if "method.classes" in values:
        values.setdefault("data.classes", values["method.classes"])
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _settings_in(path: Path) -> Configuration:
    """What a run.json says, or a configuration that stands alone. RunError."""
    from ..runs import configuration

    with said_as(RunError, OSError):
        text = read_limited(path, configuration.MAX_BYTES)
    if len(text) > configuration.MAX_BYTES or b"\0" in text:
        raise RunError(f"{path} is no configuration; give a run.json, or a text like it.")
    return configuration.read_settings(text, str(path))
