"""`sifa import-tf`: one of the authors' TensorFlow checkpoints becomes a model."""

from __future__ import annotations

import argparse
import re

from ..models import store as models
from ..models.citations import CITATIONS
from ..models.structures import structures_of
from ..networks.tensorflow import checkpoint
from ..support.errors import ModelError
from .console import MODEL, OK, OUTPUT, USAGE, Failure, complain, fails_as, say, store_of, table

LICENCE = "None is stated: neither in a checkpoint nor with the authors' code. Ask them before you pass it on."


def run(options: argparse.Namespace) -> int:
    if not re.fullmatch("[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", options.name):
        raise Failure(USAGE, f"The name {options.name!r} cannot be; write 1 to 64 small letters, digits and hyphens.")
    store = store_of(options.models_folder)
    with fails_as(USAGE, ModelError):
        preprocessing = checkpoint.preprocessing(options.modality, options.statistics)
    with fails_as(MODEL, ModelError):
        found = checkpoint.inspect(options.checkpoint)
    _print(found)
    architecture = found.architecture
    known = [p for p in store.packages() if p.card.id == options.name]
    if known:
        raise Failure(MODEL, f"{known[0].card.key} is there already, in {known[0].folder}; choose another name.")
    with fails_as(MODEL, ModelError), fails_as(OUTPUT, OSError):
        package = models.write_package(
            store.user / f"{options.name}-1.0.0",
            checkpoint.segmenter_state(found),
            id=options.name,
            name=f"SIFA, {'AAAI 2019' if architecture.variant == 'aaai2019' else 'TMI 2020'}, {options.modality.upper()}",
            version="1.0.0",
            architecture=architecture,
            modality=options.modality.upper(),
            preprocessing=preprocessing,
            trained_on=checkpoint.TRAINED_ON,
            licence=LICENCE,
            citation=CITATIONS[architecture.variant],
            labels=structures_of(architecture.classes),
        )
    say(f"{package.card.key} is now in {package.folder}.")
    complain("what its checkpoint cannot tell was assumed; read `sifa models show` before you use it.")
    return OK


def _print(found: checkpoint.Checkpoint) -> None:
    net = found.architecture
    paper = "AAAI 2019 (branch SIFA-v1)" if net.variant == "aaai2019" else "TMI 2020 (master)"
    say(f"Checkpoint of {paper}: width {net.width}, {net.classes} classes, {net.input_channels} channel(s).")
    rows = []
    for name, (count, values) in sorted(found.networks.items()):
        used = "taken" if name in ("e_B", "s_B", "s_B_ll") else "left: not needed to segment"
        rows.append((name, checkpoint.NETWORKS[name], str(count), f"{values:,}", used))
    say(table(("Name", "Network", "Variables", "Values", ""), rows))
    if found.others:
        say(f"Left as well: the state of the optimisers and {len(found.others)} counters.")
