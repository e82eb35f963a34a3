"""`sifa export`: what a run has learned becomes a model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import ModelError, RecordError, RequestError
from .console import OK, complain, say
from .shared import add_command, said_as, store_of, writes_into

if TYPE_CHECKING:
    from ..models.store import ModelStore

DESCRIPTION = """Make a model of a run's best segmenter, for `sifa segment --model NAME` and for 3D Slicer.

Refused, with the figures, is what is not most likely better on the run's scans than the model that it began with, and what
something speaks against. A model that is there already is never overwritten."""
MODALITIES = {"ct": "CT", "mr": "MR", "both": "CT/MR", None: ""}


def add(commands: Any) -> None:
    parser = add_command(commands, "export", run, "make a model of what a run has learned", DESCRIPTION, of_store=True)
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument("name", metavar="NAME", help="id of the new model, or id@version (default: version 1.0.0)")
    parser.add_argument("--title", metavar="TEXT", help="what people call it")
    parser.add_argument(
        "--checkpoint", type=int, metavar="N", help="the averaged segmenter after iteration N, not the best one"
    )
    parser.add_argument(
        "--modality", choices=("ct", "mr", "both"), help="what it is for (default: what the data tell, else both)"
    )
    parser.add_argument("--licence", metavar="TEXT", help="who may use it (default: that none is given)")
    parser.add_argument("--force", action="store_true", help="whatever the verdict says; the card says that, too")


@dataclass(frozen=True)
class Request:
    """The id and version of a model that is not there yet, in that store."""

    store: ModelStore
    model_id: str
    version: str

    @property
    def folder(self) -> Path:
        """Where it will be."""
        return self.store.user / f"{self.model_id}-{self.version}"


def run(options: argparse.Namespace) -> int:
    from ..runs import RunFolder, export

    request = check(options)
    with writes_into(request.store.user):
        package = export.export(
            RunFolder(options.run_folder),
            request.folder,
            request.model_id,
            version=request.version,
            name=options.title or "",
            modality=MODALITIES[options.modality],
            licence=options.licence or export.LICENCE,
            checkpoint=options.checkpoint,
            force=options.force,
        )
    if options.force:
        complain("forced: it was made whatever the verdict says; its card says that, too.")
    say(f"{package.card.key} is now in {package.folder}.")
    return OK


def check(options: argparse.Namespace) -> Request:
    """ModelError for a name that is taken, RequestError."""
    if options.checkpoint is not None and options.checkpoint < 0:
        raise RequestError(f"There is no iteration {options.checkpoint}; give 0 or more.")
    return free_name(store_of(options.models_folder), options)


def free_name(store: ModelStore, options: argparse.Namespace) -> Request:
    """Of a model that is still to be made, by its name, title and licence. ModelError for what none can be called, or
    a name that is taken: nothing is overwritten, and no bundled model gets a double."""
    from ..models.card import check_names

    model_id, _, picked = options.name.partition("@")
    version = picked or "1.0.0"
    with said_as(ModelError, RecordError):
        check_names(model_id, version, options.title or model_id, options.licence or "none", "NAME")
    for package in store.packages():
        if package.card.id != model_id:
            continue
        if store.is_bundled(package):
            raise ModelError(f"{model_id} is the name of a bundled model; choose another one.")
        if package.card.version == version:
            raise ModelError(
                f"{package.card.key} is there already, in {package.folder}; choose another name, or a newer version: "
                f"{model_id}@1.0.1, for example."
            )
    return Request(store, model_id, version)
