"""What the commands of `sifa` share in their help: exit codes, and options that several have. Python's own packages only."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

from .console import BAD_INPUT, INTERRUPTED, MODEL, NO_HEART, OK, OTHER, OUTPUT, USAGE

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

MODALITY = (
    "how grey values are read: ct by the model's fixed window of Hounsfield units (HU), mr by percentiles of "
    "the scan's own values; auto takes ct where there is lung or air below -200 HU, else mr; give ct for a CT "
    "that shows neither (default: %(default)s)"
)


def add_command(
    commands: Any, name: str, parents: list, run: str, help: str, description: str = ""
) -> argparse.ArgumentParser:
    """A command of that name; `run` is its function, like segment.segment."""
    parser = commands.add_parser(
        name,
        parents=parents,
        help=help,
        description=description or help[0].upper() + help[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_imported(run))
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where and how the networks compute, and how grey values are read."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    parser.add_argument("--modality", choices=("auto", "ct", "mr"), default="auto", help=MODALITY)


def _imported(name: str) -> Callable[[argparse.Namespace], int]:
    """The function `module.function` of this package; the module is imported when it is called."""
    module, _, function = name.partition(".")

    def run(options: argparse.Namespace) -> int:
        return getattr(importlib.import_module(f".{module}", __package__), function)(options)

    return run
