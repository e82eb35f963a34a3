"""`sifa models`: list, show, import, verify, delete and export models. No torch here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import ModelError, RequestError
from .console import MODEL, OK, complain, facts, say, table
from .shared import add_command, find_model, store_of

if TYPE_CHECKING:
    from ..models.store import BrokenPackage, ModelPackage, ModelStore


def add(commands: Any) -> None:
    helped = "list, show, import, verify, delete and export models"
    parser = add_command(commands, "models", list_models, helped, debug=False)
    parser.set_defaults(models_folder=None)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_command(actions, "list", list_models, "list the models, and what is wrong with broken ones", of_store=True)
    showing = add_command(actions, "show", show, "print a model's card", of_store=True)
    showing.add_argument("model", metavar="ID", nargs="?", help="id, id@version or folder (default: the bundled model)")
    importing = add_command(
        actions, "import", import_model, "check a model and copy it into your folder", of_store=True
    )
    importing.add_argument("path", metavar="PATH", type=Path, help="a folder or a zip file")
    verifying = add_command(actions, "verify", verify, "check weights against their card", of_store=True)
    verifying.add_argument("models", metavar="ID", nargs="*", help="id, id@version or folder (default: all)")
    deleting = add_command(actions, "delete", delete, "delete one of your own models", of_store=True)
    deleting.add_argument("model", metavar="ID@VERSION", help="the model, or the name of a broken folder")
    exporting = add_command(actions, "export", export, "write a model as a zip file", of_store=True)
    exporting.add_argument("model", metavar="ID", help="id, id@version or folder")
    exporting.add_argument("path", metavar="OUT.zip", type=Path)
    add_command(actions, "folder", folder, "print the folder of your own models", of_store=True)


def list_models(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    rows = [
        (p.card.key, p.card.modality, "bundled" if store.is_bundled(p) else "own", p.card.name)
        for p in store.packages()
    ]
    say(table(("Model", "For", "From", "Name"), rows) if rows else "There are no models; import one.")
    for broken in store.broken():
        say(f"Broken: {broken.reason}")
    return OK


def show(options: argparse.Namespace) -> int:
    package = find_model(store_of(options.models_folder), options.model)
    card = package.card
    net, pre = card.architecture, card.preprocessing
    rows = [
        ("Model", f"{card.key}, {card.name}"),
        ("For", card.modality),
        ("Structures", ", ".join(f"{s.value} {s.id} ({s.name})" for s in card.labels)),
        ("Trained on", card.trained_on),
        ("Network", f"{net.name} {net.variant}, width {net.width}, {net.classes} classes"),
        ("Grid", f"{pre.plane}, {pre.spacing_mm:g} mm pixels, {pre.slice_spacing_mm:g} mm slices, crop {pre.crop}"),
        ("Licence", card.licence),
        ("Citation", card.citation),
        ("Made", f"{card.created} with SIFA {card.sifa_version}"),
        ("SHA-256", card.sha256),
        ("Folder", str(package.folder)),
    ]
    for quality in card.quality:
        values = ", ".join(f"{name} {value:.3f}" for name, value in quality.values.items())
        rows.append((quality.measure, f"{values} on {quality.data} ({quality.rule})"))
    say(facts(rows, width=12))
    return OK


def import_model(options: argparse.Namespace) -> int:
    package = store_of(options.models_folder).import_package(options.path)
    say(f"{package.card.key} is now in {package.folder}.")
    return OK


def verify(options: argparse.Namespace) -> int:
    from ..models import store as models

    store = store_of(options.models_folder)
    packages = [find_model(store, name) for name in options.models] or list(store.packages())
    problems = [] if options.models else [broken.reason for broken in store.broken()]
    for package in packages:
        try:
            models.verify(package)
        except ModelError as error:
            problems.append(str(error))
        else:
            say(f"{package.card.key} is sound.")
    for problem in problems:
        complain(problem)
    return MODEL if problems else OK


def delete(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    package = _to_delete(store, options.model)
    store.delete(package)
    say(f"{package.folder} is deleted.")
    return OK


def _to_delete(store: ModelStore, name: str) -> ModelPackage | BrokenPackage:
    for broken in store.broken():
        if broken.folder.name == name:
            return broken
    package = find_model(store, name)
    versions = [p.card.version for p in store.packages() if p.card.id == package.card.id]
    if "@" not in name and len(versions) > 1:
        raise RequestError(f"There are several versions of {name}; add which one: {name}@{versions[0]}.")
    return package


def export(options: argparse.Namespace) -> int:
    from ..imaging.outputs import Output, check_outputs

    check_outputs([Output("OUT.zip", options.path)])
    store = store_of(options.models_folder)
    package = find_model(store, options.model)
    store.export(package, options.path)
    say(f"{package.card.key} is now in {options.path}.")
    return OK


def folder(options: argparse.Namespace) -> int:
    say(str(store_of(options.models_folder).user))
    return OK
