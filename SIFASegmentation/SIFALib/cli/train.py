"""`sifa train` and `sifa runs`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import networks
from ..datasets import PHANTOMS, label_values
from ..runs import RunFolder, configuration, control, create, presets
from ..runs.status import ACTIVE, Status
from ..support.errors import DataError, InUse, ModelError, RunError
from ..support.messages import advised, sentence
from .console import BAD_INPUT, MODEL, OK, OTHER, USAGE, Failure, ProgressLine, complain, fails_as, say, table
from .places import writes_into
from .train_options import FLAGS, KEYS


def train(options: argparse.Namespace) -> int:
    folder = _folder(options)
    if options.create_only:
        say(str(folder.path))
        return OK
    from ..runs import loop

    with _Watch(folder, options.quiet), fails_as(BAD_INPUT, RunError), fails_as(OTHER, InUse), writes_into(folder.path):
        end = loop.run(folder.path)
    seen = control.look(folder.path).status
    if end.outcome == loop.FAILED:
        complain(sentence(end.error) if end.error else f"The run failed; {folder.log} says why.")
        return end.error.exit_code if end.error else OTHER
    if seen is not None and not options.quiet:
        go_on = "" if end.outcome == loop.FINISHED else f" Go on with: sifa train {folder.path}"
        say(f"{end.outcome.capitalize()} after iteration {seen.iteration} of {seen.iterations}.{go_on}")
    return OK


def _folder(options: argparse.Namespace) -> RunFolder:
    """The run that is meant, made or changed as the options say. Failure."""
    path = options.resume or options.run_folder
    if options.resume and options.run_folder and options.resume != options.run_folder:
        raise Failure(USAGE, "RUN and --resume name different folders; give one of them.")
    if path is not None and (RunFolder(path).run_file.exists() or options.resume):
        return _changed(RunFolder(path), options)
    with fails_as(USAGE, RunError, ValueError):
        new = _new_configuration(options)
    if path is None:
        path = Path("runs") / f"{new.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    new = _named(new, options, path.resolve().name[:100])
    _check(new, options)
    with fails_as(USAGE, RunError), writes_into(path):
        return create(path, new)


def _changed(folder: RunFolder, options: argparse.Namespace) -> RunFolder:
    """An existing run, with the values of the options; all of them, as long as its data were never ready. Failure."""
    with fails_as(BAD_INPUT, RunError):
        run = folder.read()
        status = control.look(folder.path).status
    before, anew = run.configuration, bool(options.preset or options.configuration)
    if anew and run.fingerprint:
        raise Failure(USAGE, f"{folder.path} exists; --preset and --configuration are for new runs.")
    with fails_as(USAGE, RunError, ValueError):
        if anew:
            after = _named(_new_configuration(options), options, before.name)
        else:
            after = configuration.changed(before, _values(options))
    done = max([0 if status is None else status.iteration, *folder.saved])  # the status may be damaged
    if 0 < after.iterations < done:
        said = f"{folder.path} has done {done} iterations already"
        raise Failure(USAGE, f"{said}; --iterations {after.iterations} would be fewer.")
    if configuration.differences(before, after) and not run.fingerprint:
        _check(after, options)
    else:
        _check_device(after, options)
    if after == before:
        return folder
    with writes_into(folder.path), fails_as(OTHER, RunError), folder.held(), fails_as(USAGE, RunError):
        folder.change(after)
    return folder


def _named(
    new: configuration.Configuration, options: argparse.Namespace, otherwise: str
) -> configuration.Configuration:
    """With the name that the options give it, else with that one."""
    return new if "name" in _values(options) else dataclasses.replace(new, name=otherwise)


def _check(new: configuration.Configuration, options: argparse.Namespace) -> None:
    """Find out before there is a folder what would stop the run at once: a corrected command must not be refused."""
    from ..runs import preflight

    with fails_as(BAD_INPUT, DataError), fails_as(MODEL, ModelError):
        preflight.check(new)
    _check_device(new, options)


def _check_device(settings: configuration.Configuration, options: argparse.Namespace) -> None:
    """Raise Failure for a device that is not there; what is only made may be for another computer, and needs no torch."""
    if options.create_only:
        return

    with fails_as(USAGE, ValueError):
        networks.choose_precision(settings.precision, networks.choose_device(settings.device))


def _new_configuration(options: argparse.Namespace) -> configuration.Configuration:
    values = _values(options)
    if options.configuration:
        if options.preset:
            raise RunError("Give --preset or --configuration, not both.")
        return configuration.changed(_settings_in(options.configuration), values)
    missing = [name for name in ("source", "target") if not values.get(f"data.{name}")]
    if missing and options.preset != presets.PRETRAINING:
        wanted = " and ".join(f"--{name}" for name in missing)
        raise RunError(f"A new run needs {wanted}; an existing one is given by its folder.")
    preset = presets.configuration(
        options.preset or "compact",
        values.get("data.source", ""),
        values.get("data.target", ""),
        values.get("data.source_normalisation"),
        values.get("data.target_normalisation"),
    )
    return configuration.changed(preset, values)


def _values(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say, by dotted key. RunError, DataError."""
    keys = [key for key, *_ in KEYS.values()] + [key for key, _ in FLAGS.values()]
    values = {key: vars(options)[key] for key in keys if vars(options)[key] is not None}
    for key in ("data.source", "data.target", "cache"):  # so that the run may be resumed from anywhere
        if values.get(key) and values[key] not in PHANTOMS:
            values[key] = str(Path(values[key]).resolve())
    if values.get("start_model") and Path(values["start_model"]).is_dir():
        values["start_model"] = str(Path(values["start_model"]).resolve())
    if options.label_values is not None:
        values["data.label_values"] = label_values.parse(options.label_values)
    if options.exclude:
        values["data.exclude"] = options.exclude
    for setting in options.settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RunError(f"--set {setting} says no value; write it like method.cycle_weight=5.")
        values[key.strip()] = _value(text.strip())
    if "method.classes" in values:
        values.setdefault("data.classes", values["method.classes"])
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _settings_in(path: Path) -> configuration.Configuration:
    """What a run.json says, or a configuration that stands alone. Failure."""
    with fails_as(BAD_INPUT, RunError, OSError), open(path, "rb") as file:
        text = file.read(configuration.MAX_BYTES + 1)
        if len(text) > configuration.MAX_BYTES or b"\0" in text:
            raise RunError(f"{path} is no configuration; give a run.json, or a text like it.")
        return configuration.read_settings(text, str(path))


