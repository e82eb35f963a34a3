"""What the commands of `sifa` share: exit codes, failures as sentences, outputs, models by name, text."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..imaging import files
from ..models.structures import Structure
from ..support.errors import ModelError
from ..support.messages import reason, sayable, sentence

if TYPE_CHECKING:
    from ..models.store import ModelPackage, ModelStore

OK, OTHER, USAGE, BAD_INPUT, MODEL, NO_HEART, OUTPUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

TEXTS = ("--json", "--csv", "--report")  # outputs that are no images


class Failure(Exception):
    """A foreseen failure: the sentence for the user and the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@contextmanager
def fails_as(code: int, *kinds: type[BaseException]) -> Iterator[None]:
    """Turn errors of these kinds into a Failure with that exit code."""
    try:
        yield
    except kinds as error:
        raise Failure(code, sentence(error)) from error


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    sys.stderr.write(f"sifa: {text}\n")


def check_outputs(outputs: Mapping[str, Path | None], *inputs: Path) -> None:
    """Find out before the work, not after it, that an output cannot be written. Failure.

    outputs: what the command line calls it -> file. inputs: files and DICOM folders, which are never written over, nor
    is any file that they are made of.
    """
    seen: dict[str, str] = {}
    for name, path in outputs.items():
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in seen:
            raise Failure(USAGE, f"{name} and {seen[place]} are the same file, {path}; choose another name.")
        seen[place] = name
        keep_inputs(name, path, inputs)
        if path.is_dir():
            raise Failure(OUTPUT, f"{path} is a folder; give a file name in it.")
        if not path.parent.is_dir():
            raise Failure(OUTPUT, f"The folder {path.parent} does not exist; make it first.")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise Failure(
                OUTPUT, f"The folder {path.parent} cannot be written to ({reason(error)}). Choose another one."
            ) from error


def keep_inputs(name: str, path: Path, inputs: Iterable[Path]) -> None:
    """Failure if the output would take the place of an input, of a part of one, or, being text, of any scan."""
    for source in inputs:
        if files.is_part(source, path):
            what = "the input" if files.same(path, source) else f"a file of the input {source}"
            raise Failure(USAGE, f"{name} {path} is {what}, which is never written over; choose another name.")
    if name in TEXTS and files.is_scan(path):
        raise Failure(USAGE, f"{name} {path} is a scan that is there already; choose another name.")


def write_text(text: str, path: Path) -> None:
    """Write a text file; it appears complete or not at all. Raises OSError."""
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(sayable(text))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def quiet_itk(debug: bool) -> None:
    """Keep ITK from warning on stderr: what matters is raised, and said in a sentence."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(debug)


def store_of(folder: str | None) -> ModelStore:
    from ..models import store as models

    return models.default_store(folder)


def find_model(store: ModelStore, name: str | None) -> ModelPackage:
    """The model with that id or id@version, the one in that folder, or the default. Failure if none."""
    from ..models import store as models

    with fails_as(MODEL, ModelError):
        if not name:
            return store.default()
        return models.read_package(name) if Path(name).is_dir() else store.get(name)


def volumes_table(volumes_ml: Mapping[str, float], structures: Sequence[Structure]) -> str:
    """Name and millilitres of each structure that has a volume."""
    rows = [(s.name, f"{volumes_ml[s.id]:.1f}") for s in structures if s.id in volumes_ml]
    return table(("Structure", "Volume (ml)"), rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest text; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in (heads, *rows))
    return "\n".join("  ".join(text.ljust(width) for text, width in line).rstrip() for line in lines)


class ProgressLine:
    """Stage, percent and time left: one line of a terminal, written over; elsewhere a line for each stage."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.stage = ""
        self.width = 0

    def __call__(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        if self.quiet:
            return
        left = "" if seconds_left is None else f", {_duration(seconds_left)} left"
        text = f"{stage}: {100 * fraction:3.0f} %{left}"
        if self.terminal:
            sys.stderr.write("\r" + text.ljust(self.width))
            self.width = len(text)
        elif stage != self.stage:
            sys.stderr.write(text + "\n")
        self.stage = stage
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line, so that what follows starts at the margin."""
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
            self.width = 0


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"
