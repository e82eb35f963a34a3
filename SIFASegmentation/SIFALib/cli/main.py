"""The command line: `sifa segment`, `sifa cine`, `sifa batch`, `sifa models`, `sifa train`, `sifa runs`, and more.

Thin: it turns text into arguments, results into text, and every foreseeable failure into one sentence on
stderr and an exit code. Data goes to stdout, progress and errors to stderr. Each command is a file: its options, its
`check` of all that can be known before the work, the work. None needs a package besides Python's own before it is
called: `sifa doctor` must run where the others are missing.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from .. import __version__
from ..support.errors import SifaError
from ..support.files import FULL
from ..support.messages import sentence
from . import adapt, batch, check_data, cine, doctor, evaluate, export, import_tf, models, phantom, runs, segment, train
from .console import EXIT_CODES, INTERRUPTED, OTHER, OUTPUT, USAGE, complain, flushed, silence
from .doors import check_places
from .shared import Parser

COMMANDS = (segment, cine, batch, models, import_tf, check_data, adapt, train, runs, export, evaluate, phantom, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sifa` with these arguments (None: those of the process) and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return USAGE
    for stream in (sys.stdout, sys.stderr):  # a narrow Windows console must not turn a name into a crash
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _log_to_console(options.debug)
    try:
        check_places(options)
        with _ended_by_signals():
            code: int = options.run(options)
        return code if flushed() else OUTPUT
    except KeyboardInterrupt:
        go_on = " The same command goes on with what is left." if getattr(options, "goes_on", False) else ""
        complain(f"interrupted; nothing half-written is left behind.{go_on}")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read what is said has ended
        silence()
        return OUTPUT
    except Exception as error:
        if options.debug:
            raise
        complain(_explanation(error))
        if isinstance(error, OSError) and error.errno in FULL:
            return OUTPUT
        return error.exit_code if isinstance(error, SifaError) else OTHER


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a request to end (SIGTERM, SIGHUP) clear up as Ctrl-C does, where it would just kill, while the block lasts."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    caught = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in caught:
            signal.signal(number, end)
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


def _explanation(error: Exception) -> str:
    if isinstance(error, MemoryError) and not str(error):
        return "There is not enough memory for this; end other programs, or give a smaller scan."
    if isinstance(error, (SifaError, MemoryError, OSError)) and not isinstance(error, ImportError):
        return sentence(error)
    if isinstance(error, ImportError):
        what = f"The Python package {error.name.partition('.')[0]}" if error.name else "A Python package"
        return f"{what} cannot be used: {sentence(error)} `sifa doctor` tells how to repair it."
    return f"unexpected {type(error).__name__}: {sentence(error)} Run again with --debug and report it."


def _log_to_console(debug: bool) -> None:
    """With --debug everything, else errors, but for those of a training: its log.txt has them, and `complain` says them.

    The console has a level of its own, since a training lowers the package's for its log.txt.
    """
    console = logging.StreamHandler()
    console.setLevel(logging.DEBUG if debug else logging.ERROR)
    if not debug:
        console.addFilter(lambda record: not record.name.startswith("SIFALib.runs."))
    form = "%(name)s: %(message)s"
    logging.basicConfig(level=console.level, format=form, handlers=[console], force=True)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="sifa",
        description="Heart segmentation in CT and MR that adapts to unlabelled scans.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sifa {__version__}")
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--roi -80,70,...` as `--roi=-80,70,...`: argparse takes what begins with a minus for an option."""
    result = list(arguments)
    for n in range(len(result) - 1, 0, -1):
        if result[n - 1] == "--roi" and result[n][:1] == "-" and result[n][1:2].isdigit():
            result[n - 1 : n + 1] = [f"--roi={result[n]}"]
    return result