class _Watch:
    """Shows the status of the run while the block lasts, and what the library warns of."""

    def __init__(self, folder: RunFolder, quiet: bool) -> None:
        self.folder, self.line, self.ended = folder, ProgressLine(quiet), threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)
        self.warnings = logging.StreamHandler()
        self.warnings.setFormatter(logging.Formatter("sifa: %(message)s"))
        self.warnings.addFilter(self._is_warning)

    def __enter__(self) -> _Watch:
        logging.getLogger("SIFALib").addHandler(self.warnings)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        self.line.end()
        logging.getLogger("SIFALib").removeHandler(self.warnings)

    def _is_warning(self, record: logging.LogRecord) -> bool:
        """Errors are said when the run has ended."""
        if record.levelno != logging.WARNING:
            return False
        self.line.end()
        return True

    def _show(self) -> None:
        while not self.ended.wait(1.0):
            status = control.look(self.folder.path).status
            if status is not None and status.state in ACTIVE:
                stage = status.message or f"Iteration {status.iteration} of {status.iterations}"
                self.line(stage, status.iteration / max(1, status.iterations), status.seconds_left)


def list_runs(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise Failure(BAD_INPUT, f"There is no folder {options.folder}; give the one that holds the runs.")
    rows = [(s.folder.path.name, s.state, *_columns(s.status)) for s in control.runs_in(options.folder)]
    heads = ("Run", "State", "Iteration", "s each", "Left", "Best score")
    say(table(heads, rows) if rows else f"There are no runs in {options.folder}.")
    return OK


def _columns(status: Status | None) -> tuple[str, str, str, str]:
    if status is None:
        return ("", "", "", "")
    each = "" if status.seconds_per_iteration is None else f"{status.seconds_per_iteration:.2f}"
    best = "" if status.best_score is None else f"{status.best_score:.3f} at {status.best_iteration}"
    return (f"{status.iteration} of {status.iterations or '?'}", each, _duration(status), best)


def _duration(status: Status) -> str:
    if status.seconds_left is None or status.state not in ACTIVE:
        return ""
    minutes = round(status.seconds_left / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def show_run(options: argparse.Namespace) -> int:
    seen = control.look(options.run_folder)
    if seen.error is not None or seen.run is None:
        raise Failure(BAD_INPUT, sentence(seen.error or RunError("It cannot be read.")))
    status = seen.status
    if options.json:
        fields = {} if status is None else dataclasses.asdict(status)
        say(json.dumps({**fields, "state": seen.state}, indent=2))
        return OK
    rows = [("Run", f"{seen.run.configuration.name}, {seen.folder.path}"), ("State", seen.state)]
    if status is not None:
        iteration, each, left, best = _columns(status)
        share = "" if status.loader_share is None else f"{status.loader_share:.1%} of the time"
        message = advised(status.message, status.advice, status.fields)
        rows += [("Message", message), ("Iteration", iteration), ("Seconds each", each), ("Left", left),
                 ("Waits for data", share), ("Best score", best),
                 ("Process", f"{status.pid} on {status.host}"), ("Heartbeat", status.heartbeat)]  # fmt: skip
    say("\n".join(f"{name:<16}{' '.join(text.split())}" for name, text in rows if text))
    return OK


def stop_run(options: argparse.Namespace) -> int:
    return _ask(options, control.stop, "is asked to stop; it saves first.")


def pause_run(options: argparse.Namespace) -> int:
    return _ask(options, control.pause, "is asked to pause; it saves first.")


def resume_run(options: argparse.Namespace) -> int:
    return _ask(options, control.resume, "goes on.")


def _ask(options: argparse.Namespace, what: Callable[[Path], None], answer: str) -> int:
    with fails_as(BAD_INPUT, RunError), writes_into(options.run_folder):
        what(options.run_folder)
    say(f"{options.run_folder} {answer}")
    return OK
