"""The command line: `sifa segment`, `sifa batch`, `sifa models`, `sifa train`, `sifa runs`, `sifa doctor`, and more.

Thin: it turns text into arguments, results into text, and every foreseeable failure into one sentence on
stderr and an exit code. Data goes to stdout, progress and errors to stderr. Nothing here needs a package
besides Python's own: `sifa doctor` must run where the others are missing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from .. import __version__
from ..support.messages import sentence
from .console import INTERRUPTED, OTHER, USAGE, Failure, complain
from .data_options import add_check_data, add_evaluate, add_export, add_import_tf
from .options import add_batch, add_doctor, add_models, add_phantom, add_segment
from .parsers import EXIT_CODES
from .train_options import add_runs, add_train


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
        return options.run(options)
    except KeyboardInterrupt:
        complain("interrupted; nothing half-written is left behind.")
        return INTERRUPTED
    except Failure as failure:
        if options.debug:
            raise
        complain(str(failure))
        return failure.code
    except ImportError as error:
        if options.debug:
            raise
        what = f"The Python package {error.name.partition('.')[0]}" if error.name else "A Python package"
        complain(f"{what} cannot be used: {sentence(error)} `sifa doctor` tells how to repair it.")
        return OTHER
    except Exception as error:
        if options.debug:
            raise
        complain(f"unexpected {type(error).__name__}: {sentence(error)} Run again with --debug and report it.")
        return OTHER


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
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show where an error comes from")
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument(
        "--models-folder", metavar="FOLDER", help="your own models (default: $SIFA_MODELS, else your data folder)"
    )
    parser = argparse.ArgumentParser(
        prog="sifa",
        description="Heart segmentation in CT and MR that adapts to unlabelled scans.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sifa {__version__}")
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_segment(commands, [common, store])
    add_batch(commands, [common, store])
    add_models(commands, [common, store])
    add_import_tf(commands, [common, store])
    add_check_data(commands, [common])
    add_train(commands, [common])
    add_runs(commands, [common])
    add_export(commands, [common, store])
    add_evaluate(commands, [common, store])
    add_phantom(commands, [common])
    add_doctor(commands, [common, store])
    return parser


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--roi -80,70,...` as `--roi=-80,70,...`: argparse takes what begins with a minus for an option."""
    result = list(arguments)
    for n in range(len(result) - 1, 0, -1):
        if result[n - 1] == "--roi" and result[n][:1] == "-" and result[n][1:2].isdigit():
            result[n - 1 : n + 1] = [f"--roi={result[n]}"]
    return result
