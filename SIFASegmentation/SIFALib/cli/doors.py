"""The places that a command line names, looked at before anything else is done: one function for every door.

What no file system holds, or nobody may look at, is said in a sentence here, so that no later look at it can fail of that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..support.errors import DataError, ModelError, OutputError, RequestError, RunError, SifaError
from ..support.files import check_place, expanded
from ..support.messages import sentence

_KINDS: dict[str, type[SifaError]] = {
    **dict.fromkeys(("input", "study", "images", "source", "target", "data.source", "data.target"), DataError),
    **dict.fromkeys(("folder", "checkpoint"), DataError),
    **dict.fromkeys(("model", "models", "models_folder", "start_model"), ModelError),
    **dict.fromkeys(("run_folder", "resume", "configuration"), RunError),
}
"""What errors about the places of these options are; about those of all others, which are written to, OutputError."""


def check_places(options: argparse.Namespace) -> None:
    """Raise what suits the option for the first place among them that cannot be looked at, or RequestError for one that is
    empty."""
    for name, value in vars(options).items():
        for each in value if isinstance(value, list) else [value]:
            if each == "" and name in _KINDS:  # would be the current folder, or what is chosen where nothing is given
                raise RequestError(f"What is given as {name.replace('_', ' ')} is empty; is a variable not set?")
            if isinstance(each, Path) or (isinstance(each, str) and each and name in _KINDS):
                _check(name, each, options)


def _check(name: str, place: Path | str, options: argparse.Namespace) -> None:
    kind = _KINDS.get(name, OutputError)
    if hasattr(options, "images") and name == "labels":  # `evaluate` reads what `phantom` writes
        kind = DataError
    try:
        check_place(Path(place))
        if kind is DataError:
            check_place(expanded(str(place)))
    except OSError as error:
        raise kind(sentence(error)) from error
