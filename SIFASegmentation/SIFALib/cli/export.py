"""`sifa export`: what a run has learned becomes a model."""

from __future__ import annotations

import argparse

from ..models import store as models
from ..runs import RunFolder, export
from ..support.errors import ModelError, RunError
from .console import BAD_INPUT, MODEL, OK, USAGE, Failure, complain, fails_as, say, store_of
from .places import writes_into

MODALITIES = {"ct": "CT", "mr": "MR", "both": "CT/MR", None: ""}


def run(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    model_id, _, picked = options.name.partition("@")
    version = picked or "1.0.0"
    _check_name(store, model_id, version)
    if options.checkpoint is not None and options.checkpoint < 0:
        raise Failure(USAGE, f"There is no iteration {options.checkpoint}; give 0 or more.")
    with fails_as(BAD_INPUT, RunError), fails_as(MODEL, ModelError), writes_into(store.user):
        package = export.export(
            RunFolder(options.run_folder),
            store.user / f"{model_id}-{version}",
            model_id,
            version=version,
            name=options.title or "",
            modality=MODALITIES[options.modality],
            licence=options.licence or export.LICENCE,
            checkpoint=options.checkpoint,
            force=options.force,
        )
    if options.force:
        complain("forced: nothing was compared with the starting point.")
    say(f"{package.card.key} is now in {package.folder}.")
    return OK


def _check_name(store: models.ModelStore, model_id: str, version: str) -> None:
    """Raise Failure for a name that is taken: nothing is overwritten, and no bundled model gets a double."""
    for package in store.packages():
        if package.card.id != model_id:
            continue
        if store.is_bundled(package):
            raise Failure(MODEL, f"{model_id} is the name of a bundled model; choose another one.")
        if package.card.version == version:
            raise Failure(
                MODEL,
                f"{package.card.key} is there already, in {package.folder}; choose another name, or a newer version: "
                f"{model_id}@1.0.1, for example.",
            )
