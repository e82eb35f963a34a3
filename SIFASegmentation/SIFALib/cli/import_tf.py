"""`sifa import-tf`: one of the authors' TensorFlow checkpoints becomes a model."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import ModelError, OutputError, RequestError
from .console import OK, complain, say, table
from .shared import add_command, said_as, store_of

if TYPE_CHECKING:
    from ..models.card import Preprocessing
    from ..networks.tensorflow.checkpoint import Checkpoint

DESCRIPTION = """Make a model of a TensorFlow 1 checkpoint that the authors' code wrote (TMI 2020 or AAAI 2019).

TensorFlow is not needed. CHECKPOINT is NAME.index and NAME.data-00000-of-00001, side by side."""
STATISTICS = (
    "grey values of the training: new, or old for the CT model that the authors released first "
    "(their evaluate.py, USE_newstat=False) (default: %(default)s)"
)
LICENCE = "None is stated: neither in a checkpoint nor with the authors' code. Ask them before you pass it on."


def add(commands: Any) -> None:
    helped = "make a model of one of the authors' TensorFlow checkpoints"
    parser = add_command(commands, "import-tf", run, helped, DESCRIPTION, of_store=True)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="its name, one of its files, or its folder")
    parser.add_argument("name", metavar="NAME", help="id of the new model: small letters, digits, hyphens")
    parser.add_argument(
        "--modality", choices=("ct", "mr"), required=True, help="what the model was adapted to (no checkpoint tells)"
    )
    parser.add_argument("--statistics", choices=("new", "old"), default="new", help=STATISTICS)


@dataclass(frozen=True, eq=False)
class Request:
    """A checkpoint with a whole segmenter in it, and the folder of a model that is not there yet."""

    checkpoint: Checkpoint
    preprocessing: Preprocessing
    folder: Path


def run(options: argparse.Namespace) -> int:
    from ..models import store as models
    from ..models.citations import CITATIONS
    from ..models.structures import structures_of
    from ..networks.tensorflow import checkpoint

    request = check(options)
    architecture = request.checkpoint.architecture
    paper = "AAAI 2019" if architecture.variant == "aaai2019" else "TMI 2020"
    with said_as(OutputError, OSError):
        package = models.write_package(
            request.folder,
            checkpoint.segmenter_state(request.checkpoint),
            id=options.name,
            name=f"SIFA, {paper}, {options.modality.upper()}",
            version="1.0.0",
            architecture=architecture,
            modality=options.modality.upper(),
            preprocessing=request.preprocessing,
            trained_on=checkpoint.TRAINED_ON,
            licence=LICENCE,
            citation=CITATIONS[architecture.variant],
            labels=structures_of(architecture.classes),
        )
    say(f"{package.card.key} is now in {package.folder}.")
    complain("what its checkpoint cannot tell was assumed; read `sifa models show` before you use it.")
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the checkpoint holds, which is told on the way. RequestError, ModelError."""
    from ..networks.tensorflow import checkpoint

    if not re.fullmatch("[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", options.name):
        raise RequestError(f"The name {options.name!r} cannot be; write 1 to 64 small letters, digits and hyphens.")
    store = store_of(options.models_folder)
    with said_as(RequestError, ModelError):
        preprocessing = checkpoint.preprocessing(options.modality, options.statistics)
    found = checkpoint.inspect(options.checkpoint)
    _print(found)
    for package in store.packages():
        if package.card.id == options.name:
            raise ModelError(f"{package.card.key} is there already, in {package.folder}; choose another name.")
    return Request(found, preprocessing, store.user / f"{options.name}-1.0.0")


def _print(found: Checkpoint) -> None:
    from ..networks.tensorflow.checkpoint import NETWORKS

    net = found.architecture
    paper = "AAAI 2019 (branch SIFA-v1)" if net.variant == "aaai2019" else "TMI 2020 (master)"
    say(f"Checkpoint of {paper}: width {net.width}, {net.classes} classes, {net.input_channels} channel(s).")
    rows = []
    for name, (count, values) in sorted(found.networks.items()):
        used = "taken" if name in ("e_B", "s_B", "s_B_ll") else "left: not needed to segment"
        rows.append((name, NETWORKS[name], str(count), f"{values:,}", used))
    say(table(("Name", "Network", "Variables", "Values", ""), rows))
    if found.others:
        say(f"Left as well: the state of the optimisers and {len(found.others)} counters.")
