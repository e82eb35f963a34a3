"""What the commands of `sifa` say: exit codes, lines, tables, progress. Python's own packages only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..support.messages import reason
from ..support.progress import Progress

if TYPE_CHECKING:
    from ..models.structures import Structure

OK, OTHER, USAGE, BAD_INPUT, MODEL, NO_HEART, OUTPUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

_MOVING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

EXIT_CODES = f"""exit codes:
  {OK}    all went well
  {OTHER}    something else failed (PyTorch is missing, memory ran out, a bug); doctor: something needs repair
  {USAGE}    the command line cannot be (an unknown option, device or structure; a region outside of the scan)
  {BAD_INPUT}    the input cannot be used
  {MODEL}    the model is missing, damaged or refused
  {NO_HEART}    no heart was found
  {OUTPUT}    the output cannot be written
  {INTERRUPTED}  interrupted (Ctrl-C); nothing half-written is left behind
"""


def say(text: str = "") -> None:
    """To standard output, which may be closed."""
    if sys.stdout is not None:
        sys.stdout.write(f"{_harmless(text)}\n")


def complain(text: str) -> None:
    """To standard error, which may be closed, full, or read by nobody any more."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"sifa: {_harmless(text)}\n")
        sys.stderr.flush()


def _harmless(text: str) -> str:
    """The text with ? for what moves a terminal's cursor or turns its lines round: names of files may hold anything."""
    return _MOVING.sub("?", text)


def flushed() -> bool:
    """Whether all that was said has got out; if not, why is said on standard error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        complain(f"what was to be said cannot be written to standard output ({why}); the work itself is done.")
        silence()
        return False
    return True


def silence() -> None:
    """Say nothing more on standard output, not even when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest text; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in (heads, *rows))
    return "\n".join("  ".join(text.ljust(width) for text, width in line).rstrip() for line in lines)


def volumes_table(volumes_ml: Mapping[str, float], structures: Sequence[Structure]) -> str:
    """Name and millilitres of each structure that has a volume."""
    rows = [(s.name, f"{volumes_ml[s.id]:.1f}") for s in structures if s.id in volumes_ml]
    return table(("Structure", "Volume (ml)"), rows)


def facts(rows: Sequence[tuple[str, str]], width: int) -> str:
    """A line for each name and its text, which stands on that one line."""
    return "\n".join(f"{name:<{width}}{' '.join(text.split())}" for name, text in rows)


class ProgressLine:
    """Stage, percent and time left: one line of a terminal, written over; elsewhere a line for each stage, and for each
    tenth of one that counts.

    It is cleared at the end of a `with` block, however that ends.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet or sys.stderr is None
        self.terminal = sys.stderr is not None and sys.stderr.isatty()
        self.told: tuple[str, int] | None = None
        self.width = 0

    def __call__(self, progress: Progress) -> None:
        if self.quiet:
            return
        left = "" if progress.seconds_left is None else f", {_duration(progress.seconds_left)} left"
        stage = f"{progress.stage} {progress.count}".rstrip()
        text = f"{stage}: {100 * progress.fraction:3.0f} %{left}"
        if self.terminal:
            sys.stderr.write("\r" + text.ljust(self.width))
            self.width = len(text)
        elif self.told != (told := (progress.stage, int(10 * progress.fraction) if progress.count else 0)):
            self.told = told
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line, so that what follows starts at the margin."""
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
            self.width = 0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"
